//! One provider that thinks for two seconds beside one that answers at once: how much of the fast one's rate is left.
//!
//! Each carries the numbers of its own country, in the same lane. More is asked of the slow one than it bears.

use std::sync::Arc;

use serde::Serialize;
use tokio::time::{Duration, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::arrivals::Arrivals;
use crate::bed::Bed;
use crate::figures::{Latencies, Spread, ratio};
use crate::house::House;
use crate::house::settings::{Carrier, Layout};
use crate::load::Crowd;
use crate::load::open::{Ask, Callers, at_rate};
use crate::pairs;
use crate::plan::Plan;
use crate::window::{Measured, Window};

const DELAY_MS: u64 = 2_000;
/// As providers usually allow; at two seconds each it bears eight a second.
const CONCURRENCY: u32 = 16;
const SLOW_PER_S: f64 = 20.0;
const CONNECTIONS: usize = 16;
const REPEATS: usize = 3;
/// Of the slow one's load before the window: half its messages' lives, by then hundreds of them wait.
const ONSET_MS: u64 = 30_000;
/// Korean mobile numbers.
const FIRST_NUMBER: u64 = 821_020_000_000;
/// Longer than any window; the load is let go of before.
const LOAD_S: f64 = 600.0;
/// Of useful time: what the slow one cannot take in time shall end, not pile up.
const TTL_S: u32 = 60;
const QUIET_MS: u64 = 3 * DELAY_MS;
const SETTLE_MS_MAX: u64 = 90_000;

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Slow {
    /// Before the first window beside the slow one, and after each.
    pub(crate) alone: Vec<Measured>,
    pub(crate) beside: Vec<Measured>,
    /// Of each window beside the slow one over the two alone around it: minutes lie between them, and machines drift.
    pub(crate) ratio: Spread,
}

pub(crate) async fn measure(bed: &Bed, plan: &Plan) -> anyhow::Result<Slow> {
    let slow = Carrier { name: "slow", country: "KR", rate_per_s: None, concurrency: CONCURRENCY, delay_ms: DELAY_MS };
    let house = House::open(bed, Layout { carriers: vec![Carrier::fast(), slow], ..Layout::default() }).await?;
    let crowd = Arc::new(Crowd::new(house.door.address()?, &house.api_key, house.layout.ttl_s));
    let window = Window {
        warm_up_ms: plan.warm_up_ms,
        measured_ms: plan.measured_ms,
        watched: house.watched(),
        client: Some(Arc::clone(&house.bed.client)),
    };
    let mut next_number = FIRST_NUMBER;
    let fast = async || pairs::pipeline(&house, &crowd, &window, &mut Latencies::default()).await;
    let (mut alone, mut beside) = (vec![fast().await?], Vec::new());
    for _ in 0..REPEATS {
        let stop = CancellationToken::new();
        let callers = Callers::start(crowd.door, &crowd.api_key, CONNECTIONS).await?;
        let asking = at_rate(SLOW_PER_S, LOAD_S, |scheduled_us| {
            next_number += 1;
            callers.send(Ask { number: next_number, scheduled_us, body: body(next_number) });
        });
        let measuring = async {
            sleep(Duration::from_millis(ONSET_MS)).await;
            let measured = fast().await;
            stop.cancel();
            measured
        };
        let (_, measured) = tokio::join!(stop.run_until_cancelled(asking), measuring);
        beside.push(measured?);
        callers.end().await?;
        // Those that the slow one could not take end before the next turn.
        settle(&house).await?;
        alone.push(fast().await?);
    }
    Ok(Slow { ratio: ratios(&alone, &beside), alone, beside })
}

fn ratios(alone: &[Measured], beside: &[Measured]) -> Spread {
    let around = alone.windows(2).map(|pair| f64::midpoint(pair[0].per_s, pair[1].per_s));
    Spread::of(beside.iter().zip(around).map(|(beside, alone)| ratio(beside.per_s, alone)))
}

/// Until the slow one has had no call for a while.
async fn settle(house: &House<'_>) -> anyhow::Result<()> {
    let carrier = house.carriers[1].address()?;
    let mut arrivals = Arrivals::default();
    let mut before = usize::MAX;
    let quiet = async {
        while before != arrivals.all.len() {
            before = arrivals.all.len();
            sleep(Duration::from_millis(QUIET_MS)).await;
            arrivals.ask(carrier).await?;
        }
        anyhow::Ok(())
    };
    timeout(Duration::from_millis(SETTLE_MS_MAX), quiet).await.unwrap_or(Ok(()))
}

fn body(number: u64) -> String {
    format!("{{\"to\":\"+{number}\",\"purpose\":\"login\",\"ttl_seconds\":{TTL_S}}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_held_against_those_around_it() {
        let rates =
            |all: &[f64]| all.iter().map(|&per_s| Measured { per_s, ..Measured::default() }).collect::<Vec<_>>();
        let of_a_machine_that_slows_down = ratios(&rates(&[4_000.0, 3_000.0, 2_000.0]), &rates(&[3_500.0, 2_500.0]));
        assert_eq!(of_a_machine_that_slows_down, Spread { median: 1.0, least: 1.0, most: 1.0 });
        let of_one_in_the_way = ratios(&rates(&[4_000.0, 4_000.0, 4_000.0]), &rates(&[2_000.0, 3_000.0]));
        assert_eq!(of_one_in_the_way, Spread { median: 0.625, least: 0.5, most: 0.75 });
    }
}
