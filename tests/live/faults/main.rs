//! The production form through every fault: door, two workers and carriers in processes of their own, on a RabbitMQ and a
//! PostgreSQL that belong to the test and may be killed.
//!
//! Each test opens a house, lets the door accept thousands of messages, strikes while they are being delivered, and holds
//! the promises to account when everything has settled: nothing accepted is lost, and every extra text was counted. It
//! prints one row of figures. `OTODOKE_TEST_FAULT_MESSAGES` says how many messages; houses open one after another.

#![expect(clippy::panic, reason = "a panic is how tests fail")]
#![expect(clippy::print_stdout, reason = "the figures are for whoever runs the suite")]

#[path = "../caller.rs"]
#[expect(dead_code, reason = "shared with the suite of one process, which asks for more")]
mod caller;
#[path = "../handset.rs"]
#[expect(dead_code, reason = "shared with the suite of one process, which reads codes and calls")]
mod handset;
#[path = "../line.rs"]
mod line;
#[path = "../until.rs"]
mod until;

mod cluster;
mod figures;
mod house;
mod link;
mod load;
mod poison;
mod process;
mod processes;
mod receipts;
mod scan;
mod servers;
mod settings;
mod trial;
