//! How fast workers go through the lanes in which something waits: each tells it through the store, and doors add it up.
//!
//! A door sees what left a lane only beyond what others put in, so of a lane that several doors fill it may see nothing. Whoever
//! takes out knows it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::dice::Dice;
use crate::message::Lane;
use crate::store::{Store, StoreError};
use crate::time::Timestamp;

const THROUGHPUT: &str = "lane/throughput/";
/// How often workers tell, and doors look.
pub const TELL_EVERY_MS: u64 = 2_000;
/// What was told counts for so long: one telling may be late, and one may be lost. Where a worker is killed, it and whoever
/// comes for it are added up meanwhile.
pub const FRESH_MS: u64 = 3 * TELL_EVERY_MS;

/// Bodies per second, of the lanes in which something waits.
pub type Throughput = BTreeMap<Lane, f64>;

/// What one worker tells, under a name of its own.
#[derive(Debug)]
pub struct Telling {
    name: String,
    /// Something may be kept under the name.
    may_be_kept: bool,
}

#[derive(Serialize, Deserialize)]
struct Told {
    at: Timestamp,
    per_s: Throughput,
}

impl Telling {
    pub fn new(dice: &Dice) -> Self {
        let name = dice.id_bits().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        Self { name: format!("{THROUGHPUT}{name}"), may_be_kept: false }
    }

    /// Whoever has nothing to tell takes back what was told before.
    pub async fn tell(&mut self, store: &dyn Store, now: Timestamp, per_s: Throughput) -> Result<(), StoreError> {
        if per_s.is_empty() {
            return self.take_back(store).await;
        }
        let told = serde_json::to_string(&Told { at: now, per_s }).expect("words and numbers have a JSON form");
        self.may_be_kept = true;
        store.setting_put(&self.name, Some(&told)).await
    }

    /// Safe to repeat.
    pub async fn take_back(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        if self.may_be_kept {
            store.setting_put(&self.name, None).await?;
            self.may_be_kept = false;
        }
        Ok(())
    }
}

/// What all workers together told lately.
pub async fn told(store: &dyn Store, now: Timestamp) -> Result<Throughput, StoreError> {
    let mut sum = Throughput::new();
    for (_, told) in store.settings(THROUGHPUT).await? {
        let Some(told) = read(&told).filter(|told| !is_old(told.at, now)) else { continue };
        for (lane, per_s) in told.per_s {
            *sum.entry(lane).or_default() += per_s;
        }
    }
    Ok(sum)
}

/// Deletes what those told who were killed before they took it back.
pub async fn forget_old(store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
    for (name, told) in store.settings(THROUGHPUT).await? {
        if read(&told).is_none_or(|told| is_old(told.at, now)) {
            store.setting_put(&name, None).await?;
        }
    }
    Ok(())
}

fn read(told: &str) -> Option<Told> {
    serde_json::from_str(told).ok()
}

/// Or from a clock that was far ahead.
fn is_old(at: Timestamp, now: Timestamp) -> bool {
    now.since_ms(at).max(at.since_ms(now)) >= FRESH_MS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::memory::Memory;

    const NOW: Timestamp = Timestamp::from_unix_ms(1_790_000_000_000);

    fn throughput<const N: usize>(lanes: [(Lane, f64); N]) -> Throughput {
        Throughput::from(lanes)
    }

    #[tokio::test]
    async fn what_workers_told_lately_is_added_up_by_lane() {
        let (store, dice) = (Memory::new(Clock::system()).store(), Dice::seeded(1));
        let [mut first, mut second] = [(); 2].map(|()| Telling::new(&dice));
        let put = |result: Result<(), StoreError>| result.expect("memory takes it");
        put(first.tell(&*store, NOW, throughput([(Lane::Normal, 100.0), (Lane::Bulk, 7.5)])).await);
        let later = NOW.plus_ms(TELL_EVERY_MS);
        put(second.tell(&*store, later, throughput([(Lane::Normal, 20.0)])).await);
        let all = throughput([(Lane::Normal, 120.0), (Lane::Bulk, 7.5)]);
        assert_eq!(told(&*store, NOW.plus_ms(FRESH_MS - 1)).await, Ok(all));
        assert_eq!(told(&*store, NOW.plus_ms(FRESH_MS)).await, Ok(throughput([(Lane::Normal, 20.0)])));
        put(first.tell(&*store, later, throughput([(Lane::Normal, 1.0)])).await);
        put(second.tell(&*store, later, Throughput::new()).await);
        assert_eq!(told(&*store, later).await, Ok(throughput([(Lane::Normal, 1.0)])), "the last word of each counts");
        put(first.take_back(&*store).await);
        assert_eq!(store.settings("").await, Ok(vec![]));
    }

    #[tokio::test]
    async fn what_killed_workers_told_and_what_cannot_be_read_is_forgotten() {
        let (store, dice) = (Memory::new(Clock::system()).store(), Dice::seeded(1));
        for late_ms in [0, 1, 2 * FRESH_MS] {
            let told = throughput([(Lane::Normal, 10.0)]);
            let telling = Telling::new(&dice).tell(&*store, NOW.plus_ms(late_ms), told).await;
            telling.expect("memory takes it");
        }
        for (name, value) in [("lane/throughput/odd", "odd"), ("key/other", "odd")] {
            store.setting_put(name, Some(value)).await.expect("memory takes it");
        }
        forget_old(&*store, NOW.plus_ms(FRESH_MS)).await.expect("memory takes it");
        let left = store.settings("").await.expect("memory is there");
        assert_eq!((left.len(), &*left[0].0), (2, "key/other"), "{left:?}");
        assert_eq!(told(&*store, NOW.plus_ms(FRESH_MS)).await, Ok(throughput([(Lane::Normal, 10.0)])));
    }
}
