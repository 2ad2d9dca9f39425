//! Who waits in hand, by lane and by provider; and how a lane in which nobody gets through is looked through.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

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
/// Deliveries that wait in hand where nobody gets through: at most, and at most a part of those that may be in hand.
const HELD_MAX: usize = 16;
const HELD_PART: usize = 4;
/// How soon a lane that stands still is looked at again, whether it does.
const STILL_LOOK: Duration = Duration::from_millis(50);
/// It is looked through for messages of providers that are free: so many messages for each that those had in the last
/// minute, and how often at most and at least. Of a row that is put aside for that the door sees nothing.
const LOOKS_FOR_EACH: f64 = 100.0;
const LAST_MINUTE: Duration = Duration::from_secs(60);
const LOOK_EVERY_MIN: Duration = Duration::from_millis(10);
const LOOK_EVERY_MAX: Duration = Duration::from_secs(1);
/// With so many it is looked as often as may be; more would only be remembered for longer.
const LAST_MINUTE_MAX: f64 = LAST_MINUTE.as_secs_f64() / (LOOKS_FOR_EACH * LOOK_EVERY_MIN.as_secs_f64());

pub(crate) struct Crowds(BTreeMap<Lane, Crowd>);

/// Who waits in a lane.
pub(crate) struct Crowd {
    in_hand_max: usize,
    /// Deliveries that wait.
    held: AtomicUsize,
    /// Deliveries that are decided, and wait for nothing but to be saved.
    decided: AtomicUsize,
    /// Deliveries that had to wait, since one went at once.
    in_a_row: AtomicUsize,
    providers: BTreeMap<ProviderId, ForProvider>,
    /// For none of them: their providers rest or asked to be left alone, or their code's root is not known here.
    for_none: ForProvider,
}

/// What of a lane is for one provider.
pub(crate) struct ForProvider {
    deliveries: AtomicUsize,
    rows: AtomicUsize,
    /// One line for all lanes.
    pub(crate) aside: Arc<Aside>,
    went: Mutex<LastMinute>,
}

/// Counts as long as it lives.
pub(crate) struct Counted<'a>(&'a AtomicUsize);

/// Counts what happened in the last minute: what is long ago counts less and less.
#[derive(Default)]
struct LastMinute {
    count: f64,
    at: Option<Instant>,
}

impl Crowds {
    pub(crate) fn new(settings: &WorkerSettings) -> Self {
        let line = || Arc::new(Aside::new(settings.release_per_s));
        let lines: BTreeMap<_, _> = settings.capacities.keys().map(|provider| (provider.clone(), line())).collect();
        let for_none = line();
        let crowd = |lane| {
            let in_hand_max = settings.lanes.get(&lane).copied().unwrap_or(1);
            (lane, Crowd::new(&lines, &for_none, in_hand_max))
        };
        Self(Lane::ALL.map(crowd).into())
    }

    pub(crate) fn of(&self, lane: Lane) -> &Crowd {
        &self.0[&lane]
    }
}

impl Crowd {
    fn new(lines: &BTreeMap<ProviderId, Arc<Aside>>, for_none: &Arc<Aside>, in_hand_max: usize) -> Self {
        Self {
            in_hand_max,
            held: AtomicUsize::new(0),
            decided: AtomicUsize::new(0),
            in_a_row: AtomicUsize::new(0),
            providers: lines.iter().map(|(provider, line)| (provider.clone(), ForProvider::new(line))).collect(),
            for_none: ForProvider::new(for_none),
        }
    }

    /// Returns once a delivery would not only stand behind others, or when it is time to look behind them.
    pub(crate) async fn room(
        &self,
        in_hand: impl Fn() -> usize,
        permits: &Permits,
        is_ready: impl Fn(&ProviderId) -> bool,
    ) {
        let undecided = || in_hand().saturating_sub(self.decided.load(Ordering::Relaxed));
        let begun = Instant::now();
        while !self.flows() && undecided() >= self.held_max() {
            let left = self.look_every(&is_ready).saturating_sub(begun.elapsed());
            if left.is_zero() {
                return;
            }
            permits.wait_for_some(left.min(STILL_LOOK)).await;
        }
    }

