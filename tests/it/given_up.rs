//! What was handed out again and again without an end: its message ends, and only that; the rest waits for people.

use otodoke_common::broker::Queue;
use otodoke_common::message::Lane;
use otodoke_common::time::Timestamp;
use otodoke_common::wire::LaneMessage;
use otodoke_tests::carrier::Script;
use otodoke_tests::world::{Options, World, id as parsed};
use serde_json::json;

use crate::published::label;
use crate::{PHONE, phone};

const NORMAL: Queue = Queue::Lane(Lane::Normal);

/// Moves what waits in the lane to where the broker puts what it gives up.
async fn give_up(world: &World) {
    let delivery = world.memory.broker().take(NORMAL).await.expect("something waits");
    let body = delivery.body.clone();
    world.memory.broker().publish(Queue::GivenUp, body).await.expect("memory takes it");
    delivery.done().await.expect("memory settles");
}

async fn parked(world: &World) -> Vec<String> {
    let parked = world.memory.broker().parked(10).await.expect("memory shows them");
    parked.into_iter().map(|parked| parked.reason).collect()
}

#[tokio::test(start_paused = true)]
async fn a_message_that_waits_for_nothing_but_its_wake_ends() {
    let mut world = World::idle(Options::default()).await;
    let id = world.ask_for_code(PHONE).await;
    give_up(&world).await;
    world.start_worker();
    let message = world.until_status(&id, "failed").await;
    assert_eq!(message["failure"]["reason"], "parked");
    assert!(message["failure"]["guidance"].is_string());
    world.wait_ms(5_000).await;
    assert_eq!((world.phone(PHONE).texts.len(), parked(&world).await.len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_the_broker_alone_carries_gets_a_row_that_ends() {
    let mut world = World::idle(Options::default()).await;
    world.get(&format!("/v1/verifications/{}", parsed("01939f3e-0000-7000-8000-000000000000"))).await;
    world.memory.faults().set_store_away(true);
    let id = world.ask_for_code(PHONE).await;
    world.memory.faults().set_store_away(false);
    give_up(&world).await;
    world.start_worker();
    let message = world.until_status(&id, "failed").await;
    assert_eq!(message["failure"]["reason"], "parked");
    let counts = world.store.counts(world.clock.now()).await.expect("memory counts");
    assert_eq!((counts.live, counts.ended), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_goes_on_is_not_ended_by_a_wake_that_was_given_up() {
    let world = World::new().await;
    let id = world.ask_for_code(PHONE).await;
    world.until_status(&id, "delivered").await;
    let wake = LaneMessage::Wake { id: parsed(&id) }.encode();
    world.memory.broker().publish(Queue::GivenUp, wake).await.expect("memory takes it");
    world.wait_ms(2_000).await;
    assert_eq!(world.message(&id).await["status"], "delivered");
}

#[tokio::test(start_paused = true)]
async fn a_publication_that_was_given_up_ends_and_touches_nobody_elses() {
    let world = World::new().await;
    let theirs = world.ask_for_code(PHONE).await;
    world.until_status(&theirs, "delivered").await;
    let before = world.store.load(parsed(&theirs)).await.expect("memory loads");
    let id = "01939f3e-0000-7000-8000-000000000001";
    for (user, id) in [("acme-app", id), ("beta-app", &*theirs), ("nobody", id)] {
        let label = label(user, id, Timestamp::from_unix_ms(world.clock.now().unix_ms()));
        let body = json!({"kind": "code", "to": phone(1), "purpose": "login"});
        world.memory.publish_from(label, Queue::GivenUp, body.to_string().into_bytes()).expect("memory takes it");
    }
    assert_eq!(world.until_status(id, "failed").await["failure"]["reason"], "parked");
    world.wait_ms(2_000).await;
    let parked = parked(&world).await;
    assert_eq!(parked.len(), 2, "{parked:?}");
    assert!(parked.iter().all(|reason| reason.starts_with("handed out by the broker too often")), "{parked:?}");
    assert_eq!(world.store.load(parsed(&theirs)).await.expect("memory loads"), before);
    assert_eq!(world.phone(&phone(1)).texts.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_says_of_no_message_waits_for_people() {
    let world = World::new().await;
    let reports = otodoke_common::wire::encode_reports(&[]);
    for body in [b"garbage".to_vec(), reports] {
        world.memory.broker().publish(Queue::GivenUp, body).await.expect("memory takes it");
    }
    world.wait_ms(2_000).await;
    let parked = parked(&world).await;
    assert_eq!(parked.len(), 2, "{parked:?}");
    assert!(parked[0].contains("cannot be read") && !parked[1].contains("cannot be read"), "{parked:?}");
}

/// Whoever was on its way when the broker was lost comes again, time and again while the broker comes and goes.
#[tokio::test(start_paused = true)]
async fn what_was_handed_out_often_is_taken_one_by_one_and_not_called_for_one_by_one() {
    let mut world = World::idle(Options::default()).await;
    world.carrier("sakura").always(Script { answer_after_ms: 4_000, ..Script::works() });
    for person in 0..3 {
        world.ask_for_code(&phone(person)).await;
    }
    for _ in 0..5 {
        let mut lost = Vec::new();
        for _ in 0..3 {
            lost.push(world.memory.broker().take(NORMAL).await.expect("three wait"));
        }
        // Not settled, but dropped: each comes again.
        drop(lost);
    }
    world.start_worker();
    world.wait_ms(2_000).await;
    assert_eq!(world.carrier("sakura").seen().len(), 3, "none waits for the answer to another");
}
