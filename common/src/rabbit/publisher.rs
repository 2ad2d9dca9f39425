//! One channel in confirm mode, one task that publishes on it; how many bodies it has in hand is bounded in front of it
//! (`outboxes`).
//!
//! A channel has one publishing task because tags are counted by both sides: from two tasks the confirmation of one
//! message could answer for another. An answer is given once the broker gave its own, or the channel is gone; one
//! confirmation answers for all bodies of its message.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation, Connection};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};
use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

use super::envelope::{self, Identity};
use super::gathering::{Departure, Gathering};
use super::intake::Intake;
use super::letter::Letter;
use super::names::{Names, Place};
use super::{Telling, error, line};
use crate::broker::Queue;

/// The broker confirms in milliseconds, under load in seconds. One that confirms nothing for so long is stuck.
const STALL_MS_MAX: u64 = 30_000;

/// One body that somebody wants published.
pub(super) struct Publish {
    pub(super) to: To,
    pub(super) letter: Letter,
    pub(super) answer: oneshot::Sender<Landing>,
    pub(super) room: Room,
}

/// A place in a window, or several, for as long as bodies are in hand.
pub(super) type Room = OwnedSemaphorePermit;

pub(super) enum To {
    Place(Arc<Place>),
    /// Where bodies wait for people.
    Parked,
}

/// What the broker said to one publish. No answer at all means that the channel is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Landing {
    Confirmed,
    /// Refused: the queue is over its length, or its leader failed.
    Nacked,
    /// No queue was bound where it went.
    Returned,
}

/// What every publisher of a generation knows.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) names: Names,
    pub(super) identity: Identity,
    /// They are told what got into their queues.
    pub(super) intakes: BTreeMap<Queue, Arc<Intake>>,
    /// Bodies that wait or are unconfirmed, of each queue.
    pub(super) window: usize,
    /// Bodies of one message.
    pub(super) parts_max: usize,
    pub(super) blocked: watch::Receiver<Option<String>>,
    pub(super) telling: Telling,
}

pub(super) struct Publisher {
    context: Context,
    channel: Channel,
    inbox: mpsc::UnboundedReceiver<Publish>,
    gathering: Gathering,
    /// Ids that came back and whose confirmation is still under way.
    returned: HashSet<String>,
}

/// One AMQP message.
struct Message {
    exchange: ShortString,
    key: ShortString,
    properties: BasicProperties,
    body: Vec<u8>,
}

/// Whom the landing of a message concerns.
struct Flight {
    /// Returned messages are found by it.
    id: ShortString,
    to: To,
    /// Others wait for this one.
    is_awaited: bool,
    answers: Vec<oneshot::Sender<Landing>>,
    room: Room,
    /// Until it has its answer, or the channel is gone.
    _on_its_way: Option<OnItsWay>,
}

/// Counts a message of a queue for as long as it is held.
struct OnItsWay(Arc<Intake>);

impl OnItsWay {
    fn to(intake: &Arc<Intake>) -> Self {
        intake.depth.sent();
        Self(Arc::clone(intake))
    }
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        self.0.depth.answered();
    }
}

impl Publisher {
    pub(super) async fn open(
        connection: &Connection,
        context: Context,
        inbox: mpsc::UnboundedReceiver<Publish>,
    ) -> lapin::Result<Self> {
        let channel = connection.create_channel().await?;
        // nowait: a publish before confirm mode is on would never be confirmed.
        channel.confirm_select(ConfirmSelectOptions { nowait: false }).await?;
        let gathering = Gathering::new(context.parts_max, context.window);
        Ok(Self { context, channel, inbox, gathering, returned: HashSet::new() })
    }

    /// Until `closing`, then lands what flies. An error is the end of the channel.
    pub(super) async fn run(mut self, closing: CancellationToken) -> Result<(), String> {
        let channel = self.channel.clone();
        let mut flights = FuturesUnordered::new();
        let most = self.context.window;
        let mut boarding = Vec::with_capacity(most);
        let mut landed_at = Instant::now();
        let mut open = true;
        while open || !flights.is_empty() || self.gathering.waiting() > 0 {
            let next_at = self.gathering.next_at();
            let stalled_at = landed_at + Duration::from_millis(STALL_MS_MAX);
            tokio::select! {
                biased;
                Some(first) = flights.next(), if !flights.is_empty() => {
                    let mut landed = vec![first];
                    while let Some(Some(next)) = flights.next().now_or_never() {
                        landed.push(next);
                    }
                    self.answer(landed)?;
                    landed_at = Instant::now();
                }
                () = closing.cancelled(), if !self.inbox.is_closed() => self.inbox.close(),
                count = self.inbox.recv_many(&mut boarding, most), if open => {
                    open = count > 0;
                    // Whoever was woken together with the first one publishes now as well.
                    tokio::task::yield_now().await;
                    while boarding.len() < most
                        && let Ok(publish) = self.inbox.try_recv()
                    {
                        boarding.push(publish);
                    }
                    if flights.is_empty() {
                        landed_at = Instant::now();
                    }
                    boarding.drain(..).for_each(|publish| self.gathering.add(publish));
                }
                () = reached(next_at) => {}
                () = tokio::time::sleep_until(stalled_at), if !flights.is_empty() => {
                    if self.context.blocked.borrow().is_none() {
                        return Err(format!("the broker has confirmed nothing for {STALL_MS_MAX} ms"));
                    }
                    landed_at = Instant::now();
                }
            }
            for departure in self.gathering.depart(Instant::now()) {
                let (message, flight) = self.context.message(departure);
                flights.push(fly(&channel, message, flight));
            }
        }
        line::close_channel(&channel).await;
        Ok(())
    }

