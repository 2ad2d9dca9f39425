//! One fault in a house full of messages, from the first request to the figures.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::figures::{Fault, Figures, Standing};
use crate::house::House;
use crate::load::ask;

/// Accepted and not ended when the fault strikes.
const MESSAGES: usize = 5_000;
/// Of those, delivered by then: one in this many.
const DELIVERED_PART: usize = 10;
/// Asked for while the fault lasts: one for this many.
const MEANWHILE_PART: usize = 10;
const SETTLE_S_MAX: u64 = 240;
const LOOK_MS: u64 = 500;

#[expect(clippy::disallowed_methods, reason = "how long a suite may take is no setting of the product")]
pub(crate) fn messages() -> usize {
    let wanted = std::env::var("OTODOKE_TEST_FAULT_MESSAGES").ok();
    wanted.map_or(MESSAGES, |wanted| wanted.parse().expect("OTODOKE_TEST_FAULT_MESSAGES is a number"))
}

/// Strikes when the door has accepted everybody and the workers have begun; more people ask while it lasts.
pub(crate) async fn try_fault(fault: &'static str, strike: impl AsyncFnOnce(&mut House)) -> Figures {
    try_fault_in(House::open().await, fault, strike).await
}

pub(crate) async fn try_fault_in(
    mut house: House,
    fault: &'static str,
    strike: impl AsyncFnOnce(&mut House),
) -> Figures {
    let begun = Instant::now();
    let mut accepted = ask(house.caller(), 0..messages()).await;
    let accepted_in_s = begun.elapsed().as_secs_f64();
    house.start_workers().await;
    until_settled(&house, messages() / DELIVERED_PART).await;
    let standing = Standing::of(&house);
    let (struck, delivered_before) = (Instant::now(), standing.settled());
    let meanwhile = tokio::spawn(ask(house.caller(), messages()..messages() + messages() / MEANWHILE_PART));
    strike(&mut house).await;
    accepted.add(meanwhile.await.expect("everybody is accepted in the end"));
    until_settled(&house, accepted.ids.len()).await;
    let settled_after_s = struck.elapsed().as_secs_f64();
    Figures::of(Fault { name: fault, accepted_in_s, delivered_before, settled_after_s }, &house, &accepted).await
}

/// The last of those who ask while the fault lasts.
pub(crate) fn last_person() -> usize {
    messages() + messages() / MEANWHILE_PART - 1
}

pub(crate) async fn until_settled(house: &House, enough: usize) {
    let begun = Instant::now();
    loop {
        let standing = Standing::of(house);
        if standing.settled() >= enough {
            return;
        }
        let waited_s = begun.elapsed().as_secs();
        assert!(waited_s < SETTLE_S_MAX, "not settled within {SETTLE_S_MAX} s: {standing:?} of {enough}");
        sleep(Duration::from_millis(LOOK_MS)).await;
    }
}
