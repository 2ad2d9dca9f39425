//! A gate around all that one process reaches: shut it, and the process is dead in the middle of whatever it was doing.
//!
//! What it had taken from its queues comes again, its tasks never go on. It can also make every step take a moment, so
//! that deaths, receipts and people come between any two of them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use otodoke_common::broker::{
    Backlog, Broker, BrokerError, Delivery, Parked, Queue, Settle, Settlement, Unpark, WhereFull,
};
use otodoke_common::dice::Dice;
use otodoke_common::leg::{Abilities, Channel, LegNumber, ProviderId};
use otodoke_common::message::{Message, MessageId, Tag};
use otodoke_common::outcome::{Answer, Report};
use otodoke_common::provider::{AskError, Provider, Question, SendRequest, Voice, WebhookReading, WebhookRequest};
use otodoke_common::store::{ClaimKind, Counts, Holder, JournalEntry, Opened, Opening, Save, Saved, Store, StoreError};
use otodoke_common::time::Timestamp;
use tokio::time::{Duration, sleep};

pub struct Gate {
    shut: AtomicBool,
    step_ms_max: u32,
    dice: Dice,
    taken: Mutex<BTreeMap<u64, Delivery>>,
    tickets: AtomicU64,
}

impl Gate {
    /// Each step takes up to `step_ms_max` milliseconds, by `seed`; 0 is at once.
    pub fn open(step_ms_max: u32, seed: u64) -> Arc<Self> {
        Arc::new(Self {
            shut: AtomicBool::new(false),
            step_ms_max,
            dice: Dice::seeded(seed),
            taken: Mutex::default(),
            tickets: AtomicU64::new(1),
        })
    }

    /// From now on nothing gets through, and what was taken is given back.
    pub fn shut(&self) {
        self.shut.store(true, Ordering::SeqCst);
        let taken = std::mem::take(&mut *self.taken.lock().expect("nobody panics here"));
        drop(taken);
    }

    /// Deliveries that were taken and are not settled.
    pub fn in_hand(&self) -> usize {
        self.taken.lock().expect("nobody panics here").len()
    }

    pub fn store(self: &Arc<Self>, inner: Arc<dyn Store>) -> Arc<dyn Store> {
        Arc::new(Gated { gate: Arc::clone(self), inner })
    }

    pub fn broker(self: &Arc<Self>, inner: Arc<dyn Broker>) -> Arc<dyn Broker> {
        Arc::new(Gated { gate: Arc::clone(self), inner })
    }

    pub fn provider(self: &Arc<Self>, inner: Arc<dyn Provider>) -> Arc<dyn Provider> {
        Arc::new(Gated { gate: Arc::clone(self), inner })
    }

    async fn pass(&self) {
        if self.step_ms_max > 0 {
            sleep(Duration::from_millis(u64::from(self.dice.roll() % self.step_ms_max))).await;
        }
        if self.shut.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    }

    /// A step that may be the last: before it, and after it, the process may be dead.
    async fn through<T>(&self, step: impl Future<Output = T>) -> T {
        self.pass().await;
        let done = step.await;
        self.pass().await;
        done
    }
}

struct Gated<T: ?Sized> {
    gate: Arc<Gate>,
    inner: Arc<T>,
}

#[async_trait]
impl Settle for Gate {
    async fn settle(&self, ticket: u64, how: Settlement) -> Result<(), BrokerError> {
        self.pass().await;
        let delivery = self.taken.lock().expect("nobody panics here").remove(&ticket);
        let delivery = delivery.expect("a gate that is open still holds what was taken through it");
        match how {
            Settlement::Done => delivery.done().await,
            Settlement::Park { reason, where_full: WhereFull::Again } => delivery.park(reason).await,
            Settlement::Park { reason, where_full: WhereFull::Drop } => delivery.park_or_drop(reason).await,
        }
    }

    fn give_back(&self, ticket: u64) {
        drop(self.taken.lock().expect("nobody panics here").remove(&ticket));
    }
}

#[async_trait]
impl Broker for Gated<dyn Broker> {
    async fn publish(&self, queue: Queue, body: Vec<u8>) -> Result<(), BrokerError> {
        self.gate.through(self.inner.publish(queue, body)).await
    }

    async fn take(&self, queue: Queue) -> Result<Delivery, BrokerError> {
        self.gate.pass().await;
        let delivery = self.inner.take(queue).await?;
        if self.gate.shut.load(Ordering::SeqCst) {
            drop(delivery);
            return std::future::pending().await;
        }
        let ticket = self.gate.tickets.fetch_add(1, Ordering::SeqCst);
        let (body, taken_before) = (delivery.body.clone(), delivery.taken_before);
        let (origin, trace) = (delivery.origin.clone(), delivery.trace.clone());
        self.gate.taken.lock().expect("nobody panics here").insert(ticket, delivery);
        let settle: Arc<dyn Settle> = self.gate.clone();
        Ok(Delivery::new(body, taken_before, settle, ticket).from(origin, trace))
    }

