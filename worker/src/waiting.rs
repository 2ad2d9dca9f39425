//! A message in hand that waits for a permit: counted while it does, and never for long.

use std::sync::atomic::Ordering;

use otodoke_common::lifecycle::Event;
use otodoke_common::message::Lane;

use crate::courier::Courier;

/// How long a message waits for a permit in this process before its row carries the wait.
const PATIENCE_MS_MAX: u64 = 5_000;

/// Counts a message as waiting for a permit while it does, and bounds how long.
pub(crate) struct Waiting<'a> {
    courier: &'a Courier,
    lane: Lane,
    counted: bool,
    left_ms: u64,
}

impl<'a> Waiting<'a> {
    /// Nobody waits with an answer in hand that is not saved yet: after a crash it would count as lost.
    pub(crate) const fn with(event: &Event, courier: &'a Courier, lane: Lane) -> Self {
        let left_ms = if matches!(event, Event::Answered { .. }) { 0 } else { PATIENCE_MS_MAX };
        Self { courier, lane, counted: false, left_ms }
    }

    /// How long to wait now for a route expected free in `expected_ms`; `None` when the row shall carry the wait.
    pub(crate) fn patience(&mut self, expected_ms: u64) -> Option<u64> {
        if expected_ms > self.left_ms || self.left_ms == 0 {
            return None;
        }
        if !self.counted {
            self.counted = true;
            self.courier.waiting[self.lane as usize].fetch_add(1, Ordering::Relaxed);
        }
        let wait_ms = expected_ms.clamp(1, self.left_ms);
        self.left_ms -= wait_ms;
        Some(wait_ms)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.counted {
            self.courier.waiting[self.lane as usize].fetch_sub(1, Ordering::Relaxed);
        }
    }
}
