//! The seam to the queue. A backend is done when it passes the contract suite (`tests`) unchanged.
//!
//! Surfaces are per message; grouping and pipelining live inside the backends.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::message::Lane;
use crate::time::Timestamp;
use crate::trace::TraceContext;

pub mod drain;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Queue {
    Lane(Lane),
    Receipts,
    /// What the broker itself gave up: handed out too often without an end. Somebody sees to its end.
    GivenUp,
}

impl Queue {
    pub const ALL: [Self; 5] =
        [Self::Lane(Lane::Critical), Self::Lane(Lane::Normal), Self::Lane(Lane::Bulk), Self::Receipts, Self::GivenUp];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Lane(lane) => lane.word(),
            Self::Receipts => "receipts",
            Self::GivenUp => "given_up",
        }
    }
}

impl From<Lane> for Queue {
    fn from(lane: Lane) -> Self {
        Self::Lane(lane)
    }
}

#[async_trait]
pub trait Broker: Send + Sync + 'static {
    /// Returns once the body is durable. It carries the trace that the caller works for (`trace::within`).
    async fn publish(&self, queue: Queue, body: Vec<u8>) -> Result<(), BrokerError>;

    /// Waits for the next body of `queue`. Cancel-safe: a dropped wait takes nothing.
    async fn take(&self, queue: Queue) -> Result<Delivery, BrokerError>;

    /// What waits in `queue` and how fast it leaves; cheap enough to ask for every request.
    fn backlog(&self, queue: Queue) -> Backlog;

    /// Whether a message may travel here while the store is away. Not where both are one file: a queue could take what no
    /// row will ever come of.
    fn outlives_the_store(&self) -> bool {
        true
    }

    /// Why nothing can be published or taken just now, for people; `None` while all is well.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// Bodies that could not be handled, oldest first, for people.
    async fn parked(&self, limit: usize) -> Result<Vec<Parked>, BrokerError>;

    /// Takes a parked body away; `Replay` puts it back into its queue first. `false` when it is not there.
    async fn unpark(&self, parked_id: i64, how: Unpark) -> Result<bool, BrokerError>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unpark {
    Replay,
    Drop,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backlog {
    pub waiting: u64,
    /// The most that is with consumers which have all they may have: these go before those that wait. 0 where that is not
    /// known. To be left out where the rate is only assumed: what fast consumers may hold would take for ever.
    pub ahead: u64,
    /// Settled per second, over those of the last seconds in which something waited; `None` while too little did.
    pub drained_per_s: Option<f64>,
}

impl Backlog {
    /// Whether anything is known of how fast it gets less: what stands still only says that nobody works.
    pub fn is_measured(&self) -> bool {
        self.drained_per_s.is_some_and(|per_s| per_s > 0.0)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parked {
    pub parked_id: i64,
    pub queue: Queue,
    pub at: Timestamp,
    pub reason: String,
    /// The user of the broker that published it, where it was none of our own.
    pub user: Option<String>,
    pub body: Vec<u8>,
    #[serde(skip)]
    pub trace: Option<TraceContext>,
}

/// One body in hand. Settled exactly once; dropped unsettled, it comes again.
pub struct Delivery {
    pub body: Vec<u8>,
    /// How often this body was taken before; a delivery that comes the fourth time is taken alone. Of bodies that travel
    /// together it tells only whether they were.
    pub taken_before: u32,
    /// Where it comes from, as far as the broker vouches for it.
    pub origin: Origin,
    /// Whose trace it belongs to, where its publisher said so.
    pub trace: Option<TraceContext>,
    settler: Option<Settler>,
    place: Option<Place>,
}

/// Whatever a delivery occupies until it is settled or dropped.
pub type Place = Box<dyn std::any::Any + Send + Sync>;

/// Who published a body. Only what our own programs published may speak of other messages than its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Ours,
    /// Another program; or one of ours, in the name of a tenant.
    Other(Box<Label>),
}

/// What stands on a body of another program. The broker vouches for the publisher alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    pub publisher: Publisher,
    /// Whom the publisher says it speaks for.
    pub tenant: Option<String>,
    pub message_id: Option<String>,
    pub sent_at: Option<Timestamp>,
    /// Of the contract that its publisher keeps to.
    pub version: Option<i64>,
    pub content_type: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Publisher {
    /// A user that our own programs log in as.
    Own,
    User(String),
    /// It did not say, so the broker did not look.
    Nobody,
}

/// How a backend ends a delivery. `Delivery` calls it once.
#[async_trait]
pub trait Settle: Send + Sync {
    async fn settle(&self, ticket: u64, how: Settlement) -> Result<(), BrokerError>;
    /// The delivery was dropped unsettled: make it available again. Must not block.
    fn give_back(&self, ticket: u64);
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Handled, or carried by its row from here.
    Done,
    /// Put aside for people, with the reason.
    Park { reason: String, where_full: WhereFull },
}

/// What becomes of a body where no more are put aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhereFull {
    /// It comes again.
    Again,
    /// It is settled, though nobody has it then; the answer is `BrokerError::ParkedFull` all the same.
    Drop,
}

struct Settler {
    backend: Arc<dyn Settle>,
    ticket: u64,
}

impl Delivery {
    pub fn new(body: Vec<u8>, taken_before: u32, backend: Arc<dyn Settle>, ticket: u64) -> Self {
        Self {
            body,
            taken_before,
            origin: Origin::Ours,
            trace: None,
            settler: Some(Settler { backend, ticket }),
            place: None,
        }
    }

    /// From elsewhere than ours; of a trace.
    #[must_use]
    pub fn from(mut self, origin: Origin, trace: Option<TraceContext>) -> Self {
        self.origin = origin;
        self.trace = trace;
        self
    }

    /// Frees `place` once it is settled, or dropped.
    #[must_use]
    pub fn occupying(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    pub async fn done(self) -> Result<(), BrokerError> {
        self.settle(Settlement::Done).await
    }

    pub async fn park(self, reason: String) -> Result<(), BrokerError> {
        self.settle(Settlement::Park { reason, where_full: WhereFull::Again }).await
    }

    /// For a body that can be nobody's message: it shall hold up nobody's.
    pub async fn park_or_drop(self, reason: String) -> Result<(), BrokerError> {
        self.settle(Settlement::Park { reason, where_full: WhereFull::Drop }).await
    }

    async fn settle(mut self, how: Settlement) -> Result<(), BrokerError> {
        let settler = self.settler.take().expect("a delivery is settled once: settling consumes it");
        settler.backend.settle(settler.ticket, how).await
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(settler) = self.settler.take() {
            settler.backend.give_back(settler.ticket);
        }
    }
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery").field("bytes", &self.body.len()).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    #[error("the broker cannot be used now: {why}")]
    Unavailable { why: String },
    /// The queue holds as much as it may.
    #[error("queue {queue} is full at {limit} messages", queue = .queue.word())]
    Full { queue: Queue, limit: u64 },
    /// As many bodies wait for people as may.
    #[error("{limit} bodies are parked, and no more may be; look with `otodoke parked list`")]
    ParkedFull { limit: u64 },
    /// The body may or may not be in the queue; its id makes a second publish harmless.
    #[error("the broker did not confirm in time: {why}")]
    Unconfirmed { why: String },
}
