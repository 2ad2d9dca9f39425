//! Until when messages may live that went out by a route. Kept in the store, so that `config check` refuses settings that
//! lack a route whose receipts, questions and resends are still to come.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use tokio::time::Duration;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::leg::RouteId;
use crate::store::{Store, StoreError};
use crate::time::Timestamp;

const IN_USE: &str = "route/in_use_until/";
const TELL_EVERY_MS: u64 = 5_000;

/// What this process sent: by route, the latest deadline of its messages. As many entries as there are routes.
#[derive(Debug, Default)]
pub struct InUse(Mutex<BTreeMap<RouteId, Timestamp>>);

impl InUse {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<RouteId, Timestamp>> {
        self.0.lock().expect("no code panics while it holds what is in use")
    }

    /// A leg goes out by `route` for a message that lives until `until`.
    pub fn note(&self, route: &RouteId, until: Timestamp) {
        let mut noted = self.lock();
        match noted.get_mut(route) {
            Some(latest) => *latest = until.max(*latest),
            None => drop(noted.insert(route.clone(), until)),
        }
    }

    fn living(&self, now: Timestamp) -> BTreeMap<RouteId, Timestamp> {
        let mut noted = self.lock();
        noted.retain(|_, until| now < *until);
        noted.clone()
    }

    /// Tells everybody what is later than what was told. Of two processes that tell at once the earlier time may stay; both
    /// look again the next time, and the later one finds that.
    pub async fn tell(&self, store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
        for (route, until) in self.living(now) {
            let name = format!("{IN_USE}{}", route.as_str());
            let told = store.setting(&name).await?.as_deref().and_then(read);
            if told.is_none_or(|told| told < until) {
                store.setting_put(&name, Some(&until.unix_ms().to_string())).await?;
            }
        }
        Ok(())
    }

    /// Tells until `stop`. What could not be told is told the next time.
    pub async fn keep_telling(&self, store: &dyn Store, clock: &Clock, stop: &CancellationToken) {
        let every = Duration::from_millis(TELL_EVERY_MS);
        while stop.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
            if let Some(Err(error)) = stop.run_until_cancelled(self.tell(store, clock.now())).await {
                tracing::debug!(%error, "which routes are in use could not be told to others");
            }
        }
    }
}

/// The routes that messages which may live at `now` went out by, each until when.
pub async fn in_use(store: &dyn Store, now: Timestamp) -> Result<Vec<(RouteId, Timestamp)>, StoreError> {
    let told = store.settings(IN_USE).await?;
    let route_until = |(name, until): &(String, String)| {
        let route = RouteId::parse(name.strip_prefix(IN_USE)?).ok()?;
        Some((route, read(until)?)).filter(|(_, until)| now < *until)
    };
    Ok(told.iter().filter_map(route_until).collect())
}

fn read(until: &str) -> Option<Timestamp> {
    until.parse().ok().map(Timestamp::from_unix_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::memory::Memory;

    fn route(id: &str) -> RouteId {
        RouteId::parse(id).expect("a route id")
    }

    const fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_ms(ms)
    }

    #[tokio::test]
    async fn a_route_is_in_use_until_the_last_of_its_messages_is_over() {
        let store = Memory::new(Clock::system()).store();
        let used = InUse::default();
        for (id, until) in [("jp-fuji", 5_000), ("jp-sakura", 3_000), ("jp-fuji", 4_000)] {
            used.note(&route(id), at(until));
        }
        used.tell(&*store, at(0)).await.expect("memory takes it");
        used.tell(&*store, at(4_999)).await.expect("memory takes it");
        let all = vec![(route("jp-fuji"), at(5_000)), (route("jp-sakura"), at(3_000))];
        assert_eq!(in_use(&*store, at(2_999)).await, Ok(all));
        assert_eq!(in_use(&*store, at(3_000)).await, Ok(vec![(route("jp-fuji"), at(5_000))]));
        assert_eq!(in_use(&*store, at(5_000)).await, Ok(vec![]));
    }

    #[tokio::test]
    async fn of_several_processes_the_latest_counts_in_whatever_order_they_tell() {
        let store = Memory::new(Clock::system()).store();
        let [early, late] = [3_000, 9_000].map(|until| {
            let used = InUse::default();
            used.note(&route("jp-fuji"), at(until));
            used
        });
        for used in [&early, &late, &early] {
            used.tell(&*store, at(0)).await.expect("memory takes it");
        }
        assert_eq!(in_use(&*store, at(0)).await, Ok(vec![(route("jp-fuji"), at(9_000))]));
    }
}
