//! Bodies that cannot be handled are put aside for people, each with its reason, counted and logged.

use otodoke_common::broker::{Delivery, Queue};

use crate::courier::Courier;

/// What cannot be put aside comes again.
pub(crate) async fn park(courier: &Courier, queue: Queue, delivery: Delivery, reason: &str) {
    match delivery.park(reason.to_owned()).await {
        Ok(()) => courier.desk.metrics.parked(queue, reason),
        Err(error) => courier.desk.metrics.broker_error(&error),
    }
}
