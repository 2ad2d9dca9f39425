//! Many messages, few permits: who goes first, who waits, who goes abroad, and what happens when carriers are down.

use std::collections::BTreeMap;

use otodoke_common::broker::Queue;
use otodoke_common::config::TenantSettings;
use otodoke_common::message::Lane;
use otodoke_common::outcome::{Class, ReportStatus, Scope};
use otodoke_common::policy::Policy;
use otodoke_common::route::{International, Plan};
use otodoke_tests::carrier::{Reply, Script};
use otodoke_tests::world::{Options, World, legs};
use otodoke_worker::Capacity;
use serde_json::{Value, json};

use crate::{leg, phone};

const CARRIERS: [&str; 3] = ["sakura", "fuji", "atlas"];

fn payment(to: &str) -> Value {
    json!({
        "to": to,
        "purpose": "payment",
        "transaction": {"amount": "500", "currency": "JPY", "payee": {"name": "SATO HANAKO", "account": "7654321"}},
    })
}

fn notice(to: &str) -> Value {
    json!({"to": to, "purpose": "notice", "text": "News.", "ttl_seconds": 36_000})
}

fn only_sakura(capacity: Capacity) -> BTreeMap<&'static str, Capacity> {
    BTreeMap::from([("sakura", capacity), ("fuji", Capacity { concurrency: 0, rate_per_s: 1 })])
}

async fn flood(world: &World, from: u32, people: u32, body: impl Fn(&str) -> Value) -> Vec<String> {
    let mut ids = Vec::new();
    for person in from..from + people {
        ids.push(world.ask(body(&phone(person))).await);
    }
    ids
}

fn login(to: &str) -> Value {
    json!({"to": to, "purpose": "login", "ttl_seconds": 1_800})
}