    fn held_max(&self) -> usize {
        (self.in_hand_max / HELD_PART).clamp(1, HELD_MAX)
    }

    /// Those are free that no delivery waits for.
    fn look_every(&self, is_ready: impl Fn(&ProviderId) -> bool) -> Duration {
        let free = self.providers.iter().filter(|(provider, of)| !of.has_deliveries() && is_ready(provider));
        let recent: f64 = free.map(|(_, of)| of.lock_went().count()).sum();
        let every = Duration::try_from_secs_f64(LAST_MINUTE.as_secs_f64() / (recent * LOOKS_FOR_EACH));
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

    /// A delivery cannot go at once.
    pub(crate) fn has_to_wait(&self) {
        self.in_a_row.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether a delivery may wait here for one of these: where it is not in the way of others, who get through or may be
    /// behind it.
    pub(crate) fn has_place_for(&self, of_any: &[&ForProvider]) -> bool {
        if self.flows() {
            return of_any.iter().any(|of| of.waiting() < WAITING_MAX);
        }
        let held = self.held.load(Ordering::Relaxed);
        let is_first = || of_any.iter().any(|of| !of.has_deliveries());
        held < self.held_max() || (is_first() && held + 1 < self.in_hand_max)
    }

    /// A delivery waits, for any of these.
    pub(crate) fn hold<'a>(&'a self, of_any: &[&'a ForProvider]) -> Vec<Counted<'a>> {
        of_any.iter().map(|of| &of.deliveries).chain([&self.held]).map(Counted::new).collect()
    }

    pub(crate) fn decided(&self) -> Counted<'_> {
        Counted::new(&self.decided)
    }

    /// A delivery went with a permit of this provider; `at_once` when it did not wait.
    pub(crate) fn went(&self, provider: &ProviderId, at_once: bool, is_scarce: bool) {
        let of = self.of(provider);
        of.lock_went().add();
        let others_wait = || self.providers.values().any(ForProvider::has_deliveries);
        // From a scarce provider it took what others wait for: they get through only if those in hand wait for another one.
        if at_once && (!is_scarce || (!of.has_deliveries() && others_wait())) {
            self.in_a_row.store(0, Ordering::Relaxed);
        }
    }
}

impl ForProvider {
    fn new(line: &Arc<Aside>) -> Self {
        Self {
            deliveries: AtomicUsize::new(0),
            rows: AtomicUsize::new(0),
            aside: Arc::clone(line),
            went: Mutex::default(),
        }
    }

    fn waiting(&self) -> usize {
        self.deliveries.load(Ordering::Relaxed) + self.rows.load(Ordering::Relaxed)
    }

    fn has_deliveries(&self) -> bool {
        self.deliveries.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn has_place_for_row(&self) -> bool {
        self.rows.load(Ordering::Relaxed) < WAITING_MAX
    }

    pub(crate) fn row(&self) -> Counted<'_> {
        Counted::new(&self.rows)
    }

    fn lock_went(&self) -> MutexGuard<'_, LastMinute> {
        self.went.lock().expect("no code panics while it counts")
    }
}

impl<'a> Counted<'a> {
    fn new(counter: &'a AtomicUsize) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl LastMinute {
    fn count(&self) -> f64 {
        let passed = self.at.map_or(Duration::ZERO, |at| at.elapsed());
        self.count * (-passed.as_secs_f64() / LAST_MINUTE.as_secs_f64()).exp()
    }

    fn add(&mut self) {
        (self.count, self.at) = ((self.count() + 1.0).min(LAST_MINUTE_MAX), Some(Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IN_HAND_MAX: usize = 64;

    fn id(name: &str) -> ProviderId {
        ProviderId::parse(name).expect("valid")
    }

    fn crowd(in_hand_max: usize) -> Crowd {
        let line = Arc::new(Aside::new(500));
        let lines = ["sakura", "fuji", "kodama"].map(|name| (id(name), Arc::clone(&line))).into();
        Crowd::new(&lines, &line, in_hand_max)
    }

    /// As a delivery that has to wait does.
    fn wait<'a>(crowd: &'a Crowd, names: &[&str]) -> Option<Vec<Counted<'a>>> {
        let of_any = crowd.of_any(&names.iter().map(|name| id(name)).collect());
        crowd.has_to_wait();
        crowd.has_place_for(&of_any).then(|| crowd.hold(&of_any))
    }

    /// Nobody gets through, for those in hand wait for `sakura`.
    fn stand_still(crowd: &Crowd) -> Vec<Vec<Counted<'_>>> {
        let held = (0..IN_A_ROW_MIN).filter_map(|_| wait(crowd, &["sakura"])).collect();
        assert!(!crowd.flows());
        held
    }

    /// When the next delivery is taken, with so many in hand.
    async fn room_after_ms(crowd: &Crowd, in_hand: usize, ready: &[&str]) -> u128 {
        let (begun, permits) = (Instant::now(), Permits::new(BTreeMap::new()));
        crowd.room(|| in_hand, &permits, |provider| ready.iter().any(|name| id(name) == *provider)).await;
        begun.elapsed().as_millis()
    }

    #[tokio::test(start_paused = true)]
    async fn while_others_get_through_few_are_held_for_each_provider() {
        let crowd = crowd(IN_HAND_MAX);
        let mut held = Vec::new();
        for name in ["sakura", "fuji"] {
            for _ in 0..WAITING_MAX {
                crowd.went(&id("kodama"), true, false);
                held.push(wait(&crowd, &[name]).expect("there is a place"));
            }
            crowd.went(&id("kodama"), true, false);
            assert!(wait(&crowd, &[name]).is_none());
        }
        assert!(wait(&crowd, &["fuji", "kodama"]).is_some() && wait(&crowd, &[]).is_some());
        assert_eq!(room_after_ms(&crowd, IN_HAND_MAX, &[]).await, 0);
        held.clear();
        let rows: Vec<_> = (0..WAITING_MAX).map(|_| crowd.of(&id("fuji")).row()).collect();
        assert!(wait(&crowd, &["fuji"]).is_none(), "rows wait for it");
        drop(rows);
        assert!(wait(&crowd, &["fuji"]).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn where_nobody_gets_through_few_are_held_and_the_others_places_stay_free() {
        for (in_hand_max, held_max) in [(2, 1), (4, 1), (IN_HAND_MAX, 16), (1_000, 16)] {
            let crowd = crowd(in_hand_max);
            let mut held = stand_still(&crowd);
            held.truncate(held_max);
            let every = LOOK_EVERY_MAX.as_millis();
            assert_eq!(room_after_ms(&crowd, held_max - 1, &[]).await, 0);
            assert_eq!(room_after_ms(&crowd, held_max, &[]).await, every);
            assert!(wait(&crowd, &["sakura"]).is_none(), "it was taken to see what is behind it");
            assert_eq!(wait(&crowd, &["fuji"]).is_some(), in_hand_max > 2, "it is the first of its provider");
            let decided = crowd.decided();
            assert_eq!(room_after_ms(&crowd, held_max, &[]).await, 0, "one of those in hand waits for nobody");
            drop(decided);
            assert_eq!(room_after_ms(&crowd, held_max, &[]).await, every);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lane_that_stands_still_is_looked_through_as_often_as_others_have_messages() {
        let crowd = crowd(IN_HAND_MAX);
        let held = stand_still(&crowd);
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
        let waits = wait(&crowd, &["fuji"]);
        assert_eq!(room_after_ms(&crowd, HELD_MAX, &["fuji"]).await, rarely, "it is full as well");
        drop((waits, held));
        tokio::time::advance(LAST_MINUTE * 5).await;
        assert_eq!(room_after_ms(&crowd, HELD_MAX, &["fuji"]).await, rarely, "it was long ago");
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
            let crowd = crowd(IN_HAND_MAX);
            let held = stand_still(&crowd);
            crowd.went(provider, at_once, is_scarce);
            assert_eq!((crowd.flows(), held.len()), (expected, WAITING_MAX), "{why}");
        }
    }
}
