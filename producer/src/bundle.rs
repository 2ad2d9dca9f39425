//! Receipts that come in together travel together: while bodies are on their way to the queue, what arrives waits and goes
//! with the next. Nobody waits for company, and nobody is answered before the broker has confirmed.

use std::sync::{Arc, Mutex, MutexGuard};

use otodoke_common::broker::{BrokerError, Queue};
use otodoke_common::outcome::Report;
use otodoke_common::wire::encode_reports;
use tokio::sync::oneshot;

use crate::door::Door;
use crate::effects;

/// Reports of one body. A webhook's own batch may be larger, and travels whole.
pub(crate) const REPORTS_MAX: usize = 64;
/// Bodies on their way at once: the next is written while one is being confirmed.
const BODIES_MAX: usize = 2;

/// What waits is bounded by the requests in hand: whose caller has left does not wait, for its provider sends it again.
#[derive(Default)]
pub(crate) struct Bundles(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: Vec<Part>,
    carriers: usize,
}

/// The reports of one webhook.
struct Part {
    reports: Vec<Report>,
    answer: oneshot::Sender<Result<(), BrokerError>>,
}

/// Returns once the reports are durable.
pub(crate) async fn keep(door: &Arc<Door>, reports: Vec<Report>) -> Result<(), BrokerError> {
    let (answer, kept) = oneshot::channel();
    if door.hands.bundles.add(Part { reports, answer }) {
        tokio::spawn(carry(Arc::clone(door)));
    }
    kept.await.unwrap_or_else(|_| Err(broke_off()))
}

async fn carry(door: Arc<Door>) {
    while let Some(parts) = door.hands.bundles.next() {
        let (reports, answers): (Vec<Vec<Report>>, Vec<_>) =
            parts.into_iter().map(|part| (part.reports, part.answer)).unzip();
        let carrying = Arc::clone(&door);
        // A task of its own: whatever happens to one body, the others go on.
        let published = tokio::spawn(async move {
            effects::publish(&carrying, Queue::Receipts, encode_reports(&reports.concat())).await
        });
        let published = published.await.unwrap_or_else(|_| Err(broke_off()));
        for answer in answers {
            // A provider that hung up sends again what it does not know to be kept.
            drop(answer.send(published.clone()));
        }
    }
}

fn broke_off() -> BrokerError {
    BrokerError::Unconfirmed { why: "publishing broke off".to_owned() }
}

impl Bundles {
    /// `true` where somebody has to carry it.
    fn add(&self, part: Part) -> bool {
        let mut state = self.lock();
        state.waiting.push(part);
        let more = state.carriers < BODIES_MAX;
        state.carriers += usize::from(more);
        more
    }

    /// What goes with the next body. `None` ends the carrier.
    fn next(&self) -> Option<Vec<Part>> {
        let mut state = self.lock();
        state.waiting.retain(|part| !part.answer.is_closed());
        if state.waiting.is_empty() {
            state.carriers -= 1;
            return None;
        }
        let mut room = REPORTS_MAX;
        let fit = state.waiting.iter().take_while(|part| {
            let fits = part.reports.len() <= room;
            room = room.saturating_sub(part.reports.len());
            fits
        });
        let count = fit.count().max(1);
        Some(state.waiting.drain(..count).collect())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no code panics while it holds what waits")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part() -> (Part, oneshot::Receiver<Result<(), BrokerError>>) {
        let (answer, kept) = oneshot::channel();
        (Part { reports: Vec::new(), answer }, kept)
    }

    #[test]
    fn whose_caller_has_left_does_not_wait_on() {
        let bundles = Bundles::default();
        let (stays, _kept) = part();
        assert!(bundles.add(stays), "somebody has to carry it");
        for _ in 0..1_000 {
            bundles.add(part().0);
        }
        assert_eq!(bundles.next().map(|parts| parts.len()), Some(1));
        assert!(bundles.next().is_none() && bundles.lock().waiting.is_empty());
    }

    #[test]
    fn only_so_many_bodies_are_on_their_way_at_once() {
        let bundles = Bundles::default();
        let callers: Vec<_> = (0..BODIES_MAX + 3).map(|_| part()).collect();
        let (parts, _kept): (Vec<Part>, Vec<_>) = callers.into_iter().unzip();
        let carried = parts.into_iter().map(|part| bundles.add(part)).filter(|more| *more).count();
        assert_eq!(carried, BODIES_MAX, "no more are on their way at once");
        assert_eq!(bundles.next().map(|parts| parts.len()), Some(BODIES_MAX + 3));
    }
}
