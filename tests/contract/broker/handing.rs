//! Bodies are handed out in their order, once, until they are settled.

use std::sync::Arc;

use otodoke_common::broker::{Broker, BrokerError, Origin, Queue, Unpark};
use otodoke_common::message::Lane;
use otodoke_common::trace::{self, TraceContext};
use tokio::task::JoinSet;

use super::waiting::nothing_waits;
use crate::backend::{Factory, LIMITS, Limits};
use crate::contract;

const NORMAL: Queue = Queue::Lane(Lane::Normal);

contract![
    bodies_come_in_the_order_they_were_published,
    a_settled_body_never_comes_again,
    a_dropped_delivery_comes_again_and_says_so,
    dropped_deliveries_come_again_before_later_bodies,
    queues_are_independent,
    a_full_queue_says_so_and_takes_again_once_there_is_room,
    more_bodies_than_memory_holds_come_in_order,
    of_many_takers_each_gets_its_own,
    a_body_comes_with_the_trace_that_it_was_published_in,
];

pub(super) async fn publish(broker: &dyn Broker, queue: Queue, word: &str) {
    broker.publish(queue, word.as_bytes().to_vec()).await.expect("there is room");
}

async fn take_words(broker: &dyn Broker, queue: Queue, count: usize) -> Vec<String> {
    let mut words = Vec::new();
    for _ in 0..count {
        let delivery = broker.take(queue).await.expect("the broker answers");
        words.push(String::from_utf8(delivery.body.clone()).expect("a word"));
        delivery.done().await.expect("the broker answers");
    }
    words
}

async fn bodies_come_in_the_order_they_were_published(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    for word in ["one", "two", "three"] {
        publish(&*backend.broker, NORMAL, word).await;
    }
    assert_eq!(take_words(&*backend.broker, NORMAL, 2).await, ["one", "two"]);
    publish(&*backend.broker, NORMAL, "four").await;
    assert_eq!(take_words(&*backend.broker, NORMAL, 2).await, ["three", "four"]);
}

async fn a_settled_body_never_comes_again(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    publish(&*backend.broker, NORMAL, "one").await;
    let delivery = backend.broker.take(NORMAL).await.expect("the broker answers");
    assert_eq!(delivery.taken_before, 0);
    delivery.done().await.expect("the broker answers");
    nothing_waits(&*backend.broker, NORMAL).await;
}

async fn a_dropped_delivery_comes_again_and_says_so(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    publish(&*backend.broker, NORMAL, "one").await;
    for taken_before in 0..3 {
        let delivery = backend.broker.take(NORMAL).await.expect("the broker answers");
        assert_eq!((&*delivery.body, delivery.taken_before), (&b"one"[..], taken_before));
    }
    assert_eq!(take_words(&*backend.broker, NORMAL, 1).await, ["one"]);
    nothing_waits(&*backend.broker, NORMAL).await;
}

async fn dropped_deliveries_come_again_before_later_bodies(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    for word in ["one", "two", "three"] {
        publish(&*backend.broker, NORMAL, word).await;
    }
    let first = backend.broker.take(NORMAL).await.expect("the broker answers");
    let second = backend.broker.take(NORMAL).await.expect("the broker answers");
    drop(first);
    drop(second);
    let mut words = take_words(&*backend.broker, NORMAL, 3).await;
    assert_eq!(words.pop().as_deref(), Some("three"), "what was never taken comes last");
}

async fn queues_are_independent(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    for queue in Queue::ALL {
        publish(&*backend.broker, queue, queue.word()).await;
    }
    for queue in Queue::ALL.into_iter().rev() {
        assert_eq!(take_words(&*backend.broker, queue, 1).await, [queue.word()]);
        nothing_waits(&*backend.broker, queue).await;
    }
}

