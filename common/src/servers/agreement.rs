//! One time of day for all processes: the store's. Each measures how far it is off and corrects its own by that; a machine
//! whose clock is off too far is not ready, which is told elsewhere.

use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::postgres::Postgres;
use crate::time::Timestamp;

const MEASURE_EVERY_MS: u64 = 5_000;
/// How often it is looked whether the machine's clock went another way than ours: it was set, or the machine slept and ours with it.
const LOOK_EVERY_MS: u64 = 500;
/// More than clocks drift apart from one measurement to the next.
const JUMP_MS: u64 = 1_000;
/// An answer that took longer tells too little about the time.
const ROUND_TRIP_MS_MAX: u64 = 500;

pub(super) async fn follow(clock: &Clock, postgres: &Postgres, metrics: &Metrics, stop: &CancellationToken) {
    let every = Duration::from_millis(LOOK_EVERY_MS);
    let (mut measured_at, mut offset_ms) = (Instant::now(), clock.offset_ms());
    while stop.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
        let jumped = clock.offset_ms().abs_diff(offset_ms) > JUMP_MS;
        if jumped || measured_at.elapsed() >= Duration::from_millis(MEASURE_EVERY_MS) {
            stop.run_until_cancelled(agree(clock, postgres, metrics)).await;
            (measured_at, offset_ms) = (Instant::now(), clock.offset_ms());
        }
    }
}

/// Asks once. Without an answer that tells enough everything stays as it is.
pub(super) async fn agree(clock: &Clock, postgres: &Postgres, metrics: &Metrics) {
    let asked_at = clock.now();
    match postgres.server_time().await {
        Ok(said) => {
            let sample = Sample { asked_at, said, heard_at: clock.now() };
            if let Some(by_ms) = sample.correction_ms() {
                clock.correct(by_ms);
            }
            metrics.clock_offset(clock.offset_ms());
        }
        Err(error) => metrics.store_error(&error),
    }
}

/// One question about the time, by our clock, and its answer by the other.
struct Sample {
    asked_at: Timestamp,
    said: Timestamp,
    heard_at: Timestamp,
}

impl Sample {
    /// The other clock was read somewhere in between: what is smaller than that doubt is no difference. `None` where that is too
    /// long.
    fn correction_ms(&self) -> Option<i64> {
        let trip_ms = self.heard_at.since_ms(self.asked_at);
        let doubt_ms = i64::try_from(trip_ms / 2).unwrap_or(i64::MAX);
        let ahead_ms = self.said.unix_ms() - self.asked_at.unix_ms().saturating_add(doubt_ms);
        (trip_ms <= ROUND_TRIP_MS_MAX).then_some(if ahead_ms.abs() <= doubt_ms + 1 { 0 } else { ahead_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check([asked_at, said, heard_at]: [i64; 3], correction_ms: Option<i64>) {
        let [asked_at, said, heard_at] = [asked_at, said, heard_at].map(Timestamp::from_unix_ms);
        assert_eq!(Sample { asked_at, said, heard_at }.correction_ms(), correction_ms);
    }

    #[test]
    fn a_clock_is_corrected_by_what_no_round_trip_explains() {
        check([1_000, 1_004, 1_010], Some(0));
        check([1_000, 1_011, 1_010], Some(0));
        check([1_000, 3_005, 1_010], Some(2_000));
        check([1_000, 5, 1_010], Some(-1_000));
    }

    #[test]
    fn a_slow_answer_tells_nothing() {
        check([1_000, 9_000, 1_501], None);
    }
}
