//! The way in: what is accepted is carried, once; what cannot be carried is refused early.

use otodoke_common::policy::Policy;
use otodoke_producer::LaneWindows;
use otodoke_tests::world::{Options, Reply, World};
use otodoke_worker::Capacity;
use serde_json::{Value, json};

use crate::{PHONE, phone};

pub(crate) fn login() -> Value {
    json!({"to": PHONE, "purpose": "login"})
}

pub(crate) fn payment() -> Value {
    json!({
        "to": PHONE,
        "purpose": "payment",
        "transaction": {"amount": "12000", "currency": "JPY", "payee": {"name": "YAMADA TARO", "account": "1234567"}},
    })
}

async fn post_with_key(world: &World, body: Value, key: &str) -> Reply {
    world.post_with("/v1/verifications", body, &[("idempotency-key", key)]).await
}

pub(crate) fn id_of(reply: &Reply) -> String {
    assert_eq!(reply.status, 202, "{:?}", reply.body);
    reply.body["id"].as_str().expect("an accepted message has an id").to_owned()
}

pub(crate) async fn accepted_equals_ended_and_live(world: &World, accepted: u64) {
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
