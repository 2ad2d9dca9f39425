//! The one door to the time of day. Everything below the shells takes time as an argument.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;

use crate::time::Timestamp;

#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's, until it was held against the store's.
    System { agreed: Arc<OnceLock<Agreed>> },
    /// A simulation: `epoch` plus tokio's time, which tests may pause.
    Simulated { epoch: Timestamp, started: Instant },
}

/// The store's time of day, and what has passed since on a clock that nobody sets: where the machine's is set while messages
/// wait, as NTP does after a start, none of them expires by it.
#[derive(Debug)]
pub struct Agreed {
    at: Instant,
    /// The time of day at that moment.
    unix_ms: AtomicI64,
}

impl Clock {
    pub fn system() -> Self {
        Self::System { agreed: Arc::default() }
    }

    /// Call within a tokio runtime.
    pub fn simulated(epoch: Timestamp) -> Self {
        Self::Simulated { epoch, started: Instant::now() }
    }

    /// How far this is from the machine's clock: more than 0 where the machine's is behind.
    pub fn offset_ms(&self) -> i64 {
        match self {
            Self::System { agreed } if agreed.get().is_some() => self.now().unix_ms() - machine_ms(),
            Self::System { .. } | Self::Simulated { .. } => 0,
        }
    }

    /// Adds to what this says, which from then on goes on by itself whatever the machine's clock is set to. A simulation is right
    /// by itself.
    pub fn correct(&self, by_ms: i64) {
        match self {
            Self::System { agreed } => {
                let first = || Agreed { at: Instant::now(), unix_ms: AtomicI64::new(machine_ms()) };
                agreed.get_or_init(first).unix_ms.fetch_add(by_ms, Ordering::Relaxed);
            }
            Self::Simulated { .. } => {}
        }
    }

    pub fn now(&self) -> Timestamp {
        match self {
            Self::System { agreed } => agreed.get().map_or_else(|| Timestamp::from_unix_ms(machine_ms()), Agreed::now),
            Self::Simulated { epoch, started } => epoch.plus_ms(whole_ms(started.elapsed())),
        }
    }
}

impl Agreed {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.unix_ms.load(Ordering::Relaxed)).plus_ms(whole_ms(self.at.elapsed()))
    }
}

/// What the machine's clock says, Unix milliseconds.
#[expect(clippy::disallowed_methods, reason = "this is the door the rule names")]
fn machine_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn whole_ms(passed: Duration) -> u64 {
    u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_agreed_counts_and_goes_on_by_itself() {
        let clock = Clock::system();
        assert_eq!(clock.offset_ms(), 0);
        clock.correct(-3_600_000);
        clock.clone().correct(600_000);
        let said = clock.now();
        let behind_ms = Timestamp::from_unix_ms(machine_ms()).since_ms(said);
        assert!((2_999_000..=3_001_000).contains(&behind_ms), "{behind_ms}");
        assert!((-3_001_000..=-2_999_000).contains(&clock.offset_ms()), "{}", clock.offset_ms());
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(clock.now(), said.plus_ms(5_000), "the machine's clock has not moved");
    }
}
