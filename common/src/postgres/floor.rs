//! Where a look for due messages begins: behind everything that was looked through already.
//!
//! While somebody holds a transaction open, entries of the due list that are long gone cannot be cleared away, and they lie
//! in front of those that count. A look that begins where the last one ended does not walk over them. No row is written
//! with a due time before its writer's time of day, so what comes later comes behind the floor, but for a writer that was
//! held up for longer than the slack: now and then a look begins a good deal earlier, and once in a while at the very
//! beginning, and finds that one too.

use std::sync::{Mutex, MutexGuard};

use crate::time::Timestamp;

/// From a writer's time of day until everybody sees its row; and how far two clocks may be apart.
const SLACK_MS: u64 = 10_000;
/// What came up to so much later waits for no longer than this.
const DEEP_MS: u64 = 300_000;
const DEEP_EVERY_MS: u64 = 30_000;
/// What came later still, for this.
const WHOLE_EVERY_MS: u64 = 600_000;

/// Of the two parts of the due list: what lives, and what has ended and is to be erased.
#[derive(Default)]
pub(super) struct Floors {
    pub(super) live: Floor,
    pub(super) ended: Floor,
}

/// What this process knows about the front of a part of the due list.
#[derive(Default)]
pub(super) struct Floor {
    looked: Mutex<Option<Looked>>,
}

#[derive(Clone, Copy)]
struct Looked {
    floor: Timestamp,
    deep_at: Timestamp,
    whole_at: Timestamp,
}

/// Before everything that can be due.
pub(super) const BOTTOM: Timestamp = Timestamp::from_unix_ms(i64::MIN);

impl Floor {
    /// Where a look at `now` begins.
    pub(super) fn start(&self, now: Timestamp) -> Timestamp {
        // A clock that was set back makes it time, too.
        let is_time = |at: Timestamp, every_ms| now < at || now.since_ms(at) >= every_ms;
        match *self.lock() {
            Some(looked) if is_time(looked.whole_at, WHOLE_EVERY_MS) => BOTTOM,
            Some(looked) if is_time(looked.deep_at, DEEP_EVERY_MS) => looked.floor.minus_ms(DEEP_MS),
            Some(looked) => looked.floor,
            None => BOTTOM,
        }
    }

    /// Where the next look would begin, for those who only count.
    pub(super) fn known(&self) -> Timestamp {
        self.lock().map_or(BOTTOM, |looked| looked.floor)
    }

    /// After a look that began at `start` and saw everything up to `seen`.
    pub(super) fn looked(&self, now: Timestamp, start: Timestamp, seen: Timestamp) {
        let floor = seen.min(now).minus_ms(SLACK_MS);
        let mut looked = self.lock();
        let before = looked.filter(|_| start > BOTTOM);
        let deep_at = before.filter(|before| start >= before.floor).map_or(now, |before| before.deep_at);
        *looked = Some(Looked { floor, deep_at, whole_at: before.map_or(now, |before| before.whole_at) });
    }

    fn lock(&self) -> MutexGuard<'_, Option<Looked>> {
        self.looked.lock().expect("no code panics while it holds the floor")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_ms(1_790_000_000_000);

    /// Where the looks of an hour begin, one a second, less the time of the look.
    fn starts() -> Vec<i64> {
        let floor = Floor::default();
        let mut starts = Vec::new();
        for now in (0..3_600).map(|second| NOW.plus_ms(second * 1_000)) {
            let start = floor.start(now);
            floor.looked(now, start, now);
            starts.push(start.unix_ms().saturating_sub(now.unix_ms()));
        }
        starts
    }

    #[test]
    fn a_look_begins_where_the_last_one_ended_but_now_and_then_deeper_and_at_the_bottom() {
        let starts = starts();
        let (near_ms, deep_ms) = (11_000, 311_000);
        assert_eq!(starts.iter().filter(|start| **start == -near_ms).count(), 3_600 - 120);
        assert_eq!(starts.iter().filter(|start| **start == -deep_ms).count(), 120 - 6);
        assert_eq!(starts.iter().filter(|start| **start < -deep_ms).count(), 6);
        assert!(starts[0] < -deep_ms, "the first one sees everything");
    }

    #[test]
    fn a_clock_that_was_set_back_sees_everything() {
        let floor = Floor::default();
        floor.looked(NOW, BOTTOM, NOW);
        assert_eq!(floor.start(NOW), NOW.minus_ms(SLACK_MS));
        assert_eq!(floor.start(NOW.minus_ms(1)), BOTTOM);
    }

    #[test]
    fn what_was_not_reached_is_looked_at_next_time() {
        let floor = Floor::default();
        let reached = NOW.minus_ms(60_000);
        floor.looked(NOW, BOTTOM, reached);
        assert_eq!(floor.start(NOW), reached.minus_ms(SLACK_MS));
        floor.looked(NOW, floor.start(NOW), NOW);
        assert_eq!(floor.start(NOW), NOW.minus_ms(SLACK_MS));
        assert_eq!(floor.known(), NOW.minus_ms(SLACK_MS));
    }
}
