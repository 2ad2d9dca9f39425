//! The door: the HTTP API that takes requests in, checks codes, and hears providers; with its client library.
//!
//! In the order of a request's way: the socket and the addresses, who calls and what they say, whether it can be
//! taken, the row it becomes; then what can be asked about it. It decides nothing about a message itself: that is
//! `common::lifecycle`, which the worker runs as well.

// The way in.
mod connection;
mod line;
pub mod router;
pub mod server;

pub mod door;
pub mod hands;

pub mod auth;
pub mod body;
pub mod extract;
pub mod problem;

mod accept;
pub mod admission;
mod effects;
pub mod rates;
pub mod spill;

// What can be asked.
pub mod answer;
mod cancel;
mod carry;
mod check;
mod find;
mod resend;
mod view;

// Who answers.
mod documented;
pub mod health;
mod messages;
pub mod openapi;
mod receipts;
pub mod search;
pub mod trace;
mod verifications;
mod voice;
mod webhook;

// The other side of the wire.
pub mod client;

pub use admission::LaneWindows;
pub use door::Door;
pub use hands::Hands;
pub use rates::{Rates, follow_workers};
pub use router::router;
pub use spill::Spill;

#[cfg(test)]
mod tests;
