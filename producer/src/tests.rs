//! The door from outside: requests through the router, over the backends in memory and under paused time.

mod accepting;
mod addresses;
mod bed;
mod calls;
mod checking;
mod client;
mod connections;
mod hanging;
mod joining;
mod keys;
mod reading;
mod refusals;
mod resending;
mod searching;
mod stormy;
mod webhooks;
