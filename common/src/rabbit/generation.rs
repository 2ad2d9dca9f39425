//! Everything that stands and falls with one pair of connections: publishers, consumers, readings. Publishing and
//! consuming have a connection each, because a broker that is short of memory stops reading from publishing ones.
//!
//! Whatever goes wrong with any part ends the whole; the supervisor builds the next one from nothing.

mod outboxes;

use std::sync::{Arc, OnceLock};

use futures_util::{Stream, StreamExt};
use lapin::{Channel, Event};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::batch::Part;
use super::drift::Drift;
use super::envelope::Identity;
use super::ledger::Copy;
use super::letter::Letter;
use super::line::{Address, Line};
use super::names::{Names, Place};
use super::publisher::{Context, Landing, Publish, Publisher, To};
use super::readings::Readings;
use super::{Shared, consumer, envelope, error, parking, readings, topology};
use crate::broker::{BrokerError, Origin};
use crate::clock::Clock;
use crate::message::MessageId;
use crate::time::Timestamp;
use crate::trace;
use outboxes::Outboxes;

/// Consumers may take as long as deliveries in hand do; publishers as long as the broker confirms.
const CLOSE_MS_MAX: u64 = 10_000;

pub(super) struct Generation {
    /// `host:port/vhost`.
    pub(super) broker: String,
    pub(super) drifts: Vec<Drift>,
    publish_line: Line,
    consume_line: Line,
    outboxes: Outboxes,
    blocked: watch::Receiver<Option<String>>,
    readings: Readings,
    names: Names,
    identity: Identity,
    clock: Clock,
    prefetch: u16,
    parked_keep_ms: u64,
    deadline: Duration,
    ending: Ending,
    consumers: TaskTracker,
    publishers: TaskTracker,
}

/// How a generation ends: at once with a reason, or step by step.
#[derive(Clone, Default)]
struct Ending {
    over: CancellationToken,
    why: Arc<OnceLock<String>>,
    consuming: CancellationToken,
    publishing: CancellationToken,
}

impl Generation {
    /// Connections to one broker, the topology, and every task that belongs to it.
    pub(super) async fn open(shared: &Shared, address: &Address) -> Result<Arc<Self>, String> {
        let publish_line = Line::open(address, "publisher").await?;
        let consume_line = Line::open(address, "consumer").await?;
        let (blocking, blocked) = watch::channel(None);
        let ending = Ending::default();
        // An attempt that fails, or that nobody waits for any more, leaves no task behind.
        let given_up = ending.over.clone().drop_guard();
        let tasks = TaskTracker::new();
        tasks.spawn(listen(publish_line.connection.events_listener(), ending.clone(), blocking));
        tasks.spawn(listen(consume_line.connection.events_listener(), ending.clone(), watch::Sender::new(None)));
        let place = address.place();
        let trouble = |error: lapin::Error| format!("{place}: {}", error::trouble(&error));
        let drifts = topology::ensure(&consume_line.connection, &shared.names).await.map_err(trouble)?;
        let channel = consume_line.connection.create_channel().await.map_err(trouble)?;
        let readings = Readings::new(channel, shared.settings.prefetch);
        // Before anything is published or taken here, so that it is exact.
        readings.read_all(&shared.names, &shared.intakes).await?;
        let identity = Identity {
            user: address.uri.authority.userinfo.username.as_str().into(),
            own: shared.settings.own_users(),
        };
        let context = Context {
            names: shared.names.clone(),
            identity: identity.clone(),
            intakes: shared.intakes.clone(),
            window: shared.settings.window,
            parts_max: shared.settings.batch,
            blocked: blocked.clone(),
            telling: Arc::clone(&shared.telling),
        };
        let publishers = TaskTracker::new();
        let mut open = Vec::new();
        for _ in 0..=shared.settings.publishers {
            let (outbox, inbox) = mpsc::unbounded_channel();
            let publisher = Publisher::open(&publish_line.connection, context.clone(), inbox).await;
            ending.watch(&publishers, publisher.map_err(trouble)?.run(ending.publishing.clone()));
            open.push(outbox);
        }
        let outboxes = Outboxes::new(open, &shared.names, shared.settings.window);
        let generation = Arc::new(Self {
            drifts,
            publish_line,
            consume_line,
            outboxes,
            blocked,
            readings,
            names: shared.names.clone(),
            identity,
            clock: shared.clock.clone(),
            prefetch: shared.settings.prefetch,
            parked_keep_ms: shared.settings.parked_keep_ms,
            deadline: Duration::from_millis(shared.settings.publish_deadline_ms),
            ending,
            consumers: TaskTracker::new(),
            publishers,
            broker: place,
        });
        generation.start(shared);
        given_up.disarm();
        Ok(generation)
    }

