//! Accepting while the store, the broker or both are away, and what became of it once they are back.

use otodoke_common::broker::Queue;
use otodoke_common::message::Lane;
use otodoke_common::wire::LaneMessage;
use otodoke_tests::world::{Options, World, id as message_id};
use serde_json::{Value, json};

use crate::accept::{accepted_equals_ended_and_live, id_of, login, payment};
use crate::{PHONE, phone};

/// The store is away, and the door knows its key already: one message was delivered before.
async fn left_by_its_store() -> World {
    let world = World::new().await;
    let warm = world.ask_for_code(&phone(1)).await;
    world.until_status(&warm, "delivered").await;
    world.memory.faults().set_store_away(true);
    world
}

#[tokio::test(start_paused = true)]
async fn with_the_store_away_a_login_travels_in_the_broker_alone_and_a_payment_is_refused() {
    let world = left_by_its_store().await;
    let reply = world.post("/v1/verifications", login()).await;
    let id = id_of(&reply);
    let refused = world.post("/v1/verifications", payment()).await;
    assert_eq!((refused.status, refused.body["code"].as_str()), (503, Some("unavailable")));
    assert!(refused.retry_after_s.is_some());
    world.wait_ms(20_000).await;
    assert_eq!(world.phone(PHONE).texts.len(), 0);
    world.memory.faults().set_store_away(false);
    world.until_status(&id, "delivered").await;
    let code = world.phone(PHONE).code().expect("the text arrived");
    assert_eq!(world.check(&id, &code).await.body["status"], "verified");
    accepted_equals_ended_and_live(&world, 2).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_again_while_the_store_is_away_gets_the_living_code_again_once_it_is_back() {
    let world = World::new().await;
    let living = world.ask_for_code(PHONE).await;
    world.until_status(&living, "delivered").await;
    // Past the first cool-down of a resend.
    world.wait_ms(25_000).await;
    world.memory.faults().set_store_away(true);
    let again = id_of(&world.post("/v1/verifications", login()).await);
    assert_ne!(again, living, "the door could not see it");
    world.memory.faults().set_store_away(false);
    let ended = world.until_status(&again, "failed").await;
    assert_eq!(ended["failure"]["reason"], "duplicate");
    world.wait_ms(5_000).await;
    assert_eq!(world.phone(PHONE).texts.len(), 2, "{}", world.message(&living).await);
    let story = Value::from(world.trace(&again).await).to_string();
    assert!(story.contains(&living), "it says by whom it was held off: {story}");
    // Whoever holds the later id was sent the code of the living one.
    let code = world.phone(PHONE).code().expect("a code came");
    assert_eq!(world.check(&again, &code).await.body["status"], "verified");
    assert_eq!(world.message(&living).await["status"], "verified");
    assert_eq!(world.message(&again).await["status"], "failed", "an end never changes");
}

#[tokio::test(start_paused = true)]
async fn whoever_pressed_often_while_the_store_was_away_gets_one_text_and_keeps_the_resends() {
    let world = left_by_its_store().await;
    for _ in 0..3 {
        id_of(&world.post("/v1/verifications", login()).await);
        world.wait_ms(25_000).await;
    }
    world.memory.faults().set_store_away(false);
    world.wait_ms(20_000).await;
    assert_eq!(world.phone(PHONE).texts.len(), 1, "all three asked for what came then");
    let again = world.post("/v1/verifications", login()).await;
    assert_eq!((again.status, &again.body["joined"]), (202, &json!(true)));
    world.wait_ms(5_000).await;
    assert_eq!(world.phone(PHONE).texts.len(), 2, "a resend is still there to be had, at once");
}

#[tokio::test(start_paused = true)]
async fn of_equal_requests_accepted_while_the_store_was_away_one_is_sent_and_the_others_end() {
    let world = left_by_its_store().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(id_of(&world.post("/v1/verifications", login()).await));
    }
    world.memory.faults().set_store_away(false);
    world.wait_ms(20_000).await;
    let mut statuses = Vec::new();
    for id in &ids {
        statuses.push(world.message(id).await["status"].as_str().map(str::to_owned));
    }
    statuses.sort();
    assert_eq!(statuses, ["delivered", "failed", "failed"].map(|word| Some(word.to_owned())));
    assert_eq!(world.phone(PHONE).texts.len(), 1);
    accepted_equals_ended_and_live(&world, 4).await;
}

#[tokio::test(start_paused = true)]
async fn with_the_broker_away_the_row_carries_the_message() {
    let world = World::new().await;
    world.memory.faults().set_broker_away(true);
    let id = id_of(&world.post("/v1/verifications", login()).await);
    world.until_status(&id, "submitted").await;
    world.memory.faults().set_broker_away(false);
    world.until_status(&id, "delivered").await;
    assert_eq!(world.phone(PHONE).texts.len(), 1);
}

