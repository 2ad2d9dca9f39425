//! What every process of Otodoke shares, in the order a reader needs it: words, rules, seams, backends, desk, edges.
//!
//! Words are types that cannot be wrong. Rules are pure functions over them. Seams are the traits behind which the world
//! is hidden. Backends implement the seams. Door and worker, the shells, stand on desk and parts. Edges are settings,
//! metrics, the terminal and the start of a process.

// Words.
pub mod leg;
pub mod message;
pub mod outcome;
pub mod phone;
pub mod policy;
pub mod time;
pub mod transaction;
mod word;

// Rules.
pub mod bucket;
pub mod code;
pub mod fallback;
pub mod health;
pub mod lifecycle;
pub mod request;
pub mod route;
pub mod seal;
pub mod speech;
pub mod text;
pub mod trace;
pub mod wire;

// Seams.
pub mod broker;
pub mod clock;
pub mod dice;
pub mod provider;
pub mod store;

// Backends.
pub mod embedded;
pub mod memory;
mod pace;
pub mod postgres;
pub mod rabbit;

// What the shells, door and worker, stand on.
pub mod desk;
pub mod in_use;
pub mod parts;
pub mod throughput;

// Edges.
pub mod config;
mod lines;
pub mod loopback;
pub mod metrics;
pub mod output;
pub mod retry;
pub mod servers;
pub mod startup;
mod tls;
pub mod vitals;
