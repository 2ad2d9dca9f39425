//! What is at rest and what is shown holds no code, no number and no text: a plain search finds nothing.

use otodoke_common::broker::Queue;
use otodoke_common::message::Lane;
use otodoke_common::outcome::Class;
use otodoke_common::wire::encode_row;
use otodoke_tests::carrier::Script;
use otodoke_tests::world::{Options, World, id as parsed};
use serde_json::json;

use crate::PHONE;

const SECRETS: [&str; 6] = ["9012345678", "YAMADA", "7654321", "Gate 7", "order-77", "12000"];

fn assert_clean(what: &str, bytes: &[u8], code: Option<&str>) {
    let text = String::from_utf8_lossy(bytes);
    for secret in SECRETS.into_iter().chain(code) {
        assert!(!text.contains(secret), "{what} holds {secret}");
    }
}

#[tokio::test(start_paused = true)]
async fn rows_queues_journals_and_metrics_hold_no_code_and_no_number() {
    let bodies = [
        json!({"to": PHONE, "purpose": "login", "metadata": {"order": "order-77"}}),
        json!({"to": PHONE, "purpose": "payment", "transaction":
            {"amount": "12000", "currency": "JPY", "payee": {"name": "YAMADA TARO", "account": "7654321"}}}),
        json!({"to": PHONE, "purpose": "notice", "text": "Gate 7 is closed."}),
    ];
    for body in bodies {
        let mut world = World::idle(Options::default()).await;
        world.carrier("sakura").always(Script { arrives: true, ..Script::fails_later(Class::RecipientBlocked) });
        world.memory.faults().set_store_away(false);
        let id = world.ask(body).await;
        let broker = world.memory.broker();
        let waits = |lane: &Lane| broker.backlog(Queue::Lane(*lane)).waiting > 0;
        let lane = Lane::ALL.into_iter().find(waits).expect("a lane holds what was accepted");
        let delivery = broker.take(Queue::Lane(lane)).await.expect("it waits");
        assert_clean("a queue", &delivery.body, None);
        drop(delivery);
        world.start_worker();
        world.until_status(&id, "delivered").await;
        let code = world.phone(PHONE).code();
        let code = code.as_deref();
        let row = world.store.load(parsed(&id)).await.expect("memory loads").expect("the row is there");
        assert_clean("a row", &encode_row(&row), code);
        let journal = world.store.journal(parsed(&id)).await.expect("memory tells");
        assert_clean("the journal", &serde_json::to_vec(&journal).expect("JSON"), code);
        assert_clean("the metrics", world.metrics.text().as_bytes(), code);
        assert_clean("the answer to GET", world.message(&id).await.to_string().as_bytes(), code);
        assert_clean("Debug", format!("{row:?}").as_bytes(), code);
    }
}

#[tokio::test(start_paused = true)]
async fn what_travels_without_a_store_is_sealed_too() {
    let world = World::idle(Options::default()).await;
    let warm = world.post("/v1/verifications", json!({"to": "+819087654321", "purpose": "login"})).await;
    assert_eq!(warm.status, 202);
    world.memory.faults().set_store_away(true);
    let broker = world.memory.broker();
    broker.take(Queue::Lane(Lane::Normal)).await.expect("the first waits").done().await.expect("memory settles");
    world.ask(json!({"to": PHONE, "purpose": "login", "metadata": {"order": "order-77"}})).await;
    let delivery = broker.take(Queue::Lane(Lane::Normal)).await.expect("the whole opening travels");
    assert_clean("a queue", &delivery.body, None);
}

#[tokio::test(start_paused = true)]
async fn the_number_is_erased_some_time_after_the_end() {
    let mut world = World::new().await;
    let id = world.ask_for_code(PHONE).await;
    world.until_status(&id, "delivered").await;
    world.post(&format!("/v1/verifications/{id}/cancel"), json!({})).await;
    world.stop_worker().await;
    world.wait_ms(24 * 3_600_000).await;
    world.start_worker();
    world.wait_ms(1_000).await;
    assert_eq!(world.message(&id).await["to"], "erased");
    let row = world.store.load(parsed(&id)).await.expect("memory loads").expect("the row is there");
    assert!(row.sealed.is_none());
}

/// As many are due as were accepted a day before, more than one look takes. A sweep that released so few a second would need
/// minutes for the second look.
#[tokio::test(start_paused = true)]
async fn erasures_are_no_releases() {
    let mut world = World::with(Options { release_per_s: 1, ..Options::default() }).await;
    let mut ended = Vec::new();
    for number in 0..300 {
        let id = world.ask_for_code(&format!("+8190123{number:05}")).await;
        world.post(&format!("/v1/verifications/{id}/cancel"), json!({})).await;
        ended.push(id);
    }
    world.stop_worker().await;
    world.wait_ms(24 * 3_600_000).await;
    world.start_worker();
    world.wait_ms(1_000).await;
    for id in ended {
        assert_eq!(world.message(&id).await["to"], "erased");
    }
}
