//! Permits: the right to have one call in flight to a provider for a lane. Each lane has a reserved share.
//!
//! Concurrency and rate are counted here and nowhere else; waiting is bounded by the caller.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::future::select_all;
use otodoke_common::config::ProviderSettings;
use otodoke_common::leg::ProviderId;
use otodoke_common::message::Lane;
use tokio::sync::Notify;
use tokio::time::{Duration, Instant};

/// Percent of a provider's concurrency that only this lane may use.
const RESERVED_PERCENT: [(Lane, u32); 3] = [(Lane::Critical, 20), (Lane::Normal, 30), (Lane::Bulk, 10)];
/// Calls begun that must be saved up before a lane may begin one: critical takes its call in advance, bulk leaves some.
const SAVED_UP: [(Lane, f64); 3] = [(Lane::Critical, 0.0), (Lane::Normal, 1.0), (Lane::Bulk, 1.5)];
/// A rate's burst is what it allows in this time, and at least `BURST_MIN`.
const BURST_S: f64 = 0.1;
const BURST_MIN: f64 = 2.0;
/// How long a provider counts as scarce after it was full.
const SCARCE_MS: u64 = 1_000;
/// When every call is in use, a free one is expected about then.
const FULL_RETRY_MS: u64 = 50;

/// What a provider bears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Calls in flight at once.
    pub concurrency: u32,
    /// Calls begun per second.
    pub rate_per_s: u32,
}

impl Capacity {
    pub(crate) const fn of(provider: &ProviderSettings) -> Self {
        Self { concurrency: provider.concurrency, rate_per_s: provider.rate_per_s }
    }
}

pub(crate) struct Permits {
    pools: Mutex<BTreeMap<ProviderId, Pool>>,
    /// A permit of this provider was given back.
    freed: BTreeMap<ProviderId, Notify>,
    /// One of any.
    some_freed: Notify,
}

struct Pool {
    capacity: Capacity,
    in_use: BTreeMap<Lane, u32>,
    tokens: f64,
    refilled_at: Instant,
    /// Calls begun since somebody looked last.
    begun: u32,
    looked_at: Instant,
    /// When each lane was last told that it is full.
    refused_at: BTreeMap<Lane, Instant>,
}

/// How much of a provider's rate is used.
pub(crate) struct Usage {
    pub(crate) provider: ProviderId,
    pub(crate) allowed_per_s: u32,
    pub(crate) used_per_s: f64,
}

/// One call in flight. Dropped, it is free again.
pub(crate) struct Permit {
    permits: Arc<Permits>,
    provider: ProviderId,
    lane: Lane,
}

/// No permit now; try again after this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full {
    pub(crate) retry_ms: u64,
}

impl Permits {
    pub(crate) fn new(capacities: BTreeMap<ProviderId, Capacity>) -> Arc<Self> {
        let now = Instant::now();
        let freed = capacities.keys().map(|id| (id.clone(), Notify::new())).collect();
        let pools = capacities.into_iter().map(|(id, capacity)| (id, Pool::new(capacity, now))).collect();
        Arc::new(Self { pools: Mutex::new(pools), freed, some_freed: Notify::new() })
    }

    pub(crate) fn try_acquire(self: &Arc<Self>, provider: &ProviderId, lane: Lane) -> Result<Permit, Full> {
        let mut pools = self.lock();
        let Some(pool) = pools.get_mut(provider) else { return Err(Full { retry_ms: FULL_RETRY_MS }) };
        let now = Instant::now();
        if let Err(full) = pool.take(lane, now) {
            pool.refused_at.insert(lane, now);
            return Err(full);
        }
        Ok(Permit { permits: Arc::clone(self), provider: provider.clone(), lane })
    }

    /// The provider asked to be left alone for so long: then its calls begin at their rate, none saved up.
    pub(crate) fn pause(&self, provider: &ProviderId, for_ms: u64) {
        if let Some(pool) = self.lock().get_mut(provider) {
            pool.tokens = pool.tokens.min(0.0);
            pool.refilled_at = pool.refilled_at.max(Instant::now() + Duration::from_millis(for_ms));
        }
    }

    /// Whether a permit was refused to this lane a moment ago: who gets one at once now took it from those who wait.
    pub(crate) fn is_scarce(&self, provider: &ProviderId, lane: Lane) -> bool {
        let pools = self.lock();
        let refused_at = pools.get(provider).and_then(|pool| pool.refused_at.get(&lane));
        refused_at.is_some_and(|at| at.elapsed() < Duration::from_millis(SCARCE_MS))
    }

