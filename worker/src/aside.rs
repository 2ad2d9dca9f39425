//! Messages that were put aside: when each looks again.
//!
//! Their rows come back by the sweep, and so do retries, overdue receipts and deadlines of others: it must not be them alone
//! that it is busy with.

use std::sync::Mutex;

use otodoke_common::message::Message;
use otodoke_common::time::Timestamp;
use tokio::time::{Duration, Instant};

/// How soon a message looks again.
const SOONEST: Duration = Duration::from_secs(1);
/// And how late: before this part of what is left of its useful time is over.
const PART_OF_LEFT: u64 = 4;

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

    /// A message that would wait for a permit waits for its turn as well.
    pub(crate) fn put(&self, message: &mut Message, now: Timestamp) {
        let left_ms = message.useful_until.since_ms(now);
        let turn = now.plus_ms(self.turn_in_ms().min(left_ms / PART_OF_LEFT));
        message.due = message.due.map(|due| due.max(turn));
    }

    /// In how many milliseconds one more looks again.
    fn turn_in_ms(&self) -> u64 {
        let now = Instant::now();
        let mut next = self.next.lock().expect("no code panics while it holds the turn");
        let turn = (*next).max(now + SOONEST);
        *next = turn + self.every;
        (turn - now).as_millis().try_into().unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn those_put_aside_look_again_one_after_the_other() {
        let aside = Aside::new(100);
        assert_eq!([aside.turn_in_ms(), aside.turn_in_ms(), aside.turn_in_ms()], [1_000, 1_010, 1_020]);
        advance(Duration::from_millis(10)).await;
        assert_eq!(aside.turn_in_ms(), 1_020, "it stands behind them");
        advance(Duration::from_millis(40)).await;
        assert_eq!(aside.turn_in_ms(), 1_000, "they had their turns");
    }
}
