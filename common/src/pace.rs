//! How soon one group follows another: each costs the servers nearly as much as a large one would, so small ones keep a pace.
//!
//! What comes after a pause goes at once, and so does a large group. In between, a moment's wait leaves the processors free
//! for everybody else's messages: without it a light load keeps a machine as busy as a heavy one.

use tokio::time::{Duration, Instant};

/// From the start of one group to the start of a small one.
pub(crate) const PACE_MS: u64 = 2;
/// From so many on a group is large: more company would save little.
pub(crate) const LARGE: usize = 32;

#[derive(Default)]
pub(crate) struct Pace {
    /// When a small group may follow the last one.
    next_at: Option<Instant>,
}

impl Pace {
    /// Until when a group of so many waits for company; `None` where it may go.
    pub(crate) fn hold(&self, count: usize, now: Instant) -> Option<Instant> {
        self.next_at.filter(|at| count < LARGE && now < *at)
    }

    /// When a small group may go that was held back, be that past or not. `None` before the first one.
    pub(crate) const fn next_at(&self) -> Option<Instant> {
        self.next_at
    }

    pub(crate) fn went(&mut self, now: Instant) {
        self.next_at = Some(now + Duration::from_millis(PACE_MS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_small_groups_that_follow_at_once_are_held() {
        let (start, ms) = (Instant::now(), Duration::from_millis(1));
        let mut pace = Pace::default();
        assert_eq!(pace.hold(1, start), None, "the first one");
        pace.went(start);
        let next_at = start + ms * 2;
        assert_eq!(pace.hold(1, start + ms), Some(next_at));
        assert_eq!(pace.hold(LARGE - 1, start + ms), Some(next_at));
        assert_eq!(pace.hold(LARGE, start), None);
        assert_eq!(pace.hold(1, next_at), None, "after a pause");
    }
}
