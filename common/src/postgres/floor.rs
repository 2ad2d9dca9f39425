//! Where a look for due messages begins: behind everything that was looked through already.
//!
//! While somebody holds a transaction open, entries of the due list that are long gone cannot be cleared away, and they lie
//! in front of those that count. A look that begins where the last one ended does not walk over them. No row is written
//! with a due time before its writer's time of day, so what comes later comes behind the floor, but for a writer that was
//! held up for longer than the slack: now and then a look begins at the very beginning, and finds that one too.

use std::sync::{Mutex, MutexGuard};

use crate::time::Timestamp;

/// From a writer's time of day until everybody sees its row; and how far two clocks may be apart.
const SLACK_MS: u64 = 10_000;
/// What came later than that waits no longer than this.
const WHOLE_EVERY_MS: u64 = 30_000;

/// What this process knows about the front of the due list.
#[derive(Default)]
pub(super) struct Floor {
    looked: Mutex<Option<Looked>>,
}

#[derive(Clone, Copy)]
struct Looked {
    floor: Timestamp,
    whole_at: Timestamp,
}

/// Before everything that can be due.
pub(super) const BOTTOM: Timestamp = Timestamp::from_unix_ms(i64::MIN);

impl Floor {
    /// Where a look at `now` begins.
    pub(super) fn start(&self, now: Timestamp) -> Timestamp {
        let is_whole = |looked: &Looked| now < looked.whole_at || now.since_ms(looked.whole_at) >= WHOLE_EVERY_MS;
        self.lock().filter(|looked| !is_whole(looked)).map_or(BOTTOM, |looked| looked.floor)
    }

    /// The same, for those who only count.
    pub(super) fn known(&self) -> Timestamp {
        self.lock().map_or(BOTTOM, |looked| looked.floor)
    }

    /// After a look that began at `start` and saw everything up to `seen`.
    pub(super) fn looked(&self, now: Timestamp, start: Timestamp, seen: Timestamp) {
        let floor = seen.min(now).minus_ms(SLACK_MS);
        let mut looked = self.lock();
        match (&mut *looked, start) {
            (Some(looked), start) if start != BOTTOM => looked.floor = floor,
            (looked, _) => *looked = Some(Looked { floor, whole_at: now }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Looked>> {
        self.looked.lock().expect("no code panics while it holds the floor")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_ms(1_790_000_000_000);

    #[test]
    fn the_first_look_and_one_now_and_then_begin_at_the_bottom() {
        let floor = Floor::default();
        assert_eq!(floor.start(NOW), BOTTOM);
        floor.looked(NOW, BOTTOM, NOW);
        for ms in (0..WHOLE_EVERY_MS).step_by(1_000) {
            let now = NOW.plus_ms(ms);
            let start = floor.start(now);
            assert!(start > BOTTOM, "after {ms} ms");
            floor.looked(now, start, now);
        }
        assert_eq!(floor.start(NOW.plus_ms(WHOLE_EVERY_MS)), BOTTOM);
        assert_eq!(floor.start(NOW.minus_ms(1)), BOTTOM, "a clock that was set back");
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
