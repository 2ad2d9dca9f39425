//! Rows in a real PostgreSQL: the store's contract, and what only a server can have: plans, days, bad days.

#![expect(clippy::panic, reason = "a panic is how tests fail")]
#![expect(clippy::print_stdout, reason = "the figures of an hour are for whoever runs the suite")]

#[path = "../line.rs"]
mod line;
#[path = "../faults/process.rs"]
#[expect(dead_code, reason = "shared with the suite of faults, which starts, kills and stops processes")]
mod process;
#[path = "../../contract/sample.rs"]
mod sample;
#[path = "../faults/settings.rs"]
#[expect(dead_code, reason = "shared with the suite of faults, which has houses with every way to a person")]
mod settings;
#[path = "../until.rs"]
#[expect(dead_code, reason = "shared with the suites that wait for messages")]
mod until;

#[path = "."]
mod store {
    //! The contract of the store, unchanged.
    #[path = "../../contract/store/claims.rs"]
    mod claims;
    #[path = "../../contract/store/due.rs"]
    mod due;
    #[path = "../../contract/store/finding.rs"]
    mod finding;
    #[path = "../../contract/store/inbox.rs"]
    mod inbox;
    #[path = "../../contract/store/keeping.rs"]
    mod keeping;
    #[path = "../../contract/store/opening.rs"]
    mod opening;
    #[path = "../../contract/store/saving.rs"]
    mod saving;
}

mod backend;
mod churn;
mod commands;
mod days;
mod faults;
mod listed;
mod plans;
mod starting;
mod tls;
mod writes;

/// Each claim becomes one test over PostgreSQL.
macro_rules! contract {
    ($($claim:ident),* $(,)?) => {
        mod over_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $claim() {
                let server = otodoke_tests::servers::postgres::postgres().await;
                super::$claim(&crate::backend::OnPostgres(server)).await;
            })*
        }
    };
}
pub(crate) use contract;
