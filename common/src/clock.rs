//! The one door to the time of day. Everything below the shells takes time as an argument.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::time::Timestamp;

#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's clock, corrected by its measured offset against the store.
    System { offset_ms: Arc<AtomicI64> },
    /// A simulation: `epoch` plus tokio's time, which tests may pause.
    Simulated { epoch: Timestamp, started: tokio::time::Instant },
}

impl Clock {
    pub fn system() -> Self {
        Self::System { offset_ms: Arc::new(AtomicI64::new(0)) }
    }

    /// Call within a tokio runtime.
    pub fn simulated(epoch: Timestamp) -> Self {
        Self::Simulated { epoch, started: tokio::time::Instant::now() }
    }

    /// What was added to the machine's clock to agree with the store's: more than 0 where the machine's is behind.
    pub fn offset_ms(&self) -> i64 {
        match self {
            Self::System { offset_ms } => offset_ms.load(Ordering::Relaxed),
            Self::Simulated { .. } => 0,
        }
    }

    /// Sets what `now` adds to the machine's clock. A simulation is right by itself.
    pub fn correct(&self, to_ms: i64) {
        match self {
            Self::System { offset_ms } => offset_ms.store(to_ms, Ordering::Relaxed),
            Self::Simulated { .. } => {}
        }
    }

    #[expect(clippy::disallowed_methods, reason = "this is the door the rule names")]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System { offset_ms } => {
                let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                let ms = i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX);
                Timestamp::from_unix_ms(ms.saturating_add(offset_ms.load(Ordering::Relaxed)))
            }
            Self::Simulated { epoch, started } => {
                epoch.plus_ms(u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX))
            }
        }
    }
}
