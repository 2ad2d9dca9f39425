//! The state machine under test: `given` sets the scene, `walk` looks everywhere, `table` and `sandbox` tell stories.

pub(crate) mod given;
mod rules;
mod sandbox;
mod story;
mod table;
mod waiting;
mod walk;
