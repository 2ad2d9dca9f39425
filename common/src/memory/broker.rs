//! The broker in memory: queues under one lock. A delivery that is dropped unsettled goes back to the head of its queue.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::faults::Faults;
use crate::broker::drain::Watched;
use crate::broker::{
    Backlog, Broker, BrokerError, Delivery, Origin, Parked, Queue, Settle, Settlement, Unpark, WhereFull,
};
use crate::clock::Clock;
use crate::trace::{self, TraceContext};

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
    drains: BTreeMap<Queue, Watched>,
    parked: BTreeMap<i64, Parked>,
    next_ticket: u64,
}

#[derive(Clone)]
struct Entry {
    body: Vec<u8>,
    taken_before: u32,
    origin: Origin,
    trace: Option<TraceContext>,
}

impl MemoryBroker {
    pub(super) fn new(faults: Arc<Faults>, clock: Clock, queue_max: u64) -> Self {
        let arrived = Queue::ALL.into_iter().map(|queue| (queue, Notify::new())).collect();
        Self { inner: Arc::new(Inner { faults, clock, queue_max, state: Mutex::default(), arrived }) }
    }

    pub(super) fn publish_from(&self, origin: Origin, queue: Queue, body: Vec<u8>) -> Result<(), BrokerError> {
        let inner = &self.inner;
        inner.faults.broker()?;
        let mut state = inner.lock();
        let entries = state.queues.entry(queue).or_default();
        if entries.len() as u64 >= inner.queue_max {
            return Err(BrokerError::Full { queue, limit: inner.queue_max });
        }
        entries.push_back(Entry { body, taken_before: 0, origin, trace: trace::current() });
        state.look(queue, 0);
        inner.arrived[&queue].notify_one();
        Ok(())
    }
}

#[async_trait]
impl Broker for MemoryBroker {
    async fn publish(&self, queue: Queue, body: Vec<u8>) -> Result<(), BrokerError> {
        self.publish_from(Origin::Ours, queue, body)
    }

    async fn take(&self, queue: Queue) -> Result<Delivery, BrokerError> {
        let inner = &self.inner;
        loop {
            let arrived = inner.arrived[&queue].notified();
            inner.faults.broker()?;
            if let Some((ticket, entry)) = inner.lock().take(queue) {
                // One notification may stand for several bodies: whoever waits next looks too.
                inner.arrived[&queue].notify_one();
                let backend: Arc<dyn Settle> = inner.clone();
                let delivery = Delivery::new(entry.body, entry.taken_before, backend, ticket);
                return Ok(delivery.from(entry.origin, entry.trace));
            }
            arrived.await;
        }
    }

    fn backlog(&self, queue: Queue) -> Backlog {
        let mut state = self.inner.lock();
        let waiting = state.waiting(queue);
        let drained_per_s = state.drains.entry(queue).or_default().per_s(Instant::now(), waiting);
        Backlog { waiting, ahead: 0, drained_per_s }
    }

    fn trouble(&self) -> Option<String> {
        self.inner.faults.broker().err().map(|error| error.to_string())
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
            Unpark::Replay => trace::within(parked.trace, self.publish(parked.queue, parked.body)).await?,
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
        let room = match &how {
            Settlement::Done => Ok(()),
            Settlement::Park { .. } => self.faults.parking(),
        };
        if room.is_err() && matches!(how, Settlement::Park { where_full: WhereFull::Again, .. }) {
            self.give_back(ticket);
            return room;
        }
        let at = self.clock.now();
        let mut state = self.lock();
        let (queue, entry) = state.taken.remove(&ticket).expect("a ticket is settled once");
        state.look(queue, 1);
        match how {
            Settlement::Park { reason, .. } if room.is_ok() => {
                let parked_id = i64::try_from(ticket).expect("tickets are counted from 1");
                let Entry { body, trace, .. } = entry;
                state.parked.insert(parked_id, Parked { parked_id, queue, at, reason, user: None, body, trace });
            }
            Settlement::Done | Settlement::Park { .. } => {}
        }
        room
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
    fn take(&mut self, queue: Queue) -> Option<(u64, Entry)> {
        let entry = self.queues.get_mut(&queue)?.pop_front()?;
        self.look(queue, 0);
        self.next_ticket += 1;
        self.taken.insert(self.next_ticket, (queue, entry.clone()));
        Some((self.next_ticket, entry))
    }

    fn waiting(&self, queue: Queue) -> u64 {
        self.queues.get(&queue).map_or(0, VecDeque::len) as u64
    }

    fn look(&mut self, queue: Queue, left: u64) {
        let waiting = self.waiting(queue);
        self.drains.entry(queue).or_default().step(Instant::now(), left, waiting);
    }
}
