//! Looking into the parked queue, and taking single bodies out of it. For people: seldom, and a few at a time.
//!
//! AMQP has no way to look without taking, so bodies are taken, looked at and given back. Meanwhile other processes do
//! not see them. The time that a body has left is counted from when it was parked, whoever looks.

use std::sync::Arc;

use lapin::message::BasicGetMessage;
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicNackOptions};
use lapin::{BasicProperties, Channel};
use ring::digest::{SHA256, digest};
use tokio::time::Duration;

use super::generation::Generation;
use super::{envelope, error, line};
use crate::broker::{BrokerError, Origin, Parked, Publisher, Queue, Unpark};
use crate::message::Lane;
use crate::time::Timestamp;

/// Bodies that one look reads; deeper ones show once those before them are gone.
const LOOK_MAX: usize = 2_000;
const LOOK_MS_MAX: u64 = 30_000;
/// Bodies that a look for what is too old reads: past ours, which stay.
const PRUNE_LOOK_MAX: usize = 10_000;
/// Looks for what is too old, in the time that a body may stay.
const PRUNES_PER_KEEP: u64 = 24;
/// Without a sign, which people would have to type, and no more than every JSON reader keeps (RFC 8259, section 6).
const PARKED_ID_MAX: i64 = (1 << 53) - 1;

/// All bodies held by one look, given back when it ends.
struct Look<'a> {
    generation: &'a Generation,
    channel: Channel,
}

pub(super) async fn list(generation: &Generation, limit: usize) -> Result<Vec<Parked>, BrokerError> {
    within_bounds(async {
        let look = Look::open(generation).await?;
        let found = look.list(limit).await;
        look.close().await;
        found
    })
    .await
}

/// Replayed first, then taken away: between the two the body is in both queues, never in none.
pub(super) async fn take_out(
    generation: &Generation,
    parked_id: i64,
    how: Unpark,
    replay: impl AsyncFnOnce(Parked, BasicProperties) -> Result<(), BrokerError>,
) -> Result<bool, BrokerError> {
    within_bounds(async {
        let look = Look::open(generation).await?;
        let taken_out = look.take_out(parked_id, how, replay).await;
        look.close().await;
        taken_out
    })
    .await
}

/// What others published and we parked goes by itself in time, once it is the first. What RabbitMQ put there, as it does with
/// what kills whoever takes it, has no such time, and ours stays, with whatever is behind it: so every now and then what is too
/// old is taken away. Until deliveries end.
pub(super) async fn run(generation: Arc<Generation>) -> Result<(), String> {
    let keep_ms = generation.parked_keep_ms();
    loop {
        tokio::select! {
            () = generation.consuming_ends() => return Ok(()),
            () = tokio::time::sleep(Duration::from_millis(keep_ms / PRUNES_PER_KEEP)) => {}
        }
        match prune(&generation, generation.now().minus_ms(keep_ms)).await {
            Ok(0) => {}
            Ok(gone) => {
                tracing::warn!(gone, "parked bodies of other programs that nobody saw to were taken away: too old");
            }
            Err(why) => tracing::debug!(%why, "nobody could look whether parked bodies are too old"),
        }
    }
}

/// Returns how many went.
async fn prune(generation: &Generation, before: Timestamp) -> Result<usize, BrokerError> {
    within_bounds(async {
        let look = Look::open(generation).await?;
        let gone = look.prune(before).await;
        look.close().await;
        gone
    })
    .await
}

impl<'a> Look<'a> {
    async fn open(generation: &'a Generation) -> Result<Self, BrokerError> {
        Ok(Self { generation, channel: generation.consume_channel().await.map_err(failed)? })
    }

    async fn list(&self, limit: usize) -> Result<Vec<Parked>, BrokerError> {
        let mut found = Vec::new();
        while found.len() < limit.min(LOOK_MAX)
            && let Some(message) = self.next().await?
        {
            found.push(read(self.generation, &message));
        }
        found.sort_by_key(|parked| parked.at);
        Ok(found)
    }

