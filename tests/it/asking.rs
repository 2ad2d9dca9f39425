//! Questions to a carrier: they count as its requests, and one that does not answer them holds up nobody else.
//!
//! `sakura` tells of what it delivered only where it is asked. Korean numbers go by `fuji` alone, which reports by itself.

use std::collections::BTreeMap;

use otodoke_common::outcome::{Class, Proof, ReportStatus};
use otodoke_common::policy::Policy;
use otodoke_common::route::{International, Plan};
use otodoke_tests::carrier::{Asking, Script};
use otodoke_tests::world::{Options, World, legs};
use otodoke_worker::Capacity;
use serde_json::json;

use crate::{PHONE, leg, phone};

const KOREANS: u32 = 20;
/// As a vendor's client gives up.
const HANGS_MS: u64 = 5_000;
const RATE_PER_S: u32 = 20;

fn options(capacity: Capacity) -> Options {
    let defaults = Options::default();
    Options {
        capacities: BTreeMap::from([("sakura", capacity)]),
        korean: Some("fuji"),
        plan: Plan { international: International::Never, voice: false },
        policy: Policy { ask_unasked_after_ms: 2_000, ..defaults.policy },
        ..defaults
    }
}

/// A poke, and the answer to the question that it causes.
fn polled(asking: Asking) -> Script {
    let reports = vec![(100, ReportStatus::Hint, Proof::Nothing)];
    Script { reports, asked: Some(ReportStatus::Delivered), asking, ..Script::works() }
}

async fn ask(world: &World, to: &str) -> String {
    world.ask(json!({"to": to, "purpose": "login", "ttl_seconds": 600})).await
}

/// Asks for a code for each of `KOREANS` people who were not asked for yet, and says how long it took until the last was delivered.
async fn koreans_ms(world: &World, from: u32) -> i64 {
    let asked_at = world.clock.now().unix_ms();
    let mut ids = Vec::new();
    for person in from..from + KOREANS {
        ids.push(ask(world, &format!("+8210{:08}", 20_000_000 + person)).await);
    }
    for id in &ids {
        world.until_status(id, "delivered").await;
    }
    world.clock.now().unix_ms() - asked_at
}

#[tokio::test(start_paused = true)]
async fn a_question_counts_for_the_rate_as_a_text_does() {
    let world = World::with(options(Capacity { concurrency: 64, rate_per_s: RATE_PER_S })).await;
    world.carrier("sakura").always(polled(Asking::AtOnce));
    world.carrier("fuji").always(Script::refuses(Class::Absent));
    let requests = || world.carrier("sakura").seen().len() + world.carrier("sakura").questions();
    for second in 0..10 {
        let before = requests();
        for person in 0..RATE_PER_S {
            ask(&world, &phone(second * RATE_PER_S + person)).await;
            world.wait_ms(1_000 / u64::from(RATE_PER_S)).await;
        }
        let begun = requests() - before;
        assert!(begun <= 23, "{begun} requests in a second, of the {RATE_PER_S} of the contract");
    }
    let asked = world.carrier("sakura").questions();
    assert!(asked > 50, "only {asked} questions beside the texts");
}

/// 2,100 pokes are more than the status consumer has in hand, and than the sweep has when they are asked about unasked.
#[tokio::test(start_paused = true)]
async fn a_carrier_that_hangs_when_asked_holds_up_nobody_elses_receipts_and_sweep() {
    let world = World::with(options(Capacity { concurrency: 64, rate_per_s: 10_000 })).await;
    world.carrier("sakura").always(polled(Asking::HangsMs(HANGS_MS)));
    for person in 0..2_100 {
        ask(&world, &phone(person)).await;
        world.wait_ms(1).await;
    }
    world.wait_ms(200).await;
    assert_eq!(world.carrier("sakura").seen().len(), 2_100, "all are out, and poked about");
    let by_receipt = koreans_ms(&world, 0).await;
    assert!(by_receipt < 1_000, "receipts were heard after {by_receipt} ms");
    // Now the sweep asks about all of them, and it repeats what was lost of `fuji`'s.
    world.carrier("fuji").script(|_, times| if times == 1 { Script::lost() } else { Script::works() });
    let by_sweep = koreans_ms(&world, KOREANS).await;
    assert!(world.carrier("fuji").seen().len() >= 60, "each of the lost ones was repeated");
    assert!(by_sweep < 2_500, "lost answers were cleared up after {by_sweep} ms");
}

#[tokio::test(start_paused = true)]
async fn a_carrier_that_is_asked_too_much_gets_no_texts_meanwhile_either() {
    let world = World::with(options(Capacity { concurrency: 64, rate_per_s: 1_000 })).await;
    world.carrier("sakura").always(polled(Asking::ThrottledMs(1_000)));
    ask(&world, PHONE).await;
    world.wait_ms(500).await;
    assert_eq!(world.carrier("sakura").questions(), 1);
    for person in 1..5 {
        ask(&world, &phone(person)).await;
    }
    world.wait_ms(300).await;
    assert_eq!((world.carrier("sakura").seen().len(), world.carrier("fuji").seen().len()), (1, 4));
    world.wait_ms(500).await;
    let id = ask(&world, &phone(5)).await;
    let message = world.until_status(&id, "submitted").await;
    assert_eq!(legs(&message), [leg("sms", "sakura", "submitted")], "it was left alone for long enough");
}
