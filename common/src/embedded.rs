//! Broker and store on one SQLite file: one machine, nothing to install, every answer durable.
//!
//! One writer thread groups what concurrent callers bring into one commit of both (`writer`); readers have connections
//! of their own (`reader`). SQLite is named in this module only. A lock on the directory keeps a second process out.

mod directory;
mod failure;
mod inbox;
mod parked;
mod place;
mod queue;
mod reader;
mod rows;
mod schema;
mod search;
mod store;
mod tally;
mod window;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::broker::Broker;
use crate::store::Store;

use directory::Directory;
use queue::EmbeddedBroker;
use reader::Readers;
use store::EmbeddedStore;
use writer::Writer;

pub const FILE_NAME: &str = "otodoke.db";
const QUEUE_MAX: u64 = 1_000_000;
const INBOX_MAX: u64 = 100_000;
const PARKED_MAX: u64 = 10_000;
const READERS: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmbeddedLimits {
    /// Bodies that one queue may hold.
    pub queue_max: u64,
    /// Reports that match nothing yet.
    pub inbox_max: u64,
    /// Bodies that wait for people; of more, the oldest go when next something is deleted.
    pub parked_max: u64,
    /// The file grows no further; `None` leaves it to the disk.
    pub size_max_mib: Option<u64>,
    /// Connections that read beside the writer.
    pub readers: usize,
}

impl Default for EmbeddedLimits {
    fn default() -> Self {
        Self {
            queue_max: QUEUE_MAX,
            inbox_max: INBOX_MAX,
            parked_max: PARKED_MAX,
            size_max_mib: None,
            readers: READERS,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    #[error("{dir} is in use by process {pid}: stop that process, or give another directory")]
    Locked { dir: PathBuf, pid: String },
    #[error("{path} cannot be used: {source}; check that it exists, is yours and is writable")]
    Directory { path: PathBuf, source: std::io::Error },
    #[error("{path} has schema {found}, this program knows up to {known}: run a program at least as new as its writer")]
    NewerSchema { path: PathBuf, found: i64, known: i64 },
    #[error("{path} cannot be opened: {why}; nothing was changed")]
    Unreadable { path: PathBuf, why: String },
}

/// An open data directory.
pub struct Embedded {
    writer: Arc<Writer>,
    store: Arc<EmbeddedStore>,
    broker: Arc<EmbeddedBroker>,
}

impl Embedded {
    /// Opens the directory, or makes it. Call within a tokio runtime.
    pub fn open(dir: &Path, limits: EmbeddedLimits) -> Result<Self, EmbeddedError> {
        let directory = Directory::lock(dir)?;
        let path = directory.database()?;
        let writing = schema::open_for_writing(&path, limits.size_max_mib)?;
        let queues = queue::load(&writing).map_err(|error| unreadable(&path, &error))?;
        let inbox = inbox::count(&writing).map_err(|error| unreadable(&path, &error))?;
        let readers = Arc::new(Readers::open(&path, limits.readers).map_err(|error| unreadable(&path, &error))?);
        let writer = Arc::new(Writer::start(writing, directory));
        let store = EmbeddedStore::new(Arc::clone(&writer), Arc::clone(&readers), inbox, limits);
        let broker = EmbeddedBroker::new(Arc::clone(&writer), readers, queues, limits.queue_max);
        Ok(Self { writer, store: Arc::new(store), broker: Arc::new(broker) })
    }

    pub fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    pub fn broker(&self) -> Arc<dyn Broker> {
        self.broker.clone()
    }

    /// Commits what was handed in, then refuses everything, and frees the directory.
    pub fn close(self) {
        self.writer.close();
    }
}

fn unreadable(path: &Path, error: &rusqlite::Error) -> EmbeddedError {
    EmbeddedError::Unreadable { path: path.to_owned(), why: error.to_string() }
}
