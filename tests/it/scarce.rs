//! A provider that bears less than is asked of it, beside one that is free, in the same lane.
//!
//! `sakura` answers at once. Korean numbers go by `fuji` alone, which thinks for two seconds and leaves five of its calls
//! to this lane; twice of what it bears is asked of it.

use std::collections::BTreeMap;

use otodoke_common::policy::SWEEP_RELEASE_PER_S;
use otodoke_common::route::{International, Plan};
use otodoke_tests::carrier::Script;
use otodoke_tests::world::{Options, World};
use otodoke_worker::Capacity;
use serde_json::json;

use crate::phone;

const THINKS_MS: u64 = 2_000;
const CALLS: u64 = 5;
const ASKED_EVERY_MS: u64 = 200;
/// For each Korean number.
const JAPANESE: u32 = 5;
/// Much more than it bears, while nobody asks for another.
const CROWD: usize = 1_500;
const CROWD_EVERY_MS: u64 = 50;
/// Of those for `sakura`, in the minutes before.
const BEFORE: u32 = 100;
/// As long as a delivery is held for a call that ends soon, and a few steps.
const HELD_MS: u64 = 60;

async fn world() -> World {
    world_with(Options::default().lanes).await
}

/// With so many deliveries in hand.
async fn world_with(lanes: usize) -> World {
    let capacity = Capacity { concurrency: 10, rate_per_s: 1_000 };
    let world = World::with(Options {
        capacities: BTreeMap::from([("fuji", capacity)]),
        korean: Some("fuji"),
        plan: Plan { international: International::Never, voice: false },
        release_per_s: SWEEP_RELEASE_PER_S,
        lanes,
        ..Options::default()
    });
    let world = world.await;
    world.carrier("fuji").always(Script { answer_after_ms: THINKS_MS, ..Script::works() });
    world
}

async fn ask(world: &World, to: &str) -> String {
    world.ask(json!({"to": to, "purpose": "notice", "text": "News.", "ttl_seconds": 3_600})).await
}

/// What is asked in so many seconds: by `fuji`, and by `sakura`.
async fn seconds(world: &World, seconds: u64) -> (Vec<String>, Vec<String>) {
    let (mut scarce, mut free) = (Vec::new(), Vec::new());
    let turns = u32::try_from(seconds * 1_000 / ASKED_EVERY_MS).expect("a few");
    for turn in 0..turns {
        scarce.push(ask(world, &format!("+8210{:08}", 20_000_000 + turn)).await);
        for person in 0..JAPANESE {
            free.push(ask(world, &phone(turn * JAPANESE + person)).await);
        }
        world.wait_ms(ASKED_EVERY_MS).await;
    }
    (scarce, free)
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_scarce_provider_holds_no_delivery_open() {
    let world = world().await;
    for _ in 0..10 {
        seconds(&world, 2).await;
        world.wait_ms(HELD_MS).await;
        assert_eq!(world.in_hand(), 0, "the rows carry what waits");
    }
    let (asked, sent) = (10 * 2_000 / ASKED_EVERY_MS, world.carrier("fuji").seen().len() as u64);
    assert!(sent + 16 < asked, "only {} of {asked} wait", asked - sent);
}

#[tokio::test(start_paused = true)]
async fn a_scarce_provider_holds_up_nobody_else_and_is_used_as_far_as_it_goes() {
    let world = world().await;
    let (scarce, free) = seconds(&world, 30).await;
    let sent = world.carrier("fuji").seen().len() as u64;
    let bears = 30_000 / THINKS_MS * CALLS;
    assert!(sent * 20 >= bears * 19, "{sent} calls of the {bears} it bears");
    world.wait_ms(1_000).await;
    for id in &free {
        assert_eq!(world.message(id).await["status"], "delivered");
    }
    world.wait_ms(60_000).await;
    for id in &scarce {
        assert_eq!(world.message(id).await["status"], "delivered");
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_come_after_a_crowd_for_a_scarce_provider_do_not_wait_for_it() {
    for lanes in [4, 64] {
        let world = world_with(lanes).await;
        for person in 0..BEFORE {
            ask(&world, &phone(person)).await;
            world.wait_ms(CROWD_EVERY_MS).await;
        }
        for person in 0..CROWD {
            ask(&world, &format!("+8210{:08}", 20_000_000 + person)).await;
            world.wait_ms(CROWD_EVERY_MS).await;
        }
        let sent = world.carrier("fuji").seen().len();
        assert!(sent * 4 < CROWD, "{sent} of {CROWD} went");
        for person in BEFORE..BEFORE + 50 {
            let asked_at = world.clock.now().unix_ms();
            let id = ask(&world, &phone(person)).await;
            world.until_status(&id, "delivered").await;
            let went_at = world.carrier("sakura").seen().last().expect("delivered").at_ms;
            assert!(went_at - asked_at < 100, "one waited {} ms with {lanes} in hand", went_at - asked_at);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_scarce_provider_outlives_its_worker() {
    let mut world = world().await;
    let (scarce, _) = seconds(&world, 10).await;
    world.kill_worker();
    world.start_worker();
    world.wait_ms(120_000).await;
    for id in &scarce {
        assert_eq!(world.message(id).await["status"], "delivered");
    }
}
