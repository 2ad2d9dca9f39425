//! The queue on a real RabbitMQ: the broker's contract, and the bad days that only a network and a server can have.

#[path = "."]
mod broker {
    //! The contract of the broker, unchanged.
    #[path = "../../contract/broker/handing.rs"]
    mod handing;
    #[path = "../../contract/broker/parking.rs"]
    mod parking;
    #[path = "../../contract/broker/waiting.rs"]
    mod waiting;
}

mod backend;
mod batches;
mod faults;
mod handing;
mod parked;
mod peers;
mod publishing;
mod tls;
mod topology;

/// Each claim becomes one test over RabbitMQ.
macro_rules! contract {
    ($($claim:ident),* $(,)?) => {
        mod over_rabbit {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $claim() {
                super::$claim(&crate::backend::OnRabbit(otodoke_tests::servers::rabbit::rabbit().await)).await;
            })*
        }
    };
}
pub(crate) use contract;
