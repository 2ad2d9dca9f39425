//! Questions to a provider: what became of a leg. Each takes a permit of its provider, as a send does.
//!
//! Whoever asks holds a place of the sweep or of the status consumer meanwhile. A provider whose answers hang must not hold
//! all of them, so a question that finds no room or no permit is not asked: that is no news, and the sweep comes again.

use std::collections::BTreeMap;

use otodoke_common::leg::{LegNumber, ProviderId};
use otodoke_common::message::Message;
use otodoke_common::outcome::Report;
use otodoke_common::provider::{AskError, AskFailure, Provider, Question};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::courier::Courier;
use crate::hand::acquire;
use crate::permits::Errand;

/// Questions to one provider in hand at once, those that wait for a permit among them. Three providers whose answers hang
/// leave some of the 200 deliveries that RabbitMQ hands out, and most of what the sweep has in hand.
const IN_HAND_MAX: usize = 64;
/// How long a question waits for a permit: soon after, it is as well asked by the sweep.
const PATIENCE_MS_MAX: u64 = 2_000;

/// Room for questions, by provider.
pub(crate) struct Questions(BTreeMap<ProviderId, Semaphore>);

impl Questions {
    pub(crate) fn of<'a>(providers: impl Iterator<Item = &'a ProviderId>) -> Self {
        Self(providers.map(|id| (id.clone(), Semaphore::new(IN_HAND_MAX))).collect())
    }

    fn room(&self, provider: &ProviderId) -> Option<SemaphorePermit<'_>> {
        self.0.get(provider)?.try_acquire().ok()
    }
}

impl Courier {
    /// Asks the provider about a leg. No news is no event: the sweep comes again.
    pub(crate) async fn ask(&self, message: &Message, number: LegNumber) {
        let Some(leg) = message.leg(number) else { return };
        let (Some(provider), Some(question)) =
            (self.providers.get(&leg.provider), self.words().question(message, leg, self.desk.clock.now()))
        else {
            return;
        };
        let result = self.answer_of(&**provider, question).await;
        self.desk.metrics.asked(&leg.provider, &result);
        if let Err(error) = &result {
            self.learn_of_failure(error);
        }
        for report in result.unwrap_or_default() {
            if let Err(error) = self.hear(message.id, number, &report).await {
                self.desk.metrics.store_error(&error);
            }
        }
    }

    async fn answer_of(&self, provider: &dyn Provider, question: Question) -> Result<Vec<Report>, AskError> {
        let id = provider.id();
        let not_asked =
            |why: &str| AskError { provider: id.clone(), why: why.to_owned(), failure: AskFailure::Unanswered };
        let _room = self.questions.room(id).ok_or_else(|| not_asked("too many questions are in hand"))?;
        let permit = acquire(&self.permits, id, Errand::Ask, PATIENCE_MS_MAX).await;
        let _permit = permit.ok_or_else(|| not_asked("no permit was free for the question"))?;
        provider.ask(&Question { now: self.desk.clock.now(), ..question }).await
    }

    /// A provider does not tell apart what it is asked too much of: its sends wait as well.
    fn learn_of_failure(&self, error: &AskError) {
        match error.failure {
            AskFailure::Unanswered => {}
            AskFailure::Throttled { retry_after_ms } => {
                let now = self.desk.clock.now();
                let mut health = self.lock_health();
                health.throttled(&error.provider, retry_after_ms, now);
                let standing = health.standing(&error.provider, now);
                drop(health);
                self.heed(&error.provider, standing, now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use otodoke_common::message::Lane;

    use super::*;
    use crate::permits::{Capacity, Permit, Permits};

    fn sakura(concurrency: u32, rate_per_s: u32) -> (Arc<Permits>, ProviderId) {
        let id = ProviderId::parse("sakura").expect("valid");
        (Permits::new(BTreeMap::from([(id.clone(), Capacity { concurrency, rate_per_s })])), id)
    }

    #[tokio::test(start_paused = true)]
    async fn questions_use_up_the_rate_and_leave_criticals_call() {
        let (permits, id) = sakura(1_000, 20);
        while permits.try_acquire(&id, Errand::Ask).is_ok() {}
        assert!(permits.try_acquire(&id, Errand::Send(Lane::Normal)).is_err(), "a question is a request");
        assert!(permits.try_acquire(&id, Errand::Send(Lane::Critical)).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn questions_without_an_answer_leave_every_lane_its_calls() {
        for (concurrency, questions) in [(1, 1), (3, 1), (10, 3), (64, 19)] {
            let (permits, id) = sakura(concurrency, 10_000);
            let begin = |errand| -> Vec<Permit> {
                (0..concurrency).map_while(|_| permits.try_acquire(&id, errand).ok()).collect()
            };
            let asked = begin(Errand::Ask);
            assert_eq!(asked.len(), questions, "of {concurrency}");
            let sent = [Lane::Critical, Lane::Normal, Lane::Bulk].map(|lane| begin(Errand::Send(lane)));
            let all: usize = asked.len() + sent.iter().map(Vec::len).sum::<usize>();
            assert!(all <= usize::try_from(concurrency).expect("small"), "{all} of {concurrency}");
            assert!(concurrency < 3 || sent[..2].iter().all(|lane| !lane.is_empty()), "of {concurrency}");
            drop((asked, sent));
            assert_eq!(begin(Errand::Ask).len(), questions, "what was asked is over");
        }
    }

    #[test]
    fn a_provider_whose_questions_fill_their_room_leaves_that_of_others() {
        let (sakura, fuji) = (ProviderId::parse("sakura").expect("valid"), ProviderId::parse("fuji").expect("valid"));
        let questions = Questions::of([&sakura, &fuji].into_iter());
        let held: Vec<_> = std::iter::from_fn(|| questions.room(&sakura)).collect();
        assert_eq!((held.len(), questions.room(&fuji).is_some()), (IN_HAND_MAX, true));
        drop(held);
        assert!(questions.room(&sakura).is_some());
    }
}
