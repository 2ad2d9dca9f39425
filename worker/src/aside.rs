//! Messages that were put aside: when each looks again.
//!
//! Their rows come back by the sweep, and so do retries, overdue receipts and deadlines of others: it must not be them alone
//! that it is busy with.

use std::sync::Mutex;

use otodoke_common::fallback;
use otodoke_common::message::Message;
use otodoke_common::policy::LATE_CALL_LOOK_MS;
use otodoke_common::time::Timestamp;
use tokio::time::{Duration, Instant};

/// How soon a message looks again.
const SOONEST_MS: u64 = 1_000;
/// And how late: before this part of what is left of its useful time is over, but for its last seconds.
const PART_OF_LEFT: u64 = 4;
const LAST_MS: u64 = 20_000;
/// Of what a sweep releases, the part that those for one provider come back at.
const PART_OF_RELEASED: u32 = 4;

/// Those that wait for one provider.
pub(crate) struct Aside {
    /// Between two of them.
    every: Duration,
    /// When the next one looks.
    next: Mutex<Instant>,
}

impl Aside {
    pub(crate) fn new(release_per_s: u32) -> Self {
        let every = Duration::from_secs(1) * PART_OF_RELEASED / release_per_s.max(1);
        Self { every, next: Mutex::new(Instant::now()) }
    }

    /// A message that would wait for a permit waits for its turn as well.
    pub(crate) fn put(&self, message: &mut Message, now: Timestamp) {
        let looks_at = now.plus_ms(self.turn_in_ms(latest_ms(message, now))).min(message.useful_until);
        message.due = message.due.map(|due| due.max(looks_at));
    }

    /// In how many milliseconds one more looks again, at the latest in so many.
    pub(crate) fn turn_in_ms(&self, latest_ms: u64) -> u64 {
        let now = Instant::now();
        let mut next = self.next.lock().expect("no code panics while it holds the turn");
        let turn = (*next).max(now + Duration::from_millis(SOONEST_MS));
        let turn_ms = (turn - now).as_millis().try_into().unwrap_or(u64::MAX);
        if turn_ms > latest_ms {
            return latest_ms;
        }
        *next = turn + self.every;
        turn_ms
    }
}

/// One whose phone was off may have a late call to come, which has its time.
fn latest_ms(message: &Message, now: Timestamp) -> u64 {
    if fallback::phone_was_off(message) {
        return LATE_CALL_LOOK_MS;
    }
    let left_ms = message.useful_until.since_ms(now).saturating_sub(LAST_MS);
    (left_ms / PART_OF_LEFT).max(SOONEST_MS)
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn those_put_aside_look_again_one_after_the_other() {
        let aside = Aside::new(400);
        let turn = || aside.turn_in_ms(1_030);
        assert_eq!([turn(), turn(), turn()], [1_000, 1_010, 1_020]);
        advance(Duration::from_millis(10)).await;
        assert_eq!(turn(), 1_020, "it stands behind them");
        advance(Duration::from_millis(40)).await;
        assert_eq!(turn(), 1_000, "they had their turns");
        for _ in 0..1_000 {
            turn();
        }
        assert_eq!(turn(), 1_030);
        advance(Duration::from_millis(50)).await;
        assert_eq!(turn(), 1_000, "who could not wait for a turn takes none");
    }
}
