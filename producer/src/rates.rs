//! How fast lanes go: as this door sees it, as workers tell it, and as it was lately.

use std::sync::{Mutex, MutexGuard};

use otodoke_common::broker::{Backlog, Queue};
use otodoke_common::message::Lane;
use otodoke_common::throughput::{self, FRESH_MS, TELL_EVERY_MS, Throughput};
use otodoke_common::time::Timestamp;
use tokio::time::Duration;
use tokio_util::sync::CancellationToken;

use crate::door::Door;

/// A lane that stands still is thought to go on as fast as it went, for so long: a restart of its workers, or of their
/// store, takes less. After that nobody may be there to work it off.
pub const RATE_KEPT_MS: u64 = 60_000;
/// What is measured as workers stop falls from look to look, by theirs of the last five seconds, and is told and heard some
/// seconds later: for so long the faster one is kept.
const RATE_FALLS_MS: u64 = 6_000 + 3 * TELL_EVERY_MS;

/// Two who look at once may read the time in another order than they come here.
const SET_BACK_MS_MIN: u64 = 1_000;

/// What waits in a lane, and how fast it goes: as this door sees it or as workers tell, whichever is faster. What others put in
/// hides a part from the door, and a worker that could not tell is missing from what was told.
pub(crate) fn measured(door: &Door, lane: Lane) -> Backlog {
    let seen = door.broker.backlog(Queue::Lane(lane));
    Backlog { drained_per_s: faster(seen.drained_per_s, door.rates.heard(lane, door.now())), ..seen }
}

fn faster(seen: Option<f64>, heard: Option<f64>) -> Option<f64> {
    seen.into_iter().chain(heard).reduce(f64::max)
}

/// Hears what workers tell of their pace, until `stop`.
pub async fn follow_workers(door: &Door, stop: &CancellationToken) {
    let every = Duration::from_millis(TELL_EVERY_MS);
    while stop.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
        let now = door.now();
        match stop.run_until_cancelled(throughput::told(&*door.desk.store, now)).await {
            Some(Ok(told)) => door.rates.hear(&told, now),
            Some(Err(error)) => door.desk.metrics.store_error(&error),
            None => return,
        }
    }
}

/// How fast each lane went when that was last measured, and what was heard of workers.
#[derive(Debug, Default)]
pub struct Rates(Mutex<[Lately; Lane::ALL.len()]>);

#[derive(Clone, Copy, Debug, Default)]
struct Lately {
    known: Option<Rate>,
    heard: Option<Rate>,
}

#[derive(Clone, Copy, Debug)]
struct Rate {
    per_s: f64,
    at: Timestamp,
}

impl Rate {
    /// One from well after `now` is from before the clock was set back: nobody knows how old it is.
    fn is_younger(&self, now: Timestamp, than_ms: u64) -> bool {
        self.at.since_ms(now) < SET_BACK_MS_MIN && now.since_ms(self.at) < than_ms
    }
}

impl Rates {
    /// A lane that nobody told of has no rate.
    fn hear(&self, throughput: &Throughput, now: Timestamp) {
        let mut lanes = self.lock();
        for lane in Lane::ALL {
            lanes[lane as usize].heard = throughput.get(&lane).map(|per_s| Rate { per_s: *per_s, at: now });
        }
    }

    /// Nothing, where the last hearing was long ago.
    fn heard(&self, lane: Lane, now: Timestamp) -> Option<f64> {
        self.lock()[lane as usize].heard.filter(|heard| heard.is_younger(now, FRESH_MS)).map(|heard| heard.per_s)
    }

