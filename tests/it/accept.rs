//! The way in: what is accepted is carried, once, whatever is away; what cannot be carried is refused early.

use otodoke_common::broker::Queue;
use otodoke_common::message::Lane;
use otodoke_common::policy::Policy;
use otodoke_common::wire::LaneMessage;
use otodoke_producer::LaneWindows;
use otodoke_tests::world::{Options, Reply, World, id as message_id};
use otodoke_worker::Capacity;
use serde_json::{Value, json};

use crate::{PHONE, phone};

fn login() -> Value {
    json!({"to": PHONE, "purpose": "login"})
}

fn payment() -> Value {
    json!({
        "to": PHONE,
        "purpose": "payment",
        "transaction": {"amount": "12000", "currency": "JPY", "payee": {"name": "YAMADA TARO", "account": "1234567"}},
    })
}

async fn post_with_key(world: &World, body: Value, key: &str) -> Reply {
    world.post_with("/v1/verifications", body, &[("idempotency-key", key)]).await
}

fn id_of(reply: &Reply) -> String {
    assert_eq!(reply.status, 202, "{:?}", reply.body);
    reply.body["id"].as_str().expect("an accepted message has an id").to_owned()
}

async fn accepted_equals_ended_and_live(world: &World, accepted: u64) {
    let counts = world.store.counts(world.clock.now()).await.expect("memory counts");
    assert_eq!(counts.live + counts.ended, accepted);
}

