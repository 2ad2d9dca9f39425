//! Waiting for a body, giving up the wait, and what is told about those who wait in the queue.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use otodoke_common::broker::{Broker, Queue};
use otodoke_common::message::Lane;

use super::handing::publish;
use crate::backend::{Factory, LIMITS, Limits};
use crate::contract;

const NORMAL: Queue = Queue::Lane(Lane::Normal);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A rate takes a few readings of a second each.
const RATE_WAIT_MAX: Duration = Duration::from_secs(30);

contract![
    a_take_waits_until_something_is_published,
    a_wait_that_was_given_up_takes_nothing,
    a_wait_given_up_after_its_wake_passes_it_on,
    a_publish_that_was_given_up_keeps_no_place,
    the_backlog_counts_what_waits_in_its_own_queue,
    the_rate_is_known_once_something_waited_for_a_while,
];

/// Asks once, without waiting.
fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Nothing can be taken now. A body that is still with the backend would be counted as waiting.
pub(super) async fn nothing_waits(broker: &dyn Broker, queue: Queue) {
    assert_eq!(broker.backlog(queue).waiting, 0);
    assert!(poll_once(broker.take(queue)).is_pending(), "{} must be empty", queue.word());
}

async fn a_take_waits_until_something_is_published(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let broker = Arc::clone(&backend.broker);
    let taking = tokio::spawn(async move { broker.take(NORMAL).await.expect("the broker answers").body.clone() });
    tokio::task::yield_now().await;
    publish(&*backend.broker, NORMAL, "one").await;
    assert_eq!(taking.await.expect("the taker lives"), b"one");
}

async fn a_wait_that_was_given_up_takes_nothing(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    for _ in 0..3 {
        assert!(poll_once(backend.broker.take(NORMAL)).is_pending(), "nothing is there yet");
    }
    publish(&*backend.broker, NORMAL, "one").await;
    let delivery = backend.broker.take(NORMAL).await.expect("the broker answers");
    assert_eq!((&*delivery.body, delivery.taken_before), (&b"one"[..], 0));
}

async fn a_wait_given_up_after_its_wake_passes_it_on(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let broker = Arc::clone(&backend.broker);
    let mut given_up = Box::pin(broker.take(NORMAL));
    assert!(poll_once(given_up.as_mut()).is_pending(), "nothing is there yet");
    let broker = Arc::clone(&backend.broker);
    let mut patient = Box::pin(broker.take(NORMAL));
    assert!(poll_once(patient.as_mut()).is_pending(), "nothing is there yet");
    publish(&*backend.broker, NORMAL, "one").await;
    // The first was woken for it and goes away without having looked.
    drop(given_up);
    let delivery = patient.await.expect("the broker answers");
    assert_eq!((&*delivery.body, delivery.taken_before), (&b"one"[..], 0));
}

/// Its body may be in the queue or not; either way it does not narrow the queue for good.
async fn a_publish_that_was_given_up_keeps_no_place(factory: &impl Factory) {
    const PLACES: u64 = 4;
    let backend = factory.fresh(Limits { queue_max: PLACES, ..LIMITS });
    for _ in 0..PLACES {
        drop(poll_once(backend.broker.publish(NORMAL, b"given up".to_vec())));
    }
    // Whatever was brought before this is in the queue once this is.
    publish(&*backend.broker, Queue::Receipts, "after").await;
    while backend.broker.backlog(NORMAL).waiting > 0 {
        let delivery = backend.broker.take(NORMAL).await.expect("the broker answers");
        delivery.done().await.expect("the broker answers");
    }
    for _ in 0..PLACES {
        publish(&*backend.broker, NORMAL, "kept").await;
    }
    assert_eq!(backend.broker.backlog(NORMAL).waiting, PLACES);
}

async fn the_backlog_counts_what_waits_in_its_own_queue(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let waiting = |queue| backend.broker.backlog(queue).waiting;
    for word in ["one", "two", "three"] {
        publish(&*backend.broker, NORMAL, word).await;
    }
    assert_eq!((waiting(NORMAL), waiting(Queue::Receipts)), (3, 0));
    let delivery = backend.broker.take(NORMAL).await.expect("the broker answers");
    assert_eq!(waiting(NORMAL), 2, "what is in hand waits no more");
    drop(delivery);
    assert_eq!(waiting(NORMAL), 3, "what was given back waits again");
    let delivery = backend.broker.take(NORMAL).await.expect("the broker answers");
    delivery.done().await.expect("the broker answers");
    assert_eq!(waiting(NORMAL), 2);
}

async fn the_rate_is_known_once_something_waited_for_a_while(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let rate = |queue| backend.broker.backlog(queue).drained_per_s;
    publish(&*backend.broker, NORMAL, "one").await;
    backend.broker.take(NORMAL).await.expect("the broker answers").done().await.expect("the broker answers");
    assert_eq!(rate(NORMAL), None, "what leaves an idle queue tells how fast bodies come");
    publish(&*backend.broker, NORMAL, "two").await;
    let looking = async {
        while rate(NORMAL).is_none_or(|rate| rate == 0.0) {
            publish(&*backend.broker, NORMAL, "more").await;
            backend.broker.take(NORMAL).await.expect("the broker answers").done().await.expect("the broker answers");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(RATE_WAIT_MAX, looking).await.expect("a rate while something waits");
    assert!(rate(NORMAL).is_some_and(f64::is_finite));
    assert_eq!(rate(Queue::Receipts), None, "each queue has its own rate");
}