    /// Waits until a permit of one of these was given back, or `retry_ms` went by. The others' are no reason to look again.
    pub(crate) async fn wait(&self, providers: &BTreeSet<ProviderId>, retry_ms: u64) {
        let notices = providers.iter().filter_map(|provider| self.freed.get(provider));
        let notices: Vec<_> = notices.map(|notice| Box::pin(notice.notified())).collect();
        let wait = Duration::from_millis(retry_ms);
        if notices.is_empty() {
            tokio::time::sleep(wait).await;
        } else {
            // A time out is as good as a permit given back: the caller looks again.
            let _ = tokio::time::timeout(wait, select_all(notices)).await;
        }
    }

    /// The same for whoever waits for any.
    pub(crate) async fn wait_for_some(&self, retry: Duration) {
        let _ = tokio::time::timeout(retry, self.some_freed.notified()).await;
    }

    /// Since the last time this was asked.
    pub(crate) fn usage(&self) -> Vec<Usage> {
        let now = Instant::now();
        let look = |(provider, pool): (&ProviderId, &mut Pool)| {
            let passed_s = now.saturating_duration_since(pool.looked_at).as_secs_f64();
            let used_per_s = if passed_s > 0.0 { f64::from(pool.begun) / passed_s } else { 0.0 };
            (pool.begun, pool.looked_at) = (0, now);
            Usage { provider: provider.clone(), allowed_per_s: pool.capacity.rate_per_s, used_per_s }
        };
        self.lock().iter_mut().map(look).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ProviderId, Pool>> {
        self.pools.lock().expect("no code panics while it holds the permits")
    }
}

impl Permit {
    /// Nothing was begun with it: another may begin in its place. While its provider is left alone, nobody may.
    pub(crate) fn give_back_unused(self) {
        if let Some(pool) = self.permits.lock().get_mut(&self.provider)
            && pool.refilled_at <= Instant::now()
        {
            pool.tokens = (pool.tokens + 1.0).min(burst(pool.capacity));
            pool.begun = pool.begun.saturating_sub(1);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(pool) = self.permits.lock().get_mut(&self.provider)
            && let Some(in_use) = pool.in_use.get_mut(&self.lane)
        {
            *in_use = in_use.saturating_sub(1);
        }
        if let Some(freed) = self.permits.freed.get(&self.provider) {
            freed.notify_waiters();
        }
        self.permits.some_freed.notify_waiters();
    }
}

impl Pool {
    fn new(capacity: Capacity, now: Instant) -> Self {
        let in_use = Lane::ALL.into_iter().map(|lane| (lane, 0)).collect();
        Self {
            capacity,
            in_use,
            tokens: burst(capacity),
            refilled_at: now,
            begun: 0,
            looked_at: now,
            refused_at: BTreeMap::new(),
        }
    }

    fn take(&mut self, lane: Lane, now: Instant) -> Result<(), Full> {
        self.refill(now);
        if !self.has_room(lane) {
            return Err(Full { retry_ms: FULL_RETRY_MS });
        }
        let missing = share(&SAVED_UP, lane) - self.tokens;
        if missing > 0.0 {
            let wait_s = missing / f64::from(self.capacity.rate_per_s.max(1));
            return Err(Full {
                retry_ms: Duration::from_secs_f64(wait_s).as_millis().try_into().unwrap_or(u64::MAX) + 1,
            });
        }
        self.tokens -= 1.0;
        self.begun = self.begun.saturating_add(1);
        *self.in_use.entry(lane).or_default() += 1;
        Ok(())
    }

    /// A lane uses its own share first; then what no lane has reserved.
    fn has_room(&self, lane: Lane) -> bool {
        let claimed: u32 = Lane::ALL
            .into_iter()
            .map(|each| {
                let used = self.in_use[&each];
                if each == lane { used } else { used.max(self.reserved(each)) }
            })
            .sum();
        claimed < self.capacity.concurrency || self.in_use[&lane] < self.reserved(lane)
    }

    fn reserved(&self, lane: Lane) -> u32 {
        let percent = share(&RESERVED_PERCENT, lane);
        (self.capacity.concurrency * percent / 100).max(u32::from(self.capacity.concurrency >= 3))
    }

