//! Messages that were put aside: when each looks again.
//!
//! Their rows come back by the sweep, and so do retries, overdue receipts and deadlines of others: it must not be them alone
//! that it is busy with.

use std::sync::Mutex;

use tokio::time::{Duration, Instant};

/// How soon, and how late, a message looks again.
const SOONEST_MS: u64 = 1_000;
const LATEST_MS: u64 = 10_000;

pub(crate) struct Aside {
    /// Between two of them.
    every: Duration,
    /// When the next one looks.
    next: Mutex<Instant>,
}

impl Aside {
    pub(crate) fn new(per_s: u32) -> Self {
        Self { every: Duration::from_secs(1) / per_s.max(1), next: Mutex::new(Instant::now()) }
    }

    /// In how long the next one would look.
    pub(crate) fn turn_in_ms(&self) -> u64 {
        let next = *self.next.lock().expect("no code panics while it holds the turn");
        let ms = next.saturating_duration_since(Instant::now()).as_millis();
        u64::try_from(ms).unwrap_or(u64::MAX).clamp(SOONEST_MS, LATEST_MS)
    }

    /// One was put aside: those after it look later.
    pub(crate) fn take_turn(&self) {
        let now = Instant::now();
        let (soonest, latest) = (now + Duration::from_millis(SOONEST_MS), now + Duration::from_millis(LATEST_MS));
        let mut next = self.next.lock().expect("no code panics while it holds the turn");
        *next = (*next).clamp(soonest, latest) + self.every;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn those_put_aside_look_again_one_after_the_other() {
        let aside = Aside::new(100);
        let turn = || {
            let turn_ms = aside.turn_in_ms();
            aside.take_turn();
            turn_ms
        };
        assert_eq!([turn(), turn(), turn()], [SOONEST_MS, SOONEST_MS + 10, SOONEST_MS + 20]);
        advance(Duration::from_millis(30)).await;
        assert_eq!(turn(), SOONEST_MS, "they had their turns");
        let turns: Vec<_> = (0..10_000).map(|_| turn()).collect();
        assert!(turns.is_sorted());
        assert_eq!(turns.last(), Some(&LATEST_MS), "nobody waits for ever");
    }
}
