//! Who waits in hand, by lane and by provider; and how a lane in which nobody gets through is looked through.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use otodoke_common::leg::ProviderId;
use otodoke_common::message::Lane;
use tokio::time::{Duration, Instant};

use crate::aside::Aside;
use crate::permits::Permits;
use crate::worker::WorkerSettings;

/// Messages of a lane that wait in hand for a provider: so many deliveries, and so many rows.
const WAITING_MAX: usize = 16;
/// So many had to wait, with none between them that went at once: nobody gets through.
const IN_A_ROW_MIN: usize = 16;
/// A lane that stands still is looked through for messages of providers that are free: so many messages for each that those
/// had in the last minutes, and how often at most and at least. Of a row that is put aside for a look the door sees nothing.
const LOOKS_FOR_EACH: f64 = 100.0;
const RECENT: Duration = Duration::from_secs(300);
const LOOK_EVERY_MIN: Duration = Duration::from_millis(10);
const LOOK_EVERY_MAX: Duration = Duration::from_secs(1);

pub(crate) struct Crowds {
    lanes: BTreeMap<Lane, Crowd>,
    pub(crate) aside: Aside,
}

/// Who waits in a lane.
pub(crate) struct Crowd {
    /// Deliveries that wait, for whomever. Half of those in hand may: the others' places are for those who do not.
    held: AtomicUsize,
    held_max: usize,
    /// Deliveries that had to wait, since one went at once.
    in_a_row: AtomicUsize,
    /// Deliveries that were taken to see what is behind them.
    looks: AtomicUsize,
    providers: BTreeMap<ProviderId, ForProvider>,
    /// For none of them: their provider rests, or asked to be left alone.
    resting: ForProvider,
}

/// What of a lane is for one provider.
#[derive(Default)]
pub(crate) struct ForProvider {
    deliveries: AtomicUsize,
    rows: AtomicUsize,
    went: Mutex<Recent>,
}

/// What becomes of a message that waits, should this process die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// Its delivery comes again.
    Delivery,
    /// The sweep finds its row.
    Row,
    /// An answer in hand that is not saved yet would count as lost: nobody waits with one.
    Nobody,
}

/// Counts what happened in the last minutes: what is long ago counts less and less.
#[derive(Default)]
struct Recent {
    count: f64,
    at: Option<Instant>,
}

impl Crowds {
    pub(crate) fn new(settings: &WorkerSettings) -> Self {
        let crowd = |lane| {
            let in_hand = settings.lanes.get(&lane).copied().unwrap_or(1);
            (lane, Crowd::new(settings.capacities.keys().cloned(), in_hand))
        };
        Self { lanes: Lane::ALL.map(crowd).into(), aside: Aside::new(settings.release_per_s / 2) }
    }

    pub(crate) fn of(&self, lane: Lane) -> &Crowd {
        &self.lanes[&lane]
    }
}

impl Crowd {
    fn new(providers: impl Iterator<Item = ProviderId>, in_hand: usize) -> Self {
        Self {
            held: AtomicUsize::new(0),
            held_max: (in_hand / 2).max(1),
            in_a_row: AtomicUsize::new(0),
            looks: AtomicUsize::new(0),
            providers: providers.map(|provider| (provider, ForProvider::default())).collect(),
            resting: ForProvider::default(),
        }
    }

    /// Returns once a delivery would not only stand behind others, or when it is time to look behind them.
    pub(crate) async fn room(&self, permits: &Permits, is_ready: impl Fn(&ProviderId) -> bool) {
        if !self.flows() {
            // Those that were taken before learn first whether they have to wait.
            tokio::task::yield_now().await;
        }
        let begun = Instant::now();
        while self.stands_still() {
            let left = self.look_every(&is_ready).saturating_sub(begun.elapsed());
            if left.is_zero() {
                self.looks.fetch_add(1, Ordering::Relaxed);
                return;
            }
            permits.wait_for_some(left).await;
        }
    }

    fn look_every(&self, is_ready: impl Fn(&ProviderId) -> bool) -> Duration {
        let free = self.providers.iter().filter(|(provider, of)| !of.is_full(Carrier::Delivery) && is_ready(provider));
        let recent: f64 = free.map(|(_, of)| of.recent().count()).sum();
        let every = Duration::try_from_secs_f64(RECENT.as_secs_f64() / (recent * LOOKS_FOR_EACH));
        every.unwrap_or(LOOK_EVERY_MAX).clamp(LOOK_EVERY_MIN, LOOK_EVERY_MAX)
    }

