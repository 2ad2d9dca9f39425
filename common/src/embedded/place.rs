//! A place in something bounded, taken before the write that fills it: whoever goes away in between gives it back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(super) struct Place {
    /// `None` once the place is kept.
    taken: Option<Arc<AtomicU64>>,
}

impl Place {
    /// One more of what `count` counts.
    pub(super) fn take(count: &Arc<AtomicU64>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self { taken: Some(Arc::clone(count)) }
    }

    /// One more, unless there are `max` already.
    pub(super) fn take_below(count: &Arc<AtomicU64>, max: u64) -> Option<Self> {
        let place = Self::take(count);
        (count.load(Ordering::SeqCst) <= max).then_some(place)
    }

    /// It is filled: whoever empties it counts down.
    pub(super) fn keep(mut self) {
        self.taken = None;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(count) = &self.taken {
            count.fetch_sub(1, Ordering::SeqCst);
        }
    }
}
