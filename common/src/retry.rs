//! Delays between attempts: doubling from the first to the last, spread by chance so that nobody retries in step.
//!
//! The only file that names `backoff`. That crate is unmaintained (RUSTSEC-2025-0012) and kept because our user named
//! it; nothing but its arithmetic is used: no clock of it decides, no randomness of it enters, and none of its retry
//! loops run. Whoever waits keeps the number of the attempt, so a delay is a pure function of attempt and roll.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;

pub const DELAY_MS_MAX: u64 = 24 * 60 * 60 * 1_000;

/// Past this many doublings every delay is the last one.
const DOUBLINGS_MAX: u32 = 40;
/// A delay is spread over 75 % to 125 % of itself.
const JITTER_PERMILLE: u64 = 250;

/// A schedule of delays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delays {
    first_ms: u64,
    last_ms: u64,
}

impl Delays {
    /// Both ends are brought into 1 ms to `DELAY_MS_MAX`; a last delay below the first one counts as the first.
    pub fn new(first_ms: u64, last_ms: u64) -> Self {
        let first_ms = first_ms.clamp(1, DELAY_MS_MAX);
        Self { first_ms, last_ms: last_ms.clamp(first_ms, DELAY_MS_MAX) }
    }

    /// How long to wait after attempt number `attempt` (from 1), spread by `roll` (a number from the dice).
    pub fn delay_ms(&self, attempt: u32, roll: u32) -> u64 {
        let middle_ms = self.without_jitter_ms(attempt);
        let spread_ms = middle_ms * JITTER_PERMILLE / 1_000;
        let above_least_ms = (2 * spread_ms + 1) * u64::from(roll) / (u64::from(u32::MAX) + 1);
        middle_ms - spread_ms + above_least_ms
    }

    fn without_jitter_ms(&self, attempt: u32) -> u64 {
        let mut schedule = ExponentialBackoff {
            current_interval: Duration::from_millis(self.first_ms),
            initial_interval: Duration::from_millis(self.first_ms),
            max_interval: Duration::from_millis(self.last_ms),
            multiplier: 2.0,
            randomization_factor: 0.0,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        for _ in 1..attempt.min(DOUBLINGS_MAX) {
            schedule.next_backoff();
        }
        let delay = schedule.next_backoff().expect("a schedule without a longest time never ends");
        u64::try_from(delay.as_millis()).unwrap_or(self.last_ms)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIDDLE: u32 = u32::MAX / 2;

    #[test]
    fn delays_double_from_the_first_to_the_last() {
        let delays = Delays::new(100, 1_000);
        let seen: Vec<u64> = (1..=6).map(|attempt| delays.delay_ms(attempt, MIDDLE)).collect();
        assert_eq!(seen, [100, 200, 400, 800, 1_000, 1_000]);
    }

    #[test]
    fn chance_spreads_a_delay_by_a_quarter_either_way() {
        let delays = Delays::new(1_000, 8_000);
        assert_eq!(delays.delay_ms(1, 0), 750);
        assert_eq!(delays.delay_ms(1, u32::MAX), 1_250);
        assert_eq!(delays.delay_ms(9, u32::MAX), 10_000);
    }

    #[test]
    fn ends_that_make_no_sense_are_brought_into_range() {
        assert_eq!(Delays::new(500, 100), Delays::new(500, 500));
        assert_eq!(Delays::new(0, u64::MAX), Delays::new(1, DELAY_MS_MAX));
    }

    proptest! {
        #[test]
        fn a_delay_stays_within_its_bounds(first: u64, last: u64, attempt: u32, roll: u32) {
            let delays = Delays::new(first, last);
            let ms = delays.delay_ms(attempt, roll);
            prop_assert!(ms >= delays.first_ms - delays.first_ms / 4);
            prop_assert!(ms <= delays.last_ms + delays.last_ms / 4);
        }
    }
}
