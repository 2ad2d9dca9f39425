//! What a decision asks of the door beyond the saved row: wake those who make calls, end a call, say something.
//!
//! Each may be lost and nothing is: a row that wants a leg is due now and the sweep carries it; a call that is
//! answered after its message ended says goodbye.

use std::time::Duration;

use otodoke_common::broker::{BrokerError, Queue};
use otodoke_common::desk::{Applied, Routing};
use otodoke_common::leg::LegNumber;
use otodoke_common::lifecycle::{Effect, Event, Step, Utterance};
use otodoke_common::message::Message;
use otodoke_common::rabbit::PUBLISH_DEADLINE_MS_MAX;
use otodoke_common::store::StoreError;
use otodoke_common::trace;
use otodoke_common::wire::LaneMessage;

use crate::door::Door;
use crate::router::REQUEST_MS_MAX;

/// Longest wait for the broker's confirmation, for a backend that keeps no deadline of its own; past that the body may or may
/// not be in the queue. A request has time left then.
const CONFIRM_MS_MAX: u64 = PUBLISH_DEADLINE_MS_MAX + 1_000;
const _: () = assert!(CONFIRM_MS_MAX < REQUEST_MS_MAX, "whoever waits for it gets an answer");
/// Longest wait for a provider that shall end a call.
const HANG_UP_MS_MAX: u64 = 10_000;

/// Performs the effects of a saved step; returns what a call shall say, where one asked.
pub(crate) async fn perform(door: &Door, step: &Step) -> Option<Utterance> {
    let mut say = None;
    for effect in &step.effects {
        match effect {
            Effect::Wake => wake(door, &step.message).await,
            Effect::HangUp { leg } => hang_up(door, &step.message, *leg),
            Effect::Say(utterance) => say = Some(*utterance),
            // Spent and refunded with the save.
            Effect::SpendCall | Effect::RefundLeg { .. } | Effect::RefundGuesses => {}
            Effect::Call { .. } | Effect::Ask { .. } => {
                tracing::error!(id = %step.message.id, ?effect, "the door makes no calls to providers: left to the sweep");
            }
        }
    }
    say
}

/// Nobody could ever type its code, whose root was revoked: it ends here, as it would in the worker's hands.
pub(crate) async fn end_void(door: &Door, message: Message) -> Result<Applied, StoreError> {
    let applied = door.desk.apply_to(message, &Event::Revoked, &Routing::ELSEWHERE, &[]).await?;
    if let Applied::Done(step) = &applied {
        perform(door, step).await;
    }
    Ok(applied)
}

/// The row is due by itself; this only makes it sooner.
async fn wake(door: &Door, message: &Message) {
    if publish(door, Queue::Lane(message.lane), LaneMessage::Wake { id: message.id }.encode()).await.is_err() {
        tracing::info!(id = %message.id, "a wake was not published: the sweep carries the message");
    }
}

/// Publishes one body, measured and counted.
pub(crate) async fn publish(door: &Door, queue: Queue, body: Vec<u8>) -> Result<(), BrokerError> {
    let started = tokio::time::Instant::now();
    let wait = Duration::from_millis(CONFIRM_MS_MAX);
    let published = tokio::time::timeout(wait, door.broker.publish(queue, body))
        .await
        .unwrap_or_else(|_| Err(BrokerError::Unconfirmed { why: format!("no answer within {CONFIRM_MS_MAX} ms") }));
    match &published {
        Ok(()) => door.desk.metrics.publish_confirm(queue, started.elapsed().as_secs_f64()),
        Err(error) => door.desk.metrics.broker_error(error),
    }
    published
}

fn hang_up(door: &Door, message: &Message, number: LegNumber) {
    let Some(leg) = message.leg(number) else { return };
    let (Some(provider), Some(reference)) = (door.providers.get(&leg.provider).cloned(), leg.reference.clone()) else {
        return;
    };
    let Ok(permit) = door.hands.hang_ups.clone().try_acquire_owned() else {
        tracing::warn!(id = %message.id, leg = number, "too many calls are being ended: this one will say goodbye");
        return;
    };
    let id = message.id;
    let hanging_up = async move {
        let _permit = permit;
        let Some(voice) = provider.voice() else { return };
        let ended = tokio::time::timeout(Duration::from_millis(HANG_UP_MS_MAX), voice.hang_up(&reference)).await;
        if ended.is_err() {
            tracing::warn!(%id, leg = number, "the provider did not end a call in time: it will say goodbye");
        }
    };
    tokio::spawn(trace::within(trace::current(), hanging_up));
}
