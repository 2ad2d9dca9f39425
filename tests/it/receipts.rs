//! Receipts as they come in the world: early, late, doubled, by another name, forged, unreadable.

use otodoke_common::broker::Queue;
use otodoke_common::outcome::{About, Class, Proof, ReportStatus, Scope};
use otodoke_common::route::{International, Plan};
use otodoke_tests::carrier::{Reply, Script, refusal};
use otodoke_tests::world::{Options, World, id as parsed, legs};
use serde_json::json;

use crate::{PHONE, leg, phone};

fn failed(class: Class) -> ReportStatus {
    ReportStatus::Failed(refusal(class, Scope::Number))
}

#[tokio::test(start_paused = true)]
async fn a_receipt_that_comes_before_the_answer_counts() {
    let world = World::new().await;
    let early = Script { answer_after_ms: 2_000, ..Script::reports(&[(100, ReportStatus::Delivered)]) };
    world.carrier("sakura").always(early);
    let id = world.ask_for_code(PHONE).await;
    world.wait_ms(500).await;
    assert_eq!(world.message(&id).await["status"], "delivered", "nobody waits for the answer");
    world.wait_ms(30_000).await;
    assert_eq!(legs(&world.message(&id).await), [leg("sms", "sakura", "delivered")]);
    assert_eq!(world.phone(PHONE).texts.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failure_reported_before_the_answer_starts_the_next_leg_once() {
    let world = World::new().await;
    let early =
        Script { arrives: false, answer_after_ms: 2_000, ..Script::reports(&[(100, failed(Class::RecipientBlocked))]) };
    world.carrier("sakura").always(early);
    let id = world.ask_for_code(PHONE).await;
    world.until_status(&id, "delivered").await;
    world.wait_ms(30_000).await;
    assert_eq!(legs(&world.message(&id).await), [leg("sms", "sakura", "refused"), leg("voice", "kodama", "delivered")]);
    assert_eq!(world.phone(PHONE).calls.len(), 1);
}

/// Whoever sent the text keeps a copy of its row for the receipt; what was saved since must not be lost by it.
#[tokio::test(start_paused = true)]
async fn a_receipt_finds_what_happened_since_the_text_was_sent() {
    let world = World::new().await;
    world.carrier("sakura").always(Script::reports(&[(2_000, ReportStatus::Delivered)]));
    let (guessed, cancelled) = (world.ask_for_code(&phone(1)).await, world.ask_for_code(&phone(2)).await);
    for id in [&guessed, &cancelled] {
        world.until_status(id, "submitted").await;
    }
    let before = world.message(&guessed).await["guesses_left"].clone();
    world.check(&guessed, "000000").await;
    let left = world.message(&guessed).await["guesses_left"].clone();
    assert_ne!(before, left);
    world.post(&format!("/v1/verifications/{cancelled}/cancel"), json!({})).await;
    world.wait_ms(5_000).await;
    let message = world.message(&guessed).await;
    assert_eq!((&message["status"], &message["guesses_left"]), (&json!("delivered"), &left));
    assert_eq!(legs(&message), [leg("sms", "sakura", "delivered")]);
    let message = world.message(&cancelled).await;
    assert_eq!((&message["status"], legs(&message)), (&json!("cancelled"), vec![leg("sms", "sakura", "submitted")]));
    let late = world.trace(&cancelled).await.iter().filter(|line| line.to_string().contains("late")).count();
    assert_eq!(late, 1, "the receipt is in the journal, and undoes no end");
}

#[tokio::test(start_paused = true)]
async fn receipts_by_the_carriers_own_reference_find_their_leg_even_before_it_is_known() {
    for after_ms in [5, 100, 2_000] {
        let world = World::new().await;
        let by_reference = Script {
            by_reference: true,
            answer_after_ms: 1_000,
            ..Script::reports(&[(after_ms, ReportStatus::Delivered)])
        };
        world.carrier("sakura").always(by_reference);
        let id = world.ask_for_code(PHONE).await;
        world.wait_ms(2_500).await;
        assert_eq!(legs(&world.message(&id).await), [leg("sms", "sakura", "delivered")], "after {after_ms} ms");
        let counts = world.store.counts(world.clock.now()).await.expect("memory counts");
        assert_eq!(counts.inbox, 0, "what was matched waits no more");
    }
}

/// The answer is saved 1,000 ms after the request, and then the inbox is looked into: each step takes up to 10 ms.
#[tokio::test(start_paused = true)]
async fn a_worker_that_dies_between_an_answer_and_the_inbox_loses_no_receipt() {
    for killed_at_ms in (1_000..1_080).step_by(2) {
        let mut world = World::idle(Options { step_ms_max: 10, seed: killed_at_ms, ..Options::default() }).await;
        let by_reference =
            Script { by_reference: true, answer_after_ms: 1_000, ..Script::reports(&[(5, ReportStatus::Delivered)]) };
        world.carrier("sakura").always(by_reference);
        world.start_worker();
        let id = world.ask_for_code(PHONE).await;
        world.wait_ms(killed_at_ms).await;
        world.kill_worker();
        world.start_worker();
        world.until_status(&id, "delivered").await;
        world.wait_ms(60_000).await;
        let message = world.message(&id).await;
        // Killed before the answer was saved, nobody knows the reference: what may be out is not known then.
        if message["legs"][0]["outcome"] == "delivered" {
            assert_eq!(world.phone(PHONE).texts.len(), 1, "killed after {killed_at_ms} ms");
        } else {
            assert_eq!(message["legs"][0]["outcome"], "unknown", "killed after {killed_at_ms} ms: {message:#}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_reference_waits_in_the_inbox_and_is_matched_when_its_leg_comes() {
    let world = World::new().await;
    let sakura = world.carrier("sakura");
    sakura.always(Script { answer_after_ms: 1_000, ..Script::silent() });
    let waiting = async || world.store.counts(world.clock.now()).await.expect("memory counts").inbox;
    let id = world.ask_for_code(PHONE).await;
    world.wait_ms(100).await;
    for reference in ["ref-of-nobody", &format!("ref-{id}.1")] {
        let about = About::Reference(reference.to_owned());
        assert_eq!(sakura.post_report(about, ReportStatus::Delivered, Proof::Signature).await, 200);
    }
    world.wait_ms(500).await;
    assert_eq!(world.message(&id).await["status"], "sending", "nobody knows yet whose it is");
    assert_eq!(waiting().await, 2);
    assert!(world.metric("otp_receipt_matches_total", &["match=\"orphan\""]) >= 2.0);
    world.wait_ms(500).await;
    assert_eq!(legs(&world.message(&id).await), [leg("sms", "sakura", "delivered")]);
    assert_eq!(waiting().await, 1, "a reference of nobody matches nobody");
    let counts = world.store.counts(world.clock.now().plus_ms(5_000)).await.expect("memory counts");
    assert!((5_000..7_000).contains(&counts.oldest_inbox_ms), "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn receipts_twice_and_out_of_order_deliver_once() {
    let underway = ReportStatus::Underway { reference: None, at_operator: false };
    let orders: [&[(u64, ReportStatus)]; 4] = [
        &[(5, ReportStatus::Delivered), (300, ReportStatus::Delivered), (600, underway.clone())],
        &[(300, underway.clone()), (600, ReportStatus::Delivered), (900, ReportStatus::Delivered)],
        &[(300, ReportStatus::Delivered), (600, failed(Class::Absent)), (900, ReportStatus::Delivered)],
        &[(5, underway), (300, ReportStatus::Delivered), (300, ReportStatus::Delivered)],
    ];
    for (order, reports) in orders.into_iter().enumerate() {
        let world = World::new().await;
        world.carrier("sakura").always(Script::reports(reports));
        let id = world.ask_for_code(PHONE).await;
        world.wait_ms(20_000).await;
        assert_eq!(legs(&world.message(&id).await), [leg("sms", "sakura", "delivered")], "order {order}");
        assert!((world.metric("otp_receipts_total", &["status=\"delivered\""]) - 1.0).abs() < f64::EPSILON);
        assert_eq!(world.phone(PHONE).texts.len(), 1, "order {order}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_delivery_told_after_a_failure_stops_what_the_failure_began() {
    let world = World::new().await;
    let late = Script::reports(&[(300, failed(Class::Absent)), (4_500, ReportStatus::Delivered)]);
    world.carrier("sakura").always(late);
    world.carrier("fuji").always(Script::fails_later(Class::Absent));
    let id = world.ask_for_code(PHONE).await;
    world.wait_ms(60_000).await;
    let message = world.message(&id).await;
    assert_eq!(message["status"], "delivered", "{message:#}");
}

#[tokio::test(start_paused = true)]
async fn a_late_receipt_changes_nothing() {
    let world = World::new().await;
    let id = world.ask_for_code(PHONE).await;
    world.until_status(&id, "delivered").await;
    let code = world.phone(PHONE).code().expect("the text arrived");
    world.check(&id, &code).await;
    let before = world.message(&id).await;
    let about = About::Leg { id: parsed(&id), leg: 1 };
    for status in [failed(Class::RecipientBlocked), ReportStatus::Delivered, ReportStatus::Absent, ReportStatus::Hint] {
        assert_eq!(world.carrier("sakura").post_report(about.clone(), status, Proof::Signature).await, 200);
    }
    world.wait_ms(10_000).await;
    assert_eq!(world.message(&id).await, before);
    assert!(world.metric("otp_late_events_total", &[]) >= 1.0);
    assert_eq!(world.phone(PHONE).calls.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_receipt_without_proof_ends_nothing_starts_nothing_and_is_asked_about() {
    for status in [ReportStatus::Delivered, failed(Class::RecipientBlocked), failed(Class::OwnerChanged)] {
        let world = World::new().await;
        world.carrier("sakura").always(Script::silent());
        let id = world.ask_for_code(PHONE).await;
        let message = world.until_status(&id, "submitted").await;
        assert_eq!(world.carrier("sakura").questions(), 0);
        let about = About::Leg { id: parsed(&id), leg: 1 };
        world.carrier("sakura").post_report(about, status, Proof::Nothing).await;
        world.wait_ms(200).await;
        assert_eq!(world.message(&id).await, message, "only the provider's own answer could change it");
        assert_eq!(world.carrier("sakura").questions(), 1);
        assert_eq!(world.carrier("kodama").seen().len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hint_is_asked_about_and_the_answer_counts() {
    let world = World::new().await;
    let poke = Script {
        reports: vec![(300, ReportStatus::Hint, Proof::Nothing)],
        asked: Some(ReportStatus::Delivered),
        ..Script::works()
    };
    world.carrier("sakura").always(poke);
    let id = world.ask_for_code(PHONE).await;
    world.wait_ms(600).await;
    assert_eq!(world.message(&id).await["status"], "delivered");
    assert_eq!(world.carrier("sakura").questions(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_forged_hints_causes_a_few_questions_and_leaves_some_for_the_sweep() {
    let world = World::new().await;
    world.carrier("sakura").always(Script::silent());
    let id = world.ask_for_code(PHONE).await;
    world.until_status(&id, "submitted").await;
    let about = About::Leg { id: parsed(&id), leg: 1 };
    for _ in 0..500 {
        world.carrier("sakura").post_report(about.clone(), ReportStatus::Hint, Proof::Nothing).await;
    }
    world.wait_ms(100).await;
    let by_hints = world.carrier("sakura").questions();
    assert!((1..=4).contains(&by_hints), "{by_hints} questions");
    world.until(&id, |message| legs(message).len() > 1).await;
    let asked = world.carrier("sakura").questions();
    assert!(asked > by_hints && asked <= 6, "{asked} questions in all");
}

#[tokio::test(start_paused = true)]
async fn forged_hints_neither_delay_nor_hasten_what_is_due() {
    let overdue_at = |hints: usize| async move {
        let world = World::new().await;
        world.carrier("sakura").always(Script::silent());
        let id = world.ask_for_code(PHONE).await;
        world.until_status(&id, "submitted").await;
        for _ in 0..hints {
            let about = About::Leg { id: parsed(&id), leg: 1 };
            world.carrier("sakura").post_report(about, ReportStatus::Hint, Proof::Nothing).await;
            world.wait_ms(10).await;
        }
        world.until(&id, |message| legs(message).len() > 1).await;
        world.carrier("fuji").seen()[0].at_ms - world.carrier("sakura").seen()[0].at_ms
    };
    let (quiet, flooded) = (overdue_at(0).await, overdue_at(100).await);
    assert!((flooded - quiet).abs() < 200, "{quiet} ms without hints, {flooded} ms with them");
}

#[tokio::test(start_paused = true)]
async fn a_report_about_the_leg_of_another_provider_is_not_believed() {
    let world = World::new().await;
    world.carrier("sakura").always(Script::silent());
    let id = world.ask_for_code(PHONE).await;
    let message = world.until_status(&id, "submitted").await;
    let about = About::Leg { id: parsed(&id), leg: 1 };
    world.carrier("fuji").post_report(about, ReportStatus::Delivered, Proof::Signature).await;
    world.wait_ms(300).await;
    assert_eq!(world.message(&id).await, message);
}

#[tokio::test(start_paused = true)]
async fn garbage_is_refused_at_the_door_and_parked_behind_it() {
    let world = World::new().await;
    for body in [&b""[..], b"garbage", b"{\"v\":99}", &[0xff; 64]] {
        assert_eq!(world.post_raw("/receipts/sakura", body.to_vec()).await, 400);
    }
    assert_eq!(world.post_raw("/receipts/nobody", b"x".to_vec()).await, 404);
    assert_eq!(world.post_raw("/receipts/sakura", vec![b'x'; 32 << 20]).await, 413);
    let broker = world.memory.broker();
    broker.publish(Queue::Receipts, b"not a report".to_vec()).await.expect("memory takes it");
    world.wait_ms(100).await;
    let parked = broker.parked(10).await.expect("memory shows it");
    assert_eq!(parked.len(), 1);
    assert!(!parked[0].reason.is_empty());
    let id = world.ask_for_code(PHONE).await;
    world.until_status(&id, "delivered").await;
}

#[tokio::test(start_paused = true)]
async fn a_carrier_whose_answer_names_nothing_is_still_heard_by_our_own_tag() {
    let world = World::new().await;
    world.carrier("sakura").always(Script { answer: Reply::TakenNameless, ..Script::works() });
    let id = world.ask_for_code(PHONE).await;
    let message = world.until_status(&id, "delivered").await;
    assert_eq!(legs(&message), [leg("sms", "sakura", "delivered")]);
}

#[tokio::test(start_paused = true)]
async fn receipts_wait_at_the_carrier_while_the_broker_is_away() {
    let world = World::new().await;
    let id = world.ask_for_code(PHONE).await;
    world.until_status(&id, "submitted").await;
    world.memory.faults().set_broker_away(true);
    let about = About::Leg { id: parsed(&id), leg: 1 };
    let status = world.carrier("sakura").post_report(about, ReportStatus::Delivered, Proof::Signature).await;
    assert_eq!(status, 503, "2xx only when durable");
    world.memory.faults().set_broker_away(false);
    world.until_status(&id, "delivered").await;
    assert_eq!(world.phone(PHONE).texts.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_time_to_the_handset_is_the_providers_and_not_that_of_our_asking() {
    let world = World::new().await;
    let late = Script::reports(&[(2_900, ReportStatus::Delivered)]);
    world.carrier("sakura").always(Script { happened_after_ms: Some(1_000), ..late });
    let id = world.ask_for_code(PHONE).await;
    world.until_status(&id, "delivered").await;
    let to_handset_s = world.metric("otp_time_to_handset_seconds_sum", &["receipt_level=\"handset\""]);
    assert!((0.9..1.5).contains(&to_handset_s), "{to_handset_s} s");
    assert!(world.metric("otp_receipt_arrival_seconds_sum", &[]) >= 2.8, "when it came is told apart");
}

#[tokio::test(start_paused = true)]
async fn what_arrives_after_its_deadline_is_counted() {
    let never = Plan { international: International::Never, voice: false };
    let script = |happened_after_ms: u64| {
        let late = Script::reports(&[(65_000, ReportStatus::Delivered)]);
        Script { happened_after_ms: Some(happened_after_ms), ..late }
    };
    let world = World::with(Options { plan: never, ..Options::default() }).await;
    world.carrier("sakura").always(script(64_000));
    world.carrier("fuji").always(script(2_000));
    let ask = |to: &str| json!({"to": to, "purpose": "login", "ttl_seconds": 60});
    let id = world.ask(ask(PHONE)).await;
    world.wait_ms(140_000).await;
    assert_eq!(world.message(&id).await["legs"].as_array().map(Vec::len), Some(2));
    assert_eq!(world.metric("otp_arrived_late_total", &["jp-sakura", "clock=\"provider\""]), 1.0);
    assert_eq!(world.metric("otp_arrived_late_total", &["jp-fuji"]), 0.0, "only its receipt was late");
}