#[tokio::test(start_paused = true)]
async fn a_payment_overtakes_a_flood_of_logins() {
    let capacities = only_sakura(Capacity { concurrency: 5, rate_per_s: 10 });
    let world = World::with(Options { capacities, ..Options::default() }).await;
    flood(&world, 0, 300, login).await;
    world.wait_ms(2_000).await;
    let asked_at = world.clock.now().unix_ms();
    let id = world.ask(payment(&phone(5_000))).await;
    world.until_status(&id, "delivered").await;
    let took_ms = world.clock.now().unix_ms() - asked_at;
    assert!(took_ms < 1_000, "a payment took {took_ms} ms beside a flood that takes half a minute");
    assert!(world.carrier("sakura").seen().len() < 60, "the flood is still there");
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_notices_leaves_logins_and_payments_alone() {
    let capacities = only_sakura(Capacity { concurrency: 10, rate_per_s: 10 });
    let world = World::with(Options { capacities, ..Options::default() }).await;
    flood(&world, 0, 400, notice).await;
    world.wait_ms(2_000).await;
    for (body, longest_ms) in [(payment(&phone(5_000)), 1_000), (login(&phone(5_001)), 2_500)] {
        let asked_at = world.clock.now().unix_ms();
        let id = world.ask(body).await;
        world.until_status(&id, "delivered").await;
        let took_ms = world.clock.now().unix_ms() - asked_at;
        assert!(took_ms < longest_ms, "{took_ms} ms beside bulk");
    }
}

#[tokio::test(start_paused = true)]
async fn bulk_gets_through_while_logins_keep_coming_below_the_rate() {
    let capacities = only_sakura(Capacity { concurrency: 10, rate_per_s: 20 });
    let world = World::with(Options { capacities, ..Options::default() }).await;
    let ids = flood(&world, 0, 20, notice).await;
    for person in 0..100 {
        world.ask(login(&phone(1_000 + person))).await;
        world.wait_ms(100).await;
    }
    for id in ids {
        assert_eq!(world.message(&id).await["status"], "delivered");
    }
}

#[tokio::test(start_paused = true)]
async fn a_domestic_permit_is_waited_for_rather_than_going_abroad() {
    let capacities = only_sakura(Capacity { concurrency: 5, rate_per_s: 10 });
    let world = World::with(Options { capacities, ..Options::default() }).await;
    let ids = flood(&world, 0, 200, login).await;
    world.wait_ms(60_000).await;
    for id in &ids {
        assert_eq!(world.message(id).await["status"], "delivered");
    }
    assert_eq!(world.carrier("atlas").seen().len(), 0);
    assert_eq!(world.carrier("sakura").seen().len(), 200);
}

#[tokio::test(start_paused = true)]
async fn what_is_full_spills_abroad_only_where_the_plan_says_so() {
    for (international, abroad) in
        [(International::Spill, true), (International::Last, false), (International::Never, false)]
    {
        let capacities = only_sakura(Capacity { concurrency: 5, rate_per_s: 10 });
        let plan = Plan { international, voice: true };
        let world = World::with(Options { capacities, plan, ..Options::default() }).await;
        let ids = flood(&world, 0, 100, login).await;
        world.wait_ms(30_000).await;
        assert_eq!(!world.carrier("atlas").seen().is_empty(), abroad, "{international:?}");
        let told = "Leg 1 began: sms by route jp-atlas (cause: first; not by jp-sakura: its provider was busy; \
                    not by jp-fuji: its provider was busy).";
        let mut went_abroad = 0;
        for id in &ids {
            let trace = world.get(&format!("/v1/trace/{id}")).await.body;
            went_abroad +=
                trace["journal"].as_array().expect("a journal").iter().filter(|line| line["sentence"] == told).count();
        }
        assert_eq!(went_abroad, world.carrier("atlas").seen().len());
    }
}

#[tokio::test(start_paused = true)]
async fn with_every_domestic_route_down_texts_go_abroad_unless_the_plan_says_never() {
    for (international, last) in [(International::Last, "atlas"), (International::Never, "kodama")] {
        let plan = Plan { international, voice: true };
        let world = World::with(Options { plan, ..Options::default() }).await;
        for domestic in ["sakura", "fuji"] {
            world.carrier(domestic).always(Script::answers(Reply::NotSent));
        }
        let id = world.ask(json!({"to": phone(1), "purpose": "login", "ttl_seconds": 60})).await;
        world.wait_ms(70_000).await;
        let message = world.message(&id).await;
        let abroad = world.carrier("atlas").seen().len();
        assert_eq!(abroad > 0, last == "atlas", "{international:?}: {message:#}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_carrier_that_is_down_rests_is_probed_and_comes_back() {
    let world = World::new().await;
    world.carrier("sakura").always(Script::answers(Reply::NotSent));
    for person in 0..50 {
        world.ask(login(&phone(person))).await;
        world.wait_ms(20).await;
    }
    let while_down = world.carrier("sakura").seen().len();
    assert!(while_down <= 6, "it rests after a few failures, not after {while_down}");
    for person in 50..80 {
        world.ask(login(&phone(person))).await;
        world.wait_ms(1_000).await;
    }
    let probes = world.carrier("sakura").seen().len() - while_down;
    assert!((1..=6).contains(&probes), "{probes} probes in half a minute");
    assert_eq!(world.carrier("fuji").seen().len(), 80, "nobody waited for it");
    world.carrier("sakura").always(Script::works());
    // Its longest rest so far, and then a leg of its own rank: the probe, and everybody after it.
    world.wait_ms(40_000).await;
    let probe = world.ask(login(&phone(100))).await;
    world.until_status(&probe, "delivered").await;
    assert_eq!(legs(&world.message(&probe).await), [leg("sms", "sakura", "delivered")]);
    for id in flood(&world, 200, 10, login).await {
        world.until_status(&id, "delivered").await;
        assert_eq!(legs(&world.message(&id).await), [leg("sms", "sakura", "delivered")]);
    }
}

/// Every carrier treats every request so; afterwards everything has ended, and nothing began too late.
async fn all_carriers(script: Script) {
    let world = World::with(Options { step_ms_max: 3, ..Options::default() }).await;
    for carrier in CARRIERS.into_iter().chain(["kodama"]) {
        world.carrier(carrier).always(script.clone());
    }
    let mut ids = Vec::new();
    for (person, ttl_s) in [30, 30, 45, 60, 60, 90].into_iter().cycle().take(40).enumerate() {
        let to = phone(u32::try_from(person).expect("few people"));
        ids.push((world.ask(json!({"to": to, "purpose": "login", "ttl_seconds": ttl_s})).await, to, ttl_s));
        world.wait_ms(250).await;
    }
    world.wait_ms(120_000).await;
    for (id, to, ttl_s) in &ids {
        let message = world.message(id).await;
        assert!(["expired", "failed", "delivered"].iter().any(|word| message["status"] == *word), "{message:#}");
        let accepted_ms = otodoke_tests::world::id(id).0.get_timestamp().map(|at| {
            let (seconds, nanos) = at.to_unix();
            i64::try_from(seconds * 1_000 + u64::from(nanos) / 1_000_000).expect("a year before the flood of 64 bits")
        });
        let until_ms = accepted_ms.expect("an id holds its time") + ttl_s * 1_000;
        for carrier in CARRIERS.into_iter().chain(["kodama"]) {
            for seen in world.carrier(carrier).seen().iter().filter(|seen| seen.to == *to) {
                // Steps take up to 3 ms each: what is decided in time is out a few steps later.
                assert!(
                    seen.at_ms <= until_ms - 1_000 + 30,
                    "{carrier} began {} ms before the end",
                    until_ms - seen.at_ms
                );
                assert!(
                    i64::from(seen.validity_s) * 1_000 <= until_ms - seen.at_ms + 30,
                    "validity is never more than the rest"
                );
            }
        }
    }
    let counts = world.store.counts(world.clock.now()).await.expect("memory counts");
    assert_eq!((counts.live, counts.ended), (0, 40));
}

#[tokio::test(start_paused = true)]
async fn with_all_carriers_unreachable_everything_ends_and_nothing_begins_too_late() {
    all_carriers(Script::answers(Reply::NotSent)).await;
}

#[tokio::test(start_paused = true)]
async fn with_all_answers_lost_everything_ends_and_nothing_begins_too_late() {
    all_carriers(Script { arrives: false, ..Script::lost() }).await;
}

#[tokio::test(start_paused = true)]
async fn with_all_carriers_silent_everything_ends_and_nothing_begins_too_late() {
    all_carriers(Script {
        asked: Some(ReportStatus::Underway { reference: None, at_operator: false }),
        ..Script::silent()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn with_all_carriers_throttling_everything_ends_and_nothing_begins_too_late() {
    all_carriers(Script::answers(Reply::Refused(Class::Throttled, Scope::Provider))).await;
}

#[tokio::test(start_paused = true)]
async fn a_repeat_that_waits_for_a_permit_does_not_go_out_too_late() {
    // One call at a time, each of four seconds: a repeat waits for its permit beyond what was left.
    let capacities = BTreeMap::from([
        ("sakura", Capacity { concurrency: 0, rate_per_s: 1 }),
        ("fuji", Capacity { concurrency: 1, rate_per_s: 1_000 }),
    ]);
    let plan = Plan { international: International::Never, voice: false };
    let world = World::with(Options { capacities, plan, ..Options::default() }).await;
    world.carrier("fuji").always(Script { answer_after_ms: 4_000, ..Script::lost() });
    let mut until = BTreeMap::new();
    for person in 0..12 {
        let now = world.clock.now().unix_ms();
        world.ask(json!({"to": phone(person), "purpose": "login", "ttl_seconds": 30})).await;
        until.insert(phone(person), now + 30_000);
        world.wait_ms(700).await;
    }
    world.wait_ms(60_000).await;
    let seen = world.carrier("fuji").seen();
    assert!(seen.len() > 3);
    for seen in seen {
        let left_ms = until[&seen.to] - seen.at_ms;
        assert!(left_ms >= 1_000, "begun {left_ms} ms before the end");
        assert!(i64::from(seen.validity_s) * 1_000 <= left_ms, "{} s of validity, {left_ms} ms left", seen.validity_s);
    }
}

#[tokio::test(start_paused = true)]
async fn a_repeat_that_waits_for_a_permit_does_not_go_out_once_its_code_was_typed_back() {
    let capacities = BTreeMap::from([
        ("sakura", Capacity { concurrency: 0, rate_per_s: 1 }),
        ("fuji", Capacity { concurrency: 1, rate_per_s: 1_000 }),
    ]);
    let plan = Plan { international: International::Never, voice: false };
    let world = World::with(Options { capacities, plan, ..Options::default() }).await;
    let (verified, slow) = (phone(1), phone(2));
    let hog = slow.clone();
    world.carrier("fuji").script(move |to, _| {
        if to == hog { Script { answer_after_ms: 4_500, ..Script::works() } } else { Script::lost() }
    });
    let id = world.ask(login(&verified)).await;
    let other = world.ask(login(&slow)).await;
    world.until(&id, |message| message["legs"][0]["outcome"] == "unknown").await;
    // Its repeat is decided and waits for the one permit, which the slow call holds.
    world.until(&id, |message| message["legs"][0]["outcome"].is_null()).await;
    let code = world.phone(&verified).code().expect("the text arrived though its answer was lost");
    assert_eq!(world.check(&id, &code).await.body["status"], "verified");
    world.until_status(&other, "delivered").await;
    world.wait_ms(60_000).await;
    let repeats = world.carrier("fuji").seen().iter().filter(|seen| seen.to == verified).count();
    assert_eq!(repeats, 1, "nobody waits for the repeat any more");
}

#[tokio::test(start_paused = true)]
async fn of_all_who_wait_for_a_provider_one_probes_it() {
    let plan = Plan { international: International::Never, voice: false };
    let world = World::with(Options { plan, step_ms_max: 5, ..Options::default() }).await;
    for carrier in ["sakura", "fuji"] {
        world.carrier(carrier).always(Script::answers(Reply::NotSent));
    }
    flood(&world, 0, 8, login).await;
    world.wait_ms(1_000).await;
    let before = world.carrier("sakura").seen().len();
    world.carrier("sakura").always(Script { answer_after_ms: 2_000, ..Script::silent() });
    flood(&world, 100, 40, login).await;
    world.wait_ms(6_000).await;
    assert_eq!(world.carrier("sakura").seen().len() - before, 1, "the others wait for what the probe says");
    world.wait_ms(3_000).await;
    assert!(world.carrier("sakura").seen().len() - before > 10, "it works, so everybody goes");
}

#[tokio::test(start_paused = true)]
async fn what_a_spike_leaves_waiting_waits_in_its_lane_where_the_door_sees_it() {
    let capacities = BTreeMap::from([
        ("sakura", Capacity { concurrency: 64, rate_per_s: 50 }),
        ("fuji", Capacity { concurrency: 0, rate_per_s: 1 }),
    ]);
    let plan = Plan { international: International::Never, voice: false };
    let world = World::with(Options { capacities, plan, ..Options::default() }).await;
    for second in 0..4 {
        flood(&world, second * 250, 250, login).await;
        world.wait_ms(1_000).await;
    }
    let sent = world.carrier("sakura").seen().len() as u64;
    let waiting = world.memory.broker().backlog(Queue::Lane(Lane::Normal)).waiting;
    assert!((190..=220).contains(&sent), "{sent} of 50 per second");
    assert!(waiting >= 1_000 - sent - 100, "{waiting} wait in the lane, {sent} were sent of 1,000");
}

#[tokio::test(start_paused = true)]
async fn the_only_provider_is_used_as_far_as_it_goes_also_where_it_is_slow() {
    for lanes in [2, 4, 64] {
        let capacities = BTreeMap::from([
            ("sakura", Capacity { concurrency: 1_000, rate_per_s: 50 }),
            ("fuji", Capacity { concurrency: 0, rate_per_s: 1 }),
        ]);
        let plan = Plan { international: International::Never, voice: false };
        let world = World::with(Options { capacities, plan, lanes, ..Options::default() }).await;
        world.carrier("sakura").always(Script { answer_after_ms: 2_000, ..Script::works() });
        flood(&world, 0, 1_000, login).await;
        world.wait_ms(10_000).await;
        let sent = world.carrier("sakura").seen().len();
        assert!(sent >= 450, "{sent} of 500 with {lanes} in hand");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_provider_holds_no_place_of_the_lane() {
    let world = World::with(Options { lanes: 4, ..Options::default() }).await;
    world.carrier("sakura").always(Script { answer_after_ms: 3_000, ..Script::works() });
    flood(&world, 0, 40, login).await;
    world.wait_ms(1_000).await;
    assert_eq!(world.carrier("sakura").seen().len(), 40, "what is out is carried by its row");
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_hangs_holds_up_nobody_else() {
    let world = World::new().await;
    let hanging = phone(0);
    world.carrier("sakura").script(move |to, _| {
        if to == hanging { Script { answer_after_ms: 600_000, ..Script::silent() } } else { Script::works() }
    });
    let stuck = world.ask(login(&phone(0))).await;
    let ids = flood(&world, 1, 50, login).await;
    world.wait_ms(2_000).await;
    for id in ids {
        assert_eq!(world.message(&id).await["status"], "delivered");
    }
    world.until_status(&stuck, "delivered").await;
    assert!(world.phone(&phone(0)).texts.len() <= 2);
}

#[tokio::test(start_paused = true)]
async fn calls_stop_at_their_hourly_budget_and_texts_do_not() {
    let policy = Policy { calls_per_hour: 3, ..Options::default().policy };
    let world = World::with(Options { policy, ..Options::default() }).await;
    world.carrier("sakura").always(Script::refuses(Class::RecipientBlocked));
    let ids = flood(&world, 0, 10, login).await;
    world.wait_ms(30_000).await;
    assert_eq!(world.carrier("kodama").seen().len(), 3);
    let mut statuses = Vec::new();
    for id in &ids {
        statuses.push(world.message(id).await["status"].as_str().map(str::to_owned));
    }
    assert_eq!(statuses.iter().filter(|status| status.as_deref() == Some("delivered")).count(), 3);
    assert_eq!(
        statuses.iter().filter(|status| status.as_deref() == Some("failed")).count(),
        7,
        "told at once, not held"
    );
    world.wait_ms(3_600_000).await;
    let id = world.ask(login(&phone(100))).await;
    world.until_status(&id, "delivered").await;
    assert_eq!(world.carrier("kodama").seen().len(), 4, "an hour later there is a budget again");
}

#[tokio::test(start_paused = true)]
async fn a_tenant_may_raise_its_logins_to_the_critical_lane() {
    let tenant = TenantSettings { login_lane: Lane::Critical, ..TenantSettings::default() };
    let world = World::idle(Options { tenant, ..Options::default() }).await;
    world.ask(login(&phone(1))).await;
    world.ask(json!({"to": phone(1), "purpose": "signup"})).await;
    let waiting = |lane| world.memory.broker().backlog(Queue::Lane(lane)).waiting;
    assert_eq!((waiting(Lane::Critical), waiting(Lane::Normal)), (1, 1));
}
