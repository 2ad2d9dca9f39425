//! How soon one group follows another: each costs the servers nearly as much as a large one would, so small ones keep a pace.
//!
//! What comes after a pause goes at once, and so does a large group. In between, a moment's wait leaves the processors free
//! for everybody else's messages: without it a light load keeps a machine as busy as a heavy one.

use tokio::time::{Duration, Instant};

/// From the start of one group to the start of a small one, at least: a timer may be a millisecond late. Whoever asks for one
/// thing after the other is held back as well.
pub(crate) const PACE_MS: u64 = 2;
/// From so many on a group is large: more company would save little, and to wait for it costs 64 callers a part of their rate.
pub(crate) const LARGE: usize = 16;

pub(crate) struct Pace {
    large: usize,
    /// When a small group may follow the last one.
    next_at: Option<Instant>,
}

impl Pace {
    /// Of groups that hold at most so many: one that is full is large.
    pub(crate) fn new(most: usize) -> Self {
        Self { large: LARGE.min(most), next_at: None }
    }

    /// Whether a group of so many may go.
    pub(crate) fn allows(&self, count: usize, now: Instant) -> bool {
        count >= self.large || self.next_at.is_none_or(|at| at <= now)
    }

    /// When any group may go, be that past or not. `None` before the first one.
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
    fn only_small_groups_that_follow_at_once_are_held_back() {
        let (start, pace_long) = (Instant::now(), Duration::from_millis(PACE_MS));
        let mut pace = Pace::new(256);
        assert!(pace.allows(1, start), "the first one");
        pace.went(start);
        let before = start + pace_long / 2;
        assert!(!pace.allows(1, before) && !pace.allows(LARGE - 1, before));
        assert!(pace.allows(LARGE, before));
        assert!(pace.allows(1, start + pace_long), "after a pause");
    }

    #[test]
    fn a_group_that_is_full_is_large() {
        let mut pace = Pace::new(4);
        pace.went(Instant::now());
        assert!(pace.allows(4, Instant::now()) && !pace.allows(3, Instant::now()));
    }
}