    fn start(self: &Arc<Self>, shared: &Shared) {
        for place in self.names.places() {
            let intake = Arc::clone(shared.intake(place.queue));
            self.ending.watch(&self.consumers, consumer::run(Arc::clone(self), Arc::clone(place), intake));
        }
        self.ending.watch(&self.publishers, parking::run(Arc::clone(self)));
        self.ending.watch(&self.publishers, readings::run(Arc::clone(self), shared.intakes.clone()));
    }

    /// Why it ended. A generation that nobody ends lives.
    pub(super) async fn over(&self) -> String {
        self.ending.over.cancelled().await;
        self.ending.why.get().cloned().unwrap_or_default()
    }

    /// At once: what is under way is answered as unconfirmed, what is in hand comes again.
    pub(super) fn end(&self, why: String) {
        self.ending.end(why);
        self.publish_line.end();
        self.consume_line.end();
    }

    /// Consumers first: what they hold may still be parked, which publishes.
    pub(super) async fn close(&self) {
        self.ending.consuming.cancel();
        finish(&self.consumers).await;
        self.ending.publishing.cancel();
        finish(&self.publishers).await;
        self.consume_line.close().await;
        self.publish_line.close().await;
        self.end("closed".to_owned());
    }

    /// Whether deliveries may still be handed out by this process.
    pub(super) fn is_consuming(&self) -> bool {
        !self.ending.consuming.is_cancelled() && !self.ending.over.is_cancelled()
    }

    pub(super) async fn consuming_ends(&self) {
        tokio::select! {
            () = self.ending.consuming.cancelled() => {}
            () = self.ending.over.cancelled() => {}
        }
    }

    /// A new one, for one user.
    pub(super) async fn consume_channel(&self) -> lapin::Result<Channel> {
        self.consume_line.connection.create_channel().await
    }

    pub(super) fn prefetch(&self) -> u16 {
        self.prefetch
    }