    /// All that landed together is looked at before any answer is given: the library hands a returned message out with
    /// whichever confirmation comes next, so it is known by its id alone.
    fn answer(&mut self, landed: Vec<(Flight, lapin::Result<Confirmation>)>) -> Result<(), String> {
        for (_, result) in &landed {
            if let Ok(Confirmation::Ack(Some(message)) | Confirmation::Nack(Some(message))) = result
                && let Some(id) = message.properties.message_id()
            {
                self.returned.insert(id.to_string());
            }
        }
        for (flight, result) in landed {
            let landing = match result {
                Ok(_) if self.returned.remove(flight.id.as_str()) => Landing::Returned,
                Ok(Confirmation::Ack(_)) => Landing::Confirmed,
                Ok(Confirmation::Nack(_)) => Landing::Nacked,
                Ok(Confirmation::NotRequested) => return Err("a channel is not in confirm mode".to_owned()),
                Err(error) => return Err(error::trouble(&error)),
            };
            self.land(flight, &landing);
        }
        Ok(())
    }

    fn land(&mut self, flight: Flight, landing: &Landing) {
        if let To::Place(place) = &flight.to {
            if flight.is_awaited {
                self.gathering.landed(place);
            }
            if *landing == Landing::Nacked
                && let Some(metrics) = self.context.telling.get()
            {
                metrics.publish_nacked(place.queue);
            }
            if *landing == Landing::Confirmed {
                self.context.intake(place.queue).depth.put_in(flight.answers.len() as u64);
            }
        }
        for answer in flight.answers {
            // A caller whose deadline passed has its answer already.
            drop(answer.send(landing.clone()));
        }
        // All of a message at once, for whoever waits for some.
        drop(flight.room);
    }
}

impl Context {
    /// One body as it is; several as a batch, under the first one's id.
    fn message(&self, departure: Departure) -> (Message, Flight) {
        let (letter, to, is_awaited, answers, room) = match departure {
            Departure::Alone(Publish { to, letter, answer, room }) => (letter, to, false, vec![answer], room),
            Departure::Together { place, mut parts, answers, room } => {
                let letter = match parts.len() {
                    1 => Letter::Part(parts.remove(0)),
                    _ => Letter::of_batch(&self.identity, &parts),
                };
                (letter, To::Place(place), true, answers, room)
            }
        };
        let (exchange, key) = match &to {
            To::Place(place) => (place.exchange.clone(), place.key.clone()),
            To::Parked => ("".into(), self.names.parked()),
        };
        let (properties, body) = letter.alone(&self.identity);
        let id = envelope::message_id(&properties);
        let on_its_way = match &to {
            To::Place(place) => Some(OnItsWay::to(self.intake(place.queue))),
            To::Parked => None,
        };
        let flight = Flight { id, to, is_awaited, answers, room, _on_its_way: on_its_way };
        (Message { exchange, key, properties, body }, flight)
    }

    fn intake(&self, queue: Queue) -> &Arc<Intake> {
        self.intakes.get(&queue).expect("every queue has an intake from the start")
    }
}

/// Without a time, never.
async fn reached(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Sends within the first poll, so publishes go out in the order in which this task polls them.
async fn fly(channel: &Channel, message: Message, flight: Flight) -> (Flight, lapin::Result<Confirmation>) {
    let Message { exchange, key, properties, body } = message;
    let options = BasicPublishOptions {
        // Without a queue it comes back, instead of being confirmed and dropped.
        mandatory: true,
        // Never supported by RabbitMQ.
        immediate: false,
    };
    let publish = async { channel.basic_publish(exchange, key, options, &body, properties).await?.await };
    let result = publish.await;
    (flight, result)
}
