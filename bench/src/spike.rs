//! A login spike: ten times as many people as the provider bears, for ten seconds, who press again when nothing came;
//! payments go on throughout. What matters is what the provider's scarce permits are spent on.

mod outcome;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use serde::Serialize;
use tokio::time::{Duration, sleep};

use crate::arrivals::Arrivals;
use crate::bed::Bed;
use crate::figures::Percentiles;
use crate::house::House;
use crate::house::settings::{Carrier, Layout};
use crate::load::number;
use crate::load::open::{Ask, Callers};
use crate::stopwatch::micros;

/// Codes the provider takes per second: 1x.
const CAPACITY_PER_S: u32 = 100;
const SPIKE_PER_S: u64 = 1_000;
const SPIKE_S: u64 = 10;
/// Payments: 5 % of the spike.
const CRITICAL_PER_S: u64 = 50;
/// Before it, so that there is something to hold the spike against.
const CALM_S: u64 = 15;
/// Of it, until connections are open and statements prepared: no calm to hold anything against.
const FIRST_S: u64 = 5;
/// After it, until everybody has a code or none: the last press was accepted at the latest then, and its time is over.
const AFTER_S: u64 = (PRESSES_MAX as u64 - 1) * PRESS_AGAIN_S + TTL_S as u64 + SETTLE_S;
/// For what is under way at the end.
const SETTLE_S: u64 = 3;
/// How long a code is useful, and how long somebody waits for it.
const TTL_S: u32 = 60;
const PRESS_AGAIN_S: u64 = 20;
const PRESSES_MAX: u32 = 3;
const CONNECTIONS: usize = 512;
const SECOND_US: u64 = 1_000_000;
const LOOK_MS: u64 = 2;
const ARRIVALS_EVERY_US: u64 = 250_000;
/// People who pay are not those who log in.
const PAYERS_FROM: u64 = 40_000_000;

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Spike {
    pub(crate) capacity_per_s: u32,
    pub(crate) people: u64,
    pub(crate) presses: u64,
    /// Presses that were refused at once.
    pub(crate) refused: u64,
    /// Messages that were accepted and never reached the carrier.
    pub(crate) accepted_in_vain: u64,
    /// Calls that the carrier got, refused ones too.
    pub(crate) permits: u64,
    pub(crate) throttled: u64,
    /// Of them those that brought somebody the first code in time.
    pub(crate) good: u64,
    pub(crate) goodput: f64,
    /// After the spike's end until nothing that was accepted waits any more.
    pub(crate) backlog_gone_s: f64,
    pub(crate) critical_calm: Percentiles,
    /// In the spike and after it, while its backlog is worked off; and of the spike's seconds alone.
    pub(crate) critical_spike: Percentiles,
    pub(crate) critical_rush: Percentiles,
    /// The worse of the two, milliseconds; and over the calm.
    pub(crate) critical_p99_ms: f64,
    pub(crate) critical_ratio: f64,
    /// Payments that the door refused, that it accepted and the carrier never got, and calls it answered with 429.
    pub(crate) critical_refused: u64,
    pub(crate) critical_in_vain: u64,
    pub(crate) critical_throttled: u64,
    /// Second by second: pressed, accepted, refused, with the carrier, waiting.
    pub(crate) seconds: Vec<Second>,
    /// Payments: when each was asked for, seconds; how long until the carrier had it, milliseconds.
    pub(crate) critical: Vec<(f64, f64)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Second {
    pub(crate) pressed: u64,
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    pub(crate) submitted: u64,
    pub(crate) waiting: u64,
}

/// When somebody presses, who, and for the how manieth time.
type Press = Reverse<(u64, u64, u32)>;

pub(crate) async fn measure(bed: &Bed) -> anyhow::Result<Spike> {
    let carrier = Carrier { rate_per_s: Some(CAPACITY_PER_S), ..Carrier::fast() };
    let house = House::open(bed, Layout { carriers: vec![carrier], ttl_s: TTL_S, ..Layout::default() }).await?;
    let callers = Callers::start(house.door.address()?, &house.api_key, CONNECTIONS).await?;
    let begun_us = micros();
    let mut presses = plan(begun_us);
    let carrier = house.carriers[0].address()?;
    let mut arrivals = Arrivals::default();
    let mut looked_at_us = begun_us;
    let ends_us = begun_us + (CALM_S + SPIKE_S + AFTER_S) * SECOND_US;
    while micros() < ends_us {
        while let Some(Reverse((at_us, person, count))) = presses.peek().copied()
            && at_us <= micros()
        {
            presses.pop();
            if arrivals.first_us.contains_key(&number(person)) {
                continue;
            }
            callers.send(Ask { number: number(person), scheduled_us: at_us, body: body(person) });
            if person < PAYERS_FROM && count < PRESSES_MAX {
                presses.push(Reverse((at_us + PRESS_AGAIN_S * SECOND_US, person, count + 1)));
            }
        }
        if micros() - looked_at_us >= ARRIVALS_EVERY_US {
            arrivals.ask(carrier).await?;
            looked_at_us = micros();
        }
        sleep(Duration::from_millis(LOOK_MS)).await;
    }
    let answers = callers.end().await?;
    arrivals.ask(carrier).await?;
    Ok(outcome::conclude(begun_us, &answers, &arrivals))
}

/// Everybody's first press.
fn plan(begun_us: u64) -> BinaryHeap<Press> {
    let spike_us = begun_us + CALM_S * SECOND_US;
    let people = (0..SPIKE_PER_S * SPIKE_S).map(|person| (spike_us + person * SECOND_US / SPIKE_PER_S, person, 1));
    let payments = (0..CRITICAL_PER_S * (CALM_S + SPIKE_S + AFTER_S))
        .map(|person| (begun_us + person * SECOND_US / CRITICAL_PER_S, PAYERS_FROM + person, 1));
    people.chain(payments).map(Reverse).collect()
}

fn body(person: u64) -> String {
    let to = number(person);
    let purpose = if person < PAYERS_FROM {
        "\"login\"".to_owned()
    } else {
        "\"payment\",\"transaction\":{\"amount\":\"12000\",\"currency\":\"JPY\",\
         \"payee\":{\"name\":\"YAMADA TARO\",\"account\":\"1234567\"}}"
            .to_owned()
    };
    format!("{{\"to\":\"+{to}\",\"ttl_seconds\":{TTL_S},\"purpose\":{purpose}}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spike_is_ten_times_what_the_provider_bears_and_payments_go_on_throughout() {
        assert_eq!(SPIKE_PER_S, 10 * u64::from(CAPACITY_PER_S));
        let mut presses = plan(0);
        let Some(Reverse((at_us, person, _))) = presses.pop() else { panic!("somebody presses") };
        assert!(at_us == 0 && person >= PAYERS_FROM, "a payment comes first");
        let people = presses.iter().filter(|Reverse((_, person, _))| *person < PAYERS_FROM).count();
        assert_eq!(people, 10_000);
    }

    #[test]
    fn what_is_asked_for_is_json() {
        for person in [0, PAYERS_FROM] {
            let body: serde_json::Value = serde_json::from_str(&body(person)).expect("JSON");
            assert_eq!(body["purpose"] == "payment", person >= PAYERS_FROM);
        }
    }
}
