//! The floor: a raw chain of three hops over quorum queues like ours, with nothing of ours in it.
//!
//! A source publishes into the first queue, two hops carry from queue to queue, a sink takes out. Each takes whatever was
//! delivered, up to a batch, publishes all of it, awaits all confirms, and settles it with one acknowledgement. With
//! `rows` the same chain writes the rows that the pipeline writes, grouped and bare: no look before, no rule, no answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use futures_util::future::try_join_all;
use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer};
use otodoke_common::clock::Clock;
use otodoke_common::dice::Dice;
use otodoke_common::message::MessageId;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::bed::Bed;
use crate::rows::{Rows, Stage};
use crate::window::{Measured, Window};

/// Messages that one hop carries at a time.
const BATCH_MAX: usize = 256;
/// Deliveries a consumer holds; more gains nothing.
const PREFETCH: u16 = 512;
/// Messages in the chain at once.
pub(crate) const CAP: usize = 4_096;
const ID_BYTES: usize = 16;
/// Queues of the chain, and the one that is only published to.
const QUEUES: [&str; 4] = ["floor.1", "floor.2", "floor.3", "floor.publish"];
/// The arguments of our own queues, but for dead lettering: nothing is given up here.
const LENGTH_MAX: i64 = 1_000_000;
const PERSISTENT: u8 = 2;
/// AMQP 0-9-1 `reply-success`.
const REPLY_SUCCESS: u16 = 200;
/// From asking the broker to close until it must have agreed.
const CLOSE_MS_MAX: u64 = 2_000;

pub(crate) async fn connect(url: &str) -> anyhow::Result<Connection> {
    let connecting = Connection::connect(url, ConnectionProperties::default().with_connection_name("bench".into()));
    connecting.await.context("RabbitMQ cannot be reached")
}

/// Channels that are let go of at the same moment make the broker's answer an error, or the library miss it: then the
/// connection is gone at the broker all the same, and here it ends with the process.
pub(crate) async fn close(connection: &Connection) {
    let closing = connection.close(REPLY_SUCCESS, "done".into());
    drop(timeout(Duration::from_millis(CLOSE_MS_MAX), closing).await);
}

/// The queue that is only published to, empty.
pub(crate) async fn publish_queue(connection: &Connection, namespace: &str) -> anyhow::Result<ShortString> {
    let channel = connection.create_channel().await?;
    declare(&channel, namespace, QUEUES[3]).await
}

/// Takes away what is left of the floor's queues.
pub(crate) async fn erase(url: &str, namespace: &str) -> anyhow::Result<()> {
    let connection = connect(url).await?;
    let channel = connection.create_channel().await?;
    for queue in QUEUES {
        channel.queue_delete(name(namespace, queue), QueueDeleteOptions::default()).await?;
    }
    close(&connection).await;
    Ok(())
}

/// Of the pipeline: where logins wait.
pub(crate) fn lane(bed: &Bed) -> ShortString {
    name(&bed.namespace(), "otodoke.normal")
}

fn name(namespace: &str, queue: &str) -> ShortString {
    format!("{namespace}{queue}").into()
}

async fn declare(channel: &Channel, namespace: &str, queue: &str) -> anyhow::Result<ShortString> {
    let name = name(namespace, queue);
    channel.queue_delete(name.clone(), QueueDeleteOptions::default()).await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(LENGTH_MAX));
    arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(name.clone(), options, arguments).await?;
    Ok(name)
}

/// A channel in confirm mode.
pub(crate) async fn confirming(connection: &Connection) -> anyhow::Result<Channel> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions { nowait: false }).await?;
    Ok(channel)
}

/// Returns once the broker has it for good. Many are started before the first is awaited.
pub(crate) async fn publish(channel: &Channel, queue: &ShortString, body: &[u8]) -> anyhow::Result<()> {
    let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
    let options = BasicPublishOptions { mandatory: true, immediate: false };
    let confirm = channel.basic_publish("".into(), queue.clone(), options, body, properties).await?;
    match confirm.await? {
        Confirmation::Ack(None) => Ok(()),
        Confirmation::Ack(Some(_)) | Confirmation::Nack(_) | Confirmation::NotRequested => {
            anyhow::bail!("the broker did not take a message of the floor")
        }
    }
}

/// Runs the chain over one window.
pub(crate) async fn measure(bed: &Bed, body_bytes: usize, rows: bool, window: &Window) -> anyhow::Result<Measured> {
    let room = Arc::new(Semaphore::new(CAP));
    let finished = Arc::new(AtomicU64::new(0));
    let setup = connect(bed.amqp_url()).await?;
    let channel = setup.create_channel().await?;
    let mut queues = Vec::new();
    for queue in &QUEUES[..3] {
        queues.push(declare(&channel, &bed.namespace(), queue).await?);
    }
    let mut tasks = JoinSet::new();
    for (stage, from, to) in [
        (Stage::Open, None, Some(&queues[0])),
        (Stage::Send, Some(&queues[0]), Some(&queues[1])),
        (Stage::Receipt, Some(&queues[1]), Some(&queues[2])),
        (Stage::None, Some(&queues[2]), None),
    ] {
        let rows = if rows { Some(Rows::open(bed, stage).await?) } else { None };
        let hop = Hop::open(bed, from, to.cloned(), rows).await?;
        let (room, finished) = (Arc::clone(&room), Arc::clone(&finished));
        tasks.spawn(async move {
            match hop.from {
                None => hop.source(&room, body_bytes).await,
                Some(_) => hop.run(&room, &finished).await,
            }
        });
    }
    let failed = async {
        match tasks.join_next().await {
            Some(ended) => ended.context("a hop panicked").and_then(|ended| ended),
            None => Ok(()),
        }
    };
    let measuring = async {
        window.warm_up().await;
        window.measure(async || Ok(finished.load(Ordering::Relaxed))).await
    };
    let measured = tokio::select! {
        measured = measuring => measured,
        ended = failed => Err(ended.err().unwrap_or_else(|| anyhow::anyhow!("a hop ended by itself"))),
    };
    // Nothing new comes; what is under way ends before the tasks do.
    room.close();
    drain(&finished).await;
    tasks.shutdown().await;
    for queue in queues {
        channel.queue_delete(queue, QueueDeleteOptions::default()).await?;
    }
    close(&setup).await;
    measured
}

