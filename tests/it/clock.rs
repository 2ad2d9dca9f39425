//! A clock that jumps: nothing begins too late, nothing ends twice, nothing breaks. Delays within a process do not jump.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use otodoke_common::clock::Clock;
use otodoke_tests::carrier::Script;
use otodoke_tests::world::{Options, World};
use tokio::time::{Duration, sleep};

use crate::PHONE;

const TICK_MS: u64 = 25;

/// A world on a clock of the machine whose offset is ours: it follows simulated time and jumps when told to.
async fn jumping() -> (World, Arc<AtomicI64>) {
    let offset_ms = Arc::new(AtomicI64::new(0));
    let ticking = Arc::clone(&offset_ms);
    tokio::spawn(async move {
        loop {
            sleep(Duration::from_millis(TICK_MS)).await;
            ticking.fetch_add(i64::try_from(TICK_MS).expect("small"), Ordering::SeqCst);
        }
    });
    let clock = Clock::System { offset_ms: Arc::clone(&offset_ms) };
    (World::with(Options { clock: Some(clock), ..Options::default() }).await, offset_ms)
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_ahead_expires_what_is_over_and_starts_nothing() {
    let (world, offset_ms) = jumping().await;
    world.carrier("sakura").always(Script::silent());
    let id = world.ask_for_code(PHONE).await;
    world.until_status(&id, "submitted").await;
    offset_ms.fetch_add(3_600_000, Ordering::SeqCst);
    world.until_status(&id, "expired").await;
    world.wait_ms(60_000).await;
    let phone = world.phone(PHONE);
    assert_eq!((phone.texts.len(), phone.calls.len()), (1, 0));
    let code = phone.code().expect("the text arrived");
    assert_eq!(world.check(&id, &code).await.body["status"], "expired");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_back_delays_but_loses_and_doubles_nothing() {
    let (world, offset_ms) = jumping().await;
    for _ in 0..3 {
        let id = world.ask(serde_json::json!({"to": PHONE, "purpose": "login", "separate": true})).await;
        world.wait_ms(5).await;
        offset_ms.fetch_sub(30_000, Ordering::SeqCst);
        world.until_status(&id, "delivered").await;
        let code = world.phone(PHONE).code().expect("the text arrived");
        assert_eq!(world.check(&id, &code).await.body["status"], "verified");
    }
    world.wait_ms(60_000).await;
    assert_eq!(world.phone(PHONE).texts.len(), 3);
}
