//! What the door has in hand at this moment, bounded: requests, what goes on when their callers hang up, calls to hang up, and
//! the keys it has seen lately.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use otodoke_common::message::Lane;
use tokio::sync::Semaphore;

use crate::auth::KeyCache;
use crate::health::Looks;

/// Callers' requests of all kinds in hand at once; past that the answer is 503.
pub const REQUESTS_IN_HAND_MAX: usize = 4_096;
/// Providers' requests in hand at once, each with a body of up to `extract::WEBHOOK_BYTES_MAX`; past that the answer is 503.
/// Not every vendor repeats what was answered so: a receipt's leg is asked about or goes overdue, and a call says nothing. So it is
/// far more than come at once while they are answered in milliseconds; 256 MiB where each is of the longest.
pub const WEBHOOKS_IN_HAND_MAX: usize = 1_024;
/// Messages being accepted at once, by lane: bulk is shed first, what is critical last.
pub const ACCEPTING_BULK_MAX: usize = 512;
pub const ACCEPTING_NORMAL_MAX: usize = 1_536;
pub const ACCEPTING_CRITICAL_MAX: usize = 2_048;
/// Guesses being paid and judged at once, whether or not their callers wait: a store whose commits hang leaves the door what else
/// it can do.
pub const CHECKS_IN_HAND_MAX: usize = 1_024;
/// Refused requests with a key that are being looked up at once, whether or not their callers wait.
pub const REPEATS_IN_HAND_MAX: usize = 512;
/// What a caller is told to wait when too much is in hand, seconds.
pub(crate) const BUSY_RETRY_S: u64 = 1;
/// Calls being hung up at once. One past that is let go: when answered it says goodbye without the code.
pub const HANG_UPS_IN_HAND_MAX: usize = 64;

/// Searches for a number's messages under way at once: each reads rows by the hundred thousand.
pub const SEARCHES_IN_HAND_MAX: usize = 1;

pub struct Hands {
    pub(crate) requests: Arc<Semaphore>,
    pub(crate) webhooks: Arc<Semaphore>,
    pub(crate) checks: Arc<Semaphore>,
    pub(crate) repeats: Semaphore,
    pub(crate) searches: Arc<Semaphore>,
    pub(crate) hang_ups: Arc<Semaphore>,
    pub(crate) keys: KeyCache,
    pub(crate) looks: Looks,
    accepting: Arc<AtomicUsize>,
}

impl Default for Hands {
    fn default() -> Self {
        Self {
            requests: Arc::new(Semaphore::new(REQUESTS_IN_HAND_MAX)),
            webhooks: Arc::new(Semaphore::new(WEBHOOKS_IN_HAND_MAX)),
            checks: Arc::new(Semaphore::new(CHECKS_IN_HAND_MAX)),
            repeats: Semaphore::new(REPEATS_IN_HAND_MAX),
            searches: Arc::new(Semaphore::new(SEARCHES_IN_HAND_MAX)),
            hang_ups: Arc::new(Semaphore::new(HANG_UPS_IN_HAND_MAX)),
            keys: KeyCache::default(),
            looks: Looks::default(),
            accepting: Arc::new(AtomicUsize::new(0)),
        }
    }
}

/// One message being accepted; dropped, it makes room for the next.
pub(crate) struct Accepting(Arc<AtomicUsize>);

impl Hands {
    /// `None` when so many are being accepted already that this lane must step back.
    pub(crate) fn accepting(&self, lane: Lane) -> Option<Accepting> {
        let max = match lane {
            Lane::Critical => ACCEPTING_CRITICAL_MAX,
            Lane::Normal => ACCEPTING_NORMAL_MAX,
            Lane::Bulk => ACCEPTING_BULK_MAX,
        };
        let more = |now: usize| (now < max).then_some(now + 1);
        self.accepting.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Accepting(self.accepting.clone()))
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bulk_is_shed_first_and_what_is_critical_last() {
        let hands = Hands::default();
        let bulk: Vec<_> = std::iter::from_fn(|| hands.accepting(Lane::Bulk)).collect();
        assert_eq!(bulk.len(), ACCEPTING_BULK_MAX);
        let normal: Vec<_> = std::iter::from_fn(|| hands.accepting(Lane::Normal)).collect();
        assert_eq!(bulk.len() + normal.len(), ACCEPTING_NORMAL_MAX);
        assert!(hands.accepting(Lane::Critical).is_some());
        drop(normal);
        assert!(hands.accepting(Lane::Bulk).is_none(), "bulk still fills its own share");
        drop(bulk);
        assert!(hands.accepting(Lane::Bulk).is_some());
    }
}
