//! One channel in confirm mode, one task that publishes on it, a bounded number of unconfirmed publishes.
//!
//! A channel has one publishing task because tags are counted by both sides: from two tasks the confirmation of one
//! message could answer for another. An answer is given once the broker gave its own, or the channel is gone.

use std::collections::HashSet;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation, Connection};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

use super::{error, line};

/// The broker confirms in milliseconds, under load in seconds. One that confirms nothing for so long is stuck.
const STALL_MS_MAX: u64 = 30_000;

/// One message on its way.
pub(super) struct Parcel {
    pub(super) exchange: ShortString,
    pub(super) key: ShortString,
    /// Returned messages are found by it.
    pub(super) id: ShortString,
    pub(super) properties: BasicProperties,
    pub(super) body: Vec<u8>,
    pub(super) answer: oneshot::Sender<Landing>,
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

pub(super) struct Publisher {
    channel: Channel,
    inbox: mpsc::Receiver<Parcel>,
    window: usize,
    blocked: watch::Receiver<Option<String>>,
    /// Ids that came back and whose confirmation is still under way.
    returned: HashSet<String>,
}

struct Flight {
    id: ShortString,
    answer: oneshot::Sender<Landing>,
    result: lapin::Result<Confirmation>,
}

impl Publisher {
    pub(super) async fn open(
        connection: &Connection,
        inbox: mpsc::Receiver<Parcel>,
        window: usize,
        blocked: watch::Receiver<Option<String>>,
    ) -> lapin::Result<Self> {
        let channel = connection.create_channel().await?;
        // nowait: a publish before confirm mode is on would never be confirmed.
        channel.confirm_select(ConfirmSelectOptions { nowait: false }).await?;
        Ok(Self { channel, inbox, window, blocked, returned: HashSet::new() })
    }

    /// Until `closing`, then lands what flies. An error is the end of the channel.
    pub(super) async fn run(mut self, closing: CancellationToken) -> Result<(), String> {
        let channel = self.channel.clone();
        let mut flights = FuturesUnordered::new();
        let mut boarding = Vec::with_capacity(self.window);
        let mut landed_at = Instant::now();
        let mut open = true;
        while open || !flights.is_empty() {
            let room = self.window - flights.len();
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
                count = self.inbox.recv_many(&mut boarding, room), if open && room > 0 => {
                    open = count > 0;
                    if flights.is_empty() {
                        landed_at = Instant::now();
                    }
                    // Whoever stopped waiting before anything was sent is told nothing, and nothing is sent.
                    let waited_for = boarding.drain(..).filter(|parcel| !parcel.answer.is_closed());
                    flights.extend(waited_for.map(|parcel| fly(&channel, parcel)));
                }
                () = tokio::time::sleep_until(stalled_at), if !flights.is_empty() => {
                    if self.blocked.borrow().is_none() {
                        return Err(format!("the broker has confirmed nothing for {STALL_MS_MAX} ms"));
                    }
                    landed_at = Instant::now();
                }
            }
        }
        line::close_channel(&channel).await;
        Ok(())
    }

    /// All that landed together is looked at before any answer is given: the library hands a returned message out with
    /// whichever confirmation comes next, so it is known by its id alone.
    fn answer(&mut self, landed: Vec<Flight>) -> Result<(), String> {
        for flight in &landed {
            if let Ok(Confirmation::Ack(Some(message)) | Confirmation::Nack(Some(message))) = &flight.result
                && let Some(id) = message.properties.message_id()
            {
                self.returned.insert(id.to_string());
            }
        }
        for flight in landed {
            let landing = match flight.result {
                Ok(_) if self.returned.remove(flight.id.as_str()) => Landing::Returned,
                Ok(Confirmation::Ack(_)) => Landing::Confirmed,
                Ok(Confirmation::Nack(_)) => Landing::Nacked,
                Ok(Confirmation::NotRequested) => return Err("a channel is not in confirm mode".to_owned()),
                Err(error) => return Err(error::trouble(&error)),
            };
            // A caller whose deadline passed has its answer already.
            drop(flight.answer.send(landing));
        }
        Ok(())
    }
}

/// Sends within the first poll, so publishes go out in the order in which this task polls them.
async fn fly(channel: &Channel, parcel: Parcel) -> Flight {
    let Parcel { exchange, key, id, properties, body, answer } = parcel;
    let options = BasicPublishOptions {
        // Without a queue it comes back, instead of being confirmed and dropped.
        mandatory: true,
        // Never supported by RabbitMQ.
        immediate: false,
    };
    let publish = async { channel.basic_publish(exchange, key, options, &body, properties).await?.await };
    let result = publish.await;
    Flight { id, answer, result }
}
