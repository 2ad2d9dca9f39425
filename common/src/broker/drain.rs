//! How fast a queue empties while something waits in it. What leaves a queue that is idle tells how fast bodies came,
//! not how fast they could go: a burst after a quiet minute must not look like hours of waiting.

use std::collections::VecDeque;

use tokio::time::{Duration, Instant};

/// Only the last seconds count.
const WINDOW_MS: u64 = 5_000;
/// Looks that are closer together are remembered as one.
const SLICE_MS: u64 = 100;
/// Less time of waiting says little.
const WAITED_MS_MIN: u64 = 500;

#[derive(Debug, Default)]
pub struct Drain {
    slices: VecDeque<Slice>,
}

/// Some time in which something waited, and what left meanwhile.
#[derive(Debug)]
struct Slice {
    ended_at: Instant,
    waited: Duration,
    left: u64,
}

impl Drain {
    /// Up to `now`, something waited for so long, and `left` bodies went.
    pub fn add(&mut self, now: Instant, waited: Duration, left: u64) {
        let fresh = |slice: &&mut Slice| now.duration_since(slice.ended_at) < Duration::from_millis(SLICE_MS);
        match self.slices.back_mut().filter(fresh) {
            Some(slice) => {
                slice.waited += waited;
                slice.left += left;
            }
            None => self.slices.push_back(Slice { ended_at: now, waited, left }),
        }
        self.forget(now);
    }

    /// Bodies per second; `None` while too little was seen of a queue in which something waits.
    #[expect(clippy::cast_precision_loss, reason = "counts of seconds are exact up to 2^53")]
    pub fn per_s(&mut self, now: Instant) -> Option<f64> {
        self.forget(now);
        let waited: Duration = self.slices.iter().map(|slice| slice.waited).sum();
        let left: u64 = self.slices.iter().map(|slice| slice.left).sum();
        (waited >= Duration::from_millis(WAITED_MS_MIN)).then(|| left as f64 / waited.as_secs_f64())
    }

    fn forget(&mut self, now: Instant) {
        let old = |slice: &Slice| now.duration_since(slice.ended_at) > Duration::from_millis(WINDOW_MS);
        while self.slices.front().is_some_and(old) {
            self.slices.pop_front();
        }
    }
}

/// The same for a queue that is seen at every step: time counts exactly while something waits.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    drain: Drain,
    /// Since when something waits without a pause, as far as it is not in `drain` yet.
    waits_since: Option<Instant>,
}

impl Watched {
    /// `left` bodies went, and `waiting` are there now.
    pub(crate) fn step(&mut self, now: Instant, left: u64, waiting: u64) {
        if let Some(since) = self.waits_since {
            self.drain.add(now, now.duration_since(since), left);
        }
        self.waits_since = (waiting > 0).then_some(now);
    }

    pub(crate) fn per_s(&mut self, now: Instant, waiting: u64) -> Option<f64> {
        self.step(now, 0, waiting);
        self.drain.per_s(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[tokio::test]
    async fn what_leaves_an_idle_queue_says_nothing() {
        let (mut queue, start) = (Watched::default(), Instant::now());
        for second in 0..5 {
            queue.step(start + ms(second * 1_000), 0, 1);
            queue.step(start + ms(second * 1_000 + 1), 1, 0);
        }
        assert_eq!(queue.per_s(start + ms(4_500), 0), None);
    }

    #[tokio::test]
    async fn a_burst_after_a_quiet_time_is_measured_by_itself() {
        let (mut queue, start) = (Watched::default(), Instant::now());
        queue.step(start, 0, 1);
        queue.step(start + ms(1), 1, 0);
        let burst = start + ms(4_000);
        queue.step(burst, 0, 1_000);
        for tick in 1..=60 {
            queue.step(burst + ms(tick * 10), 5, 1_000 - tick * 5);
        }
        let per_s = queue.per_s(burst + ms(600), 700).expect("something waits for long enough");
        assert!((490.0..=510.0).contains(&per_s), "{per_s}");
    }

    #[tokio::test]
    async fn a_queue_that_stands_still_is_known_to() {
        let (mut queue, start) = (Watched::default(), Instant::now());
        queue.step(start, 0, 10);
        assert_eq!(queue.per_s(start + ms(100), 10), None);
        assert_eq!(queue.per_s(start + ms(600), 10), Some(0.0));
    }

    #[tokio::test]
    async fn only_the_last_seconds_count() {
        let (mut queue, start) = (Watched::default(), Instant::now());
        queue.step(start, 0, 10);
        queue.step(start + ms(1_000), 9, 0);
        assert!(queue.per_s(start + ms(2_000), 0).is_some());
        assert_eq!(queue.per_s(start + ms(7_000), 0), None);
    }
}
