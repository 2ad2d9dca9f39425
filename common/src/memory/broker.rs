//! The broker in memory: queues under one lock. A delivery that is dropped unsettled goes back to the head of its queue.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use tokio::sync::Notify;

use super::faults::Faults;
use crate::broker::{Backlog, Broker, BrokerError, Delivery, Parked, Queue, Settle, Settlement, Unpark};
use crate::clock::Clock;
use crate::time::Timestamp;

/// How far back settled bodies count for the drain rate.
const DRAIN_WINDOW_MS: u64 = 5_000;
/// A rate measured over less than this says little.
const DRAIN_MEASURED_MS_MIN: u64 = 500;

pub(super) struct MemoryBroker {
    inner: Arc<Inner>,
}

struct Inner {
    faults: Arc<Faults>,
    clock: Clock,
    queue_max: u64,
    state: Mutex<State>,
    arrived: BTreeMap<Queue, Notify>,
}

#[derive(Default)]
struct State {
    queues: BTreeMap<Queue, VecDeque<Entry>>,
    taken: BTreeMap<u64, (Queue, Entry)>,
    settled: BTreeMap<Queue, VecDeque<Timestamp>>,
    parked: BTreeMap<i64, Parked>,
    next_ticket: u64,
}

struct Entry {
    body: Vec<u8>,
    taken_before: u32,
}

impl MemoryBroker {
    pub(super) fn new(faults: Arc<Faults>, clock: Clock, queue_max: u64) -> Self {
        let arrived = Queue::ALL.into_iter().map(|queue| (queue, Notify::new())).collect();
        Self { inner: Arc::new(Inner { faults, clock, queue_max, state: Mutex::default(), arrived }) }
    }
}

#[async_trait]
impl Broker for MemoryBroker {
    async fn publish(&self, queue: Queue, body: Vec<u8>) -> Result<(), BrokerError> {
        let inner = &self.inner;
        inner.faults.broker()?;
        let mut state = inner.lock();
        let entries = state.queues.entry(queue).or_default();
        if entries.len() as u64 >= inner.queue_max {
            return Err(BrokerError::Full { queue, limit: inner.queue_max });
        }
        entries.push_back(Entry { body, taken_before: 0 });
        inner.arrived[&queue].notify_one();
        Ok(())
    }

    async fn take(&self, queue: Queue) -> Result<Delivery, BrokerError> {
        let inner = &self.inner;
        loop {
            let arrived = inner.arrived[&queue].notified();
            inner.faults.broker()?;
            if let Some((ticket, body, taken_before)) = inner.lock().take(queue) {
                // One notification may stand for several bodies: whoever waits next looks too.
                inner.arrived[&queue].notify_one();
                let backend: Arc<dyn Settle> = inner.clone();
                return Ok(Delivery::new(body, taken_before, backend, ticket));
            }
            arrived.await;
        }
    }

    fn backlog(&self, queue: Queue) -> Backlog {
        let now = self.inner.clock.now();
        let mut state = self.inner.lock();
        let waiting = state.queues.get(&queue).map_or(0, VecDeque::len) as u64;
        let settled = state.settled.entry(queue).or_default();
        forget(settled, now);
        Backlog { waiting, drained_per_s: drained_per_s(settled, now) }
    }

    async fn parked(&self, limit: usize) -> Result<Vec<Parked>, BrokerError> {
        self.inner.faults.broker()?;
        Ok(self.inner.lock().parked.values().take(limit).cloned().collect())
    }

    async fn unpark(&self, parked_id: i64, how: Unpark) -> Result<bool, BrokerError> {
        self.inner.faults.broker()?;
        let Some(parked) = self.inner.lock().parked.get(&parked_id).cloned() else { return Ok(false) };
        match how {
            Unpark::Drop => {}
            Unpark::Replay => self.publish(parked.queue, parked.body).await?,
        }
        Ok(self.inner.lock().parked.remove(&parked_id).is_some())
    }
}

#[async_trait]
impl Settle for Inner {
    async fn settle(&self, ticket: u64, how: Settlement) -> Result<(), BrokerError> {
        if let Err(error) = self.faults.broker() {
            self.give_back(ticket);
            return Err(error);
        }
        let at = self.clock.now();
        let mut state = self.lock();
        let (queue, entry) = state.taken.remove(&ticket).expect("a ticket is settled once");
        let settled = state.settled.entry(queue).or_default();
        settled.push_back(at);
        forget(settled, at);
        match how {
            Settlement::Done => {}
            Settlement::Park { reason } => {
                let parked_id = i64::try_from(ticket).expect("tickets are counted from 1");
                state.parked.insert(parked_id, Parked { parked_id, queue, at, reason, body: entry.body });
            }
        }
        Ok(())
    }

    fn give_back(&self, ticket: u64) {
        let mut state = self.lock();
        let Some((queue, entry)) = state.taken.remove(&ticket) else { return };
        let entry = Entry { taken_before: entry.taken_before + 1, ..entry };
        state.queues.entry(queue).or_default().push_front(entry);
        drop(state);
        self.arrived[&queue].notify_one();
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds the queues")
    }
}

impl State {
    fn take(&mut self, queue: Queue) -> Option<(u64, Vec<u8>, u32)> {
        let entry = self.queues.get_mut(&queue)?.pop_front()?;
        self.next_ticket += 1;
        let (body, taken_before) = (entry.body.clone(), entry.taken_before);
        self.taken.insert(self.next_ticket, (queue, entry));
        Some((self.next_ticket, body, taken_before))
    }
}

/// Over the time since the oldest one remembered: right after idling, there is no full window yet.
#[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 52 bits")]
fn drained_per_s(settled: &VecDeque<Timestamp>, now: Timestamp) -> Option<f64> {
    let measured_ms = now.since_ms(*settled.front()?).max(DRAIN_MEASURED_MS_MIN);
    Some(settled.len() as f64 * 1_000.0 / measured_ms as f64)
}

fn forget(settled: &mut VecDeque<Timestamp>, now: Timestamp) {
    while settled.front().is_some_and(|at| now.since_ms(*at) > DRAIN_WINDOW_MS) {
        settled.pop_front();
    }
}
