//! The program as it runs: real processes of `otodoke up`, real sockets, real time with short waits.
//!
//! Every test starts a process of its own on a free port and ends it; nothing outlives a test. Nobody sleeps to let
//! things happen: `until` looks again and again, and tells the message's whole story when its time is over.

mod caller;
mod commands;
mod door;
mod handset;
mod kill;
mod line;
mod openapi;
mod scan;
mod stop;
mod table;
mod until;
mod up;
mod webhooks;