/// The door that opened it died before it had published the row, and the lane is long: a second press is a promise all the same.
#[tokio::test(start_paused = true)]
async fn what_was_joined_is_sent_though_its_lane_never_got_it() {
    let mut world = World::idle(Options::default()).await;
    let id = id_of(&world.post("/v1/verifications", login()).await);
    let lane = Queue::Lane(Lane::Normal);
    let broker = world.memory.broker();
    let end_one = || async { broker.take(lane).await.expect("memory gives it").done().await.expect("it ends") };
    end_one().await;
    for _ in 0..300 {
        let other = LaneMessage::Wake { id: message_id(&id) }.encode();
        broker.publish(lane, other).await.expect("memory takes it");
    }
    for _ in 0..10 {
        world.wait_ms(100).await;
        end_one().await;
    }
    let joined = world.post("/v1/verifications", login()).await;
    assert_eq!((id_of(&joined), &joined.body["joined"]), (id.clone(), &json!(true)));
    for _ in 0..290 {
        end_one().await;
    }
    assert_eq!(broker.backlog(lane).waiting, 0, "nothing on the lane tells of it");
    world.start_worker();
    world.until_status(&id, "delivered").await;
    assert_eq!(world.phone(PHONE).texts.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn with_both_away_nothing_is_accepted() {
    let world = left_by_its_store().await;
    world.memory.faults().set_broker_away(true);
    let refused = world.post("/v1/verifications", login()).await;
    assert_eq!((refused.status, refused.body["code"].as_str()), (503, Some("unavailable")));
    world.memory.faults().set_store_away(false);
    world.memory.faults().set_broker_away(false);
    world.wait_ms(30_000).await;
    assert_eq!(world.phone(PHONE).texts.len(), 0, "what was refused is not sent");
    accepted_equals_ended_and_live(&world, 1).await;
}

#[tokio::test(start_paused = true)]
async fn commits_of_unknown_outcome_neither_lose_nor_double_a_message() {
    for (body, lost) in [(login(), false), (login(), true), (payment(), false)] {
        let world = World::new().await;
        let faults = world.memory.faults();
        if lost {
            faults.lose_and_report_unknown(1);
        } else {
            faults.apply_but_report_unknown(1);
        }
        let id = id_of(&world.post("/v1/verifications", body).await);
        world.until_status(&id, "delivered").await;
        world.wait_ms(10_000).await;
        assert_eq!(world.phone(PHONE).texts.len(), 1, "lost {lost}");
        accepted_equals_ended_and_live(&world, 1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn every_save_of_unknown_outcome_on_the_way_is_survived() {
    for commits in 1..12 {
        for lost in [false, true] {
            let world = World::idle(Options::default()).await;
            let id = id_of(&world.post("/v1/verifications", login()).await);
            let faults = world.memory.faults();
            if lost {
                faults.lose_and_report_unknown(commits);
            } else {
                faults.apply_but_report_unknown(commits);
            }
            let mut world = world;
            world.start_worker();
            world.until_status(&id, "delivered").await;
            world.wait_ms(30_000).await;
            assert_eq!(world.phone(PHONE).texts.len(), 1, "{commits} commits, lost {lost}");
        }
    }
}

/// As in a failover: the connection breaks under the commit, and the next one is not there yet.
#[tokio::test(start_paused = true)]
async fn a_leg_whose_save_nobody_could_look_up_goes_out_once_the_store_is_back() {
    let mut world = World::idle(Options::default()).await;
    let id = id_of(&world.post("/v1/verifications", login()).await);
    let faults = world.memory.faults();
    faults.apply_but_report_unknown(1);
    faults.go_away_after_unknown();
    world.start_worker();
    world.wait_ms(2_000).await;
    assert_eq!(world.phone(PHONE).texts.len(), 0);
    world.memory.faults().set_store_away(false);
    world.wait_ms(3_000).await;
    assert_eq!(world.phone(PHONE).texts.len(), 1, "long before its crash gap");
    world.until_status(&id, "delivered").await;
    assert_eq!(world.message(&id).await["legs"].as_array().map(Vec::len), Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_row_whose_wake_was_never_published_is_sent_when_somebody_asks_for_it_again() {
    for key in [None, Some("k-1")] {
        let mut world = World::idle(Options::default()).await;
        let headers: Vec<_> = key.map(|key| ("idempotency-key", key)).into_iter().collect();
        let first = world.post_with("/v1/verifications", payment(), &headers).await;
        // The door dies between its commit and its publish: the row is there, nobody was woken.
        let wake = world.memory.broker().take(Queue::Lane(Lane::Critical)).await.expect("the wake waits");
        wake.done().await.expect("memory settles");
        world.start_worker();
        world.wait_ms(1_000).await;
        let again = world.post_with("/v1/verifications", payment(), &headers).await;
        assert_eq!(id_of(&again), id_of(&first));
        world.wait_ms(10_000).await;
        assert_eq!(world.phone(PHONE).texts.len(), 1, "key {key:?}: a 202 is a promise");
    }
}
