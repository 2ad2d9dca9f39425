//! Any program may publish: Python's pika as the foreign client, a RabbitMQ and a PostgreSQL that belong to the test, and the
//! production form in processes of its own. What a tenant's program sends arrives; what it must not do it cannot.

#![expect(clippy::panic, reason = "a panic is how tests fail")]

#[path = "../caller.rs"]
mod caller;
#[path = "../handset.rs"]
#[expect(dead_code, reason = "shared with the suite of one process, which reads codes and calls")]
mod handset;
#[path = "../line.rs"]
mod line;
#[path = "../faults/process.rs"]
#[expect(dead_code, reason = "shared with the suite of faults, which kills and stops processes")]
mod process;
#[path = "../faults/settings.rs"]
#[expect(dead_code, reason = "shared with the suite of faults, which has houses with every way to a person")]
mod settings;
#[path = "../until.rs"]
mod until;

mod document;
mod house;
mod journeys;
mod losing;
mod publisher;
mod python;
mod strangers;
