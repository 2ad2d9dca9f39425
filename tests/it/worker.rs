//! The worker itself: what it cannot read, what breaks in its hands, how it stops, dies and starts again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use otodoke_common::broker::Queue;
use otodoke_common::code::{CodeKeys, revoke};
use otodoke_common::message::{End, Kid, Lane, Message, MessageId, State, Tag};
use otodoke_common::outcome::{About, Class, Proof, ReportStatus, Scope};
use otodoke_common::policy::Policy;
use otodoke_common::route::{International, Plan};
use otodoke_common::store::{Claim, ClaimKind, Opened, Opening};
use otodoke_common::wire::LaneMessage;
use otodoke_tests::carrier::{Reply, Script};
use otodoke_tests::world::{Options, World, id as parsed, legs};
use otodoke_worker::Capacity;
use serde_json::json;
use tokio::time::{Duration, sleep, timeout};

use crate::watched::Watched;
use crate::{PHONE, leg, phone};

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_parked_with_its_reason_and_the_lane_goes_on() {
    let world = World::new().await;
    let broker = world.memory.broker();
    let wake = LaneMessage::Wake { id: parsed("01939f3e-0000-7000-8000-000000000000") }.encode();
    let newer = String::from_utf8(wake).expect("JSON").replacen("\"v\":1", "\"v\":2", 1).into_bytes();
    for body in [b"garbage".to_vec(), Vec::new(), newer] {
        broker.publish(Queue::Lane(Lane::Normal), body).await.expect("memory takes it");
    }
    let id = world.ask_for_code(PHONE).await;
    world.until_status(&id, "delivered").await;
    let parked = broker.parked(10).await.expect("memory shows them");
    assert_eq!(parked.len(), 3);
    assert!(parked.iter().all(|parked| !parked.reason.is_empty()));
    assert!(parked[2].reason.contains("version 2"), "{}", parked[2].reason);
    let counted = world.metric("otp_dead_letters_total", &["queue=\"normal\""]);
    assert!((counted - 3.0).abs() < f64::EPSILON, "{counted} of 3 were counted");
}

#[tokio::test(start_paused = true)]
async fn an_old_copy_of_a_row_and_one_for_nobody_are_harmless() {
    let mut world = World::idle(Options::default()).await;
    let (broker, lane) = (world.memory.broker(), Queue::Lane(Lane::Normal));
    let (delivered, cancelled) = (world.ask_for_code(&phone(1)).await, world.ask_for_code(&phone(2)).await);
    let copy = async |id| {
        let row = world.store.load(parsed(id)).await.expect("memory loads").expect("a row");
        LaneMessage::Row(Box::new(row))
    };
    let (sent, stopped) = (copy(&delivered).await, copy(&cancelled).await);
    let LaneMessage::Row(mut nobodys) = sent.clone() else { panic!("a row was made") };
    nobodys.id = parsed("01939f3e-0000-7000-8000-000000000000");
    world.post(&format!("/v1/verifications/{cancelled}/cancel"), json!({})).await;
    world.start_worker();
    world.until_status(&delivered, "delivered").await;
    for body in [sent, stopped, LaneMessage::Row(nobodys)] {
        broker.publish(lane, body.encode()).await.expect("memory takes it");
    }
    world.wait_ms(5_000).await;
    assert_eq!(world.phone(&phone(1)).texts.len(), 1, "no second text");
    assert_eq!(world.phone(&phone(2)).texts.len(), 0, "it was cancelled before");
    assert_eq!((broker.backlog(lane).waiting, broker.parked(10).await.expect("memory shows them").len()), (0, 0));
    // All permits are back.
    let next = world.ask_for_code(&phone(3)).await;
    world.until_status(&next, "delivered").await;
}

