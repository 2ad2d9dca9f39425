//! The whole pipeline in one process under paused time: door, worker, scripted carriers and the phones behind them.
//!
//! `world` puts it together, `carrier` scripts providers, `phones` remembers what people got, `gate` kills processes.
//! `servers` finds or starts real ones. The suites are beside: `it/` behaviour by theme, `sim/` seeds, `contract/` the
//! seams, `live/` real sockets, processes and servers, `deploy/` what they run by, `tidy/` the rules of the house.

#![expect(clippy::panic, reason = "this crate is only for tests: a panic is how they fail")]

pub mod carrier;
pub mod gate;
pub mod phones;
pub mod servers;
pub mod world;