/// Until nothing moves any more.
async fn drain(finished: &AtomicU64) {
    const LOOK_MS: u64 = 100;
    let mut before = u64::MAX;
    while before != finished.load(Ordering::Relaxed) {
        before = finished.load(Ordering::Relaxed);
        sleep(Duration::from_millis(LOOK_MS)).await;
    }
}

struct Hop {
    /// A connection of its own, as a process would have.
    _connection: Connection,
    from: Option<(Channel, Consumer)>,
    to: Option<(Channel, ShortString)>,
    rows: Option<Rows>,
}

impl Hop {
    async fn open(
        bed: &Bed,
        from: Option<&ShortString>,
        to: Option<ShortString>,
        rows: Option<Rows>,
    ) -> anyhow::Result<Self> {
        let connection = connect(bed.amqp_url()).await?;
        let from = match from {
            Some(queue) => {
                let channel = connection.create_channel().await?;
                channel.basic_qos(PREFETCH, BasicQosOptions { global: false }).await?;
                let options = BasicConsumeOptions::default();
                let consumer =
                    channel.basic_consume(queue.clone(), "floor".into(), options, FieldTable::default()).await?;
                Some((channel, consumer))
            }
            None => None,
        };
        let to = match to {
            Some(queue) => Some((confirming(&connection).await?, queue)),
            None => None,
        };
        Ok(Self { _connection: connection, from, to, rows })
    }

    /// Publishes as long as there is room.
    async fn source(self, room: &Semaphore, body_bytes: usize) -> anyhow::Result<()> {
        let (clock, dice) = (Clock::system(), Dice::system());
        while let Ok(first) = room.acquire().await {
            first.forget();
            let mut count = 1;
            while count < BATCH_MAX
                && let Ok(next) = room.try_acquire()
            {
                next.forget();
                count += 1;
            }
            let now = clock.now();
            let mut ids: Vec<Uuid> = (0..count).map(|_| MessageId::new(now, dice.id_bits()).0).collect();
            ids.sort_unstable();
            let bodies = ids.iter().map(|id| {
                let mut body = id.as_bytes().to_vec();
                body.resize(body_bytes.max(ID_BYTES), b'x');
                body
            });
            self.forward(&ids, &bodies.collect::<Vec<_>>()).await?;
        }
        Ok(())
    }

    async fn run(mut self, room: &Semaphore, finished: &AtomicU64) -> anyhow::Result<()> {
        loop {
            let taken = self.take().await?;
            let Some(last) = taken.last().map(|delivery| delivery.delivery_tag) else { return Ok(()) };
            let mut ids: Vec<Uuid> = taken.iter().filter_map(|each| id_of(&each.data)).collect();
            ids.sort_unstable();
            let bodies: Vec<&[u8]> = taken.iter().map(|each| each.data.as_slice()).collect();
            self.forward(&ids, &bodies).await?;
            if let Some((channel, _)) = &self.from {
                channel.basic_ack(last, BasicAckOptions { multiple: true }).await?;
            }
            if self.to.is_none() {
                finished.fetch_add(taken.len() as u64, Ordering::Relaxed);
                room.add_permits(taken.len());
            }
        }
    }

    /// Whatever was delivered, at least one; nothing when the consumer has ended.
    async fn take(&mut self) -> anyhow::Result<Vec<Delivery>> {
        let mut taken = Vec::with_capacity(BATCH_MAX);
        let Some((_, consumer)) = &mut self.from else { return Ok(taken) };
        let mut next = consumer.next().await;
        while let Some(delivery) = next {
            taken.push(delivery?);
            if taken.len() == BATCH_MAX {
                break;
            }
            next = consumer.next().now_or_never().flatten();
        }
        Ok(taken)
    }

    async fn forward(&self, ids: &[Uuid], bodies: &[impl AsRef<[u8]>]) -> anyhow::Result<()> {
        if let Some(rows) = &self.rows {
            rows.write(ids).await?;
        }
        let Some((channel, queue)) = &self.to else { return Ok(()) };
        try_join_all(bodies.iter().map(|body| publish(channel, queue, body.as_ref()))).await?;
        Ok(())
    }
}

fn id_of(body: &[u8]) -> Option<Uuid> {
    Uuid::from_slice(body.get(..ID_BYTES)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_begins_with_its_id() {
        let id = MessageId::new(Clock::system().now(), [7; 10]).0;
        let mut body = id.as_bytes().to_vec();
        body.resize(200, b'x');
        assert_eq!(id_of(&body), Some(id));
        assert_eq!(id_of(b"short"), None);
    }
}
