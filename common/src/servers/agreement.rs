//! One time of day for all processes: the store's. Each measures how far it is off and corrects its own by that; a machine
//! whose clock is off too far is not ready, which is told elsewhere.

use tokio::time::Duration;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::postgres::Postgres;
use crate::time::Timestamp;

const MEASURE_EVERY_MS: u64 = 5_000;
/// An answer that took longer tells too little about the time.
const ROUND_TRIP_MS_MAX: u64 = 500;

pub(super) async fn follow(clock: &Clock, postgres: &Postgres, metrics: &Metrics, stop: &CancellationToken) {
    let every = Duration::from_millis(MEASURE_EVERY_MS);
    while stop.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
        stop.run_until_cancelled(agree(clock, postgres, metrics)).await;
    }
}

/// Asks once. Without an answer the last correction stays.
pub(super) async fn agree(clock: &Clock, postgres: &Postgres, metrics: &Metrics) {
    let asked_at = clock.now();
    match postgres.server_time().await {
        Ok(said) => {
            let sample = Sample { asked_at, said, heard_at: clock.now() };
            clock.correct(sample.correction_ms());
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
    /// The other clock was read somewhere in between: what is smaller than that doubt is no difference.
    fn correction_ms(&self) -> i64 {
        let trip_ms = self.heard_at.since_ms(self.asked_at);
        let doubt_ms = i64::try_from(trip_ms / 2).unwrap_or(i64::MAX);
        let ahead_ms = self.said.unix_ms() - self.asked_at.unix_ms().saturating_add(doubt_ms);
        if trip_ms > ROUND_TRIP_MS_MAX || ahead_ms.abs() <= doubt_ms + 1 { 0 } else { ahead_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check([asked_at, said, heard_at]: [i64; 3], correction_ms: i64) {
        let [asked_at, said, heard_at] = [asked_at, said, heard_at].map(Timestamp::from_unix_ms);
        assert_eq!(Sample { asked_at, said, heard_at }.correction_ms(), correction_ms);
    }

    #[test]
    fn a_clock_is_corrected_by_what_no_round_trip_explains() {
        check([1_000, 1_004, 1_010], 0);
        check([1_000, 1_011, 1_010], 0);
        check([1_000, 3_005, 1_010], 2_000);
        check([1_000, 5, 1_010], -1_000);
    }

    #[test]
    fn a_slow_answer_tells_nothing() {
        check([1_000, 9_000, 1_501], 0);
    }
}
