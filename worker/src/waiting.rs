//! Messages in hand that wait for a permit: counted while they do, and never for long.
//!
//! Where one provider is full, the messages of others must not stand behind its own: those that find its crowd are put
//! aside, to be carried by their rows, and so are those whose delivery is not settled, after a moment: they come back by the
//! sweep, and it is they who make up the crowd. Where nobody gets through, the lane itself waits, so that it tells how much
//! waits in it; but now and then one is put aside all the same, to see whether those behind it are for somebody else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use otodoke_common::leg::ProviderId;
use otodoke_common::lifecycle::Event;
use otodoke_common::message::Lane;
use tokio::time::{Duration, Instant};

use crate::aside::Aside;
use crate::permits::Permits;

/// How long a message waits for a permit in this process before its row carries the wait.
const PATIENCE_MS_MAX: u64 = 5_000;
/// The same of one whose delivery is not settled, while others get through: the broker is told of theirs one by one, and
/// later, as long as this one is open before them. Enough for a call that ends soon.
const HELD_MS_MAX: u64 = 50;
/// Messages of a lane that wait in hand for a provider before the others wait elsewhere; those taken meanwhile come to them.
const WAITING_MAX: usize = 16;
/// So many had to wait, with none between them that went at once: the lane stands still.
const IN_A_ROW_MIN: usize = 16;
/// How often a lane that stands still looks behind those that wait: where a provider is free that had messages of this lane
/// lately, and where none is. Of each row that is put aside for it the door sees nothing.
const LOOK_BEHIND_MS: u64 = 10;
const LOOK_BEHIND_RARELY_MS: u64 = 1_000;
const LATELY_MS: u64 = 600_000;

/// Who waits.
pub(crate) struct Crowds {
    lanes: [Crowd; Lane::ALL.len()],
    aside: Aside,
}

/// Who waits in a lane.
struct Crowd {
    /// Deliveries that had to wait, since a message went at once.
    in_a_row: AtomicUsize,
    /// A delivery was taken to see what is behind it: should it find a crowd, it does not join it.
    looks_behind: AtomicBool,
    ways: BTreeMap<ProviderId, Way>,
    /// For something else than a permit: a provider that rests.
    rest: Way,
}

/// A provider, as a lane sees it.
#[derive(Default)]
struct Way {
    /// Who waits in hand for it.
    waiting: AtomicUsize,
    /// When a delivery of this lane went by it.
    went_at: Mutex<Option<Instant>>,
}

impl Crowds {
    /// Those put aside come back at no more than half of what a sweep releases.
    pub(crate) fn new(providers: &BTreeSet<ProviderId>, release_per_s: u32) -> Self {
        let crowd = |_| Crowd {
            in_a_row: AtomicUsize::new(0),
            looks_behind: AtomicBool::new(false),
            ways: providers.iter().map(|provider| (provider.clone(), Way::default())).collect(),
            rest: Way::default(),
        };
        Self { lanes: Lane::ALL.map(crowd), aside: Aside::new(release_per_s / 2) }
    }

    fn of(&self, lane: Lane) -> &Crowd {
        &self.lanes[lane as usize]
    }

    /// Returns once a delivery of this lane would not only stand behind others, or when it is time to look behind them.
    pub(crate) async fn room(&self, lane: Lane, permits: &Permits, is_free: impl Fn(&ProviderId) -> bool) {
        let crowd = self.of(lane);
        let begun = Instant::now();
        while crowd.stands_still() {
            let every_ms = if crowd.lately().any(&is_free) { LOOK_BEHIND_MS } else { LOOK_BEHIND_RARELY_MS };
            let left = Duration::from_millis(every_ms).saturating_sub(begun.elapsed());
            if left.is_zero() {
                crowd.looks_behind.store(true, Ordering::Relaxed);
                return;
            }
            permits.wait_for_some(left).await;
        }
    }
}

impl Crowd {
    /// Whether any get through.
    fn flows(&self) -> bool {
        self.in_a_row.load(Ordering::Relaxed) < IN_A_ROW_MIN
    }

    fn stands_still(&self) -> bool {
        !self.flows() && (self.rest.is_full() || self.ways.values().any(Way::is_full))
    }

    /// The providers that messages of this lane went by lately.
    fn lately(&self) -> impl Iterator<Item = &ProviderId> {
        self.ways.iter().filter(|(_, way)| way.went_lately()).map(|(provider, _)| provider)
    }

    fn of(&self, provider: &ProviderId) -> &Way {
        self.ways.get(provider).unwrap_or(&self.rest)
    }