    fn refill(&mut self, now: Instant) {
        let passed_s = now.saturating_duration_since(self.refilled_at).as_secs_f64();
        let refilled = self.tokens + passed_s * f64::from(self.capacity.rate_per_s);
        self.tokens = refilled.min(burst(self.capacity));
        // A pause that is not over goes on.
        self.refilled_at = self.refilled_at.max(now);
    }
}

fn burst(capacity: Capacity) -> f64 {
    (f64::from(capacity.rate_per_s) * BURST_S).max(BURST_MIN)
}

fn share<T: Copy>(shares: &[(Lane, T); 3], lane: Lane) -> T {
    let found = shares.iter().find(|(each, _)| *each == lane);
    found.expect("the table has a row for every lane").1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sakura(concurrency: u32, rate_per_s: u32) -> (Arc<Permits>, ProviderId) {
        let id = ProviderId::parse("sakura").expect("valid");
        (Permits::new(BTreeMap::from([(id.clone(), Capacity { concurrency, rate_per_s })])), id)
    }

    #[tokio::test(start_paused = true)]
    async fn bulk_never_takes_the_last_permits_of_critical() {
        let (permits, id) = sakura(10, 1_000);
        let bulk: Vec<Permit> = (0..20).map_while(|_| permits.try_acquire(&id, Lane::Bulk).ok()).collect();
        assert_eq!(bulk.len(), 5, "half is reserved for the lanes before it");
        assert!(permits.try_acquire(&id, Lane::Critical).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_permit_is_free_again_and_wakes_who_waits() {
        let (permits, id) = sakura(1, 1_000);
        let held = permits.try_acquire(&id, Lane::Normal).expect("the first is free");
        assert!(permits.try_acquire(&id, Lane::Normal).is_err());
        let waiter = tokio::spawn({
            let (permits, id) = (Arc::clone(&permits), id.clone());
            async move { permits.wait(&BTreeSet::from([id]), 60_000).await }
        });
        tokio::task::yield_now().await;
        drop(held);
        waiter.await.expect("the waiter ends");
        assert!(permits.try_acquire(&id, Lane::Normal).is_ok());
    }

    /// An old copy of a row takes a permit, and learns only by its save that there is nothing to send.
    #[tokio::test(start_paused = true)]
    async fn what_nothing_was_begun_with_counts_for_no_rate() {
        let (permits, id) = sakura(10, 5);
        for _ in 0..100 {
            permits.try_acquire(&id, Lane::Normal).expect("nothing is used up").give_back_unused();
        }
        assert_eq!(permits.usage()[0].used_per_s, 0.0);
        while permits.try_acquire(&id, Lane::Normal).is_ok() {}
        let held = (0..10).find_map(|_| permits.try_acquire(&id, Lane::Critical).ok()).expect("critical's own");
        permits.pause(&id, 1_000);
        held.give_back_unused();
        assert!(permits.try_acquire(&id, Lane::Critical).is_err(), "a pause goes on");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_begun_since_the_last_look_is_told_as_a_rate() {
        let (permits, id) = sakura(10, 1_000);
        for _ in 0..6 {
            drop(permits.try_acquire(&id, Lane::Normal));
        }
        tokio::time::advance(Duration::from_secs(2)).await;
        let told = || permits.usage().into_iter().map(|usage| (usage.allowed_per_s, usage.used_per_s)).next();
        assert_eq!(told(), Some((1_000, 3.0)));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(told(), Some((1_000, 0.0)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_provider_asked_for_is_no_time_to_save_up_calls_in() {
        let (permits, id) = sakura(1_000, 100);
        let begun = || (0..100).map_while(|_| permits.try_acquire(&id, Lane::Normal).ok().map(drop)).count();
        permits.pause(&id, 1_000);
        for _ in 0..10 {
            assert_eq!(begun(), 0);
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        let mut after = 0;
        for _ in 0..10 {
            tokio::time::advance(Duration::from_millis(20)).await;
            after += begun();
        }
        assert!((18..=20).contains(&after), "{after} in 200 ms at 100 per second");
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_kept_over_a_second_and_critical_goes_first() {
        let (permits, id) = sakura(1_000, 20);
        let begun = |lane| permits.try_acquire(&id, lane).is_ok();
        let mut normal = 0;
        for _ in 0..100 {
            normal += u32::from(begun(Lane::Normal));
            tokio::time::advance(Duration::from_millis(10)).await;
        }
        assert!((18..=22).contains(&normal), "{normal} in a second at 20 per second");
        while begun(Lane::Normal) {}
        assert!(begun(Lane::Critical), "what normal leaves is for critical");
    }
}