    /// How long what others published stays where it was parked.
    pub(super) fn parked_keep_ms(&self) -> u64 {
        self.parked_keep_ms
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(super) fn readings(&self) -> &Readings {
        &self.readings
    }

    /// What the broker says while it takes no publishes.
    pub(super) fn blocked(&self) -> Option<String> {
        self.blocked.borrow().clone()
    }

    /// Calls `tell` whenever the broker begins or ends to take no publishes; until dropped.
    pub(super) async fn each_blocked_change(&self, tell: impl Fn()) -> std::convert::Infallible {
        let mut blocked = self.blocked.clone();
        while blocked.changed().await.is_ok() {
            tell();
        }
        std::future::pending().await
    }

    /// A body of ours; it carries the trace that the caller works for.
    pub(super) fn letter(&self, id: MessageId, body: Vec<u8>) -> Letter {
        Letter::Part(Part { id, at: self.clock.now(), trace: trace::current(), body })
    }

    /// Returns once the body is on a majority of the queue's nodes.
    pub(super) async fn publish(&self, place: &Arc<Place>, letter: Letter) -> Result<(), BrokerError> {
        let sent_at = Instant::now();
        match self.send(To::Place(Arc::clone(place)), letter).await? {
            Landing::Confirmed => Ok(()),
            Landing::Nacked if self.readings.is_full(place, sent_at).await => {
                Err(BrokerError::Full { queue: place.queue, limit: self.names.length(place.queue) })
            }
            Landing::Nacked => Err(unavailable(format!("it refused a message for queue {}", place.name))),
            Landing::Returned => {
                // The next generation makes what is missing.
                self.ending.end(format!("queue {} is gone, or is not bound to its exchange", place.name));
                Err(unavailable(format!("no queue is bound for {}; it is being made", place.name)))
            }
        }
    }

    /// Puts a body aside for people.
    pub(super) async fn park(&self, copy: Copy, reason: &str) -> Result<(), BrokerError> {
        let (properties, body) = copy.letter.alone(&self.identity);
        let properties = envelope::of_parked(&self.identity, &properties, self.clock.now(), copy.home, reason);
        let properties = match copy.origin {
            Origin::Ours => properties,
            // It may hold a number in the clear, so it waits no longer than people need to look.
            Origin::Other(_) => properties.with_expiration(self.parked_keep_ms.to_string().into()),
        };
        let sent_at = Instant::now();
        match self.send(To::Parked, Letter::whole(properties, body)).await? {
            Landing::Confirmed => Ok(()),
            Landing::Nacked if self.readings.is_parked_full(&self.names, sent_at).await => {
                Err(BrokerError::ParkedFull { limit: self.names.parked_length().into() })
            }
            Landing::Nacked => Err(unavailable("the parked queue refused a body".to_owned())),
            Landing::Returned => {
                self.ending.end(format!("queue {} is gone", self.names.parked()));
                Err(unavailable("the parked queue is gone; it is being made".to_owned()))
            }
        }
    }

    async fn send(&self, to: To, letter: Letter) -> Result<Landing, BrokerError> {
        if let Some(why) = self.blocked() {
            return Err(unavailable(format!("it takes no messages now: {why}")));
        }
        let until = Instant::now() + self.deadline;
        let Ok(room) = tokio::time::timeout_at(until, self.outboxes.room(&to)).await else {
            return Err(unavailable("it confirms more slowly than messages come".to_owned()));
        };
        let (answer, landing) = oneshot::channel();
        if self.outboxes.put(Publish { to, letter, answer, room }).is_err() {
            return Err(unavailable("its connection is gone".to_owned()));
        }
        match tokio::time::timeout_at(until, landing).await {
            Ok(Ok(landing)) => Ok(landing),
            Ok(Err(_)) => Err(unconfirmed("its connection went away".to_owned())),
            Err(_) => Err(unconfirmed(format!("no answer within {} ms", self.deadline.as_millis()))),
        }
    }
}

fn unavailable(why: String) -> BrokerError {
    BrokerError::Unavailable { why }
}

fn unconfirmed(why: String) -> BrokerError {
    BrokerError::Unconfirmed { why }
}

impl Ending {
    fn end(&self, why: String) {
        // Only the first reason is one; what follows follows from it.
        drop(self.why.set(why));
        self.over.cancel();
    }

    /// A task whose failure ends the generation, and which ends with it.
    fn watch(&self, tasks: &TaskTracker, task: impl Future<Output = Result<(), String>> + Send + 'static) {
        let ending = self.clone();
        tasks.spawn(async move {
            if let Some(Err(why)) = ending.over.run_until_cancelled(task).await {
                ending.end(why);
            }
        });
    }
}

async fn finish(tasks: &TaskTracker) {
    tasks.close();
    drop(tokio::time::timeout(Duration::from_millis(CLOSE_MS_MAX), tasks.wait()).await);
}

/// What the broker says about a connection as a whole.
async fn listen(events: impl Stream<Item = Event> + Send, ending: Ending, blocking: watch::Sender<Option<String>>) {
    let mut events = std::pin::pin!(events);
    while let Some(Some(event)) = ending.over.run_until_cancelled(events.next()).await {
        match event {
            Event::ConnectionBlocked(why) => {
                tracing::warn!(why, "the broker takes no messages now; free its memory or disk");
                blocking.send_replace(Some(why));
            }
            Event::ConnectionUnblocked => {
                tracing::info!("the broker takes messages again");
                blocking.send_replace(None);
            }
            // A soft error closes one channel, and whoever uses that hears it; a passive declaration may fail.
            Event::Error(error) if error.is_amqp_soft_error() => {}
            Event::Error(error) => ending.end(error::trouble(&error)),
            Event::Connected | Event::SendFlow(_) | _ => {}
        }
    }
}
