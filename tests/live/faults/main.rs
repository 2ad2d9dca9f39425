//! The production form through every fault: door, two workers and carriers in processes of their own, on a RabbitMQ and a
//! PostgreSQL that belong to the test and may be killed.
//!
//! Each test opens a house, lets the door accept thousands of messages, strikes while they are being delivered, and holds
//! the promises to account when everything has settled: nothing accepted is lost, and every extra text was counted. It
//! prints one row of figures, which are those of a machine with two houses on it. `OTODOKE_TEST_FAULT_MESSAGES` says how many
//! messages.

#![expect(clippy::panic, reason = "a panic is how tests fail")]
#![expect(clippy::print_stdout, reason = "the figures are for whoever runs the suite")]

#[path = "../caller.rs"]
mod caller;
#[path = "../handset.rs"]
mod handset;
#[path = "../line.rs"]
mod line;
#[path = "../remains.rs"]
mod remains;
#[path = "../stand.rs"]
mod stand;
#[path = "../table.rs"]
mod table;
#[path = "../themes.rs"]
mod themes;
#[path = "../until.rs"]
mod until;
#[path = "../webhooks.rs"]
mod webhooks;

mod cluster;
mod figures;
mod house;
mod link;
mod load;
mod parity;
mod poison;
mod process;
mod processes;
mod receipts;
mod scan;
mod servers;
mod settings;
mod toll;
mod trial;

/// Claims by their names, for `parity` to try all of them on one house.
macro_rules! claims {
    ($($claim:ident),* $(,)?) => {
        pub(crate) const ALL: &[crate::parity::Claim] =
            &[$((stringify!($claim), |stand| Box::pin(async move { $claim(&stand).await }))),*];
    };
}
pub(crate) use claims;
