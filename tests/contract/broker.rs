//! The contract of the broker, by theme.

mod handing;
mod parking;
mod waiting;
