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
mod remains;
mod scan;
mod stand;
mod stop;
mod table;
mod themes;
mod until;
mod up;
mod webhooks;

/// Each claim becomes one test over a process of its own.
macro_rules! claims {
    ($($claim:ident),* $(,)?) => {
        mod over_up {
            $(#[tokio::test]
            async fn $claim() {
                let up = crate::up::Up::start();
                super::$claim(&up.stand()).await;
            })*
        }
    };
}
pub(crate) use claims;
