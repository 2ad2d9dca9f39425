//! What a process holds of one queue: delivered to it, not yet taken. Bounded by the prefetch of its consumers, times the
//! bodies that one message may hold.

use std::collections::VecDeque;
use std::sync::Mutex;

use tokio::sync::{Notify, watch};

use super::depth::Depth;
use crate::broker::Delivery;

pub(super) struct Intake {
    pub(super) depth: Depth,
    held: Mutex<VecDeque<Delivery>>,
    arrived: Notify,
    /// Whether anybody ever took from here. A process that only publishes must not hoard deliveries.
    wanted: watch::Sender<bool>,
}

impl Intake {
    pub(super) fn new() -> Self {
        Self {
            depth: Depth::default(),
            held: Mutex::default(),
            arrived: Notify::new(),
            wanted: watch::Sender::new(false),
        }
    }

    /// Cancel-safe: nothing is awaited between taking and returning.
    pub(super) async fn take(&self) -> Delivery {
        self.wanted.send_if_modified(|wanted| !std::mem::replace(wanted, true));
        loop {
            if let Some(delivery) = self.lock().pop_front() {
                self.depth.taken();
                return delivery;
            }
            self.arrived.notified().await;
        }
    }

    /// Returns once somebody takes from this queue.
    pub(super) async fn wanted(&self) {
        // The sender is ours, so waiting ends only as it should.
        drop(self.wanted.subscribe().wait_for(|wanted| *wanted).await);
    }

    pub(super) fn put(&self, delivery: Delivery) {
        self.lock().push_back(delivery);
        self.arrived.notify_one();
    }

    /// Before all others: it came before them.
    pub(super) fn put_back(&self, delivery: Delivery) {
        self.depth.put_back();
        self.lock().push_front(delivery);
        self.arrived.notify_one();
    }

    pub(super) fn held(&self) -> u64 {
        self.lock().len() as u64
    }

    /// Gives everything back that nobody took.
    pub(super) fn clear(&self) {
        // Dropped without the lock: a dropped delivery calls its backend.
        let held = std::mem::take(&mut *self.lock());
        drop(held);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Delivery>> {
        self.held.lock().expect("no code panics while it holds the deliveries")
    }
}
