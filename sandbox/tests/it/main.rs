//! The sandbox over real sockets: raw requests as the vendors' documents show them, and a door that writes down what it is
//! sent. Nothing here is shared with the crates that call the vendors.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what the tests share fails by panicking, as tests do")]

mod atlas;
mod door;
mod fuji;
mod kodama;
mod page;
mod restart;
mod sakura;
mod stand;
