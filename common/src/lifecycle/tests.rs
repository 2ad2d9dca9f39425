//! The state machine under test: `given` sets the scene, `walk` looks everywhere, the others tell stories.

pub(crate) mod given;
mod guesses;
mod operator;
mod rules;
mod sandbox;
mod story;
mod table;
mod waiting;
mod walk;
