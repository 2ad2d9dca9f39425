//! What waits in a queue, and how fast it leaves: a reading about once a second, kept true in between by counting what
//! this process put in and took out.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};

use tokio::time::{Duration, Instant};

use crate::broker::Backlog;

/// Rates are over so much time.
const RATE_MS: u64 = 5_000;

/// The first moments say little: nothing is counted over less time.
const RATE_MS_MIN: u64 = 1_000;

#[derive(Debug, Default)]
pub(super) struct Depth(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// By the last reading; `None` before the first.
    waiting: Option<u64>,
    /// Since the last reading, by this process.
    put_in: u64,
    taken: u64,
    settled: u64,
    /// One entry per reading, the oldest first.
    left: VecDeque<(Instant, u64)>,
}

/// What stood before a reading was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before {
    held: u64,
    taken: u64,
}

impl Depth {
    /// Published, or given back.
    pub(super) fn put_in(&self) {
        self.lock().put_in += 1;
    }

    pub(super) fn taken(&self) {
        self.lock().taken += 1;
    }

    pub(super) fn settled(&self) {
        self.lock().settled += 1;
    }

    /// `held` were delivered to this process and not taken.
    pub(super) fn before_reading(&self, held: u64) -> Before {
        Before { held, taken: self.lock().taken }
    }

    /// What is taken while the question is under way may have been counted as waiting, so it is taken off: the result is
    /// the least that waits, and never more than there is.
    pub(super) fn read(&self, ready: u64, before: Before, now: Instant) {
        let mut counts = self.lock();
        let waiting = (ready + before.held).saturating_sub(counts.taken - before.taken);
        // What this process put in and is gone has left, whoever took it. Others' publishes hide some of it, so this is
        // the least that left; what was settled here is known.
        let gone = counts.waiting.map_or(0, |was| (was + counts.put_in).saturating_sub(waiting));
        let left = gone.max(counts.settled);
        counts.left.push_back((now, left));
        *counts = Counts { waiting: Some(waiting), left: std::mem::take(&mut counts.left), ..Counts::default() };
    }

    pub(super) fn backlog(&self, now: Instant) -> Backlog {
        let mut counts = self.lock();
        let young = |at: Instant| now.duration_since(at) <= Duration::from_millis(RATE_MS);
        while counts.left.front().is_some_and(|(at, _)| !young(*at)) {
            counts.left.pop_front();
        }
        let waiting = (counts.waiting.unwrap_or(0) + counts.put_in).saturating_sub(counts.taken);
        Backlog { waiting, drained_per_s: counts.rate(now) }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().expect("no code panics while it holds the counts")
    }
}

impl Counts {
    /// `None` where nothing left: that tells nothing about how fast something would.
    #[expect(clippy::cast_precision_loss, reason = "counts of seconds are exact up to 2^53")]
    fn rate(&self, now: Instant) -> Option<f64> {
        let (first, _) = self.left.front()?;
        // What the first entry counts left before it.
        let left: u64 = self.left.iter().skip(1).map(|(_, left)| left).sum::<u64>() + self.settled;
        let over = now.duration_since(*first).max(Duration::from_millis(RATE_MS_MIN));
        (left > 0).then(|| left as f64 / over.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn read(depth: &Depth, ready: u64, now: Instant) {
        let before = depth.before_reading(0);
        depth.read(ready, before, now);
    }

    #[tokio::test]
    async fn between_readings_our_own_steps_are_counted() {
        let (depth, now) = (Depth::default(), Instant::now());
        read(&depth, 10, now);
        depth.put_in();
        depth.put_in();
        depth.taken();
        assert_eq!(depth.backlog(now).waiting, 11);
        read(&depth, 11, now);
        assert_eq!(depth.backlog(now).waiting, 11);
    }

    #[tokio::test]
    async fn what_is_taken_during_a_reading_does_not_wait_after_it() {
        let (depth, now) = (Depth::default(), Instant::now());
        let before = depth.before_reading(2);
        depth.taken();
        depth.taken();
        depth.read(1, before, now);
        assert_eq!(depth.backlog(now).waiting, 1);
    }

    #[tokio::test]
    async fn what_leaves_is_measured_by_settling_and_by_what_is_gone() {
        let (depth, start) = (Depth::default(), Instant::now());
        let rate = |after: Duration| depth.backlog(start + after).drained_per_s;
        read(&depth, 100, start);
        assert_eq!(rate(Duration::ZERO), None);
        (0..30).for_each(|_| depth.settled());
        assert_eq!(rate(Duration::from_millis(1)), Some(30.0), "known at once");
        read(&depth, 100, start + SECOND);
        assert_eq!(rate(SECOND), Some(30.0));
        (0..20).for_each(|_| depth.put_in());
        read(&depth, 50, start + 2 * SECOND);
        assert_eq!(rate(2 * SECOND), Some(50.0), "30 in the first second, 70 in the second one");
        (3..9).for_each(|seconds| read(&depth, 50, start + seconds * SECOND));
        assert_eq!(rate(8 * SECOND), None, "only the last seconds count");
    }
}