    /// Whether any get through.
    pub(crate) fn flows(&self) -> bool {
        self.in_a_row.load(Ordering::Relaxed) < IN_A_ROW_MIN
    }

    fn stands_still(&self) -> bool {
        !self.flows() && (self.is_full() || self.any_is_full())
    }

    fn is_full(&self) -> bool {
        self.held.load(Ordering::Relaxed) >= self.held_max
    }

    fn any_is_full(&self) -> bool {
        self.providers.values().chain([&self.resting]).any(|of| of.is_full(Carrier::Delivery))
    }

    fn of(&self, provider: &ProviderId) -> &ForProvider {
        self.providers.get(provider).unwrap_or(&self.resting)
    }

    /// Those who wait for one of these.
    pub(crate) fn of_any(&self, providers: &BTreeSet<ProviderId>) -> Vec<&ForProvider> {
        if providers.is_empty() {
            vec![&self.resting]
        } else {
            providers.iter().map(|provider| self.of(provider)).collect()
        }
    }

    /// A delivery has to wait.
    pub(crate) fn had_to_wait(&self) {
        self.in_a_row.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether one that has to wait for these is in the way of others, who get through, or may be behind it. Where nobody
    /// does, a delivery may as well wait here.
    pub(crate) fn is_in_the_way(&self, carrier: Carrier, of_any: &[&ForProvider]) -> bool {
        let all_full = || of_any.iter().all(|of| of.is_full(carrier));
        match carrier {
            Carrier::Row | Carrier::Nobody => all_full(),
            Carrier::Delivery if self.is_full() => true,
            Carrier::Delivery if self.flows() => all_full(),
            Carrier::Delivery => self.take_look(),
        }
    }

    fn take_look(&self) -> bool {
        self.looks.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |looks| looks.checked_sub(1)).is_ok()
    }

