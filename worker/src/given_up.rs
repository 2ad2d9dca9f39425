//! What was handed out again and again without an end, to us or by the broker: its message ends, failed and parked. What says
//! of no message, or not in a way that can be read, waits for people.

use std::sync::Arc;

use otodoke_common::broker::{Delivery, Origin, Queue};
use otodoke_common::lifecycle::Event;
use otodoke_common::message::{Message, MessageId};
use otodoke_common::outcome::Reason;
use otodoke_common::request::opening;
use otodoke_common::store::{Opening, StoreError};
use otodoke_common::wire::{LaneMessage, decode_reports};

use crate::courier::Courier;
use crate::deliver::write_ended;
use crate::parking::park;
use crate::published;

/// Deliveries in hand at once: seldom any.
pub(crate) const IN_HAND_MAX: usize = 16;

pub(crate) async fn handle(courier: Arc<Courier>, delivery: Delivery) {
    if let Err(error) = end(&courier, delivery, "handed out by the broker too often without an end").await {
        // Dropped unsettled: it comes again.
        courier.desk.metrics.store_error(&error);
    }
}

/// Safe to repeat: an end never changes.
pub(crate) async fn end(courier: &Courier, delivery: Delivery, why: &str) -> Result<(), StoreError> {
    if let Origin::Other(label) = delivery.origin.clone() {
        return published::give_up(courier, &label, delivery, why).await;
    }
    let found = match LaneMessage::decode(&delivery.body) {
        Ok(LaneMessage::Row(message)) => stored(courier, message.id).await?,
        Ok(LaneMessage::Wake { id }) => stored(courier, id).await?,
        Ok(LaneMessage::Send(opening)) => courier.patiently(|| end_opening(courier, &opening)).await?,
        Err(error) => {
            let reports = decode_reports(&delivery.body).is_ok();
            let why = if reports { why.to_owned() } else { format!("{why}; {error}") };
            park(courier, Queue::GivenUp, delivery, &why).await;
            return Ok(());
        }
    };
    end_row(courier, found, delivery).await
}

async fn stored(courier: &Courier, id: MessageId) -> Result<Option<Message>, StoreError> {
    courier.patiently(|| courier.desk.store.load(id)).await
}

/// A row that waits for nothing but this ends; one that somebody carries on goes on.
pub(crate) async fn end_row(courier: &Courier, row: Option<Message>, delivery: Delivery) -> Result<(), StoreError> {
    match row {
        Some(message) => courier.carry(&message, Event::GivenUp, Some(delivery)).await,
        None => {
            courier.settle(delivery).await;
            Ok(())
        }
    }
}

async fn end_opening(courier: &Courier, opening: &Opening) -> Result<Option<Message>, StoreError> {
    let ended = opening::ended(opening.message.clone(), Reason::Parked, None, courier.desk.clock.now());
    write_ended(courier, ended).await
}