#[tokio::test(start_paused = true)]
async fn the_same_key_and_body_get_the_same_answer_and_one_message() {
    let world = World::new().await;
    let first = post_with_key(&world, login(), "k-1").await;
    world.until_status(&id_of(&first), "delivered").await;
    let again = post_with_key(&world, login(), "k-1").await;
    assert_eq!(again.body, first.body, "to the letter, though it was delivered meanwhile");
    let spelled = json!({"to": "09012345678", "region": "JP", "purpose": "login", "ttl_seconds": 300});
    assert_eq!(post_with_key(&world, spelled, "k-1").await.body["id"], first.body["id"], "the parsed body counts");
    let other = post_with_key(&world, json!({"to": PHONE, "purpose": "signup"}), "k-1").await;
    assert_eq!((other.status, other.body["code"].as_str()), (409, Some("key_reused")));
    assert_eq!(world.phone(PHONE).texts.len(), 1);
    accepted_equals_ended_and_live(&world, 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_hundred_equal_requests_at_once_are_one_message() {
    let world = World::new().await;
    let requests = (0..100).map(|_| world.post("/v1/verifications", login()));
    let replies = futures_util::future::join_all(requests).await;
    let first = id_of(&replies[0]);
    assert!(replies.iter().all(|reply| id_of(reply) == first));
    world.until_status(&first, "delivered").await;
    assert_eq!(world.phone(PHONE).texts.len(), 1);
    accepted_equals_ended_and_live(&world, 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_living_verification_is_one_per_number_purpose_and_transaction() {
    let world = World::new().await;
    let first = id_of(&world.post("/v1/verifications", login()).await);
    assert_eq!(id_of(&world.post("/v1/verifications", login()).await), first);
    let mut other_amount = payment();
    other_amount["transaction"]["amount"] = json!("12001");
    let mut other_payee = payment();
    other_payee["transaction"]["payee"]["name"] = json!("YAMADA JIRO");
    let mut apart = login();
    apart["separate"] = json!(true);
    let others = [json!({"to": PHONE, "purpose": "signup"}), payment(), other_amount, other_payee, apart];
    let mut ids = vec![first.clone()];
    for body in others {
        ids.push(id_of(&world.post("/v1/verifications", body).await));
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 6);
    world.until_status(&first, "delivered").await;
    world.post(&format!("/v1/verifications/{first}/cancel"), json!({})).await;
    let next = world.post("/v1/verifications", login()).await;
    assert_ne!(id_of(&next), first, "what has ended is not joined");
    assert_eq!(next.body["joined"], json!(false));
}

#[tokio::test(start_paused = true)]
async fn a_number_gets_so_many_messages_and_then_waits() {
    let policy = Policy { messages_per_10_minutes: 5, messages_per_day: 10, ..Options::default().policy };
    let world = World::with(Options { policy, ..Options::default() }).await;
    let mut apart = login();
    apart["separate"] = json!(true);
    for round in 0..2 {
        for _ in 0..5 {
            id_of(&world.post("/v1/verifications", apart.clone()).await);
        }
        let over = world.post("/v1/verifications", apart.clone()).await;
        assert_eq!((over.status, over.body["code"].as_str()), (429, Some("too_many_messages")), "round {round}");
        world.wait_ms(over.retry_after_s.expect("it says when") * 1_000).await;
    }
    accepted_equals_ended_and_live(&world, 10).await;
    let fresh = world.post("/v1/verifications", json!({"to": phone(1), "purpose": "login"})).await;
    assert_eq!(fresh.status, 202, "another number is not concerned");
}

#[tokio::test(start_paused = true)]
async fn what_could_not_arrive_in_time_is_refused_at_once_bulk_first() {
    let slow = Capacity { concurrency: 4, rate_per_s: 10 };
    let capacities = ["sakura", "fuji", "atlas"].map(|name| (name, slow)).into();
    let world = World::idle(Options { capacities, ..Options::default() }).await;
    let mut normal = 0;
    let refused = loop {
        let body = json!({"to": phone(normal), "purpose": "login", "ttl_seconds": 30});
        let reply = world.post("/v1/verifications", body).await;
        if reply.status != 202 {
            break reply;
        }
        normal += 1;
        assert!(normal < 5_000, "a lane that nobody serves cannot take everything");
    };
    assert_eq!((refused.status, refused.body["code"].as_str()), (503, Some("busy")));
    assert!(refused.retry_after_s.is_some());
    let longer = json!({"to": phone(9_999), "purpose": "login", "ttl_seconds": 1_800});
    assert_eq!(world.post("/v1/verifications", longer).await.status, 202, "what lives longer still can arrive");
    let mut bulk = 0;
    while world
        .post("/v1/messages", json!({"to": phone(bulk), "text": "News.", "purpose": "notice", "ttl_seconds": 60}))
        .await
        .status
        == 202
    {
        bulk += 1;
        assert!(bulk < 5_000);
    }
    assert!(bulk <= normal + 64, "bulk of twice the life is shed no later: {bulk} against {normal}");
    assert_eq!(world.post("/v1/verifications", payment()).await.status, 202, "critical has a lane of its own");
}

#[tokio::test(start_paused = true)]
async fn a_lane_takes_no_more_than_its_window() {
    let windows = LaneWindows { critical: 3, normal: 2, bulk: 1 };
    let world = World::idle(Options { windows, ..Options::default() }).await;
    let mut statuses = Vec::new();
    for person in 0..3 {
        statuses.push(world.post("/v1/verifications", json!({"to": phone(person), "purpose": "login"})).await.status);
    }
    assert_eq!(statuses, [202, 202, 503]);
}

#[tokio::test(start_paused = true)]
async fn what_was_accepted_is_answered_again_though_its_lane_is_full() {
    let windows = LaneWindows { normal: 1, ..LaneWindows::default() };
    let world = World::idle(Options { windows, ..Options::default() }).await;
    let first = post_with_key(&world, login(), "k-1").await;
    assert_eq!(post_with_key(&world, login(), "k-2").await.status, 503, "nothing new is taken");
    let again = post_with_key(&world, login(), "k-1").await;
    assert_eq!((again.status, &again.body), (202, &first.body));
    let other = post_with_key(&world, json!({"to": PHONE, "purpose": "signup"}), "k-1").await;
    assert_eq!((other.status, other.body["code"].as_str()), (409, Some("key_reused")));
    accepted_equals_ended_and_live(&world, 1).await;
}

#[tokio::test(start_paused = true)]
async fn with_the_store_away_a_login_travels_in_the_broker_alone_and_a_payment_is_refused() {
    let world = World::new().await;
    let warm = world.ask_for_code(&phone(1)).await;
    world.until_status(&warm, "delivered").await;
    world.memory.faults().set_store_away(true);
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
    let world = World::new().await;
    let warm = world.ask_for_code(&phone(1)).await;
    world.until_status(&warm, "delivered").await;
    world.memory.faults().set_store_away(true);
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
    let world = World::new().await;
    let warm = world.ask_for_code(&phone(1)).await;
    world.until_status(&warm, "delivered").await;
    world.memory.faults().set_store_away(true);
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
    let world = World::new().await;
    let warm = world.ask_for_code(&phone(1)).await;
    world.until_status(&warm, "delivered").await;
    world.memory.faults().set_store_away(true);
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

#[tokio::test(start_paused = true)]
async fn a_nul_in_a_text_and_a_body_that_is_too_large_are_refused() {
    let world = World::new().await;
    let nul = world.post("/v1/messages", json!({"to": PHONE, "purpose": "notice", "text": "a\u{0}b"})).await;
    assert_eq!((nul.status, nul.body["field"].as_str()), (422, Some("text")));
    for field in ["template", "domain"] {
        let mut body = login();
        body[field] = json!("a\u{0}b");
        let reply = world.post("/v1/verifications", body).await;
        assert_eq!((reply.status, reply.body["field"].as_str()), (422, Some(field)));
    }
    let mut payee = payment();
    payee["transaction"]["payee"]["name"] = json!("YAMADA\u{0}");
    let reply = world.post("/v1/verifications", payee).await;
    assert_eq!((reply.status, reply.body["field"].as_str()), (422, Some("transaction.payee.name")));
    let long = json!({"to": PHONE, "purpose": "notice", "text": "x".repeat(20_000)});
    assert_eq!(world.post("/v1/messages", long).await.status, 413);
    let wordy = json!({"to": PHONE, "purpose": "notice", "text": "あ".repeat(2_000)});
    assert_eq!(world.post("/v1/messages", wordy).await.body["code"], "template_too_long");
    accepted_equals_ended_and_live(&world, 0).await;
}
