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

/// Messages of a lane that wait in hand for a provider: so many rows, and while others get through as many with the
/// deliveries.
const WAITING_MAX: usize = 16;
/// So many had to wait, with none between them that went at once: nobody gets through.
const IN_A_ROW_MIN: usize = 16;
/// A lane that stands still is looked through for messages of providers that are free: so many messages for each that those
/// had in the last minute, and how often at most and at least. Of a row that is put aside for a look the door sees nothing.
const LOOKS_FOR_EACH: f64 = 100.0;
const RECENT: Duration = Duration::from_secs(60);
const LOOK_EVERY_MIN: Duration = Duration::from_millis(10);
const LOOK_EVERY_MAX: Duration = Duration::from_secs(1);
/// With so many recent ones it is looked as often as may be; more would only be remembered for longer.
const RECENT_MAX: f64 = RECENT.as_secs_f64() / (LOOKS_FOR_EACH * LOOK_EVERY_MIN.as_secs_f64());

pub(crate) struct Crowds(BTreeMap<Lane, Crowd>);

/// Who waits in a lane.
pub(crate) struct Crowd {
    /// While nobody gets through no more deliveries are in hand than a quarter of those that may be: the other places are for
    /// those who do.
    held_max: usize,
    /// Deliveries that are decided, and wait for nothing but to be saved.
    decided: AtomicUsize,
    /// Deliveries that had to wait, since one went at once.
    in_a_row: AtomicUsize,
    /// Deliveries that were taken to see what is behind them.
    looks: AtomicUsize,
    providers: BTreeMap<ProviderId, ForProvider>,
    /// For none of them: their providers rest or asked to be left alone, or their code's root is not known here.
    for_none: ForProvider,
}

/// What of a lane is for one provider.
pub(crate) struct ForProvider {
    deliveries: AtomicUsize,
    rows: AtomicUsize,
    pub(crate) aside: Aside,
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

/// Counts what happened in the last minute: what is long ago counts less and less.
#[derive(Default)]
struct Recent {
    count: f64,
    at: Option<Instant>,
}

impl Crowds {
    pub(crate) fn new(settings: &WorkerSettings) -> Self {
        let crowd = |lane| {
            let in_hand_max = settings.lanes.get(&lane).copied().unwrap_or(1);
            (lane, Crowd::new(settings.capacities.keys().cloned(), in_hand_max, settings.release_per_s))
        };
        Self(Lane::ALL.map(crowd).into())
    }

    pub(crate) fn of(&self, lane: Lane) -> &Crowd {
        &self.0[&lane]
    }
}

impl Crowd {
    fn new(providers: impl Iterator<Item = ProviderId>, in_hand_max: usize, release_per_s: u32) -> Self {
        let nobody = || ForProvider {
            deliveries: AtomicUsize::new(0),
            rows: AtomicUsize::new(0),
            aside: Aside::new(release_per_s),
            went: Mutex::default(),
        };
        Self {
            held_max: (in_hand_max / 4).max(1),
            decided: AtomicUsize::new(0),
            in_a_row: AtomicUsize::new(0),
            looks: AtomicUsize::new(0),
            providers: providers.map(|provider| (provider, nobody())).collect(),
            for_none: nobody(),
        }
    }

    /// Returns once a delivery would not only stand behind others, or when it is time to look behind them.
    pub(crate) async fn room(
        &self,
        in_hand: impl Fn() -> usize,
        permits: &Permits,
        is_ready: impl Fn(&ProviderId) -> bool,
    ) {
        let begun = Instant::now();
        let held = || in_hand().saturating_sub(self.decided.load(Ordering::Relaxed));
        while !self.flows() && held() >= self.held_max {
            let left = self.look_every(&is_ready).saturating_sub(begun.elapsed());
            if left.is_zero() {
                self.looks.fetch_add(1, Ordering::Relaxed);
                return;
            }
            permits.wait_for_some(left).await;
        }
    }

