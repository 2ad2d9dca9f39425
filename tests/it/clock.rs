//! A clock that jumps: nothing begins too late, nothing ends twice, nothing breaks. Delays within a process do not jump.

use otodoke_common::clock::Clock;
use otodoke_tests::carrier::Script;
use otodoke_tests::world::{Options, World};

use crate::PHONE;

/// A world on a clock that follows simulated time and jumps when it is corrected.
async fn jumping() -> (World, Clock) {
    let clock = Clock::system();
    clock.correct(0);
    (World::with(Options { clock: Some(clock.clone()), ..Options::default() }).await, clock)
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_ahead_expires_what_is_over_and_starts_nothing() {
    let (world, clock) = jumping().await;
    world.carrier("sakura").always(Script::silent());
    let id = world.ask_for_code(PHONE).await;
    world.until_status(&id, "submitted").await;
    clock.correct(3_600_000);
    world.until_status(&id, "expired").await;
    world.wait_ms(60_000).await;
    let phone = world.phone(PHONE);
    assert_eq!((phone.texts.len(), phone.calls.len()), (1, 0));
    let code = phone.code().expect("the text arrived");
    assert_eq!(world.check(&id, &code).await.body["status"], "expired");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_back_delays_but_loses_and_doubles_nothing() {
    let (world, clock) = jumping().await;
    for _ in 0..3 {
        let id = world.ask(serde_json::json!({"to": PHONE, "purpose": "login", "separate": true})).await;
        world.wait_ms(5).await;
        clock.correct(-30_000);
        world.until_status(&id, "delivered").await;
        let code = world.phone(PHONE).code().expect("the text arrived");
        assert_eq!(world.check(&id, &code).await.body["status"], "verified");
    }
    world.wait_ms(60_000).await;
    assert_eq!(world.phone(PHONE).texts.len(), 3);
}
