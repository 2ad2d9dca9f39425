//! What went to no lane, because the broker took nothing: its rows carry it, and the sweeps work them off at a bounded rate.
//! So it waits too, and admission must know for how long.

use std::sync::{Mutex, MutexGuard};

use otodoke_common::policy::SWEEP_RELEASE_PER_S;
use otodoke_common::time::Timestamp;

/// Rows of one door that may wait for the sweeps, whatever they are useful for.
pub const SPILLED_MAX: u64 = 200_000;
const ROW_US: u64 = 1_000_000 / SWEEP_RELEASE_PER_S as u64;

/// Counted by each door for itself, as if the sweep of one worker were there for it alone: neither knows of the others.
#[derive(Debug, Default)]
pub struct Spill {
    level: Mutex<Level>,
}

/// How much waited when that was last looked at.
#[derive(Clone, Copy, Debug, Default)]
struct Level {
    wait_us: u64,
    at: Option<Timestamp>,
}

impl Level {
    /// Brought to `now`, which may be before the last look where the clock was set back: it goes on from there.
    fn wait_us(&mut self, now: Timestamp) -> u64 {
        let passed_us = self.at.map_or(0, |at| now.since_ms(at).saturating_mul(1_000));
        *self = Self { wait_us: self.wait_us.saturating_sub(passed_us), at: Some(now) };
        self.wait_us
    }
}

impl Spill {
    /// One more row waits.
    pub(crate) fn add(&self, now: Timestamp) {
        let mut level = self.lock();
        level.wait_us = level.wait_us(now).saturating_add(ROW_US);
    }

    /// How long a row that comes now is expected to wait, milliseconds.
    pub(crate) fn wait_ms(&self, now: Timestamp) -> u64 {
        self.lock().wait_us(now).div_ceil(1_000)
    }

    /// Whether no more may wait.
    pub(crate) fn is_full(&self, now: Timestamp) -> bool {
        self.lock().wait_us(now) >= SPILLED_MAX * ROW_US
    }

    fn lock(&self) -> MutexGuard<'_, Level> {
        self.level.lock().expect("no code panics while it holds the spill")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_ms(1_790_000_000_000);

    #[test]
    fn what_spilled_is_worked_off_at_the_rate_of_a_sweep() {
        let spill = Spill::default();
        assert_eq!(spill.wait_ms(NOW), 0);
        (0..SWEEP_RELEASE_PER_S * 2).for_each(|_| spill.add(NOW));
        assert_eq!(spill.wait_ms(NOW), 2_000);
        assert_eq!(spill.wait_ms(NOW.plus_ms(500)), 1_500);
        assert_eq!(spill.wait_ms(NOW.plus_ms(60_000)), 0);
    }

    #[test]
    fn whoever_comes_all_the_time_waits_for_what_comes_faster_than_it_goes() {
        let spill = Spill::default();
        (0..3_000).for_each(|ms| spill.add(NOW.plus_ms(ms)));
        let came_ms = 3_000 * ROW_US / 1_000;
        assert_eq!(spill.wait_ms(NOW.plus_ms(3_000)), came_ms - 3_000);
    }

    #[test]
    fn it_is_full_at_its_limit_and_has_room_again() {
        let spill = Spill::default();
        (1..SPILLED_MAX).for_each(|_| spill.add(NOW));
        assert!(!spill.is_full(NOW));
        spill.add(NOW);
        assert!(spill.is_full(NOW) && !spill.is_full(NOW.plus_ms(1_000)));
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_nobody_out() {
        let (spill, before) = (Spill::default(), NOW.minus_ms(3_600_000));
        (0..SPILLED_MAX).for_each(|_| spill.add(NOW));
        assert!(spill.is_full(before) && !spill.is_full(before.plus_ms(1_000)));
    }
}
