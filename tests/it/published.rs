//! What other programs publish: judged as at the door, carried under the id they gave it, and nobody's business but theirs.

use otodoke_common::broker::{Label, Publisher, Queue};
use otodoke_common::message::Lane;
use otodoke_common::time::Timestamp;
use otodoke_common::wire::LaneMessage;
use otodoke_tests::carrier::Script;
use otodoke_tests::world::{Options, World, id as parsed, legs};
use serde_json::{Value, json};

use crate::{PHONE, leg, phone};

const NORMAL: Queue = Queue::Lane(Lane::Normal);

/// Of one person's message, whose id ends in it.
fn id(person: u32) -> String {
    format!("01939f3e-0000-7000-8000-{person:012}")
}

pub(crate) fn label(user: &str, id: &str, sent_at: Timestamp) -> Label {
    Label {
        publisher: Publisher::User(user.to_owned()),
        tenant: None,
        message_id: Some(id.to_owned()),
        sent_at: Some(sent_at),
        version: Some(1),
        content_type: Some("application/json".to_owned()),
    }
}

fn publish(world: &World, user: &str, id: &str, body: &Value) {
    let label = label(user, id, world.clock.now());
    world.memory.publish_from(label, NORMAL, body.to_string().into_bytes()).expect("memory takes it");
}

fn code(to: &str) -> Value {
    json!({"kind": "code", "to": to, "purpose": "login"})
}

async fn parked(world: &World) -> Vec<String> {
    let parked = world.memory.broker().parked(10).await.expect("memory shows them");
    parked.into_iter().map(|parked| parked.reason).collect()
}

#[tokio::test(start_paused = true)]
async fn a_published_message_is_carried_under_its_own_id_and_once() {
    let world = World::new().await;
    for _ in 0..3 {
        publish(&world, "acme-app", &id(1), &code(PHONE));
    }
    let message = world.until_status(&id(1), "delivered").await;
    assert_eq!(legs(&message), [leg("sms", "sakura", "delivered")]);
    publish(&world, "acme-app", &id(1), &code(&phone(1)));
    world.wait_ms(5_000).await;
    assert_eq!((world.phone(PHONE).texts.len(), world.phone(&phone(1)).texts.len()), (1, 0), "the row counts");
}

/// One body after another, by both ways.
#[tokio::test(start_paused = true)]
async fn what_the_door_refuses_is_refused_of_a_publisher_with_the_same_words() {
    let world = World::new().await;
    let with = |field: &str, value: Value| {
        let mut body = json!({"to": PHONE, "purpose": "login"});
        body[field] = value;
        body
    };
    let payee = json!({"name": "A", "account": "1"});
    let bodies = [
        with("to", json!("+8190")),
        with("to", json!("09012345678")),
        with("to", json!("+12025550123")),
        with("to", json!("+81990123456")),
        with("code_length", json!(5)),
        with("ttl_seconds", json!(29)),
        with("voice_after_seconds", json!(1)),
        with("template", json!("nowhere")),
        with("domain", json!("not a host")),
        with("purpose", json!("payment")),
        with("transaction", json!({"amount": "1", "currency": "JPY", "payee": payee})),
        with("metadata", json!({"": "1"})),
        with("purpose", json!("gift")),
        with("to", json!(9_012_345_678_u64)),
        json!({"to": PHONE}),
        json!({"to": PHONE, "purpose": "payment",
            "transaction": {"amount": "12000", "currency": "JYP", "payee": payee}}),
    ];
    for (number, mut body) in (0..).zip(bodies) {
        let problem = world.post("/v1/verifications", body.clone()).await.body;
        body["kind"] = json!("code");
        publish(&world, "acme-app", &id(number), &body);
        let message = world.until_status(&id(number), "failed").await;
        assert!(message["failure"]["guidance"].is_string(), "{message}");
        let refused = world.trace(&id(number)).await.into_iter().find(|line| line["event"] == "refused");
        let refused = refused.unwrap_or_else(|| panic!("{body} was refused by the door alone: {problem}"));
        assert_eq!((&refused["code"], &refused["field"]), (&problem["code"], &problem["field"]), "{body}");
    }
    assert_eq!(parked(&world).await, Vec::<String>::new());
    assert_eq!(world.phone(PHONE).texts.len(), 0);
}

