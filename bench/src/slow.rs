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
use crate::window::Window;

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

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Slow {
    pub(crate) alone_per_s: Spread,
    pub(crate) beside_per_s: Spread,
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
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..REPEATS {
        alone.push(pairs::pipeline(&house, &crowd, &window, &mut Latencies::default()).await?.per_s);
        let stop = CancellationToken::new();
        let callers = Callers::start(crowd.door, &crowd.api_key, CONNECTIONS).await?;
        let asking = at_rate(SLOW_PER_S, LOAD_S, |scheduled_us| {
            next_number += 1;
            callers.send(Ask { number: next_number, scheduled_us, body: body(next_number) });
        });
        let measuring = async {
            sleep(Duration::from_millis(ONSET_MS)).await;
            let measured = pairs::pipeline(&house, &crowd, &window, &mut Latencies::default()).await;
            stop.cancel();
            measured
        };
        let (_, measured) = tokio::join!(stop.run_until_cancelled(asking), measuring);
        beside.push(measured?.per_s);
        callers.end().await?;
        // Those that the slow one could not take end before the next turn.
        settle(&house).await?;
    }
    let ratio = Spread::of(alone.iter().zip(&beside).map(|(alone, beside)| ratio(*beside, *alone)));
    Ok(Slow { alone_per_s: Spread::of(alone), beside_per_s: Spread::of(beside), ratio })
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
