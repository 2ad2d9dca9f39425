//! The whole pipeline in one process under paused time: door, worker, scripted carriers and the phones behind them.
//!
//! `world` puts it together, `carrier` scripts providers, `phones` remembers what people got, `gate` kills processes.
//! The suites are beside: `it/` behaviour by theme, `sim/` seeds, `contract/` the seams, `live/` real sockets and real
//! processes.

#![expect(clippy::panic, reason = "this crate is only for tests: a panic is how they fail")]

pub mod carrier;
pub mod gate;
pub mod phones;
pub mod servers;
pub mod world;
