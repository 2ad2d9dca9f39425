//! The whole pipeline in one process under paused time: door, worker, scripted carriers and the phones behind them.
//!
//! `world` puts it together, `carrier` scripts providers, `phones` remembers what people got, `gate` kills processes.
//! The suites are beside: `it/` behaviour by theme, `sim/` seeds, `contract/` the seams, `live/` real sockets and real
//! processes.

pub mod carrier;
pub mod gate;
pub mod phones;
pub mod world;
