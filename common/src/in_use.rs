//! Until when messages may live that went out by a route and its provider. Kept in the store, so that `config check` refuses
//! settings that lack what their receipts, questions and repeats still need.
//!
//! A worker tells within moments that it took a route into use, or for a much longer time than before; what grows little by
//! little, every few seconds. One that is killed in between leaves what it told last.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use tokio::sync::Notify;
use tokio::time::Duration;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::leg::{ProviderId, RouteId};
use crate::store::{Store, StoreError};
use crate::time::Timestamp;

const IN_USE: &str = "route/in_use_until/";
const TELL_EVERY_MS: u64 = 5_000;
/// A time that is later than the last one by no more than this waits for its turn.
const LATER_MS_MAX: u64 = 30_000;

/// What this process sent: by route and provider, the latest deadline of its messages. As many entries as there are routes.
#[derive(Debug, Default)]
pub struct InUse {
    noted: Mutex<BTreeMap<Way, Noted>>,
    /// Something is to be told at once.
    news: Notify,
}

/// The same route over another provider is another way: whoever was sent by the first needs that one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Way {
    pub route: RouteId,
    pub provider: ProviderId,
}

#[derive(Clone, Copy, Debug)]
struct Noted {
    until: Timestamp,
    /// The last time that called for telling.
    told: Timestamp,
}

impl InUse {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Way, Noted>> {
        self.noted.lock().expect("no code panics while it holds what is in use")
    }

    /// A leg goes out by this way for a message that lives until `until`.
    pub fn note(&self, route: &RouteId, provider: &ProviderId, until: Timestamp) {
        let mut noted = self.lock();
        let way = Way { route: route.clone(), provider: provider.clone() };
        let known = noted.entry(way).or_insert(Noted { until, told: Timestamp::from_unix_ms(i64::MIN) });
        known.until = until.max(known.until);
        if known.until > known.told.plus_ms(LATER_MS_MAX) {
            known.told = known.until;
            self.news.notify_one();
        }
    }

    fn living(&self, now: Timestamp) -> BTreeMap<Way, Timestamp> {
        let mut noted = self.lock();
        noted.retain(|_, noted| now < noted.until);
        noted.iter().map(|(way, noted)| (way.clone(), noted.until)).collect()
    }

    /// Tells everybody what is later than what was told. Of two processes that tell at the same moment the earlier time may
    /// stay; it is mended when the later one looks again.
    pub async fn tell(&self, store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
        for (way, until) in self.living(now) {
            let name = format!("{IN_USE}{}/{}", way.route.as_str(), way.provider.as_str());
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
        let news = || tokio::time::timeout(every, self.news.notified());
        while stop.run_until_cancelled(news()).await.is_some() {
            if let Some(Err(error)) = stop.run_until_cancelled(self.tell(store, clock.now())).await {
                tracing::debug!(%error, "which routes are in use could not be told to others");
            }
        }
    }
}

/// The ways that messages which may live at `now` went out by, each until when.
pub async fn in_use(store: &dyn Store, now: Timestamp) -> Result<Vec<(Way, Timestamp)>, StoreError> {
    let told = store.settings(IN_USE).await?;
    let way_until = |(name, until): &(String, String)| {
        let (route, provider) = name.strip_prefix(IN_USE)?.split_once('/')?;
        let way = Way { route: RouteId::parse(route).ok()?, provider: ProviderId::parse(provider).ok()? };
        Some((way, read(until)?)).filter(|(_, until)| now < *until)
    };
    Ok(told.iter().filter_map(way_until).collect())
}

fn read(until: &str) -> Option<Timestamp> {
    until.parse().ok().map(Timestamp::from_unix_ms)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::memory::Memory;

    fn way(route: &str, provider: &str) -> Way {
        let provider = ProviderId::parse(provider).expect("a provider id");
        Way { route: RouteId::parse(route).expect("a route id"), provider }
    }

    fn note(used: &InUse, way: &Way, until: i64) {
        used.note(&way.route, &way.provider, at(until));
    }

    const fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_ms(ms)
    }

    #[tokio::test]
    async fn a_way_is_in_use_until_the_last_of_its_messages_is_over() {
        let store = Memory::new(Clock::system()).store();
        let (used, fuji, sakura) = (InUse::default(), way("jp-fuji", "fuji"), way("jp-sakura", "sakura"));
        let moved = way("jp-sakura", "fuji");
        for (way, until) in [(&fuji, 5_000), (&sakura, 3_000), (&fuji, 4_000), (&moved, 2_000)] {
            note(&used, way, until);
        }
        used.tell(&*store, at(0)).await.expect("memory takes it");
        used.tell(&*store, at(4_999)).await.expect("memory takes it");
        let all = [(&fuji, 5_000), (&moved, 2_000), (&sakura, 3_000)].map(|(way, until)| (way.clone(), at(until)));
        assert_eq!(in_use(&*store, at(1_999)).await, Ok(all.to_vec()));
        assert_eq!(in_use(&*store, at(3_000)).await, Ok(vec![(fuji, at(5_000))]));
        assert_eq!(in_use(&*store, at(5_000)).await, Ok(vec![]));
    }

    #[tokio::test]
    async fn of_several_processes_the_latest_counts_in_whatever_order_they_tell() {
        let (store, fuji) = (Memory::new(Clock::system()).store(), way("jp-fuji", "fuji"));
        let [early, late] = [3_000, 9_000].map(|until| {
            let used = InUse::default();
            note(&used, &fuji, until);
            used
        });
        for used in [&early, &late, &early] {
            used.tell(&*store, at(0)).await.expect("memory takes it");
        }
        assert_eq!(in_use(&*store, at(0)).await, Ok(vec![(fuji, at(9_000))]));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_new_or_much_later_is_told_at_once_and_the_rest_in_turn() {
        let memory = Memory::new(Clock::system());
        let (store, used, fuji) = (memory.store(), Arc::new(InUse::default()), way("jp-fuji", "fuji"));
        let far = Clock::system().now().unix_ms() + 3_600_000;
        let (told, telling) = (Arc::clone(&store), Arc::clone(&used));
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        let task = tokio::spawn(async move { telling.keep_telling(&*told, &Clock::system(), &stopping).await });
        let moment = Duration::from_millis(10);
        for (later_ms, wait, known_ms) in [
            (0, moment, 0),
            (20_000, moment, 0),
            (20_000, Duration::from_millis(TELL_EVERY_MS), 20_000),
            (60_000, moment, 60_000),
        ] {
            note(&used, &fuji, far + later_ms);
            tokio::time::sleep(wait).await;
            assert_eq!(in_use(&*store, at(0)).await, Ok(vec![(fuji.clone(), at(far + known_ms))]), "{later_ms}");
        }
        stop.cancel();
        task.await.expect("it stops");
    }
}
