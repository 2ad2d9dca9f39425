//! A place in something bounded, held from before the write that fills it until that write has ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(super) struct Place {
    count: Arc<AtomicU64>,
}

impl Place {
    /// One more of what `count` counts.
    pub(super) fn take(count: &Arc<AtomicU64>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self { count: Arc::clone(count) }
    }

    /// One more, unless there are `max` already.
    pub(super) fn take_below(count: &Arc<AtomicU64>, max: u64) -> Option<Self> {
        let place = Self::take(count);
        (count.load(Ordering::SeqCst) <= max).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::SeqCst);
    }
}
