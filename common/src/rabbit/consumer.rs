//! One consumer: its own channel, a prefetch, deliveries into the intake, ends out of the ledger; all in one task.

use std::sync::Arc;

use futures_util::{FutureExt, StreamExt};
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Consumer};
use tokio::time::{Duration, Instant};

use super::generation::Generation;
use super::intake::Intake;
use super::ledger::{Copy, Ledger};
use super::names::Place;
use super::{envelope, error, line};
use crate::broker::Queue;
use crate::message::Lane;

/// From the cancelling of a consumer until deliveries in hand must have ended; others come again.
const SETTLE_MS_MAX: u64 = 5_000;
/// A channel at the broker holds back what it would tell a quorum queue while more than 32 such commands are under way,
/// and what it holds back goes with it when it closes: the last acknowledgements get this time to pass.
const LINGER_MS: u64 = 200;
/// Unique on its channel, which has no other.
const TAG: &str = "otodoke";

/// Waits until somebody wants this queue, then consumes until the generation ends or closes.
pub(super) async fn run(generation: Arc<Generation>, place: Place, intake: Arc<Intake>) -> Result<(), String> {
    tokio::select! {
        () = generation.consuming_ends() => return Ok(()),
        () = intake.wanted() => {}
    }
    let trouble = |error: lapin::Error| format!("queue {}: {}", place.name, error::trouble(&error));
    let channel = generation.consume_channel().await.map_err(trouble)?;
    let ledger = Ledger::new(Arc::clone(&intake), &generation);
    let consumed = async {
        let stream = subscribe(&channel, place.name.clone(), generation.prefetch()).await?;
        consume(&generation, &place, stream, (&channel, &ledger, &intake)).await
    };
    if consumed.await.map_err(trouble)? == End::Cancelled {
        return Err(format!("queue {}: the broker ended the consumer; is the queue gone, or its node?", place.name));
    }
    leave(&channel, &ledger, &intake).await.map_err(trouble)
}

#[derive(PartialEq, Eq)]
enum End {
    /// By the broker.
    Cancelled,
    /// By us.
    Closing,
}

async fn subscribe(channel: &Channel, queue: ShortString, prefetch: u16) -> lapin::Result<Consumer> {
    // Without a prefetch the library would buffer the whole queue. Per consumer: quorum queues refuse a global one.
    channel.basic_qos(prefetch, BasicQosOptions { global: false }).await?;
    let options = BasicConsumeOptions {
        // Not supported by RabbitMQ.
        no_local: false,
        // A delivery ends when it was handled, not when it was sent.
        no_ack: false,
        // Any number of workers share a queue.
        exclusive: false,
        // The answer is what we wait for.
        nowait: false,
    };
    channel.basic_consume(queue, TAG.into(), options, FieldTable::default()).await
}

async fn consume(
    generation: &Generation,
    place: &Place,
    mut stream: Consumer,
    (channel, ledger, intake): (&Channel, &Ledger, &Intake),
) -> lapin::Result<End> {
    loop {
        let next_at = ledger.send(channel).await?;
        tokio::select! {
            biased;
            () = generation.consuming_ends() => return Ok(End::Closing),
            () = ledger.something_ended() => {}
            () = at(next_at) => {}
            delivered = stream.next() => {
                let mut delivered = Some(delivered);
                while let Some(next) = delivered {
                    let Some(delivery) = next else { return Ok(End::Cancelled) };
                    let delivery = delivery?;
                    intake.put(ledger.hand_out(delivery.delivery_tag, copy(generation, place, delivery)));
                    delivered = stream.next().now_or_never();
                }
            }
        }
    }
}

fn copy(generation: &Generation, place: &Place, delivery: lapin::message::Delivery) -> Copy {
    let properties = delivery.properties;
    Copy {
        body: delivery.data,
        home: home(generation, place, &properties),
        origin: envelope::origin(generation.identity(), &properties),
        trace: envelope::trace(&properties),
        taken_before: envelope::taken_before(&properties),
        given_back: 0,
        properties,
    }
}

/// Of what was given up, the queue that it was given up in; the lane that most take, where that is not known.
fn home(generation: &Generation, place: &Place, properties: &BasicProperties) -> Queue {
    match place.queue {
        Queue::Lane(_) | Queue::Receipts => place.queue,
        Queue::GivenUp => {
            let named = envelope::given_up_in(properties).and_then(|name| generation.names().queue_named(&name));
            named.unwrap_or(Queue::Lane(Lane::Normal))
        }
    }
}

/// No more deliveries; those in hand may end; then the channel is closed, and the close confirmed.
async fn leave(channel: &Channel, ledger: &Ledger, intake: &Intake) -> lapin::Result<()> {
    channel.basic_cancel(TAG.into(), BasicCancelOptions { nowait: false }).await?;
    ledger.leave();
    intake.clear();
    let last_at = Instant::now() + Duration::from_millis(SETTLE_MS_MAX);
    while !ledger.is_settled() && Instant::now() < last_at {
        let next_at = ledger.send(channel).await?;
        tokio::select! {
            () = ledger.something_ended() => {}
            () = at(next_at) => {}
            () = at(Some(last_at)) => {}
        }
    }
    ledger.send(channel).await?;
    tokio::time::sleep(Duration::from_millis(LINGER_MS)).await;
    line::close_channel(channel).await;
    Ok(())
}

async fn at(when: Option<Instant>) {
    match when {
        Some(when) => tokio::time::sleep_until(when).await,
        None => std::future::pending().await,
    }
}