    /// Those are free that nobody waits for.
    fn look_every(&self, is_ready: impl Fn(&ProviderId) -> bool) -> Duration {
        let free = self.providers.iter().filter(|(provider, of)| !of.has_any() && is_ready(provider));
        let recent: f64 = free.map(|(_, of)| of.recent().count()).sum();
        let every = Duration::try_from_secs_f64(RECENT.as_secs_f64() / (recent * LOOKS_FOR_EACH));
        every.unwrap_or(LOOK_EVERY_MAX).clamp(LOOK_EVERY_MIN, LOOK_EVERY_MAX)
    }

    /// Whether any get through.
    pub(crate) fn flows(&self) -> bool {
        self.in_a_row.load(Ordering::Relaxed) < IN_A_ROW_MIN
    }

    fn of(&self, provider: &ProviderId) -> &ForProvider {
        self.providers.get(provider).unwrap_or(&self.for_none)
    }

    /// Those who wait for one of these.
    pub(crate) fn of_any(&self, providers: &BTreeSet<ProviderId>) -> Vec<&ForProvider> {
        if providers.is_empty() {
            vec![&self.for_none]
        } else {
            providers.iter().map(|provider| self.of(provider)).collect()
        }
    }

    /// A delivery has to wait for one of these. Whether it may do so here: not where it is in the way of others, who get
    /// through, or may be behind it.
    pub(crate) fn holds(&self, of_any: &[&ForProvider]) -> bool {
        self.in_a_row.fetch_add(1, Ordering::Relaxed);
        let looks = self.take_look();
        if self.flows() {
            of_any.iter().any(|of| of.waiting() < WAITING_MAX)
        } else {
            !looks || of_any.iter().any(|of| !of.has_any())
        }
    }

    /// Each delivery that is decided takes one: it does not matter which of those in hand makes place.
    fn take_look(&self) -> bool {
        self.looks.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |looks| looks.checked_sub(1)).is_ok()
    }

    pub(crate) const fn decided(&self) -> &AtomicUsize {
        &self.decided
    }

    /// A delivery went with a permit of this provider; `at_once` when it did not wait.
    pub(crate) fn went(&self, provider: &ProviderId, at_once: bool, is_scarce: bool) {
        let of = self.of(provider);
        of.recent().add();
        self.take_look();
        let others_wait = || self.providers.values().any(ForProvider::has_any);
        // From a scarce provider it took what others wait for: they get through only if those in hand wait for another one.
        if at_once && (!is_scarce || (!of.has_any() && others_wait())) {
            self.in_a_row.store(0, Ordering::Relaxed);
        }
    }
}

impl ForProvider {
    pub(crate) const fn counter(&self, carrier: Carrier) -> &AtomicUsize {
        match carrier {
            Carrier::Delivery => &self.deliveries,
            Carrier::Row | Carrier::Nobody => &self.rows,
        }
    }

    fn waiting(&self) -> usize {
        self.deliveries.load(Ordering::Relaxed) + self.rows.load(Ordering::Relaxed)
    }

    pub(crate) fn has_all_rows(&self) -> bool {
        self.rows.load(Ordering::Relaxed) >= WAITING_MAX
    }

