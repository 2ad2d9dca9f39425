//! What the worker shows of itself: what is true now, and nothing where nobody knows.

use otodoke_common::outcome::{About, Proof, ReportStatus};
use otodoke_tests::carrier::{Reply, Script};
use otodoke_tests::world::{World, id as parsed};

use crate::phone;

/// Twice the time after which everything is shown again.
const SHOWN_MS: u64 = 10_000;

fn shows(world: &World, name: &str) -> bool {
    world.metrics.text().lines().any(|line| line.starts_with(&format!("{name} ")))
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_away_nobody_is_told_what_it_held_before() {
    let world = World::new().await;
    for away in [false, true, false] {
        world.memory.faults().set_store_away(away);
        world.wait_ms(SHOWN_MS).await;
        for gauge in ["otp_sweep_lag_seconds", "otp_messages_due", "otp_messages_live", "otp_receipt_orphans"] {
            assert_eq!(shows(&world, gauge), !away, "{gauge}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_whose_rest_is_over_is_shown_as_half_open_though_nobody_sends() {
    let world = World::new().await;
    let state = |word: &str| world.metric("otp_circuit_state", &["provider=\"sakura\"", &format!("state=\"{word}\"")]);
    world.carrier("sakura").always(Script::answers(Reply::NotSent));
    for person in 0..10 {
        world.ask_for_code(&phone(person)).await;
        world.wait_ms(20).await;
    }
    assert_eq!([state("closed"), state("half_open"), state("open")], [0.0, 0.0, 1.0]);
    world.wait_ms(120_000).await;
    assert_eq!([state("closed"), state("half_open"), state("open")], [0.0, 1.0, 0.0]);
}

#[tokio::test(start_paused = true)]
async fn what_matches_nothing_and_is_not_kept_is_no_orphan() {
    let world = World::new().await;
    let sakura = world.carrier("sakura");
    let matched = |word: &str| world.metric("otp_receipt_matches_total", &[&format!("match=\"{word}\"")]);
    let poke = About::Reference("ref-of-nobody".to_owned());
    assert_eq!(sakura.post_report(poke.clone(), ReportStatus::Hint, Proof::Nothing).await, 200);
    let gone = About::Leg { id: parsed("01939f3e-0000-7000-8000-000000000000"), leg: 1 };
    assert_eq!(sakura.post_report(gone, ReportStatus::Delivered, Proof::Signature).await, 200);
    world.wait_ms(1_000).await;
    assert_eq!((matched("unkept"), matched("orphan")), (2.0, 0.0));
    assert_eq!(sakura.post_report(poke, ReportStatus::Delivered, Proof::Signature).await, 200);
    world.wait_ms(1_000).await;
    assert_eq!((matched("unkept"), matched("orphan")), (2.0, 1.0));
}
