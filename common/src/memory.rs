//! Broker and store in memory, for behaviour tests and simulations under paused time, with faults that can be switched.
//!
//! No threads and no real I/O: everything happens at once under one lock. Production never uses it.

mod broker;
mod faults;
mod store;

use std::sync::Arc;

use crate::broker::{Broker, BrokerError, Label, Origin, Queue};
use crate::clock::Clock;
use crate::store::Store;

pub use faults::Faults;

#[derive(Clone)]
pub struct Memory {
    faults: Arc<Faults>,
    store: Arc<store::MemoryStore>,
    broker: Arc<broker::MemoryBroker>,
}

/// Bodies that one queue holds, and reports that the inbox holds, at the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimits {
    pub queue_max: u64,
    pub inbox_max: u64,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self { queue_max: 100_000, inbox_max: 10_000 }
    }
}

impl Memory {
    pub fn new(clock: Clock) -> Self {
        Self::with(clock, MemoryLimits::default())
    }

    pub fn with(clock: Clock, limits: MemoryLimits) -> Self {
        let faults = Arc::new(Faults::default());
        Self {
            store: Arc::new(store::MemoryStore::new(Arc::clone(&faults), limits.inbox_max)),
            broker: Arc::new(broker::MemoryBroker::new(Arc::clone(&faults), clock, limits.queue_max)),
            faults,
        }
    }

    pub fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    pub fn broker(&self) -> Arc<dyn Broker> {
        self.broker.clone()
    }

    /// Publishes as another program does, whom a real broker would vouch for.
    pub fn publish_from(&self, label: Label, queue: Queue, body: Vec<u8>) -> Result<(), BrokerError> {
        self.broker.publish_from(Origin::Other(Box::new(label)), queue, body)
    }

    pub fn faults(&self) -> &Faults {
        &self.faults
    }
}
