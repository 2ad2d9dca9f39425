//! The backends under contract. A claim asks a factory for a fresh one, with the limits it is about.

use std::sync::Arc;

use otodoke_common::broker::Broker;
use otodoke_common::clock::Clock;
use otodoke_common::embedded::{Embedded, EmbeddedLimits};
use otodoke_common::memory::{Memory, MemoryLimits};
use otodoke_common::store::Store;
use tempfile::TempDir;

use crate::sample::START;

pub(crate) const LIMITS: Limits = Limits { queue_max: 1_000, inbox_max: 1_000 };

#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) queue_max: u64,
    pub(crate) inbox_max: u64,
}

pub(crate) trait Factory {
    fn fresh(&self, limits: Limits) -> Backend;
}

pub(crate) struct Backend {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) broker: Arc<dyn Broker>,
    file: Option<(Embedded, TempDir)>,
}

impl Drop for Backend {
    fn drop(&mut self) {
        if let Some((embedded, _dir)) = self.file.take() {
            embedded.close();
        }
    }
}

pub(crate) struct InMemory;

impl Factory for InMemory {
    fn fresh(&self, limits: Limits) -> Backend {
        let Limits { queue_max, inbox_max } = limits;
        let memory = Memory::with(Clock::simulated(START), MemoryLimits { queue_max, inbox_max });
        Backend { store: memory.store(), broker: memory.broker(), file: None }
    }
}

pub(crate) struct OnOneFile;

impl Factory for OnOneFile {
    fn fresh(&self, limits: Limits) -> Backend {
        let Limits { queue_max, inbox_max } = limits;
        let dir = tempfile::tempdir().expect("a directory for the test");
        let limits = EmbeddedLimits { queue_max, inbox_max, ..EmbeddedLimits::default() };
        let embedded = Embedded::open(dir.path(), limits).expect("a fresh directory opens");
        Backend { store: embedded.store(), broker: embedded.broker(), file: Some((embedded, dir)) }
    }
}
