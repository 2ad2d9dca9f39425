//! What is taken from a lane: open or load the row, and let the courier carry it.

use std::sync::Arc;

use otodoke_common::broker::Delivery;
use otodoke_common::lifecycle::{Event, Note};
use otodoke_common::message::{End, Message, State};
use otodoke_common::outcome::Reason;
use otodoke_common::store::{Opened, Opening, StoreError};
use otodoke_common::wire::LaneMessage;

use crate::courier::Courier;

/// A delivery taken this often is parked: whoever had it in hand before never came back to say what became of it.
const TAKEN_MAX: u32 = 6;

pub(crate) async fn handle(courier: Arc<Courier>, delivery: Delivery) {
    if let Err(error) = deliver(&courier, delivery).await {
        // The sweep finds the row.
        courier.desk.metrics.store_error(&error);
    }
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
