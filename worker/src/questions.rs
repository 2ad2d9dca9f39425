//! Questions to providers about legs. Whoever asks, the sweep or a receipt, is held until the answer is there: so that a
//! provider that answers late holds up nobody but its own messages, few may be asked about at once. The others come back, one
//! after the other, like those that wait for a permit.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use otodoke_common::leg::{LegNumber, ProviderId};
use otodoke_common::message::Message;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Duration, timeout};

use crate::aside::Aside;
use crate::courier::Courier;
use crate::permits::Capacity;

/// Questions to a provider on their way, if it does not take fewer calls at once.
const UNDER_WAY_MAX: usize = 64;
/// While so many wait for one of them to come back, no further one is decided on. What was decided on together is put.
const WAITING_MAX: usize = 64;
/// One that is put off comes back at the latest after this.
const PUT_OFF_MS_MAX: u64 = 10_000;
/// Longest wait of one that was decided on; then it is left out.
const WAIT_MS_MAX: u64 = 10_000;

pub(crate) struct Questions(BTreeMap<ProviderId, OfOne>);

struct OfOne {
    turns: Semaphore,
    waiting: AtomicUsize,
    put_off: Aside,
}

impl Questions {
    pub(crate) fn new(capacities: &BTreeMap<ProviderId, Capacity>, release_per_s: u32) -> Self {
        let of_one = |capacity: &Capacity| {
            let turns = usize::try_from(capacity.concurrency).unwrap_or(UNDER_WAY_MAX).clamp(1, UNDER_WAY_MAX);
            OfOne { turns: Semaphore::new(turns), waiting: AtomicUsize::new(0), put_off: Aside::new(release_per_s) }
        };
        Self(capacities.iter().map(|(provider, capacity)| (provider.clone(), of_one(capacity))).collect())
    }

    /// When to decide on one: 0 for now, else its turn in so many milliseconds.
    pub(crate) fn asks_in_ms(&self, provider: &ProviderId) -> u64 {
        let full = |of_one: &&OfOne| of_one.waiting.load(Ordering::Relaxed) >= WAITING_MAX;
        self.0.get(provider).filter(full).map_or(0, |of_one| of_one.put_off.turn_in_ms(PUT_OFF_MS_MAX))
    }

    /// `None` where it would come too late to be of use.
    async fn turn(&self, provider: &ProviderId) -> Option<SemaphorePermit<'_>> {
        let of_one = self.0.get(provider)?;
        let _waits = Waits::with(&of_one.waiting);
        timeout(Duration::from_millis(WAIT_MS_MAX), of_one.turns.acquire()).await.ok()?.ok()
    }
}

/// One that waits, for as long as it does.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn with(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Courier {
    /// Asks the provider about a leg. No news is no event: the sweep comes again.
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
    use futures_util::FutureExt;
    use futures_util::future::join_all;
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn few_are_under_way_and_no_more_are_decided_on_while_many_wait() {
        let sakura = ProviderId::parse("sakura").expect("a provider");
        let capacity = Capacity { concurrency: 2, rate_per_s: 1_000 };
        let questions = Questions::new(&BTreeMap::from([(sakura.clone(), capacity)]), 500);
        let turn = || Box::pin(questions.turn(&sakura));
        let (first, second) = (turn().await, turn().await);
        assert!(first.is_some() && second.is_some());
        let mut waiting: Vec<_> = (0..WAITING_MAX).map(|_| turn()).collect();
        for (place, turn) in waiting.iter_mut().enumerate() {
            assert_eq!(questions.asks_in_ms(&sakura), 0, "{place} wait");
            assert!(turn.now_or_never().is_none());
        }
        let put_off = [questions.asks_in_ms(&sakura), questions.asks_in_ms(&sakura)];
        assert!(put_off[0] >= 1_000 && put_off[1] > put_off[0], "one after the other: {put_off:?}");
        drop(first);
        let third = waiting.remove(0).now_or_never().flatten();
        assert!(third.is_some(), "the first of them has the turn that came back");
        assert_eq!(questions.asks_in_ms(&sakura), 0, "there is room again");
        advance(Duration::from_millis(WAIT_MS_MAX)).await;
        assert!(join_all(waiting).await.iter().all(Option::is_none), "too late to be of use");
    }
}