async fn a_full_queue_says_so_and_takes_again_once_there_is_room(factory: &impl Factory) {
    let backend = factory.fresh(Limits { queue_max: 2, ..LIMITS });
    publish(&*backend.broker, NORMAL, "one").await;
    publish(&*backend.broker, NORMAL, "two").await;
    let full = BrokerError::Full { queue: NORMAL, limit: 2 };
    for _ in 0..5 {
        assert_eq!(backend.broker.publish(NORMAL, b"three".to_vec()).await, Err(full.clone()));
    }
    publish(&*backend.broker, Queue::Receipts, "elsewhere").await;
    assert_eq!(take_words(&*backend.broker, NORMAL, 1).await, ["one"]);
    publish(&*backend.broker, NORMAL, "three").await;
    assert_eq!(backend.broker.publish(NORMAL, b"four".to_vec()).await, Err(full));
    assert_eq!(take_words(&*backend.broker, NORMAL, 2).await, ["two", "three"]);
}

async fn more_bodies_than_memory_holds_come_in_order(factory: &impl Factory) {
    const BODIES: u64 = 5_000;
    let backend = factory.fresh(Limits { queue_max: 2 * BODIES, ..LIMITS });
    let mut publishers = JoinSet::new();
    for number in 0..BODIES {
        let broker = Arc::clone(&backend.broker);
        publishers.spawn(async move { broker.publish(NORMAL, number.to_be_bytes().to_vec()).await });
        if publishers.len() == 250 {
            publishers.join_next().await;
        }
    }
    assert!(publishers.join_all().await.into_iter().all(|published| published.is_ok()), "there is room");
    // The order among concurrent publishers is theirs; it is the same when a body comes a second time.
    let mut order = Vec::new();
    let mut held = Vec::new();
    for _ in 0..BODIES {
        let delivery = backend.broker.take(NORMAL).await.expect("the broker answers");
        order.push(delivery.body.clone());
        held.push(delivery);
        if held.len() > 1_500 {
            futures_done(held.drain(..500)).await;
        }
    }
    futures_done(held.drain(..)).await;
    nothing_waits(&*backend.broker, NORMAL).await;
    order.sort_unstable();
    order.dedup();
    assert_eq!(order.len() as u64, BODIES, "each came once");
}

/// Settles them at the same time, so that they share commits.
async fn futures_done(deliveries: impl Iterator<Item = otodoke_common::broker::Delivery>) {
    let settling: JoinSet<_> = deliveries.map(otodoke_common::broker::Delivery::done).collect();
    for settled in settling.join_all().await {
        settled.expect("the broker answers");
    }
}

async fn of_many_takers_each_gets_its_own(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let mut takers = JoinSet::new();
    for _ in 0..50 {
        let broker = Arc::clone(&backend.broker);
        takers.spawn(async move { take_words(&*broker, NORMAL, 2).await });
    }
    for number in 0..100 {
        publish(&*backend.broker, NORMAL, &number.to_string()).await;
    }
    let mut words: Vec<String> = takers.join_all().await.concat();
    words.sort_unstable();
    let mut published: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    published.sort_unstable();
    assert_eq!(words, published);
    nothing_waits(&*backend.broker, NORMAL).await;
}

async fn a_body_comes_with_the_trace_that_it_was_published_in(factory: &impl Factory) {
    let backend = factory.fresh(LIMITS);
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let traces = [TraceContext::parse(parent, None), None, TraceContext::parse(parent, Some("congo=t61rcWkgMzE,a=1"))];
    for trace in &traces {
        trace::within(trace.clone(), publish(&*backend.broker, NORMAL, "one")).await;
    }
    for trace in &traces {
        for _ in 0..2 {
            let delivery = backend.broker.take(NORMAL).await.expect("the broker answers");
            assert_eq!((&delivery.trace, &delivery.origin), (trace, &Origin::Ours), "also when it comes again");
        }
        let delivery = backend.broker.take(NORMAL).await.expect("the broker answers");
        delivery.park("to be replayed".to_owned()).await.expect("the broker answers");
        let parked_id = backend.broker.parked(1).await.expect("the broker answers")[0].parked_id;
        assert_eq!(backend.broker.unpark(parked_id, Unpark::Replay).await, Ok(true));
    }
    for trace in &traces {
        let delivery = backend.broker.take(NORMAL).await.expect("the broker answers");
        assert_eq!(&delivery.trace, trace, "also when it was replayed");
        delivery.done().await.expect("the broker answers");
    }
}
