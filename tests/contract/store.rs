//! The contract of the store, by theme.

mod claims;
mod due;
mod finding;
mod inbox;
mod keeping;
mod opening;
mod saving;
