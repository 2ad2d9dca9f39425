//! Messages in hand that wait for a permit: counted while they do, and never for long.
//!
//! Where one provider is full, the messages of others must not stand behind its own: those that find a crowd waiting are
//! carried by their rows. Where nobody gets through, the lane itself waits, so that it tells how much waits in it.

use std::sync::atomic::{AtomicUsize, Ordering};

use otodoke_common::broker::Queue;
use otodoke_common::lifecycle::Event;
use otodoke_common::message::Lane;

use crate::permits::Permits;

/// How long a message waits for a permit in this process before its row carries the wait.
const PATIENCE_MS_MAX: u64 = 5_000;
/// Messages of a lane that wait in hand for a permit before the others wait elsewhere; those taken meanwhile come to them.
const WAITING_MAX: usize = 16;
/// So many had to wait, with none between them that went at once: the lane stands still.
const IN_A_ROW_MIN: usize = 16;
/// How soon a message looks again that found a crowd waiting.
const CROWDED_MS: u64 = 1_000;
const LOOK_AGAIN_MS: u64 = 100;

/// Who waits, by lane.
#[derive(Default)]
pub(crate) struct Crowds([Crowd; 3]);

#[derive(Default)]
struct Crowd {
    waiting: AtomicUsize,
    /// Since one went at once.
    in_a_row: AtomicUsize,
}

impl Crowds {
    fn of(&self, lane: Lane) -> &Crowd {
        &self.0[lane as usize]
    }

    /// Returns once a delivery of this queue would not only stand behind others.
    pub(crate) async fn room(&self, queue: Queue, permits: &Permits) {
        let Queue::Lane(lane) = queue else { return };
        while self.of(lane).stands_still() {
            permits.wait_for_some(LOOK_AGAIN_MS).await;
        }
    }
}

impl Crowd {
    fn is_full(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) >= WAITING_MAX
    }

    fn stands_still(&self) -> bool {
        self.is_full() && self.in_a_row.load(Ordering::Relaxed) >= IN_A_ROW_MIN
    }
}

/// One message on its way to a permit: counts as waiting while it does, and bounds how long.
pub(crate) struct Waiting<'a> {
    crowd: &'a Crowd,
    counted: bool,
    left_ms: u64,
}

impl<'a> Waiting<'a> {
    /// Nobody waits with an answer in hand that is not saved yet: after a crash it would count as lost.
    pub(crate) fn with(event: &Event, crowds: &'a Crowds, lane: Lane) -> Self {
        let left_ms = if matches!(event, Event::Answered { .. }) { 0 } else { PATIENCE_MS_MAX };
        Self { crowd: crowds.of(lane), counted: false, left_ms }
    }

    /// Its place is wanted by others, who get through. Where nobody does, it may as well wait here.
    fn finds_a_crowd(&self) -> bool {
        !self.counted && self.crowd.is_full() && !self.crowd.stands_still()
    }

    /// The least that a full provider is left alone for by this message.
    pub(crate) fn retry_ms_min(&self) -> u64 {
        if self.finds_a_crowd() { CROWDED_MS } else { 0 }
    }

    /// How long to wait now for a route expected free in `expected_ms`; `None` when the row shall carry the wait.
    pub(crate) fn patience(&mut self, expected_ms: u64) -> Option<u64> {
        if !self.counted {
            self.crowd.in_a_row.fetch_add(1, Ordering::Relaxed);
        }
        if self.finds_a_crowd() || expected_ms > self.left_ms || self.left_ms == 0 {
            return None;
        }
        if !self.counted {
            self.counted = true;
            self.crowd.waiting.fetch_add(1, Ordering::Relaxed);
        }
        let wait_ms = expected_ms.clamp(1, self.left_ms);
        self.left_ms -= wait_ms;
        Some(wait_ms)
    }

    /// It has its permit, and took it from nobody who waits.
    pub(crate) fn goes(&self) {
        if !self.counted {
            self.crowd.in_a_row.store(0, Ordering::Relaxed);
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.counted {
            self.crowd.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