    async fn take_out(
        &self,
        parked_id: i64,
        how: Unpark,
        replay: impl AsyncFnOnce(Parked, BasicProperties) -> Result<(), BrokerError>,
    ) -> Result<bool, BrokerError> {
        for _ in 0..LOOK_MAX {
            let Some(message) = self.next().await? else { break };
            let parked = read(self.generation, &message);
            if parked.parked_id != parked_id {
                continue;
            }
            if how == Unpark::Replay {
                replay(parked, envelope::again(self.generation.identity(), &message.properties)).await?;
            }
            self.take_away(&message).await?;
            return Ok(true);
        }
        Ok(false)
    }

    /// The oldest are the first, but who published a body may have written its time, where we did not.
    async fn prune(&self, before: Timestamp) -> Result<usize, BrokerError> {
        let (identity, mut gone) = (self.generation.identity(), 0);
        for _ in 0..PRUNE_LOOK_MAX {
            let Some(message) = self.next().await? else { break };
            let story = envelope::story(identity, &message.properties);
            if story.at >= before && story.by_us {
                break;
            }
            if story.at < before && envelope::origin(identity, &message.properties) != Origin::Ours {
                self.take_away(&message).await?;
                gone += 1;
            }
        }
        Ok(gone)
    }

    async fn next(&self) -> Result<Option<BasicGetMessage>, BrokerError> {
        // no_ack: a body leaves the queue when somebody says so.
        let options = BasicGetOptions { no_ack: false };
        self.channel.basic_get(self.generation.names().parked(), options).await.map_err(failed)
    }

    async fn take_away(&self, message: &BasicGetMessage) -> Result<(), BrokerError> {
        let one = BasicAckOptions { multiple: false };
        self.channel.basic_ack(message.delivery_tag, one).await.map_err(failed)
    }

    /// Gives back all that was not acknowledged (tag 0 stands for every one of them), however the look ended, so that others
    /// see those bodies again by the time that its end is told. Where that fails the channel is dropped, which gives them back
    /// later; what was done is done.
    async fn close(self) {
        let all = BasicNackOptions { multiple: true, requeue: true };
        if let Err(error) = self.channel.basic_nack(0, all).await {
            tracing::debug!(%error, "parked bodies that were looked at come back with their channel");
        }
        line::close_channel(&self.channel).await;
    }
}

fn read(generation: &Generation, message: &BasicGetMessage) -> Parked {
    let story = envelope::story(generation.identity(), &message.properties);
    let word = story.queue.unwrap_or_default();
    let by_word = Queue::ALL.into_iter().find(|queue| queue.word() == word);
    // A body from nowhere goes where most would.
    let queue = by_word.or_else(|| generation.names().queue_named(&word)).unwrap_or(Queue::Lane(Lane::Normal));
    let body = message.data.clone();
    let parked_id = parked_id(envelope::message_id(&message.properties).as_str(), queue, &body);
    let trace = envelope::trace(&message.properties);
    let user = match envelope::publisher(generation.identity(), &message.properties) {
        Publisher::User(user) => Some(user),
        Publisher::Own | Publisher::Nobody => None,
    };
    Parked { parked_id, queue, at: story.at, reason: story.reason, user, body, trace }
}

/// The same for every look at the same body; equal bodies of one message may stand for each other.
fn parked_id(message_id: &str, queue: Queue, body: &[u8]) -> i64 {
    let digest = digest(&SHA256, &[message_id.as_bytes(), &[0], queue.word().as_bytes(), &[0], body].concat());
    let (first, _) = digest.as_ref().split_first_chunk().expect("a digest has 32 bytes");
    i64::from_be_bytes(*first) & PARKED_ID_MAX
}

async fn within_bounds<T>(look: impl Future<Output = Result<T, BrokerError>>) -> Result<T, BrokerError> {
    let silent = |_| BrokerError::Unavailable { why: format!("no answer within {LOOK_MS_MAX} ms") };
    tokio::time::timeout(Duration::from_millis(LOOK_MS_MAX), look).await.map_err(silent)?
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err takes it")]
fn failed(error: lapin::Error) -> BrokerError {
    BrokerError::Unavailable { why: error::trouble(&error) }
}
