//! Questions to providers about legs. Whoever asks, the sweep or a receipt, is held until the answer is there: so that a
//! provider that answers late holds up nobody but its own messages, few may ask it at once, and few may wait to.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use otodoke_common::leg::{LegNumber, ProviderId};
use otodoke_common::message::Message;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Duration, timeout};

use crate::courier::Courier;
use crate::permits::Capacity;

/// Questions to a provider on their way, if it does not take fewer calls at once; and those that wait for one of them to come
/// back. Both together are a quarter of what the sweep has in hand.
const UNDER_WAY_MAX: usize = 64;
const WAITING_MAX: usize = 64;
/// Longest wait for a turn.
const WAIT_MS_MAX: u64 = 1_000;

pub(crate) struct Questions(BTreeMap<ProviderId, OfOne>);

struct OfOne {
    turns: Semaphore,
    waiting: AtomicUsize,
}

impl Questions {
    pub(crate) fn new(capacities: &BTreeMap<ProviderId, Capacity>) -> Self {
        let of_one = |capacity: &Capacity| {
            let turns = usize::try_from(capacity.concurrency).unwrap_or(UNDER_WAY_MAX).clamp(1, UNDER_WAY_MAX);
            OfOne { turns: Semaphore::new(turns), waiting: AtomicUsize::new(0) }
        };
        Self(capacities.iter().map(|(provider, capacity)| (provider.clone(), of_one(capacity))).collect())
    }

    /// `None` where too many ask this provider already: no answer would come in time to be of use.
    async fn turn(&self, provider: &ProviderId) -> Option<SemaphorePermit<'_>> {
        let of_one = self.0.get(provider)?;
        if let Ok(turn) = of_one.turns.try_acquire() {
            return Some(turn);
        }
        let waits = Waits::of(&of_one.waiting);
        if waits.before >= WAITING_MAX {
            return None;
        }
        timeout(Duration::from_millis(WAIT_MS_MAX), of_one.turns.acquire()).await.ok()?.ok()
    }
}

/// One that waits, for as long as it does.
struct Waits<'a> {
    waiting: &'a AtomicUsize,
    before: usize,
}

impl<'a> Waits<'a> {
    fn of(waiting: &'a AtomicUsize) -> Self {
        Self { waiting, before: waiting.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Courier {
    /// Asks the provider about a leg. No news is no event, and neither is a question that was not put: the sweep comes again.
    pub(crate) async fn ask(&self, message: &Message, number: LegNumber) {
        let Some(leg) = message.leg(number) else { return };
        let Some(provider) = self.providers.get(&leg.provider) else { return };
        let Some(turn) = self.questions.turn(&leg.provider).await else {
            return self.desk.metrics.not_asked(&leg.provider);
        };
        let Some(question) = self.words().question(message, leg, self.desk.clock.now()) else { return };
        let result = provider.ask(&question).await;
        drop(turn);
        self.desk.metrics.asked(&leg.provider, &result);
        for report in result.unwrap_or_default() {
            if let Err(error) = self.hear(message.id, number, &report).await {
                self.desk.metrics.store_error(&error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn few_ask_a_provider_at_once_and_few_wait_to() {
        let sakura = ProviderId::parse("sakura").expect("a provider");
        let capacity = Capacity { concurrency: 2, rate_per_s: 1_000 };
        let questions = Questions::new(&BTreeMap::from([(sakura.clone(), capacity)]));
        let (first, second) = (questions.turn(&sakura).await, questions.turn(&sakura).await);
        assert!(first.is_some() && second.is_some());
        let waiting: Vec<_> = (0..WAITING_MAX + 1).map(|_| questions.turn(&sakura)).collect();
        let came = futures_util::future::join(futures_util::future::join_all(waiting), async {
            tokio::time::sleep(Duration::from_millis(WAIT_MS_MAX / 2)).await;
            drop(first);
        });
        let (came, ()) = came.await;
        assert_eq!(came.iter().filter(|turn| turn.is_some()).count(), 1, "the first of them, once one came back");
        drop((second, came));
        assert!(questions.turn(&sakura).await.is_some(), "those that gave up wait no more");
    }
}
