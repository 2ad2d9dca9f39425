//! One decision in the making: routes are chosen by what providers can do now, and the permit of the chosen one is kept.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use otodoke_common::code::CodeKeys;
use otodoke_common::health::{Admission, Health};
use otodoke_common::leg::{Channel, ProviderId, RouteClass};
use otodoke_common::lifecycle::{Cap, Choice, Hold};
use otodoke_common::message::{Kind, Lane, Message, Want};
use otodoke_common::metrics::Metrics;
use otodoke_common::retry::Delays;
use otodoke_common::route::{self, Route, RouteTable, Scene, Standing};
use otodoke_common::time::Timestamp;
use tokio::time::{Duration, Instant};

use crate::bill::Budget;
use crate::permits::{Permit, Permits};

/// A message whose root is not known here is looked at again after this.
const ROOT_LOOK_MS: u64 = 2_000;

pub(crate) struct Hand<'a> {
    pub(crate) table: &'a RouteTable,
    pub(crate) codes: &'a CodeKeys,
    pub(crate) permits: &'a Arc<Permits>,
    pub(crate) health: &'a Mutex<Health>,
    pub(crate) metrics: &'a Metrics,
    pub(crate) now: Timestamp,
    pub(crate) delays: Delays,
    /// What the tenant's money still pays for.
    pub(crate) budget: &'a Budget,
    /// Whose permits were asked for in vain.
    pub(crate) waits_for: Mutex<BTreeSet<ProviderId>>,
    pub(crate) held: Mutex<Option<Passage>>,
}

/// What a leg goes out with: a permit of its provider, and where that one rested, the only probe.
pub(crate) struct Passage {
    permit: Permit,
    provider: ProviderId,
    probes: bool,
}

impl Passage {
    pub(crate) const fn provider(&self) -> &ProviderId {
        &self.provider
    }

    /// Of a leg whose route is fixed: it is no probe, for it does not wait until its provider is back.
    pub(crate) fn of_repeat(permit: Permit, provider: &ProviderId) -> Self {
        Self { permit, provider: provider.clone(), probes: false }
    }

    /// The leg does not go out after all.
    pub(crate) fn give_back(self, health: &mut Health) {
        if self.probes {
            health.forgo(&self.provider);
        }
        self.permit.give_back_unused();
    }
}

impl Hand<'_> {
    /// The best route that is free, with its permit in hand; else what to wait for.
    pub(crate) fn choose(&self, message: &Message, want: &Want) -> Choice {
        if want.channel == Channel::Voice && !self.budget.pays_for_calls() {
            return Choice::OverLimit(Cap::CallsPerHour);
        }
        if let Kind::Code { kid, .. } = &message.kind
            && !self.codes.knows(kid)
        {
            // Left to a process that can say the code; this one says in its readiness what it lacks.
            return Choice::Wait { until: self.now.plus_ms(ROOT_LOOK_MS), why: Hold::NoRoot };
        }
        let mut full: BTreeSet<ProviderId> = BTreeSet::new();
        let mut retry_ms = u64::MAX;
        loop {
            let until = self.now.plus_ms(retry_ms);
            let standing = |route: &Route| self.standing(route, &full, until);
            let score = |route: &_| self.lock_health().score(route, self.now);
            let scene = Scene {
                now: self.now,
                table: self.table,
                standing: &standing,
                score: &score,
                cooling_ms: &|failures, roll| self.delays.delay_ms(failures, roll),
            };
            let choice = route::choose(message, want, &scene).choice;
            let Choice::Go(pick) = choice else { return choice };
            let route = &pick.route;
            match self.permits.try_acquire(&route.provider, message.lane) {
                Ok(permit) => {
                    let probes = match self.lock_health().admit(&route.provider, self.now) {
                        Admission::Goes => false,
                        Admission::Probes => true,
                        // Somebody took the probe since we looked: now it rests for us as well.
                        Admission::Rests { .. } => {
                            permit.give_back_unused();
                            continue;
                        }
                    };
                    if route.class == RouteClass::International && !full.is_empty() {
                        self.metrics.spillover(&route.id, message.lane);
                    }
                    self.keep(Passage { permit, provider: route.provider.clone(), probes });
                    return Choice::Go(pick);
                }
                Err(none) => {
                    self.metrics.rate_limited(&route.provider, message.lane);
                    full.insert(route.provider.clone());
                    self.waits_for.lock().expect("no code panics while it holds a hand").insert(route.provider.clone());
                    retry_ms = retry_ms.min(none.retry_ms);
                }
            }
        }
    }

    fn standing(&self, route: &Route, full: &BTreeSet<ProviderId>, until: Timestamp) -> Standing {
        if !self.budget.pays_for(route) {
            return Standing::OverBudget;
        }
        if full.contains(&route.provider) {
            return Standing::Full { until };
        }
        self.lock_health().standing(&route.provider, self.now)
    }

    /// What it got, and whom it waits for.
    pub(crate) fn empty(self) -> (Option<Passage>, BTreeSet<ProviderId>) {
        let no_panic = "no code panics while it holds a hand";
        (self.held.into_inner().expect(no_panic), self.waits_for.into_inner().expect(no_panic))
    }

    fn keep(&self, passage: Passage) {
        *self.held.lock().expect("no code panics while it holds a hand") = Some(passage);
    }

    fn lock_health(&self) -> std::sync::MutexGuard<'_, Health> {
        self.health.lock().expect("no code panics while it holds the health")
    }
}

/// A permit for a route that is fixed already: the repeat of a request. `None` where none was free for `patience_ms`.
pub(crate) async fn acquire(
    permits: &Arc<Permits>,
    provider: &ProviderId,
    lane: Lane,
    patience_ms: u64,
) -> Option<Permit> {
    let until = Instant::now() + Duration::from_millis(patience_ms);
    loop {
        let none = match permits.try_acquire(provider, lane) {
            Ok(permit) => return Some(permit),
            Err(none) => none,
        };
        // A wait may end early, whenever any permit is given back: what counts is the clock.
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        let left_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX).max(1);
        permits.wait(&BTreeSet::from([provider.clone()]), none.retry_ms.min(left_ms)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tokio::time::advance;

    use super::*;
    use crate::permits::Capacity;

    const PATIENCE_MS: u64 = 5_000;

    /// All that bulk may have are taken, and critical's come and go.
    #[tokio::test(start_paused = true)]
    async fn patience_is_counted_in_time_and_not_in_permits_given_back() {
        let id = ProviderId::parse("sakura").expect("valid");
        let capacity = Capacity { concurrency: 10, rate_per_s: 10_000 };
        let permits = Permits::new(BTreeMap::from([(id.clone(), capacity)]));
        let mut taken: Vec<Permit> = (0..10).map_while(|_| permits.try_acquire(&id, Lane::Bulk).ok()).collect();
        let waiter = tokio::spawn({
            let (permits, id) = (Arc::clone(&permits), id.clone());
            async move { acquire(&permits, &id, Lane::Bulk, PATIENCE_MS).await }
        });
        for at_ms in 1..PATIENCE_MS {
            tokio::task::yield_now().await;
            advance(Duration::from_millis(1)).await;
            drop(permits.try_acquire(&id, Lane::Critical).expect("critical's own"));
            assert!(!waiter.is_finished(), "given up after {at_ms} ms");
        }
        taken.pop();
        let held = waiter.await.expect("no panic").expect("it was free in time");
        let begun = Instant::now();
        assert!(acquire(&permits, &id, Lane::Bulk, PATIENCE_MS).await.is_none());
        assert_eq!(begun.elapsed(), Duration::from_millis(PATIENCE_MS));
        drop(held);
    }
}
