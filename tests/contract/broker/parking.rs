//! Bodies put aside for people: listed, replayed, dropped.

use otodoke_common::broker::{Broker, BrokerError, Parked, Queue, Unpark};
use otodoke_common::message::Lane;

use super::handing::publish;
use super::waiting::nothing_waits;
use crate::backend::{Factory, LIMITS, Limits};
use crate::contract;

const NORMAL: Queue = Queue::Lane(Lane::Normal);

contract![
    a_parked_body_is_listed_with_its_reason_and_taken_no_more,
    parked_bodies_are_listed_oldest_first_and_no_more_than_asked,
    a_replayed_body_comes_back_into_its_queue,
    a_dropped_body_is_gone,
    what_is_not_parked_cannot_be_unparked,
    a_replay_into_a_full_queue_stays_parked,
];

async fn park(broker: &dyn Broker, queue: Queue, word: &str) {
    publish(broker, queue, word).await;
    let delivery = broker.take(queue).await.expect("the broker answers");
    delivery.park(format!("{word} cannot be read")).await.expect("the broker answers");
}

async fn parked(broker: &dyn Broker) -> Vec<Parked> {
    broker.parked(100).await.expect("the broker answers")
}

async fn a_parked_body_is_listed_with_its_reason_and_taken_no_more(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    park(&*backend.broker, Queue::Receipts, "one").await;
    nothing_waits(&*backend.broker, Queue::Receipts).await;
    let listed = parked(&*backend.broker).await;
    assert_eq!(listed.len(), 1);
    let Parked { queue, reason, body, .. } = &listed[0];
    assert_eq!((*queue, reason.as_str(), &body[..]), (Queue::Receipts, "one cannot be read", &b"one"[..]));
}

async fn parked_bodies_are_listed_oldest_first_and_no_more_than_asked(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    for word in ["one", "two", "three"] {
        park(&*backend.broker, NORMAL, word).await;
    }
    let listed = backend.broker.parked(2).await.expect("the broker answers");
    assert_eq!(listed.iter().map(|one| &one.body[..]).collect::<Vec<_>>(), [&b"one"[..], &b"two"[..]]);
}

async fn a_replayed_body_comes_back_into_its_queue(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    park(&*backend.broker, NORMAL, "one").await;
    let parked_id = parked(&*backend.broker).await[0].parked_id;
    assert_eq!(backend.broker.unpark(parked_id, Unpark::Replay).await, Ok(true));
    assert_eq!(parked(&*backend.broker).await, []);
    let delivery = backend.broker.take(NORMAL).await.expect("the broker answers");
    assert_eq!(delivery.body, b"one");
    delivery.done().await.expect("the broker answers");
    assert_eq!(backend.broker.unpark(parked_id, Unpark::Replay).await, Ok(false), "it is replayed once");
    nothing_waits(&*backend.broker, NORMAL).await;
}

async fn a_dropped_body_is_gone(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    park(&*backend.broker, NORMAL, "one").await;
    park(&*backend.broker, NORMAL, "two").await;
    let parked_id = parked(&*backend.broker).await[0].parked_id;
    assert_eq!(backend.broker.unpark(parked_id, Unpark::Drop).await, Ok(true));
    assert_eq!(backend.broker.unpark(parked_id, Unpark::Drop).await, Ok(false));
    assert_eq!(parked(&*backend.broker).await.len(), 1);
    nothing_waits(&*backend.broker, NORMAL).await;
}

async fn what_is_not_parked_cannot_be_unparked(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    for how in [Unpark::Replay, Unpark::Drop] {
        assert_eq!(backend.broker.unpark(42, how).await, Ok(false), "{how:?}");
    }
}

async fn a_replay_into_a_full_queue_stays_parked(factory: &impl Factory) {
    let backend = factory.fresh(Limits { queue_max: 1, ..LIMITS });
    park(&*backend.broker, NORMAL, "one").await;
    publish(&*backend.broker, NORMAL, "two").await;
    let parked_id = parked(&*backend.broker).await[0].parked_id;
    let full = BrokerError::Full { queue: NORMAL, limit: 1 };
    assert_eq!(backend.broker.unpark(parked_id, Unpark::Replay).await, Err(full));
    assert_eq!(parked(&*backend.broker).await.len(), 1, "nothing is lost");
}
