//! What the sandbox is told when it starts, where it then listens, and why it may refuse to start.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

pub struct SandboxSettings {
    /// The book is kept in `data_dir/sandbox/`.
    pub data_dir: PathBuf,
    /// The door as carriers reach it, without a slash at the end; may be empty until it is known.
    pub public_url: String,
    /// The HTTP API for the page's form; may be empty until it is known.
    pub api_url: String,
    /// Stays in this process: the page never sees it.
    pub api_key: String,
    pub waits: Waits,
    pub secrets: Secrets,
    pub places: CarrierPlaces,
}

/// Where each carrier listens; port 0 takes a free one.
#[derive(Clone, Copy, Debug)]
pub struct CarrierPlaces {
    pub sakura: SocketAddr,
    pub fuji: SocketAddr,
    pub atlas: SocketAddr,
    pub kodama: SocketAddr,
}

impl Default for CarrierPlaces {
    fn default() -> Self {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self { sakura: free, fuji: free, atlas: free, kodama: free }
    }
}

/// How long carriers and people take. Short, so that a demonstration and a test end soon; all in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// From a request to its answer.
    pub answer_ms: u64,
    /// From a text taken to its receipt.
    pub receipt_ms: u64,
    /// How long `fuji` gathers receipts into one request.
    pub batch_ms: u64,
    /// From a call asked for to somebody answering it.
    pub ring_ms: u64,
    /// How long a phone rings that nobody answers.
    pub no_answer_ms: u64,
    /// From the end of an announcement to the person's press.
    pub press_ms: u64,
    /// How long a carrier listens when nothing is pressed, if the caller's own limit is longer.
    pub silence_ms: u64,
    /// Before a receipt that was not accepted is sent again; doubles each time.
    pub receipt_retry_ms: u64,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            answer_ms: 0,
            receipt_ms: 300,
            batch_ms: 50,
            ring_ms: 700,
            no_answer_ms: 1_500,
            press_ms: 500,
            silence_ms: 1_000,
            receipt_retry_ms: 1_000,
        }
    }
}

/// What a caller must show each carrier. No `Debug`: these are secrets, if only of carriers that do not exist.
#[derive(Clone)]
pub struct Secrets {
    pub sakura_token: String,
    pub fuji_key: String,
    pub atlas: TwilioAccount,
    pub kodama: TwilioAccount,
}

/// A Twilio account: the user name and password of its API, and the key of its signatures.
#[derive(Clone)]
pub struct TwilioAccount {
    pub account_sid: String,
    pub auth_token: String,
}

/// `http://127.0.0.1:PORT` of each carrier.
#[derive(Clone, Debug)]
pub struct CarrierUrls {
    pub sakura: String,
    pub fuji: String,
    pub atlas: String,
    pub kodama: String,
}

#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("the carrier {carrier} cannot listen on {place}: {source}")]
    Bind { carrier: &'static str, place: SocketAddr, source: std::io::Error },
    #[error("{path}: {source}; the sandbox needs a directory it may write", path = path.display())]
    Book { path: PathBuf, source: std::io::Error },
    #[error("{path} line {line} cannot be read: {reason}; move the file away to start with empty handsets", path = path.display())]
    Damaged { path: PathBuf, line: usize, reason: String },
    #[error("no HTTP client for receipts: {0}")]
    Client(reqwest::Error),
}