    fn backlog(&self, queue: Queue) -> Backlog {
        self.inner.backlog(queue)
    }

    async fn parked(&self, limit: usize) -> Result<Vec<Parked>, BrokerError> {
        self.gate.through(self.inner.parked(limit)).await
    }

    async fn unpark(&self, parked_id: i64, how: Unpark) -> Result<bool, BrokerError> {
        self.gate.through(self.inner.unpark(parked_id, how)).await
    }
}

#[async_trait]
impl Store for Gated<dyn Store> {
    async fn open(&self, opening: Opening) -> Result<Opened, StoreError> {
        self.gate.through(self.inner.open(opening)).await
    }

    async fn load(&self, id: MessageId) -> Result<Option<Message>, StoreError> {
        self.gate.through(self.inner.load(id)).await
    }

    async fn holder(&self, kind: ClaimKind, tag: Tag, now: Timestamp) -> Result<Option<Holder>, StoreError> {
        self.gate.through(self.inner.holder(kind, tag, now)).await
    }

    async fn save(&self, save: &Save) -> Result<Saved, StoreError> {
        self.gate.through(self.inner.save(save)).await
    }

    async fn by_reference(
        &self,
        provider: &ProviderId,
        reference: &str,
    ) -> Result<Option<(MessageId, LegNumber)>, StoreError> {
        self.gate.through(self.inner.by_reference(provider, reference)).await
    }

    async fn of_number(&self, number: Tag, made: Range<Timestamp>, limit: usize) -> Result<Vec<Message>, StoreError> {
        self.gate.through(self.inner.of_number(number, made, limit)).await
    }

    async fn due(&self, now: Timestamp, limit: usize, lease_ms: u64) -> Result<Vec<Message>, StoreError> {
        self.gate.through(self.inner.due(now, limit, lease_ms)).await
    }

    async fn inbox_put(&self, report: &Report) -> Result<(), StoreError> {
        self.gate.through(self.inner.inbox_put(report)).await
    }

    async fn inbox_read(&self, provider: &ProviderId, reference: &str) -> Result<Vec<Report>, StoreError> {
        self.gate.through(self.inner.inbox_read(provider, reference)).await
    }

    async fn inbox_drop(&self, report: &Report) -> Result<(), StoreError> {
        self.gate.through(self.inner.inbox_drop(report)).await
    }

    async fn prune(
        &self,
        now: Timestamp,
        ended_before: Timestamp,
        inbox_before: Timestamp,
        limit: usize,
    ) -> Result<usize, StoreError> {
        self.gate.through(self.inner.prune(now, ended_before, inbox_before, limit)).await
    }

    async fn journal(&self, id: MessageId) -> Result<Vec<JournalEntry>, StoreError> {
        self.gate.through(self.inner.journal(id)).await
    }

    async fn counts(&self, now: Timestamp) -> Result<Counts, StoreError> {
        self.gate.through(self.inner.counts(now)).await
    }

    async fn setting_put(&self, name: &str, value: Option<&str>) -> Result<(), StoreError> {
        self.gate.through(self.inner.setting_put(name, value)).await
    }

    async fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.gate.through(self.inner.setting(name)).await
    }

    async fn settings(&self, prefix: &str) -> Result<Vec<(String, String)>, StoreError> {
        self.gate.through(self.inner.settings(prefix)).await
    }
}

#[async_trait]
impl Provider for Gated<dyn Provider> {
    fn id(&self) -> &ProviderId {
        self.inner.id()
    }

    fn channel(&self) -> Channel {
        self.inner.channel()
    }

    fn abilities(&self) -> Abilities {
        self.inner.abilities()
    }

    async fn send(&self, request: &SendRequest) -> Answer {
        self.gate.through(self.inner.send(request)).await
    }

    async fn ask(&self, question: &Question) -> Result<Vec<Report>, AskError> {
        self.gate.through(self.inner.ask(question)).await
    }

    fn read_webhook(&self, request: &WebhookRequest<'_>) -> WebhookReading {
        self.inner.read_webhook(request)
    }

    fn proves_by_reference(&self) -> bool {
        self.inner.proves_by_reference()
    }

    fn voice(&self) -> Option<&dyn Voice> {
        self.inner.voice()
    }
}
