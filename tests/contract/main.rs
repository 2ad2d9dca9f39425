//! What every backend must do, whatever it is made of: one suite for the store, one for the broker, run unchanged over
//! all of them; then what only the file of the embedded backend can show.

mod backend;
mod broker;
mod embedded;
mod sample;
mod store;

/// Each claim becomes one test over every backend.
macro_rules! contract {
    ($($claim:ident),* $(,)?) => {
        mod over_memory {
            $(#[tokio::test]
            async fn $claim() {
                super::$claim(&crate::backend::InMemory).await;
            })*
        }
        mod over_embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $claim() {
                super::$claim(&crate::backend::OnOneFile).await;
            })*
        }
    };
}
pub(crate) use contract;
