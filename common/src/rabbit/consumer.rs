//! One consumer: its own channel, a prefetch, deliveries into the intake, ends out of the ledger; all in one task. Here a
//! message becomes the bodies that are in it.

use std::sync::Arc;

use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Consumer};
use tokio::time::{Duration, Instant};

use super::apart::Apart;
use super::batch::{self, Part};
use super::envelope::Identity;
use super::generation::Generation;
use super::intake::Intake;
use super::ledger::{Copy, Ledger};
use super::letter::Letter;
use super::names::Place;
use super::{envelope, error, line};
use crate::broker::{Origin, Queue};
use crate::message::Lane;

/// From the cancelling of a consumer until deliveries in hand must have ended; others come again.
const SETTLE_MS_MAX: u64 = 5_000;
/// A channel at the broker holds back what it would tell a quorum queue while more than 32 such commands are under way,
/// and what it holds back goes with it when it closes: the last acknowledgements get this time to pass.
const LINGER_MS: u64 = 200;
/// What a batch went through says little of any of its bodies: each counts as one that was taken once, in it and when it
/// goes on alone.
const TAKEN_IN_A_BATCH: u32 = 1;
/// A batch that was taken more often before does not stay together: workers that are replaced one after the other may each
/// have had it.
const TAKEN_TOGETHER_MAX: u32 = 3;
/// Unique on its channel, which has no other.
const TAG: &str = "otodoke";

/// Waits until somebody wants this queue, then consumes until the generation ends or closes.
pub(super) async fn run(generation: Arc<Generation>, place: Arc<Place>, intake: Arc<Intake>) -> Result<(), String> {
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
                    arrive(generation, place, (ledger, intake), delivery?);
                    delivered = stream.next().now_or_never();
                }
            }
        }
    }
}

/// A batch that comes again keeps its place at first: somebody stopped who had it in hand, and whoever replaces workers while
/// many wait shall put nobody behind the others. One that comes for the fifth time was more likely in hand when somebody
/// died, and any of its bodies may have been why: its parts go on alone, at the end of the queue. So do those of one that was
/// given up as a whole, where they came from, because none of them was ever seen alone.
fn arrive(generation: &Generation, place: &Place, (ledger, intake): (&Ledger, &Intake), delivery: Delivery) {
    let (tag, identity) = (delivery.delivery_tag, generation.identity());
    let home = home(generation, place, &delivery.properties);
    let taken_before = envelope::taken_before(identity, &delivery.properties);
    let copy = |letter, origin, taken_before| Copy { tag, letter, home, origin, taken_before, given_back: 0 };
    let copies: Vec<Copy> = match parts(identity, &delivery.properties, &delivery.data) {
        Some(parts) if place.queue == Queue::GivenUp || is_suspect(delivery.redelivered, taken_before) => {
            let (queue, bodies) = (home.word(), parts.len());
            tracing::warn!(
                queue,
                bodies,
                taken_before,
                "a batch came too often: its bodies go on alone, behind the others"
            );
            return ledger.take_apart(tag, Apart { home, parts, taken_before: TAKEN_IN_A_BATCH });
        }
        Some(parts) => {
            let taken_before = taken_before.min(TAKEN_IN_A_BATCH);
            parts.into_iter().map(|part| copy(Letter::Part(part), Origin::Ours, taken_before)).collect()
        }
        None => {
            let origin = envelope::origin(identity, &delivery.properties);
            vec![copy(Letter::whole(delivery.properties, delivery.data), origin, taken_before)]
        }
    };
    intake.depth.came(copies.len() as u64);
    ledger.hand_out(tag, copies).into_iter().for_each(|delivery| intake.put(delivery));
}

/// Taken too often before; or again, and the broker does not say how often.
const fn is_suspect(redelivered: bool, taken_before: u32) -> bool {
    taken_before > TAKEN_TOGETHER_MAX || (redelivered && taken_before == 0)
}

/// `None` where it is one body: also a batch that cannot be read, which whoever takes it parks like any other such body.
fn parts(identity: &Identity, properties: &BasicProperties, body: &[u8]) -> Option<Vec<Part>> {
    if !envelope::is_batch(identity, properties) {
        return None;
    }
    let unreadable = |why: &batch::Unreadable| tracing::warn!(%why, "a batch of ours cannot be read");
    batch::unpack(body).inspect_err(unreadable).ok()
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use uuid::Uuid;

    use super::*;
    use crate::message::MessageId;
    use crate::time::Timestamp;

    #[test]
    fn a_batch_stays_together_when_it_comes_a_few_times() {
        for (redelivered, taken_before, expected) in
            [(false, 0, false), (true, 1, false), (true, 3, false), (true, 4, true), (true, 0, true), (false, 4, true)]
        {
            assert_eq!(is_suspect(redelivered, taken_before), expected, "{redelivered} {taken_before}");
        }
    }

    #[test]
    fn only_a_batch_of_ours_that_can_be_read_is_taken_apart() {
        let us = Identity { user: "us".into(), own: BTreeSet::from(["us".to_owned()]) };
        let part = |number| {
            let (id, at) = (MessageId(Uuid::from_u128(number)), Timestamp::from_unix_ms(7_000));
            Part { id, at, trace: None, body: vec![1] }
        };
        let both = [part(1), part(2)];
        let (properties, body) = Letter::of_batch(&us, &both).alone(&us);
        assert_eq!(parts(&us, &properties, &body).as_deref(), Some(&both[..]));
        assert_eq!(parts(&us, &properties, &body[1..]), None, "it is handed out whole");
        assert_eq!(parts(&us, &properties.clone().with_user_id("them".into()), &body), None);
        let (alone, _) = Letter::Part(part(1)).alone(&us);
        assert_eq!(parts(&us, &alone, &body), None, "what does not say so is none");
    }
}