    /// Those who wait for any of these; for the rest where there are none.
    fn of_all<'a>(&'a self, providers: &BTreeSet<ProviderId>) -> Vec<&'a Way> {
        if providers.is_empty() { vec![&self.rest] } else { providers.iter().map(|each| self.of(each)).collect() }
    }
}

impl Way {
    fn is_full(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) >= WAITING_MAX
    }

    fn went(&self) {
        *self.went_at.lock().expect("no code panics while it holds a moment") = Some(Instant::now());
    }

    fn went_lately(&self) -> bool {
        let went_at = *self.went_at.lock().expect("no code panics while it holds a moment");
        went_at.is_some_and(|at| at.elapsed() < Duration::from_millis(LATELY_MS))
    }
}

/// One message on its way to a permit: counts as waiting while it does, and bounds how long.
pub(crate) struct Waiting<'a> {
    crowd: &'a Crowd,
    aside: &'a Aside,
    carrier: Carrier,
    /// From when on it counts, and where.
    counts: Option<(Instant, Vec<&'a Way>)>,
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
        Self { crowd: crowds.of(lane), aside: &crowds.aside, carrier, counts: None }
    }

    /// Its place is wanted by others, who get through, or may be behind it. Where nobody does, it may as well wait here.
    fn finds_a_crowd(&self, way: &Way) -> bool {
        self.counts.is_none() && way.is_full() && (self.crowd.flows() || self.looks_behind())
    }

    fn looks_behind(&self) -> bool {
        self.carrier == Carrier::Delivery && self.crowd.looks_behind.load(Ordering::Relaxed)
    }

    /// The least that this full provider is left alone for by this message.
    pub(crate) fn retry_ms_min(&self, provider: &ProviderId) -> u64 {
        if self.finds_a_crowd(self.crowd.of(provider)) { self.aside.turn_in_ms() } else { 0 }
    }

    /// How long to wait now for one of these, expected free in `expected_ms`; `None` when the row shall carry the wait.
    pub(crate) fn patience(&mut self, providers: &BTreeSet<ProviderId>, expected_ms: u64) -> Option<u64> {
        if self.carrier == Carrier::Delivery && self.counts.is_none() {
            self.crowd.in_a_row.fetch_add(1, Ordering::Relaxed);
        }
        let left_ms = self.left_ms();
        if self.counts.is_none() {
            let ways = self.crowd.of_all(providers);
            if ways.iter().all(|way| self.finds_a_crowd(way)) {
                self.crowd.looks_behind.store(false, Ordering::Relaxed);
                self.aside.take_turn();
                return None;
            }
            if expected_ms <= left_ms {
                for way in &ways {
                    way.waiting.fetch_add(1, Ordering::Relaxed);
                }
                self.counts = Some((Instant::now(), ways));
            }
        }
        if expected_ms > left_ms || left_ms == 0 {
            return None;
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
        let waited_ms = self.counts.as_ref().map_or(0, |(since, _)| since.elapsed().as_millis());
        patience_ms.saturating_sub(waited_ms.try_into().unwrap_or(u64::MAX))
    }

    /// It has its permit. `at_once` when it took it from nobody who waits.
    pub(crate) fn goes(&self, provider: &ProviderId, at_once: bool) {
        if self.carrier == Carrier::Delivery {
            self.crowd.of(provider).went();
        }
        if at_once && self.counts.is_none() {
            self.crowd.in_a_row.store(0, Ordering::Relaxed);
            self.crowd.looks_behind.store(false, Ordering::Relaxed);
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        for way in self.counts.iter().flat_map(|(_, ways)| ways) {
            way.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tokio::time::advance;

    use super::*;

    const LANE: Lane = Lane::Normal;

    fn sakura() -> ProviderId {
        ProviderId::parse("sakura").expect("valid")
    }

    fn fuji() -> ProviderId {
        ProviderId::parse("fuji").expect("valid")
    }

    fn crowds() -> Crowds {
        Crowds::new(&[sakura(), fuji()].into(), 1_000)
    }

    fn taken(crowds: &Crowds) -> Waiting<'_> {
        Waiting::with(&Event::Taken, crowds, LANE)
    }

    fn due(crowds: &Crowds) -> Waiting<'_> {
        Waiting::with(&Event::Due, crowds, LANE)
    }

    fn patience(waiting: &mut Waiting<'_>, expected_ms: u64) -> Option<u64> {
        waiting.patience(&BTreeSet::from([sakura()]), expected_ms)
    }

    /// Deliveries that wait for one provider, with nothing between them that went.
    fn still(crowds: &Crowds) -> Vec<Waiting<'_>> {
        (1..IN_A_ROW_MIN).for_each(|_| assert_eq!(patience(&mut taken(crowds), 1_000), None));
        let mut waiting: Vec<_> = (0..WAITING_MAX).map(|_| taken(crowds)).collect();
        for each in &mut waiting {
            assert_eq!(patience(each, 1_000), Some(HELD_MS_MAX), "it looks again whether any get through");
        }
        assert!(crowds.of(LANE).stands_still());
        waiting
    }

    async fn room_after_ms(crowds: &Crowds, is_free: bool) -> u128 {
        let begun = Instant::now();
        crowds.room(LANE, &Permits::new(BTreeMap::new()), |_| is_free).await;
        begun.elapsed().as_millis()
    }

    #[tokio::test(start_paused = true)]
    async fn a_delivery_is_held_for_a_moment_while_others_get_through() {
        let crowds = crowds();
        let (mut held, mut carried) = (taken(&crowds), due(&crowds));
        assert_eq!(patience(&mut taken(&crowds), HELD_MS_MAX + 1), None, "it would be held for longer");
        assert_eq!((patience(&mut held, 30), patience(&mut carried, 1_000)), (Some(30), Some(1_000)));
        advance(Duration::from_millis(20)).await;
        assert_eq!(patience(&mut held, 30), Some(30), "woken before its time, it has some left");
        advance(Duration::from_millis(30)).await;
        assert_eq!((patience(&mut held, 1), patience(&mut carried, 1_000)), (None, Some(1_000)));
        advance(Duration::from_millis(PATIENCE_MS_MAX)).await;
        assert_eq!(patience(&mut carried, 1), None);
    }

    #[tokio::test(start_paused = true)]
    async fn where_nobody_gets_through_deliveries_wait_as_long_as_rows_until_somebody_does() {
        let crowds = crowds();
        let mut waiting = still(&crowds);
        advance(Duration::from_millis(PATIENCE_MS_MAX - 1)).await;
        assert_eq!(patience(&mut waiting[0], 1), Some(1));
        taken(&crowds).goes(&fuji(), true);
        assert!(!crowds.of(LANE).stands_still());
        assert!(waiting.iter_mut().all(|each| patience(each, 1).is_none()));
    }

    #[tokio::test(start_paused = true)]
    async fn rows_that_wait_are_no_sign_that_their_lane_stands_still() {
        let crowds = crowds();
        let mut waiting: Vec<_> = (0..2 * WAITING_MAX).map(|_| due(&crowds)).collect();
        let waits = waiting.iter_mut().filter_map(|each| patience(each, 1_000)).count();
        assert_eq!(waits, WAITING_MAX, "the others find a crowd");
        assert!(!crowds.of(LANE).stands_still());
        let mut late = taken(&crowds);
        assert!(late.retry_ms_min(&sakura()) > HELD_MS_MAX);
        assert_eq!(patience(&mut late, 10), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_is_in_the_way_of_nobody_else() {
        let crowds = crowds();
        let mut waiting: Vec<_> = (0..2 * WAITING_MAX).map(|_| due(&crowds)).collect();
        let waits = waiting.iter_mut().filter_map(|each| patience(each, 1_000)).count();
        assert_eq!(waits, WAITING_MAX);
        for providers in [BTreeSet::from([fuji()]), BTreeSet::from([fuji(), sakura()]), BTreeSet::new()] {
            assert_eq!(taken(&crowds).patience(&providers, 10), Some(10), "{providers:?}");
        }
        assert_eq!(taken(&crowds).retry_ms_min(&fuji()), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lane_that_stands_still_looks_often_where_others_go_and_rarely_where_none_do() {
        let crowds = crowds();
        let waiting = still(&crowds);
        assert_eq!(room_after_ms(&crowds, true).await, u128::from(LOOK_BEHIND_RARELY_MS), "nobody else ever went");
        assert_eq!(patience(&mut taken(&crowds), 1_000), None, "it is put aside");
        let mut joins = taken(&crowds);
        assert_eq!((joins.retry_ms_min(&sakura()), patience(&mut joins, 10)), (0, Some(10)), "one was enough");
        taken(&crowds).goes(&fuji(), false);
        assert_eq!(room_after_ms(&crowds, true).await, u128::from(LOOK_BEHIND_MS));
        assert_eq!(room_after_ms(&crowds, false).await, u128::from(LOOK_BEHIND_RARELY_MS), "it is full as well");
        advance(Duration::from_millis(LATELY_MS)).await;
        assert_eq!(room_after_ms(&crowds, true).await, u128::from(LOOK_BEHIND_RARELY_MS), "it was long ago");
        taken(&crowds).goes(&fuji(), true);
        assert_eq!(room_after_ms(&crowds, true).await, 0);
        assert!(!crowds.of(LANE).looks_behind.load(Ordering::Relaxed), "nobody needs to");
        drop(waiting);
    }
}