/// It may be personal, and a journal is read by people.
#[tokio::test(start_paused = true)]
async fn a_field_that_the_contract_does_not_have_is_refused_and_its_name_not_kept() {
    let world = World::new().await;
    let mut body = code(PHONE);
    body["ttl_second"] = json!(60);
    publish(&world, "acme-app", &id(1), &body);
    let message = world.until_status(&id(1), "failed").await;
    assert_eq!(message["failure"]["reason"], "unacceptable");
    let trace = world.trace(&id(1)).await;
    let refused = trace.iter().find(|line| line["event"] == "refused").expect("it says why");
    assert_eq!((&refused["code"], &refused["field"]), (&json!("unknown_field"), &Value::Null));
    assert_eq!((parked(&world).await.len(), world.phone(PHONE).texts.len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn another_tenants_id_changes_nothing_and_is_told_to_people_alone() {
    let world = World::new().await;
    let theirs = world.ask_for_code(PHONE).await;
    world.until_status(&theirs, "delivered").await;
    let before = world.store.load(parsed(&theirs)).await.expect("memory loads");
    publish(&world, "beta-app", &theirs, &code(&phone(1)));
    world.wait_ms(2_000).await;
    assert_eq!(world.store.load(parsed(&theirs)).await.expect("memory loads"), before);
    assert_eq!(world.phone(&phone(1)).texts.len(), 0);
    let parked = parked(&world).await;
    assert!(parked.len() == 1 && parked[0].contains("the id of another message"), "{parked:?}");
}

#[tokio::test(start_paused = true)]
async fn bodies_of_our_own_form_wake_nobody_when_another_program_publishes_them() {
    let mut world = World::idle(Options::default()).await;
    let theirs = world.ask_for_code(PHONE).await;
    // Its own wake is taken away, so that only the forged ones are left.
    world.memory.broker().take(NORMAL).await.expect("its wake").done().await.expect("memory settles");
    world.start_worker();
    let row = world.store.load(parsed(&theirs)).await.expect("memory loads").expect("their row");
    let bodies = [LaneMessage::Wake { id: row.id }.encode(), LaneMessage::Row(Box::new(row)).encode()];
    for (user, message_id) in [("beta-app", id(9)), ("beta-app", theirs.clone()), ("nobody", id(8))] {
        for body in &bodies {
            let label = label(user, &message_id, world.clock.now());
            world.memory.publish_from(label, NORMAL, body.clone()).expect("memory takes it");
        }
    }
    world.wait_ms(5_000).await;
    assert_eq!(parked(&world).await.len(), 6);
    assert_eq!(world.message(&theirs).await["status"], "accepted");
}

#[tokio::test(start_paused = true)]
async fn reports_that_another_program_publishes_are_parked() {
    let world = World::new().await;
    let reports = otodoke_common::wire::encode_reports(&[]);
    let label = label("acme-app", &id(1), world.clock.now());
    world.memory.publish_from(label, Queue::Receipts, reports).expect("memory takes it");
    world.wait_ms(1_000).await;
    let parked = parked(&world).await;
    assert!(parked.len() == 1 && parked[0].contains("our own programs alone"), "{parked:?}");
}

#[tokio::test(start_paused = true)]
async fn caps_count_what_came_by_either_way() {
    let mut options = Options::default();
    options.policy.messages_per_10_minutes = 2;
    let world = World::with(options).await;
    let apart = json!({"kind": "code", "to": PHONE, "purpose": "login", "separate": true});
    world.ask(json!({"to": PHONE, "purpose": "login", "separate": true})).await;
    publish(&world, "acme-app", &id(1), &apart);
    world.until_status(&id(1), "delivered").await;
    publish(&world, "acme-app", &id(2), &apart);
    let message = world.until_status(&id(2), "failed").await;
    assert_eq!(message["failure"]["reason"], "over_limit");
    let door = world.post("/v1/verifications", json!({"to": PHONE, "purpose": "login", "separate": true})).await;
    assert_eq!(door.status, 429);
    publish(&world, "beta-app", &id(3), &apart);
    world.wait_ms(2_000).await;
    assert_eq!(world.phone(PHONE).texts.len(), 3, "another tenant's messages are its own");
}

#[tokio::test(start_paused = true)]
async fn an_equal_living_message_is_sent_again_and_the_later_one_ends() {
    let world = World::new().await;
    publish(&world, "acme-app", &id(1), &code(PHONE));
    world.until_status(&id(1), "delivered").await;
    publish(&world, "acme-app", &id(2), &code(PHONE));
    let second = world.until_status(&id(2), "failed").await;
    assert_eq!(second["failure"]["reason"], "duplicate");
    assert_eq!(world.phone(PHONE).texts.len(), 1, "too early for a resend");
    world.wait_ms(30_000).await;
    publish(&world, "acme-app", &id(3), &code(PHONE));
    world.until_status(&id(3), "failed").await;
    let first = world.until(&id(1), |message| message["legs"][1]["outcome"] == "delivered").await;
    assert_eq!(legs(&first), [leg("sms", "sakura", "delivered"), leg("sms", "fuji", "delivered")]);
    let of = world.trace(&id(3)).await.into_iter().find(|line| line["event"] == "duplicate").expect("it says so");
    assert_eq!(of["of"], *id(1));
}

#[tokio::test(start_paused = true)]
async fn it_goes_by_the_lane_of_its_purpose_even_where_the_wake_is_lost() {
    let world = World::new().await;
    let notice = json!({"kind": "text", "to": PHONE, "text": "The lift works again."});
    publish(&world, "acme-app", &id(1), &notice);
    world.until_status(&id(1), "delivered").await;
    let lane = |message: Option<otodoke_common::message::Message>| message.expect("it is there").lane;
    assert_eq!(lane(world.store.load(parsed(&id(1))).await.expect("memory loads")), Lane::Bulk);
    let mut world = World::idle(Options::default()).await;
    publish(&world, "acme-app", &id(2), &notice);
    world.start_worker();
    while world.message(&id(2)).await["status"].is_null() {
        world.wait_ms(1).await;
    }
    world.kill_worker();
    while let Ok(delivery) =
        tokio::time::timeout(std::time::Duration::from_millis(1), world.memory.broker().take(Queue::Lane(Lane::Bulk)))
            .await
    {
        delivery.expect("memory hands it out").done().await.expect("memory settles");
    }
    world.start_worker();
    world.until_status(&id(2), "delivered").await;
    assert_eq!(world.phone(PHONE).texts.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_long_ago_ends_and_what_was_sent_a_while_ago_lives_that_much_shorter() {
    let world = World::new().await;
    let sent = |number: u32, ago_s: u64| {
        let label = label("acme-app", &id(number), world.clock.now().minus_ms(ago_s * 1_000));
        let body = json!({"kind": "code", "to": phone(number), "purpose": "login", "ttl_seconds": 60});
        world.memory.publish_from(label, NORMAL, body.to_string().into_bytes()).expect("memory takes it");
    };
    sent(1, 60);
    sent(2, 40);
    let late = world.until_status(&id(1), "failed").await;
    assert_eq!(late["failure"]["reason"], "too_late");
    let message = world.store.load(parsed(&id(2))).await.expect("memory loads");
    let left_ms = message.expect("it lives").useful_until.since_ms(world.clock.now());
    assert!((19_000..=20_000).contains(&left_ms), "{left_ms}");
    world.until_status(&id(2), "delivered").await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_only_holds_it_up() {
    let world = World::new().await;
    world.memory.faults().set_store_away(true);
    publish(&world, "acme-app", &id(1), &code(PHONE));
    world.wait_ms(20_000).await;
    world.memory.faults().set_store_away(false);
    world.until_status(&id(1), "delivered").await;
    assert_eq!((world.phone(PHONE).texts.len(), parked(&world).await.len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_publication_in_the_hands_of_a_dying_worker_comes_again() {
    let mut world = World::idle(Options { step_ms_max: 8, ..Options::default() }).await;
    world.carrier("sakura").always(Script { answer_after_ms: 50, ..Script::works() });
    let people = 20;
    for person in 0..people {
        publish(&world, "acme-app", &id(person), &code(&phone(person)));
    }
    for lived_ms in [5, 10, 20, 40] {
        world.start_worker();
        world.wait_ms(lived_ms).await;
        world.kill_worker();
        world.wait_ms(1_000).await;
    }
    world.start_worker();
    for person in 0..people {
        world.until_status(&id(person), "delivered").await;
    }
    assert_eq!(parked(&world).await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn where_no_more_may_be_parked_what_others_published_unreadably_is_dropped_and_the_lane_goes_on() {
    let world = World::new().await;
    world.memory.faults().refuse_parking(4);
    let now = world.clock.now();
    for number in 0..3 {
        let label = label("acme-app", &id(number), now);
        world.memory.publish_from(label, NORMAL, b"{".to_vec()).expect("memory takes it");
    }
    let forged = label("acme-app", &id(4), now);
    world.memory.publish_from(forged, Queue::Receipts, b"[]".to_vec()).expect("memory takes it");
    publish(&world, "acme-app", &id(5), &code(PHONE));
    world.until_status(&id(5), "delivered").await;
    let dropped = |queue: &str| world.metric("otp_dead_letters_dropped_total", &[queue]);
    assert_eq!((dropped("normal"), dropped("receipts")), (3.0, 1.0));
    assert_eq!(parked(&world).await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn what_our_own_programs_published_is_never_dropped() {
    let world = World::new().await;
    world.memory.faults().refuse_parking(6);
    for queue in [NORMAL, Queue::Receipts, Queue::GivenUp] {
        world.memory.broker().publish(queue, b"{".to_vec()).await.expect("memory takes it");
    }
    world.wait_ms(1_000).await;
    assert_eq!(parked(&world).await.len(), 3, "each came again until there was room");
}
