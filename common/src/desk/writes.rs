//! Whether what is written stays written: a store that answers questions may still take nothing, on a full disk or behind a
//! lock, and a process that only asks it would call itself ready.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::store::StoreError;
use crate::time::Timestamp;

/// So long a write that failed counts when none was tried since: who does nothing may be given something to do again.
const FAILURE_KEPT_MS: u64 = 60_000;

/// The last write that failed, until one succeeds.
#[derive(Debug, Default)]
pub struct Writes {
    failing: AtomicBool,
    last: Mutex<Option<(Timestamp, String)>>,
}

impl Writes {
    /// What became of one.
    pub fn told<T>(&self, outcome: &Result<T, StoreError>, now: Timestamp) {
        match outcome {
            Err(StoreError::Unavailable { why } | StoreError::UnknownOutcome { why }) => {
                *self.lock() = Some((now, why.clone()));
                self.failing.store(true, Ordering::Relaxed);
            }
            // It was there and answered.
            Ok(_) | Err(StoreError::Refused { .. } | StoreError::Full { .. }) => {
                if self.failing.swap(false, Ordering::Relaxed) {
                    *self.lock() = None;
                }
            }
        }
    }

    /// Why the last one failed.
    pub(crate) fn trouble(&self, now: Timestamp) -> Option<String> {
        let last = self.lock();
        let (at, why) = last.as_ref().filter(|(at, _)| now.since_ms(*at) < FAILURE_KEPT_MS)?;
        Some(format!("the store answers, but the last write failed at {}: {why}", at.rfc3339()))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Timestamp, String)>> {
        self.last.lock().expect("no code panics while it holds the last failure")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_counts_until_a_write_succeeds_or_nobody_tried_for_a_while() {
        let (writes, now) = (Writes::default(), Timestamp::from_unix_ms(1_790_000_000_000));
        let fails = || Err::<(), _>(StoreError::Unavailable { why: "disk full".to_owned() });
        assert_eq!(writes.trouble(now), None);
        writes.told(&fails(), now);
        let said = writes.trouble(now.plus_ms(1)).expect("it failed");
        assert!(said.ends_with(": disk full"), "{said}");
        assert_eq!(writes.trouble(now.plus_ms(FAILURE_KEPT_MS)), None);
        writes.told(&fails(), now);
        writes.told(&Ok(()), now);
        assert_eq!(writes.trouble(now), None);
    }
}