    /// Whether any delivery waits.
    fn has_any(&self) -> bool {
        self.deliveries.load(Ordering::Relaxed) > 0
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
        (self.count, self.at) = ((self.count() + 1.0).min(RECENT_MAX), Some(Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELD_MAX: usize = 16;

    fn id(name: &str) -> ProviderId {
        ProviderId::parse(name).expect("valid")
    }

    fn crowd() -> Crowd {
        Crowd::new(["sakura", "fuji", "kodama"].map(id).into_iter(), 4 * HELD_MAX, 500)
    }

    /// As a delivery that has to wait does.
    fn has_to_wait(crowd: &Crowd, names: &[&str]) -> bool {
        let of_any = crowd.of_any(&names.iter().map(|name| id(name)).collect());
        let holds = crowd.holds(&of_any);
        if holds {
            of_any.iter().for_each(|of| assert!(of.counter(Carrier::Delivery).fetch_add(1, Ordering::Relaxed) < 64));
        }
        holds
    }

    /// Nobody gets through, for those in hand wait for `sakura`.
    fn still() -> Crowd {
        let crowd = crowd();
        (0..WAITING_MAX).for_each(|_| assert!(has_to_wait(&crowd, &["sakura"])));
        assert!(!crowd.flows());
        crowd
    }

    /// When the next delivery is taken, with so many in hand.
    async fn room_after_ms(crowd: &Crowd, in_hand: usize, ready: &[&str]) -> u128 {
        let (begun, permits) = (Instant::now(), Permits::new(BTreeMap::new()));
        crowd.room(|| in_hand, &permits, |provider| ready.iter().any(|name| id(name) == *provider)).await;
        begun.elapsed().as_millis()
    }

    #[tokio::test(start_paused = true)]
    async fn while_others_get_through_few_are_held_for_each_provider() {
        let crowd = crowd();
        for name in ["sakura", "fuji"] {
            for _ in 0..WAITING_MAX {
                crowd.went(&id("kodama"), true, false);
                assert!(has_to_wait(&crowd, &[name]));
            }
            crowd.went(&id("kodama"), true, false);
            assert!(!has_to_wait(&crowd, &[name]));
        }
        assert!(has_to_wait(&crowd, &["fuji", "kodama"]) && has_to_wait(&crowd, &[]));
        crowd.for_none.rows.fetch_add(WAITING_MAX, Ordering::Relaxed);
        assert!(!has_to_wait(&crowd, &[]), "rows wait for it as well");
        assert_eq!(room_after_ms(&crowd, 4 * HELD_MAX, &[]).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn where_nobody_gets_through_a_quarter_of_the_places_is_used() {
        let crowd = still();
        let every = LOOK_EVERY_MAX.as_millis();
        assert!(has_to_wait(&crowd, &["sakura"]), "there is nobody in whose way it would be");
        assert_eq!(room_after_ms(&crowd, HELD_MAX - 1, &[]).await, 0);
        assert_eq!(room_after_ms(&crowd, HELD_MAX, &[]).await, every);
        assert!(!has_to_wait(&crowd, &["sakura"]), "it was taken to see what is behind it");
        assert!(has_to_wait(&crowd, &["sakura"]));
        assert_eq!(room_after_ms(&crowd, HELD_MAX, &[]).await, every);
        assert!(has_to_wait(&crowd, &["fuji"]), "nobody stands before it");
        crowd.decided().fetch_add(1, Ordering::Relaxed);
        assert_eq!(room_after_ms(&crowd, HELD_MAX, &[]).await, 0, "one of those in hand waits for nobody");
        crowd.decided().fetch_sub(1, Ordering::Relaxed);
        assert_eq!(room_after_ms(&crowd, HELD_MAX, &[]).await, every);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lane_that_stands_still_is_looked_through_as_often_as_others_have_messages() {
        let crowd = still();
        let (often, rarely) = (LOOK_EVERY_MIN.as_millis(), LOOK_EVERY_MAX.as_millis());
        assert_eq!(room_after_ms(&crowd, HELD_MAX, &["sakura", "fuji"]).await, rarely, "nobody else ever went");
        (0..10).for_each(|_| crowd.went(&id("fuji"), false, false));
        let (some, none) =
            (room_after_ms(&crowd, HELD_MAX, &["fuji"]).await, room_after_ms(&crowd, HELD_MAX, &["kodama"]).await);
        assert!((60..=62).contains(&some), "{some} ms with ten in the last minute");
        assert_eq!(none, rarely, "it rests");
        (0..1_000).for_each(|_| crowd.went(&id("fuji"), false, false));
        let many = room_after_ms(&crowd, HELD_MAX, &["fuji"]).await;
        assert!((often..=often + 2).contains(&many), "{many} ms with a thousand");
        tokio::time::advance(RECENT * 5).await;
        assert_eq!(room_after_ms(&crowd, HELD_MAX, &["fuji"]).await, rarely, "it was long ago");
        (0..1_000).for_each(|_| crowd.went(&id("fuji"), false, false));
        assert!(has_to_wait(&crowd, &["fuji"]));
        assert_eq!(room_after_ms(&crowd, HELD_MAX, &["fuji"]).await, rarely, "it is full as well");
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
            crowd.went(provider, at_once, is_scarce);
            assert_eq!(crowd.flows(), expected, "{why}");
        }
    }
}