    pub(crate) fn join(&self, carrier: Carrier, of_any: &[&ForProvider]) {
        let counters = of_any.iter().map(|of| of.waiting(carrier));
        for counter in counters.chain((carrier == Carrier::Delivery).then_some(&self.held)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn leave(&self, carrier: Carrier, of_any: &[&ForProvider]) {
        let counters = of_any.iter().map(|of| of.waiting(carrier));
        for counter in counters.chain((carrier == Carrier::Delivery).then_some(&self.held)) {
            counter.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// A delivery got a permit of this provider; `at_once` when it did not wait.
    pub(crate) fn went(&self, provider: &ProviderId, at_once: bool, is_scarce: bool) {
        let of = self.of(provider);
        of.recent().add();
        // From a scarce provider it took what others wait for: they get through only if it is not those who fill the lane.
        if at_once && (!is_scarce || (self.any_is_full() && !of.is_full(Carrier::Delivery))) {
            self.in_a_row.store(0, Ordering::Relaxed);
            self.looks.store(0, Ordering::Relaxed);
        }
    }
}

impl ForProvider {
    const fn waiting(&self, carrier: Carrier) -> &AtomicUsize {
        match carrier {
            Carrier::Delivery => &self.deliveries,
            Carrier::Row | Carrier::Nobody => &self.rows,
        }
    }

    fn is_full(&self, carrier: Carrier) -> bool {
        self.waiting(carrier).load(Ordering::Relaxed) >= WAITING_MAX
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.went.lock().expect("no code panics while it counts")
    }
}

impl Recent {
    fn count(&self) -> f64 {
        let passed = self.at.map_or(Duration::ZERO, |at| at.elapsed());
        self.count * (-passed.as_secs_f64() / RECENT.as_secs_f64()).exp()
    }

    fn add(&mut self) {
        (self.count, self.at) = (self.count() + 1.0, Some(Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const DELIVERY: Carrier = Carrier::Delivery;
    const IN_HAND: usize = 64;

    fn id(name: &str) -> ProviderId {
        ProviderId::parse(name).expect("valid")
    }

    fn crowd(in_hand: usize) -> Crowd {
        Crowd::new(["sakura", "fuji", "kodama"].map(id).into_iter(), in_hand)
    }

    fn join(crowd: &Crowd, carrier: Carrier, names: &[&str]) {
        crowd.join(carrier, &crowd.of_any(&names.iter().map(|name| id(name)).collect()));
    }

    fn is_in_the_way(crowd: &Crowd, carrier: Carrier, names: &[&str]) -> bool {
        crowd.is_in_the_way(carrier, &crowd.of_any(&names.iter().map(|name| id(name)).collect()))
    }

    /// Nobody gets through, for all in hand wait for `sakura`.
    fn still() -> Crowd {
        let crowd = crowd(IN_HAND);
        for _ in 0..WAITING_MAX {
            crowd.had_to_wait();
            join(&crowd, DELIVERY, &["sakura"]);
        }
        assert!(crowd.stands_still());
        crowd
    }

    /// When the next delivery is taken.
    async fn room_after_ms(crowd: &Crowd, ready: &[&str]) -> u128 {
        let begun = Instant::now();
        crowd.room(&Permits::new(BTreeMap::new()), |provider| ready.iter().any(|name| id(name) == *provider)).await;
        begun.elapsed().as_millis()
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_one_is_in_the_way_of_those_for_the_same_one() {
        let crowd = crowd(IN_HAND);
        (0..WAITING_MAX).for_each(|_| join(&crowd, DELIVERY, &["sakura"]));
        for (names, expected) in
            [(&["sakura"][..], true), (&["fuji"], false), (&["fuji", "sakura"], false), (&[], false)]
        {
            assert_eq!(is_in_the_way(&crowd, DELIVERY, names), expected, "{names:?}");
        }
        assert!(!is_in_the_way(&crowd, Carrier::Row, &["sakura"]), "rows have places of their own");
        crowd.leave(DELIVERY, &crowd.of_any(&[id("sakura")].into()));
        assert!(!is_in_the_way(&crowd, DELIVERY, &["sakura"]));
    }

    #[tokio::test(start_paused = true)]
    async fn rows_are_bounded_whether_any_get_through_or_not() {
        for crowd in [crowd(IN_HAND), still()] {
            (0..WAITING_MAX).for_each(|_| join(&crowd, Carrier::Row, &["sakura"]));
            assert!(is_in_the_way(&crowd, Carrier::Row, &["sakura"]));
            assert!(is_in_the_way(&crowd, Carrier::Nobody, &["sakura"]));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn half_of_what_is_in_hand_never_waits() {
        let crowd = crowd(8);
        for name in ["sakura", "fuji", "kodama", "sakura"] {
            assert!(!is_in_the_way(&crowd, DELIVERY, &["fuji"]));
            crowd.had_to_wait();
            join(&crowd, DELIVERY, &[name]);
        }
        assert!(is_in_the_way(&crowd, DELIVERY, &["fuji"]));
        assert!(!crowd.stands_still());
        (0..IN_A_ROW_MIN).for_each(|_| crowd.had_to_wait());
        assert!(crowd.stands_still());
        assert!(is_in_the_way(&crowd, DELIVERY, &["fuji"]), "also while nobody gets through");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lane_that_stands_still_is_looked_through_as_often_as_others_have_messages() {
        let crowd = still();
        let every = LOOK_EVERY_MAX.as_millis();
        assert_eq!(room_after_ms(&crowd, &["fuji"]).await, every, "nobody else ever went");
        crowd.had_to_wait();
        assert!(is_in_the_way(&crowd, DELIVERY, &["sakura"]), "that was what it was taken for");
        assert!(!is_in_the_way(&crowd, DELIVERY, &["sakura"]), "the next one joins");
        (0..50).for_each(|_| crowd.went(&id("fuji"), false, false));
        let (half, low) = (room_after_ms(&crowd, &["fuji"]).await, room_after_ms(&crowd, &["kodama"]).await);
        assert!((60..=62).contains(&half), "{half} ms with 50 in the last minutes");
        assert_eq!(low, every, "it rests");
        (0..1_000).for_each(|_| crowd.went(&id("fuji"), false, false));
        assert_eq!(room_after_ms(&crowd, &["fuji"]).await, LOOK_EVERY_MIN.as_millis());
        (0..WAITING_MAX).for_each(|_| join(&crowd, DELIVERY, &["fuji"]));
        assert_eq!(room_after_ms(&crowd, &["fuji"]).await, every, "it has its crowd as well");
        advance(RECENT * 10).await;
        assert!(crowd.of(&id("fuji")).recent().count() < 0.1, "it was long ago");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lane_goes_on_when_one_gets_through_beside_the_crowd() {
        let (sakura, fuji) = (id("sakura"), id("fuji"));
        let cases = [
            (&fuji, true, false, true, "it did not wait"),
            (&fuji, false, false, false, "it waited"),
            (&sakura, true, true, false, "it took the place of one in the crowd"),
            (&fuji, true, true, true, "its provider is often full, but not for long"),
        ];
        for (provider, at_once, is_scarce, expected, why) in cases {
            let crowd = still();
            room_after_ms(&crowd, &[]).await;
            crowd.went(provider, at_once, is_scarce);
            assert_eq!((crowd.flows(), !crowd.take_look()), (expected, expected), "{why}");
        }
    }
}
