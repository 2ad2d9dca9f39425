//! Bodies that cannot be handled are put aside for people, each with its reason, counted and logged.

use otodoke_common::broker::{BrokerError, Delivery, Queue};

use crate::courier::Courier;

/// What cannot be put aside comes again.
pub(crate) async fn park(courier: &Courier, queue: Queue, delivery: Delivery, reason: &str) {
    match delivery.park(reason.to_owned()).await {
        Ok(()) => courier.desk.metrics.parked(queue, reason),
        Err(error) => courier.desk.metrics.broker_error(&error),
    }
}

/// What another program published and no message can come of. Who publishes such bodies by the hundred thousand shall hold up
/// nobody's messages, as it would if each came again until there is room for it.
pub(crate) async fn park_or_drop(courier: &Courier, queue: Queue, delivery: Delivery, reason: &str) {
    match delivery.park_or_drop(reason.to_owned()).await {
        Ok(()) => courier.desk.metrics.parked(queue, reason),
        Err(BrokerError::ParkedFull { .. }) => courier.desk.metrics.parked_dropped(queue),
        Err(error) => courier.desk.metrics.broker_error(&error),
    }
}