    /// The backlog with the rate that was measured lately, where none is measured now.
    pub(crate) fn known(&self, lane: Lane, backlog: Backlog, now: Timestamp) -> Backlog {
        let kept = &mut self.lock()[lane as usize].known;
        match backlog.drained_per_s.filter(|_| backlog.is_measured()) {
            Some(per_s) => {
                let faster = kept.filter(|rate| rate.per_s > per_s && rate.is_younger(now, RATE_FALLS_MS));
                *kept = faster.or(Some(Rate { per_s, at: now }));
                backlog
            }
            None => {
                *kept = kept.filter(|rate| rate.is_younger(now, RATE_KEPT_MS));
                Backlog { drained_per_s: kept.map(|rate| rate.per_s).or(backlog.drained_per_s), ..backlog }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, [Lately; Lane::ALL.len()]> {
        self.0.lock().expect("no code panics while it holds the rates")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission;

    #[test]
    fn a_lane_that_stands_still_goes_on_as_fast_as_it_went_for_a_while() {
        let (rates, now) = (Rates::default(), Timestamp::from_unix_ms(1_790_000_000_000));
        let known = |lane, per_s, now| {
            rates.known(lane, Backlog { waiting: 9_000, ahead: 0, drained_per_s: per_s }, now).drained_per_s
        };
        assert_eq!(known(Lane::Normal, Some(0.0), now), Some(0.0), "nothing was measured");
        assert_eq!(known(Lane::Normal, Some(5_000.0), now), Some(5_000.0));
        // As readings of the last seconds fall while workers stop.
        for (ms, per_s) in [(400, 4_000.0), (600, 2_000.0), (800, 100.0)] {
            assert_eq!(known(Lane::Normal, Some(per_s), now.plus_ms(ms)), Some(per_s), "what is measured counts");
        }
        for (ms, still) in [(1_000, Some(0.0)), (RATE_KEPT_MS - 1, None)] {
            assert_eq!(known(Lane::Normal, still, now.plus_ms(ms)), Some(5_000.0), "{ms}");
        }
        assert_eq!(known(Lane::Bulk, Some(0.0), now), Some(0.0), "each lane has its own");
        assert_eq!(known(Lane::Normal, Some(0.0), now.plus_ms(RATE_KEPT_MS)), Some(0.0));
        assert_eq!(known(Lane::Normal, Some(0.0), now), Some(0.0), "it is forgotten");
        let slower = now.plus_ms(RATE_FALLS_MS);
        assert_eq!(
            (known(Lane::Bulk, Some(900.0), now), known(Lane::Bulk, Some(9.0), slower)),
            (Some(900.0), Some(9.0))
        );
        assert_eq!(known(Lane::Bulk, None, slower.plus_ms(1)), Some(9.0), "it stayed slower");
    }

    #[test]
    fn by_a_rate_that_is_kept_what_workers_hold_counts_as_it_did() {
        let (rates, now) = (Rates::default(), Timestamp::from_unix_ms(1_790_000_000_000));
        let lane = |per_s| Backlog { waiting: 100, ahead: 900, drained_per_s: per_s };
        let waits_ms = |backlog| admission::wait_ms(rates.known(Lane::Normal, backlog, now));
        assert_eq!(waits_ms(lane(Some(0.0))), 2_000, "nothing was measured");
        assert_eq!(waits_ms(lane(Some(100.0))), 10_000);
        assert_eq!(waits_ms(lane(Some(0.0))), 10_000);
    }

    #[test]
    fn the_faster_of_what_is_seen_and_heard_counts() {
        for (seen, heard, counts) in [
            (None, None, None),
            (Some(0.0), None, Some(0.0)),
            (Some(0.0), Some(40.0), Some(40.0)),
            (Some(50.0), Some(40.0), Some(50.0)),
            (None, Some(40.0), Some(40.0)),
        ] {
            assert_eq!(faster(seen, heard), counts, "{seen:?}, {heard:?}");
        }
    }

    #[test]
    fn what_workers_told_counts_until_it_is_old_or_told_no_more() {
        let (rates, now) = (Rates::default(), Timestamp::from_unix_ms(1_790_000_000_000));
        rates.hear(&Throughput::from([(Lane::Normal, 400.0)]), now);
        assert_eq!([Lane::Normal, Lane::Bulk].map(|lane| rates.heard(lane, now)), [Some(400.0), None]);
        assert_eq!(rates.heard(Lane::Normal, now.plus_ms(FRESH_MS - 1)), Some(400.0));
        assert_eq!(rates.heard(Lane::Normal, now.plus_ms(FRESH_MS)), None);
        rates.hear(&Throughput::from([(Lane::Bulk, 3.0)]), now);
        assert_eq!([Lane::Normal, Lane::Bulk].map(|lane| rates.heard(lane, now)), [None, Some(3.0)]);
    }
}
