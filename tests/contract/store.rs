//! The contract of the store, by theme.

mod claims;
mod due;
mod inbox;
mod keeping;
mod opening;
mod saving;