#[tokio::test(start_paused = true)]
async fn a_wake_for_nobody_and_wakes_too_many_are_harmless() {
    let world = World::new().await;
    let broker = world.memory.broker();
    let wake = |id| LaneMessage::Wake { id }.encode();
    let nobody = parsed("01939f3e-0000-7000-8000-000000000000");
    broker.publish(Queue::Lane(Lane::Normal), wake(nobody)).await.expect("memory takes it");
    let id = world.ask_for_code(PHONE).await;
    for _ in 0..50 {
        broker.publish(Queue::Lane(Lane::Normal), wake(parsed(&id))).await.expect("memory takes it");
    }
    world.until_status(&id, "delivered").await;
    for _ in 0..50 {
        broker.publish(Queue::Lane(Lane::Bulk), wake(parsed(&id))).await.expect("memory takes it");
    }
    world.wait_ms(5_000).await;
    assert_eq!(world.phone(PHONE).texts.len(), 1);
    assert_eq!(broker.parked(10).await.expect("memory shows them").len(), 0);
    assert_eq!(broker.backlog(Queue::Lane(Lane::Normal)).waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_saved_before_its_next_leg_waits_for_a_permit() {
    let none = Capacity { concurrency: 0, rate_per_s: 1 };
    let mut world = World::with(Options { capacities: BTreeMap::from([("fuji", none)]), ..Options::default() }).await;
    world.carrier("sakura").always(Script::refuses(Class::Content));
    let id = world.ask_for_code(PHONE).await;
    world.wait_ms(1_000).await;
    world.kill_worker();
    world.start_worker();
    world.wait_ms(30_000).await;
    let message = world.message(&id).await;
    assert_eq!(legs(&message), [leg("sms", "sakura", "refused")], "what was said is known, and the wait goes on");
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_long_enough_is_deleted_as_fast_as_it_came() {
    let mut world = World::idle(Options::default()).await;
    let asked = world.ask_for_code(PHONE).await;
    let ended = State::Ended { end: End::Verified };
    let message = world.store.load(parsed(&asked)).await.expect("memory answers").expect("it is there");
    let message = Message { state: ended, due: None, ..message };
    let at = world.clock.now();
    for number in 0..10_000_u32 {
        let mut random = [9; 10];
        random[..4].copy_from_slice(&number.to_be_bytes());
        let mut tag = Tag([9; 32]);
        tag.0[..4].copy_from_slice(&number.to_be_bytes());
        let message = Message { id: MessageId::new(at, random), ..message.clone() };
        let claim = Claim { kind: ClaimKind::Key, tag, fingerprint: tag, until: at.plus_ms(1_000) };
        let opening = Opening { message, claims: vec![claim], spends: Vec::new(), notes: Vec::new(), at };
        assert_eq!(world.store.open(opening).await, Ok(Opened::New));
    }
    world.wait_ms(2_000).await;
    world.start_worker();
    world.wait_ms(35_000).await;
    let left = world.store.prune(world.clock.now(), at, at, usize::MAX).await;
    assert_eq!(left, Ok(0), "two looks, half a minute apart, are enough for all of them");
}

#[tokio::test(start_paused = true)]
async fn a_graceful_stop_loses_nothing() {
    let mut world = World::new().await;
    world.carrier("sakura").always(Script { answer_after_ms: 2_000, ..Script::works() });
    let mut ids = Vec::new();
    for person in 0..200 {
        ids.push(world.ask_for_code(&phone(person)).await);
    }
    world.wait_ms(1_000).await;
    let stopping = world.clock.now();
    world.stop_worker().await;
    assert!(world.clock.now().since_ms(stopping) <= 16_000);
    let sent = world.carrier("sakura").seen().len();
    assert!(sent < 200, "it stopped in the middle");
    world.wait_ms(5_000).await;
    assert_eq!(world.carrier("sakura").seen().len(), sent, "a worker that stopped sends nothing");
    world.start_worker();
    for id in &ids {
        world.until_status(id, "delivered").await;
    }
    for person in 0..200 {
        assert_eq!(world.phone(&phone(person)).texts.len(), 1, "nothing was in doubt, so nothing came twice");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_not_held_up_by_a_store_that_is_away() {
    let mut world = World::new().await;
    let broker = world.memory.broker();
    world.memory.faults().set_store_away(true);
    for person in 0..300 {
        let about = About::Reference(format!("ref-{person}"));
        world.carrier("sakura").post_report(about, ReportStatus::Delivered, Proof::Signature).await;
        let id = parsed("01939f3e-0000-7000-8000-000000000000");
        broker.publish(Queue::Lane(Lane::Normal), LaneMessage::Wake { id }.encode()).await.expect("memory takes it");
    }
    world.wait_ms(2_000).await;
    let stopping = world.clock.now();
    world.stop_worker().await;
    let took_ms = world.clock.now().since_ms(stopping);
    assert!(took_ms <= 16_000, "it took {took_ms} ms");
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_not_held_up_by_servers_that_say_nothing() {
    let mut world = World::new().await;
    let id = world.ask_for_code(PHONE).await;
    world.until_status(&id, "delivered").await;
    world.silence_around_worker();
    // By then the sweep, the gauges, the pruning and the look at the roots have each asked for something.
    sleep(Duration::from_secs(60)).await;
    let stopped = timeout(Duration::from_secs(2), world.stop_worker()).await;
    assert!(stopped.is_ok(), "something waits for an answer that will not come");
}

#[tokio::test(start_paused = true)]
async fn a_killed_worker_leaves_at_most_one_text_more_per_message_it_had_in_hand() {
    for killed_at_ms in [5, 20, 40, 80, 200, 400] {
        let mut world = World::idle(Options { step_ms_max: 8, ..Options::default() }).await;
        world.carrier("sakura").always(Script { answer_after_ms: 50, ..Script::works() });
        world.start_worker();
        let mut ids = Vec::new();
        for person in 0..100 {
            ids.push(world.ask_for_code(&phone(person)).await);
        }
        world.wait_ms(killed_at_ms).await;
        world.kill_worker();
        world.wait_ms(1_000).await;
        world.start_worker();
        for id in &ids {
            world.until_status(id, "delivered").await;
        }
        world.wait_ms(30_000).await;
        let texts: Vec<usize> = (0..100).map(|person| world.phone(&phone(person)).texts.len()).collect();
        assert!(texts.iter().all(|texts| (1..=2).contains(texts)), "killed after {killed_at_ms} ms: {texts:?}");
        let extra = texts.iter().sum::<usize>() - 100;
        let counted = world.metric("otp_duplicates_possible_total", &[]);
        assert!(counted >= f64::from(u32::try_from(extra).expect("few")), "{extra} more texts, {counted} counted");
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_sending_costs_only_its_own_message_a_while() {
    let world = World::new().await;
    let cursed = phone(7);
    world
        .carrier("sakura")
        .script(move |to, _| if to == cursed { Script::answers(Reply::Panics) } else { Script::works() });
    let mut ids = Vec::new();
    for person in 0..30 {
        ids.push(world.ask_for_code(&phone(person)).await);
    }
    world.wait_ms(1_000).await;
    for (person, id) in ids.iter().enumerate().filter(|(person, _)| *person != 7) {
        assert_eq!(world.message(id).await["status"], "delivered", "person {person}");
    }
    let message = world.until_status(&ids[7], "delivered").await;
    assert_eq!(legs(&message), [leg("sms", "sakura", "unknown"), leg("sms", "fuji", "delivered")]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_breaks_whoever_takes_it_is_parked_and_its_lane_goes_on() {
    let mut world = World::idle(Options::default()).await;
    let cursed = world.ask_for_code(&phone(0)).await;
    let store = Watched::over(&world.store, Some(parsed(&cursed)));
    world.replace_store_of_worker(Arc::new(store));
    world.start_worker();
    world.wait_ms(10_000).await;
    let id = world.ask_for_code(&phone(1)).await;
    world.until_status(&id, "delivered").await;
    let parked = world.memory.broker().parked(10).await.expect("memory shows it");
    assert_eq!(parked.len(), 1);
    assert!(parked[0].reason.contains("too often"), "{}", parked[0].reason);
}

#[tokio::test(start_paused = true)]
async fn the_worker_that_sent_a_text_hears_its_receipts_without_reading_the_row_again() {
    let mut world = World::idle(Options::default()).await;
    let store = Arc::new(Watched::over(&world.store, None));
    world.replace_store_of_worker(store.clone());
    world.start_worker();
    let renamed = ReportStatus::Underway { reference: Some("by another name".to_owned()), at_operator: false };
    let twice = [(1_000, renamed), (2_000, ReportStatus::Delivered)];
    world.carrier("sakura").always(Script::reports(&twice));
    let id = world.ask_for_code(PHONE).await;
    world.until_status(&id, "submitted").await;
    let loads = store.loads.load(Ordering::Relaxed);
    world.until_status(&id, "delivered").await;
    assert_eq!(store.loads.load(Ordering::Relaxed), loads);
    // One that is sent by another process is read.
    let id = world.ask_for_code(&phone(1)).await;
    world.until_status(&id, "submitted").await;
    world.kill_worker();
    world.start_worker();
    let loads = store.loads.load(Ordering::Relaxed);
    world.until_status(&id, "delivered").await;
    assert!(store.loads.load(Ordering::Relaxed) > loads);
}

#[tokio::test(start_paused = true)]
async fn a_receipt_that_comes_while_its_answer_is_saved_costs_no_reading_of_the_row() {
    let mut world = World::idle(Options::default()).await;
    let mut store = Watched::over(&world.store, None);
    store.save_ms = 50;
    let store = Arc::new(store);
    world.replace_store_of_worker(store.clone());
    world.start_worker();
    world.carrier("sakura").always(Script::reports(&[(30, ReportStatus::Delivered)]));
    let id = world.ask_for_code(PHONE).await;
    world.until_status(&id, "delivered").await;
    assert_eq!(store.loads.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn after_an_answer_the_inbox_is_read_only_where_a_receipt_may_wait_in_it() {
    let mut world = World::idle(Options::default()).await;
    let store = Arc::new(Watched::over(&world.store, None));
    world.replace_store_of_worker(store.clone());
    world.start_worker();
    for (number, looks) in [(0, 1), (1, 1)] {
        let id = world.ask_for_code(&phone(number)).await;
        world.until_status(&id, "delivered").await;
        assert_eq!(store.looks.load(Ordering::Relaxed), looks, "message {number}");
        world.carrier("sakura").tag_all();
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_without_the_root_of_a_code_leaves_it_to_one_that_has_it() {
    let mut world = World::idle(Options::default()).await;
    let id = world.ask_for_code(PHONE).await;
    let other = Kid::parse("k2").expect("a kid");
    let without = CodeKeys::new(other.clone(), vec![(other, vec![8; 32])]).expect("a long root");
    let with = world.replace_codes_of_worker(without);
    world.start_worker();
    world.wait_ms(30_000).await;
    assert_eq!(legs(&world.message(&id).await), [], "nothing was tried, and nothing is lost");
    world.stop_worker().await;
    world.return_codes_of_worker(with);
    world.start_worker();
    world.until_status(&id, "delivered").await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_takes_nothing_before_it_has_seen_which_roots_are_revoked() {
    let mut world = World::idle(Options::default()).await;
    let id = world.ask_for_code(PHONE).await;
    let kid = Kid::parse("k1").expect("a kid");
    let unlooked = CodeKeys::new(kid.clone(), vec![(kid, vec![7; 32])]).expect("a long root");
    world.replace_codes_of_worker(unlooked);
    world.memory.faults().crowd_settings(u32::MAX);
    world.start_worker();
    world.wait_ms(3_000).await;
    assert_eq!((legs(&world.message(&id).await), world.in_hand()), (vec![], 0));
    world.memory.faults().crowd_settings(0);
    world.until_status(&id, "delivered").await;
    assert_eq!(legs(&world.message(&id).await).len(), 1, "no leg was used up");
}

#[tokio::test(start_paused = true)]
async fn what_waits_when_its_root_is_revoked_ends_without_a_leg() {
    let mut world = World::idle(Options::default()).await;
    let id = world.ask_for_code(PHONE).await;
    revoke(&*world.store, &Kid::parse("k1").expect("a kid")).await.expect("memory takes it");
    world.carrier("sakura").always(Script::works());
    world.start_worker();
    let message = world.until_status(&id, "failed").await;
    assert_eq!((message["failure"]["reason"].as_str(), legs(&message)), (Some("revoked"), vec![]));
    assert_eq!(world.phone(PHONE).texts.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_store_away_for_a_minute_delays_and_loses_nothing() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for person in 0..50 {
        ids.push(world.ask_for_code(&phone(person)).await);
        world.wait_ms(10).await;
    }
    world.memory.faults().set_store_away(true);
    world.wait_ms(60_000).await;
    world.memory.faults().set_store_away(false);
    for id in &ids {
        world.until_status(id, "delivered").await;
    }
    for person in 0..50 {
        let texts = world.phone(&phone(person)).texts.len();
        assert!((1..=2).contains(&texts), "{texts} texts");
    }
}

#[tokio::test(start_paused = true)]
async fn retries_grow_to_the_last_delay_of_the_policy_and_nobody_retries_in_step() {
    let policy = Policy { retry_first_ms: 6_000, retry_last_ms: 12_000, ..Options::default().policy };
    let plan = Plan { international: International::Never, voice: false };
    let world = World::with(Options { policy, plan, ..Options::default() }).await;
    world.carrier("sakura").always(Script::answers(Reply::Refused(Class::Throttled, Scope::Number)));
    world.carrier("fuji").always(Script::answers(Reply::Refused(Class::Content, Scope::Message)));
    for person in 0..2 {
        world.ask(json!({"to": phone(person), "purpose": "login"})).await;
    }
    world.wait_ms(120_000).await;
    let pauses = |person: u32| {
        let seen = world.carrier("sakura").seen();
        let times: Vec<i64> = seen.iter().filter(|seen| seen.to == phone(person)).map(|seen| seen.at_ms).collect();
        times.windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<_>>()
    };
    let (one, other) = (pauses(0), pauses(1));
    assert!(one.len() > 5, "{one:?}");
    let longest = *one.iter().max().expect("there are pauses");
    assert!((9_000..17_000).contains(&longest), "the last delay is 12 s, give or take a quarter and a sweep: {one:?}");
    assert!(one[0] < 10_000, "the first is 6 s: {one:?}");
    assert_ne!(one, other, "each by its own chance");
}
