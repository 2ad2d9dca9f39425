//! The consumer of one lane: a permit of the lane, then take; open or load the row, and let the courier carry it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use otodoke_common::broker::{Delivery, Queue};
use otodoke_common::lifecycle::{Event, Note};
use otodoke_common::message::{End, Lane, Message, State};
use otodoke_common::outcome::Reason;
use otodoke_common::retry::Delays;
use otodoke_common::store::{Opened, Opening, StoreError};
use otodoke_common::wire::LaneMessage;
use tokio::sync::Semaphore;
use tokio::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::courier::Courier;

/// Messages of a lane that may wait in hand for a permit before the lane itself waits.
const WAITING_MAX: usize = 16;
/// A delivery seen this often is taken alone, so that a message that kills its worker kills only itself.
const TAKEN_ALONE_AFTER: u32 = 3;
/// And after this often it is parked: whoever had it in hand before never came back to say what became of it.
const TAKEN_MAX: u32 = 6;
/// Delays while the broker or the store is away.
const AWAY_FIRST_MS: u64 = 100;
const AWAY_LAST_MS: u64 = 5_000;

pub(crate) async fn run(
    courier: Arc<Courier>,
    lane: Lane,
    concurrency: usize,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    let in_hand = Arc::new(Semaphore::new(concurrency));
    let mut failures = 0;
    while !stop.is_cancelled() {
        let Some(taken) = stop.run_until_cancelled(take(&courier, lane, &in_hand)).await else { return };
        let Some((delivery, permit)) = taken else {
            pause(&courier, failures, &stop).await;
            failures += 1;
            continue;
        };
        failures = 0;
        let alone = delivery.taken_before >= TAKEN_ALONE_AFTER;
        // A task of its own even when alone: if it panics, or outlasts a stop, the lane does not.
        let task = tasks.spawn(handle(Arc::clone(&courier), delivery, permit));
        if alone {
            stop.run_until_cancelled(task).await;
        }
    }
}

async fn take(
    courier: &Courier,
    lane: Lane,
    in_hand: &Arc<Semaphore>,
) -> Option<(Delivery, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(in_hand).acquire_owned().await.expect("the semaphore of a lane is never closed");
    while courier.waiting[lane as usize].load(Ordering::Relaxed) >= WAITING_MAX {
        courier.permits.wait(AWAY_FIRST_MS).await;
    }
    match courier.broker.take(Queue::Lane(lane)).await {
        Ok(delivery) => {
            courier.desk.metrics.delivery(Queue::Lane(lane), courier.desk.clock.now());
            Some((delivery, permit))
        }
        Err(error) => {
            courier.desk.metrics.broker_error(&error);
            None
        }
    }
}

/// Waits before the next try; longer after each failure in a row.
pub(crate) async fn pause(courier: &Courier, failures: u32, stop: &CancellationToken) {
    let wait_ms = Delays::new(AWAY_FIRST_MS, AWAY_LAST_MS).delay_ms(failures, courier.desk.dice.roll());
    stop.run_until_cancelled(tokio::time::sleep(Duration::from_millis(wait_ms))).await;
}

/// The lane's permit is held until the message rests: no more of a lane is in hand than its concurrency.
async fn handle(courier: Arc<Courier>, delivery: Delivery, permit: tokio::sync::OwnedSemaphorePermit) {
    let result = deliver(&courier, delivery).await;
    if let Err(error) = result {
        // The sweep finds the row.
        courier.desk.metrics.store_error(&error);
    }
    drop(permit);
}

async fn deliver(courier: &Courier, delivery: Delivery) -> Result<(), StoreError> {
    if delivery.taken_before >= TAKEN_MAX {
        park(courier, delivery, "taken too often without being settled").await;
        return Ok(());
    }
    match LaneMessage::decode(&delivery.body) {
        Ok(LaneMessage::Wake { id }) => match courier.patiently(|| courier.desk.store.load(id)).await? {
            Some(message) => courier.carry(message, Event::Taken, Some(delivery)).await,
            None => {
                courier.settle(delivery).await;
                Ok(())
            }
        },
        Ok(LaneMessage::Send(opening)) => match courier.patiently(|| open(courier, &opening)).await? {
            Some(message) => courier.carry(message, Event::Taken, Some(delivery)).await,
            None => {
                courier.settle(delivery).await;
                Ok(())
            }
        },
        Err(error) => {
            park(courier, delivery, &error.to_string()).await;
            Ok(())
        }
    }
}

async fn park(courier: &Courier, delivery: Delivery, reason: &str) {
    if let Err(error) = delivery.park(reason.to_owned()).await {
        courier.desk.metrics.broker_error(&error);
    }
}

/// Opens a message that was accepted while the store was away. One that may not live gets a row that says why it ended.
async fn open(courier: &Courier, opening: &Opening) -> Result<Option<Message>, StoreError> {
    match courier.desk.store.open(opening.clone()).await? {
        Opened::New => {
            for note in &opening.notes {
                courier.desk.metrics.note(&opening.message, note, opening.at);
            }
            courier.desk.store.load(opening.message.id).await
        }
        Opened::Repeat(message) => Ok(Some(*message)),
        Opened::Held { .. } | Opened::Conflict { .. } => end_at_once(courier, opening, Reason::Duplicate).await,
        Opened::OverLimit { .. } => end_at_once(courier, opening, Reason::OverLimit).await,
    }
}

/// Promise 2: every accepted message reaches an end, this one without a leg.
async fn end_at_once(courier: &Courier, opening: &Opening, reason: Reason) -> Result<Option<Message>, StoreError> {
    let now = courier.desk.clock.now();
    let end = End::Failed { reason };
    let mut message = opening.message.clone();
    message.state = State::Ended { end: end.clone() };
    message.due = Some(now);
    let note = Note::Ended { end };
    let ended = Opening { message, claims: Vec::new(), spends: Vec::new(), notes: vec![note.clone()], at: now };
    let opened = courier.desk.store.open(ended.clone()).await?;
    if opened == Opened::New {
        courier.desk.metrics.note(&ended.message, &note, now);
    }
    Ok(None)
}
