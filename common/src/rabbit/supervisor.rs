//! Keeps one generation alive: builds it, waits for its end, builds the next one after a growing delay, for ever.

use std::sync::Arc;

use tokio::time::{Duration, Instant};
use tracing::{info, warn};

use super::generation::Generation;
use super::{Link, Shared};
use crate::retry::Delays;

const FIRST_DELAY_MS: u64 = 100;
const LAST_DELAY_MS: u64 = 5_000;
/// A generation that lived so long was no failed attempt.
const STABLE_MS: u64 = 10_000;
/// For the whole of one attempt at one broker: two connections, the topology, all channels.
const OPEN_MS_MAX: u64 = 30_000;

pub(super) async fn run(shared: Arc<Shared>) {
    let delays = Delays::new(FIRST_DELAY_MS, LAST_DELAY_MS);
    let mut attempt = 0;
    // Whether an earlier connection has ended.
    let mut again = false;
    while let Some(opened) = shared.stop.run_until_cancelled(open(&shared)).await {
        match opened {
            Ok(generation) => {
                if let Some(metrics) = shared.telling.get().filter(|_| again) {
                    metrics.amqp_reconnected(&generation.broker);
                }
                let opened_at = Instant::now();
                let Some(why) = live(&shared, &generation).await else { break };
                warn!(why, broker = generation.broker, "the connection to the broker ended; it is built again");
                shared.link.send_replace(Link::Down { why });
                again = true;
                if opened_at.elapsed() >= Duration::from_millis(STABLE_MS) {
                    attempt = 0;
                }
            }
            Err(why) => {
                warn!(why, attempt, "no broker can be used; trying again");
                shared.link.send_replace(Link::Down { why });
            }
        }
        attempt += 1;
        let delay = Duration::from_millis(delays.delay_ms(attempt, shared.dice.roll()));
        if shared.stop.run_until_cancelled(tokio::time::sleep(delay)).await.is_none() {
            break;
        }
    }
    shared.link.send_replace(Link::Closed);
}

/// Until it ends, with the reason; `None` when it was closed because the process stops.
async fn live(shared: &Shared, generation: &Arc<Generation>) -> Option<String> {
    for drift in &generation.drifts {
        warn!(%drift, "something at the broker is not as this program would have made it");
    }
    info!(broker = generation.broker, "connected to the broker");
    shared.link.send_replace(Link::Up(Arc::clone(generation)));
    let over = async {
        tokio::select! {
            why = generation.over() => why,
            never = generation.each_blocked_change(|| shared.link.send_modify(|_| ())) => match never {},
        }
    };
    if let Some(why) = shared.stop.run_until_cancelled(over).await {
        generation.end(why.clone());
        // Of no use any more: the broker hands these out again.
        shared.intakes.values().for_each(|intake| intake.clear());
        return Some(why);
    }
    shared.link.send_replace(Link::Closed);
    generation.close().await;
    None
}

/// The first broker that can be used, in a shuffled order: processes spread over a cluster, also after it was down.
async fn open(shared: &Shared) -> Result<Arc<Generation>, String> {
    let mut addresses: Vec<_> = shared.addresses.iter().collect();
    for last in (1..addresses.len()).rev() {
        addresses.swap(last, shared.dice.roll() as usize % (last + 1));
    }
    let mut whys = Vec::new();
    for address in addresses {
        match tokio::time::timeout(Duration::from_millis(OPEN_MS_MAX), Generation::open(shared, address)).await {
            Ok(Ok(generation)) => return Ok(generation),
            Ok(Err(why)) => whys.push(why),
            Err(_) => whys.push(format!("{}: not ready within {OPEN_MS_MAX} ms", address.place())),
        }
    }
    Err(whys.join("; "))
}
