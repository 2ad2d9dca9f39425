//! Real servers for tests: found on the machine, started for the test, or installed; nothing of them stays behind.

pub mod postgres;
pub mod proxy;
pub mod rabbit;
