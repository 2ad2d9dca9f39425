//! The shell of the journey: takes messages from their lanes, carries them leg by leg, hears receipts, and sweeps up
//! whatever is due. What to do is decided in `otodoke_common::lifecycle`; here it is done.
//!
//! Reading order: `worker` starts the loops, `courier` carries one message, `hand` holds permits while a route is chosen,
//! `permits` counts them, `request` puts a leg into words, `deliver`, `receipts` and `sweep` are the three loops.

mod courier;
mod deliver;
mod hand;
mod permits;
mod receipts;
mod request;
mod sweep;
mod worker;

pub use permits::Capacity;
pub use worker::{Worker, WorkerParts, WorkerSettings};
