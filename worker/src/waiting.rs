//! Messages in hand that wait for a permit: counted while they do, and never for long.
//!
//! Where one provider is full, the messages of others must not stand behind its own: those that find a crowd waiting are
//! carried by their rows, and so are those whose delivery is not settled, after a moment: they come back by the sweep,
//! and it is they who make up the crowd. Where nobody gets through, the lane itself waits, so that it tells how much waits
//! in it.

use std::sync::atomic::{AtomicUsize, Ordering};

use otodoke_common::broker::Queue;
use otodoke_common::lifecycle::Event;
use otodoke_common::message::Lane;
use tokio::time::Instant;

use crate::permits::Permits;

/// How long a message waits for a permit in this process before its row carries the wait.
const PATIENCE_MS_MAX: u64 = 5_000;
/// The same of one whose delivery is not settled, while others get through: the broker is told of theirs one by one, and
/// later, as long as this one is open before them. Enough for a call that ends soon.
const HELD_MS_MAX: u64 = 50;
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
    /// Deliveries that had to wait, since a message went at once.
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

    /// Whether any get through.
    fn flows(&self) -> bool {
        self.in_a_row.load(Ordering::Relaxed) < IN_A_ROW_MIN
    }

    fn stands_still(&self) -> bool {
        self.is_full() && !self.flows()
    }
}

/// One message on its way to a permit: counts as waiting while it does, and bounds how long.
pub(crate) struct Waiting<'a> {
    crowd: &'a Crowd,
    carrier: Carrier,
    /// From when on it counts.
    since: Option<Instant>,
}

/// What becomes of a message that waits, should this process die.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Carrier {
    /// Its delivery comes again.
    Delivery,
    /// The sweep finds its row.
    Row,
    /// An answer in hand that is not saved yet would count as lost: nobody waits with one.
    Nobody,
}

impl<'a> Waiting<'a> {
    pub(crate) fn with(event: &Event, crowds: &'a Crowds, lane: Lane) -> Self {
        let carrier = match event {
            Event::Taken => Carrier::Delivery,
            Event::Answered { .. } => Carrier::Nobody,
            Event::GivenUp
            | Event::Receipt { .. }
            | Event::Due
            | Event::GuessPaid
            | Event::Guessed { .. }
            | Event::ResendAsked { .. }
            | Event::CancelAsked { .. }
            | Event::Revoked
            | Event::CallAnswered { .. }
            | Event::Pressed { .. } => Carrier::Row,
        };
        Self { crowd: crowds.of(lane), carrier, since: None }
    }

    /// Its place is wanted by others, who get through. Where nobody does, it may as well wait here.
    fn finds_a_crowd(&self) -> bool {
        self.since.is_none() && self.crowd.is_full() && self.crowd.flows()
    }

    /// The least that a full provider is left alone for by this message.
    pub(crate) fn retry_ms_min(&self) -> u64 {
        if self.finds_a_crowd() { CROWDED_MS } else { 0 }
    }

    /// How long to wait now for a route expected free in `expected_ms`; `None` when the row shall carry the wait.
    pub(crate) fn patience(&mut self, expected_ms: u64) -> Option<u64> {
        if self.carrier == Carrier::Delivery && self.since.is_none() {
            self.crowd.in_a_row.fetch_add(1, Ordering::Relaxed);
        }
        let left_ms = self.left_ms();
        if self.finds_a_crowd() || expected_ms > left_ms || left_ms == 0 {
            return None;
        }
        if self.since.is_none() {
            self.since = Some(Instant::now());
            self.crowd.waiting.fetch_add(1, Ordering::Relaxed);
        }
        let look_ms = if self.carrier == Carrier::Delivery { HELD_MS_MAX } else { left_ms };
        Some(expected_ms.clamp(1, look_ms))
    }

    fn left_ms(&self) -> u64 {
        let patience_ms = match self.carrier {
            Carrier::Delivery if self.crowd.flows() => HELD_MS_MAX,
            Carrier::Delivery | Carrier::Row => PATIENCE_MS_MAX,
            Carrier::Nobody => 0,
        };
        let waited_ms = self.since.map_or(0, |since| since.elapsed().as_millis());
        patience_ms.saturating_sub(waited_ms.try_into().unwrap_or(u64::MAX))
    }

    /// It has its permit, and took it from nobody who waits.
    pub(crate) fn goes(&self) {
        if self.since.is_none() {
            self.crowd.in_a_row.store(0, Ordering::Relaxed);
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.since.is_some() {
            self.crowd.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Duration, advance};

    use super::*;

    fn taken(crowds: &Crowds) -> Waiting<'_> {
        Waiting::with(&Event::Taken, crowds, Lane::Normal)
    }

    fn due(crowds: &Crowds) -> Waiting<'_> {
        Waiting::with(&Event::Due, crowds, Lane::Normal)
    }

    #[tokio::test(start_paused = true)]
    async fn a_delivery_is_held_for_a_moment_while_others_get_through() {
        let crowds = Crowds::default();
        let (mut held, mut carried) = (taken(&crowds), due(&crowds));
        assert_eq!(taken(&crowds).patience(HELD_MS_MAX + 1), None, "it would be held for longer");
        assert_eq!((held.patience(30), carried.patience(1_000)), (Some(30), Some(1_000)));
        advance(Duration::from_millis(20)).await;
        assert_eq!(held.patience(30), Some(30), "woken before its time, it has some left");
        advance(Duration::from_millis(30)).await;
        assert_eq!((held.patience(1), carried.patience(1_000)), (None, Some(1_000)));
        advance(Duration::from_millis(PATIENCE_MS_MAX)).await;
        assert_eq!(carried.patience(1), None);
    }

    #[tokio::test(start_paused = true)]
    async fn where_nobody_gets_through_deliveries_wait_as_long_as_rows_until_somebody_does() {
        let crowds = Crowds::default();
        for _ in 1..IN_A_ROW_MIN {
            assert_eq!(taken(&crowds).patience(1_000), None);
        }
        let mut waiting: Vec<_> = (0..WAITING_MAX).map(|_| taken(&crowds)).collect();
        for each in &mut waiting {
            assert_eq!(each.patience(1_000), Some(HELD_MS_MAX), "it looks again whether any get through");
        }
        assert!(crowds.of(Lane::Normal).stands_still());
        advance(Duration::from_millis(PATIENCE_MS_MAX - 1)).await;
        assert_eq!(waiting[0].patience(1), Some(1));
        taken(&crowds).goes();
        assert!(!crowds.of(Lane::Normal).stands_still());
        assert!(waiting.iter_mut().all(|each| each.patience(1).is_none()));
    }

    #[tokio::test(start_paused = true)]
    async fn rows_that_wait_are_no_sign_that_their_lane_stands_still() {
        let crowds = Crowds::default();
        let mut waiting: Vec<_> = (0..2 * WAITING_MAX).map(|_| due(&crowds)).collect();
        let waits = waiting.iter_mut().filter_map(|each| each.patience(1_000)).count();
        assert_eq!(waits, WAITING_MAX, "the others find a crowd");
        assert!(!crowds.of(Lane::Normal).stands_still());
        let mut late = taken(&crowds);
        assert_eq!((late.retry_ms_min(), late.patience(10)), (CROWDED_MS, None));
    }
}
