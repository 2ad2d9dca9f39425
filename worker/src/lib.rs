//! The shell of the journey: takes messages from their lanes, carries them leg by leg, hears receipts, and sweeps up
//! whatever is due. What to do is decided in `otodoke_common::lifecycle`; here it is done.
//!
//! Reading order: `worker` starts the loops that its `roles` ask for, a `consumer` takes from its queue, `deliver`,
//! `published`, `receipts` and `given_up` handle what was taken, `sweep` takes what is due; `courier` carries one message,
//! `hand` holds permits while a route is chosen, `permits` counts them, `waiting` bounds how long one is waited for, beside the
//! `crowds` that do, and `aside` says when those look again who may not; `request` puts a leg into words; `questions` are put
//! to providers; `hearing` applies what was reported of a leg, to a copy of its row where `recent` has one, and `hearsay` looks up
//! what other processes heard; `probes` and `gauges` tell outside how all of it is, `throughput` tells
//! doors how fast it goes.

mod aside;
mod bill;
mod consumer;
mod courier;
mod crowds;
mod deliver;
mod gauges;
mod given_up;
mod hand;
mod hearing;
mod hearsay;
mod inbox;
mod parking;
mod permits;
mod probes;
mod published;
mod questions;
mod receipts;
mod recent;
mod request;
mod roles;
mod sweep;
mod throughput;
mod waiting;
mod worker;

pub use permits::Capacity;
pub use probes::Probes;
pub use roles::{Role, Roles, RolesError};
pub use worker::{Worker, WorkerSettings};

#[cfg(test)]
mod tests;
