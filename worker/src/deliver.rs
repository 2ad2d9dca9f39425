//! What is taken from a lane: open or load the row, and let the courier carry it. What other programs publish is `published`,
//! what comes again and again is `given_up`.

use std::sync::Arc;

use otodoke_common::broker::{Delivery, Origin};
use otodoke_common::lifecycle::{Event, Note};
use otodoke_common::message::{Lane, Message, MessageId};
use otodoke_common::outcome::Reason;
use otodoke_common::request::opening;
use otodoke_common::store::{ClaimKind, Opened, Opening, StoreError};
use otodoke_common::wire::LaneMessage;

use crate::courier::Courier;
use crate::parking::park;
use crate::{given_up, published};

/// A delivery taken this often is given up: whoever had it in hand before never came back to say what became of it. Workers
/// that are replaced one after the other while many wait give the same one back each, so it is no small number.
const TAKEN_MAX: u32 = 10;
/// To end it is tried until it was taken this often: what breaks that too is put aside unseen.
const TAKEN_UNSEEN_MAX: u32 = 13;

/// A living claim whose holder ends just now is gone at the next try.
const OPEN_TRIES_MAX: usize = 3;

const TAKEN_TOO_OFTEN: &str = "taken too often without being settled";

pub(crate) async fn handle(courier: Arc<Courier>, lane: Lane, delivery: Delivery) {
    if let Err(error) = deliver(&courier, lane, delivery).await {
        // The sweep finds the row.
        courier.desk.metrics.store_error(&error);
    }
}

async fn deliver(courier: &Courier, lane: Lane, delivery: Delivery) -> Result<(), StoreError> {
    if delivery.taken_before >= TAKEN_UNSEEN_MAX {
        park(courier, lane.into(), delivery, &format!("{TAKEN_TOO_OFTEN}, and not to be ended either")).await;
        return Ok(());
    }
    // Every message has a task of this future's size, so what is rare is boxed.
    if delivery.taken_before >= TAKEN_MAX {
        return Box::pin(given_up::end(courier, delivery, TAKEN_TOO_OFTEN)).await;
    }
    if let Origin::Other(label) = delivery.origin.clone() {
        return Box::pin(published::deliver(courier, lane, &label, delivery)).await;
    }
    match LaneMessage::decode(&delivery.body) {
        Ok(LaneMessage::Row(message)) if delivery.taken_before == 0 => {
            courier.carry(&message, Event::Taken, Some(delivery)).await
        }
        // What was taken before has likely moved on, or is there no more.
        Ok(LaneMessage::Row(message)) => Box::pin(wake(courier, message.id, delivery)).await,
        Ok(LaneMessage::Wake { id }) => Box::pin(wake(courier, id, delivery)).await,
        Ok(LaneMessage::Send(opening)) => Box::pin(begin(courier, &opening, delivery)).await,
        Err(error) => {
            park(courier, lane.into(), delivery, &error.to_string()).await;
            Ok(())
        }
    }
}

async fn wake(courier: &Courier, id: MessageId, delivery: Delivery) -> Result<(), StoreError> {
    go_on(courier, courier.patiently(|| courier.desk.store.load(id)).await?, delivery).await
}

async fn begin(courier: &Courier, opening: &Opening, delivery: Delivery) -> Result<(), StoreError> {
    go_on(courier, courier.patiently(|| open(courier, opening)).await?, delivery).await
}

/// Carries the message, where there is one.
async fn go_on(courier: &Courier, message: Option<Message>, delivery: Delivery) -> Result<(), StoreError> {
    match message {
        Some(message) => courier.carry(&message, Event::Taken, Some(delivery)).await,
        None => {
            courier.settle(delivery).await;
            Ok(())
        }
    }
}

/// Opens a message that was accepted while the store was away. One that may not live gets a row that says why it ended.
async fn open(courier: &Courier, opening: &Opening) -> Result<Option<Message>, StoreError> {
    for _ in 0..OPEN_TRIES_MAX {
        let (kind, of) = match courier.desk.store.open(opening.clone()).await? {
            Opened::New => {
                courier.desk.tell_opened(opening);
                return courier.desk.store.load(opening.message.id).await;
            }
            Opened::Repeat(message) => return Ok(Some(*message)),
            Opened::OverLimit { .. } => return end_at_once(courier, opening, Reason::OverLimit, None).await,
            Opened::Held { kind, by } => (kind, by.id),
            Opened::Conflict { kind, by } => (kind, by),
        };
        if kind == ClaimKind::Key || goes_on_instead(courier, opening, of).await? {
            return end_at_once(courier, opening, Reason::Duplicate, Some(Note::Duplicate { of })).await;
        }
    }
    Err(StoreError::Unavailable { why: format!("message {} is held off by one that is ending", opening.message.id) })
}

/// The door could not see that an equal message lives, and answered with an id of its own. As with the store there, whoever
/// asked gets the living one again, within a resend's limits at the time of asking; what was sent since then, or is still to
/// be sent, is what was asked for. `false` where it lives no more.
async fn goes_on_instead(courier: &Courier, opening: &Opening, of: MessageId) -> Result<bool, StoreError> {
    let (now, asked_at) = (courier.desk.clock.now(), opening.message.accepted_at);
    let Some(living) = courier.desk.store.load(of).await?.filter(|by| by.lives_at(now)) else { return Ok(false) };
    let is_sent_anyway = living.legs.is_empty() || living.legs.iter().any(|leg| leg.started_at > asked_at);
    if is_sent_anyway && !courier.codes.is_void(&living) {
        return Ok(true);
    }
    published::join(courier, living, asked_at).await
}

async fn end_at_once(
    courier: &Courier,
    opening: &Opening,
    reason: Reason,
    note: Option<Note>,
) -> Result<Option<Message>, StoreError> {
    let ended = opening::ended(opening.message.clone(), reason, note, courier.desk.clock.now());
    write_ended(courier, ended).await.map(|_| None)
}

/// Promise 2: every accepted message reaches an end, this one without a leg. Returns the row, where one is there already.
pub(crate) async fn write_ended(courier: &Courier, ended: Opening) -> Result<Option<Message>, StoreError> {
    match courier.desk.store.open(ended.clone()).await? {
        Opened::New => {
            courier.desk.tell_opened(&ended);
            Ok(None)
        }
        Opened::Repeat(message) => Ok(Some(*message)),
        // It claims nothing and spends nothing.
        Opened::Held { .. } | Opened::Conflict { .. } | Opened::OverLimit { .. } => Ok(None),
    }
}
