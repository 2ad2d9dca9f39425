//! One cause, one reaction: when receipts are late for everybody, nobody gets a second text or a call for it.

use otodoke_common::outcome::ReportStatus;
use otodoke_tests::carrier::{Reply, Script};
use otodoke_tests::world::World;

use crate::phone;

const OUTAGE_MS: u64 = 120_000;

/// Texts and calls beyond the first text of each.
fn extra(world: &World, people: u32) -> usize {
    (0..people).map(|person| world.phone(&phone(person))).map(|p| p.texts.len() + p.calls.len() - 1).sum()
}

async fn ask_all(world: &World, people: u32, apart_ms: u64) -> Vec<String> {
    let mut ids = Vec::new();
    for person in 0..people {
        ids.push(world.ask_for_code(&phone(person)).await);
        world.wait_ms(apart_ms).await;
    }
    ids
}

#[tokio::test(start_paused = true)]
async fn a_receipt_door_that_is_down_for_two_minutes_sends_nobody_a_second_text() {
    let world = World::new().await;
    let before = world.ask_for_code(&phone(1_000)).await;
    world.until_status(&before, "delivered").await;
    world.cut_receipts_off(true);
    let ids = ask_all(&world, 100, 0).await;
    world.wait_ms(OUTAGE_MS).await;
    assert_eq!(extra(&world, 100), 0);
    world.cut_receipts_off(false);
    world.wait_ms(15_000).await;
    for id in &ids {
        assert_eq!(world.message(id).await["status"], "delivered");
    }
    assert_eq!(extra(&world, 100), 0);
    assert!(world.metric("otp_overdue_held_back_total", &[]) > 0.0);
}

#[tokio::test(start_paused = true)]
async fn an_outage_in_the_middle_of_steady_traffic_sends_nobody_a_second_text() {
    let world = World::new().await;
    ask_all(&world, 40, 400).await;
    world.cut_receipts_off(true);
    for person in 40..140 {
        world.ask_for_code(&phone(person)).await;
        world.wait_ms(400).await;
    }
    world.wait_ms(OUTAGE_MS).await;
    world.cut_receipts_off(false);
    world.wait_ms(30_000).await;
    assert_eq!(extra(&world, 140), 0);
}

#[tokio::test(start_paused = true)]
async fn one_overdue_receipt_among_many_on_time_gets_its_second_text() {
    let world = World::new().await;
    let silent = phone(50);
    world.carrier("sakura").script(move |to, _| if to == silent { Script::silent() } else { Script::works() });
    ask_all(&world, 100, 20).await;
    world.wait_ms(20_000).await;
    assert_eq!(world.phone(&phone(50)).texts.len(), 2);
    assert_eq!(extra(&world, 100), 1);
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_a_burst_of_overdue_receipts_starts_nothing() {
    let mut world = World::new().await;
    world.cut_receipts_off(true);
    let ids = ask_all(&world, 100, 20).await;
    // No request is in hand any more: what is unknown may be repeated, what is silent may not.
    world.wait_ms(100).await;
    world.kill_worker();
    world.wait_ms(60_000).await;
    world.start_worker();
    world.wait_ms(60_000).await;
    assert_eq!(extra(&world, 100), 0, "a new process has heard nothing yet, so silence says nothing");
    world.cut_receipts_off(false);
    world.wait_ms(15_000).await;
    for id in &ids {
        assert_eq!(world.message(id).await["status"], "delivered");
    }
    assert_eq!(extra(&world, 100), 0);
}

#[tokio::test(start_paused = true)]
async fn once_receipts_come_again_silence_means_something_again() {
    let world = World::new().await;
    world.cut_receipts_off(true);
    ask_all(&world, 30, 0).await;
    world.wait_ms(60_000).await;
    world.cut_receipts_off(false);
    world.wait_ms(30_000).await;
    let silent = phone(500);
    world.carrier("sakura").script(move |to, _| if to == silent { Script::silent() } else { Script::works() });
    for person in 495..505 {
        world.ask_for_code(&phone(person)).await;
    }
    world.wait_ms(20_000).await;
    assert_eq!(world.phone(&phone(500)).texts.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_carrier_that_holds_receipts_back_and_says_underway_sends_nobody_a_second_text() {
    let world = World::new().await;
    let underway = ReportStatus::Underway { reference: None, at_operator: false };
    world.carrier("sakura").always(Script { asked: Some(underway), ..Script::silent() });
    ask_all(&world, 50, 20).await;
    world.wait_ms(OUTAGE_MS).await;
    assert_eq!(extra(&world, 50), 0);
    assert!(world.carrier("sakura").questions() > 50, "each was asked about before it was held back");
}

#[tokio::test(start_paused = true)]
async fn a_carrier_that_holds_receipts_back_on_a_quiet_route_sends_nobody_a_second_text() {
    let world = World::new().await;
    // Receipts are overdue after 3 s: as if one leg went out every 8 s on a route with 30 s of patience.
    ask_all(&world, 10, 800).await;
    let underway = ReportStatus::Underway { reference: None, at_operator: false };
    world.carrier("sakura").always(Script { asked: Some(underway), ..Script::silent() });
    for person in 10..160 {
        world.ask_for_code(&phone(person)).await;
        world.wait_ms(800).await;
    }
    assert_eq!(extra(&world, 160), 0);
}

#[tokio::test(start_paused = true)]
async fn a_carrier_that_answers_questions_late_holds_up_nobody_elses_retry() {
    const SILENT: u32 = 700;
    let world = World::new().await;
    let retried = phone(SILENT);
    let script = |silent: Script| {
        let retried = retried.clone();
        move |to: &str, times: usize| match (to == retried, times) {
            (true, 1) => Script::answers(Reply::NotSent),
            (true, _) => Script::works(),
            (false, _) => silent.clone(),
        }
    };
    world.carrier("sakura").script(script(Script::silent()));
    world.carrier("fuji").script(script(Script::works()));
    world.carrier("atlas").script(script(Script::works()));
    world.carrier("sakura").answers_questions_after(20_000);
    ask_all(&world, SILENT, 0).await;
    world.wait_ms(2_000).await;
    assert!(world.carrier("sakura").questions() < SILENT as usize / 2, "more are due than may ask");
    world.ask_for_code(&retried).await;
    world.wait_ms(3_000).await;
    assert_eq!(world.phone(&retried).texts.len(), 1, "its retry is a row that the sweep carries");
}
