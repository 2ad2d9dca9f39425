//! The one way a shell applies an event: load, step, save with compare-and-set, tell the journal, the log and the counters.
//! What is saved without a step is here too: a line beside the journal, and that a queued message is due sooner.
//!
//! The door and the worker both sit at a desk. What a decision asks for beyond the row (publish, call, ask) they do themselves.

mod writes;

use std::sync::Arc;

use crate::bucket::{Refund, Spend};
use crate::clock::Clock;
use crate::dice::Dice;
use crate::leg::{Channel, Leg};
use crate::lifecycle::{Choice, Effect, Event, Note, Step, View, step};
use crate::message::{Message, MessageId, State, Want};
use crate::metrics::Metrics;
use crate::policy::{LINES_BESIDE_MAX, Policy};
use crate::seal::Vault;
use crate::store::{Opening, Save, Saved, Store, StoreError};
use crate::time::{HOUR_MS, Timestamp};
pub use writes::Writes;

/// A lost compare-and-set means that somebody else moved the message on: no message is moved on this often at once.
pub const SAVE_TRIES_MAX: usize = 32;

#[derive(Clone)]
pub struct Desk {
    pub store: Arc<dyn Store>,
    pub vault: Arc<Vault>,
    pub policy: Arc<Policy>,
    pub metrics: Arc<Metrics>,
    pub clock: Clock,
    pub dice: Arc<Dice>,
    pub writes: Arc<Writes>,
}

/// How a shell answers a decision's questions about routes.
#[derive(Clone, Copy)]
pub struct Routing<'a> {
    pub choose: &'a (dyn Fn(&Message, &Want) -> Choice + Send + Sync),
    pub punctual: &'a (dyn Fn(&Leg) -> bool + Send + Sync),
    /// As in `lifecycle::View`.
    pub asks_in_ms: &'a (dyn Fn(&Leg) -> u64 + Send + Sync),
}

impl Routing<'_> {
    /// For shells that make no calls to providers: whoever does shall choose.
    pub const ELSEWHERE: Routing<'static> = Routing {
        choose: &|_: &Message, _: &Want| Choice::Elsewhere,
        punctual: &|_: &Leg| false,
        asks_in_ms: &|_: &Leg| 0,
    };
}

#[derive(Clone, Debug, PartialEq)]
pub enum Applied {
    Missing,
    /// `message` in it is what is stored now.
    Done(Box<Step>),
    /// `spends[index]` would go over its limit; past the caller's own spends, it is the voice budget.
    OverLimit {
        index: usize,
        free_at: Timestamp,
    },
}

impl Desk {
    /// Applies `event` to the stored message. Safe to repeat: what happened already is noted as late.
    pub async fn apply(
        &self,
        id: MessageId,
        event: &Event,
        routing: &Routing<'_>,
        spends: &[Spend],
    ) -> Result<Applied, StoreError> {
        let Some(message) = self.store.load(id).await? else { return Ok(Applied::Missing) };
        self.apply_to(message, event, routing, spends).await
    }

    /// The same, for a caller that has the message at hand. An old copy is loaded anew where its save loses; where there is
    /// nothing to save, the answer is only as good as the copy.
    pub async fn apply_to(
        &self,
        mut message: Message,
        event: &Event,
        routing: &Routing<'_>,
        spends: &[Spend],
    ) -> Result<Applied, StoreError> {
        for _ in 0..SAVE_TRIES_MAX {
            let decided = self.decide(&message, event, routing);
            match self.save(&message, decided, spends).await? {
                Committed::Done(step) => return Ok(Applied::Done(step)),
                Committed::OverLimit { index, free_at } => return Ok(Applied::OverLimit { index, free_at }),
                Committed::Lost => {}
            }
            match self.store.load(message.id).await? {
                Some(newer) => message = newer,
                None => return Ok(Applied::Missing),
            }
        }
        Err(busy(message.id))
    }

    /// Decides without saving, for a shell that may want to wait before it commits.
    pub fn decide(&self, message: &Message, event: &Event, routing: &Routing<'_>) -> Step {
        let view = View {
            now: self.clock.now(),
            policy: &self.policy,
            choose: routing.choose,
            punctual: routing.punctual,
            asks_in_ms: routing.asks_in_ms,
            roll: self.dice.roll(),
        };
        step(message, event, &view)
    }

    /// Adds a line to the journal of a message that stays as it is, unless it has enough such lines. `false` where there is
    /// no such message.
    pub async fn tell(&self, message: &Message, note: &Note) -> Result<bool, StoreError> {
        self.save_aside(message.clone(), |message| {
            let room = message.lines_beside < LINES_BESIDE_MAX;
            let lines_beside = message.lines_beside.saturating_add(1);
            room.then(|| (Message { lines_beside, ..message.clone() }, vec![note.clone()]))
        })
        .await
    }

    /// Lets the sweep look at a message by `at`, unless it is due by then anyway or queued no more: whoever moved it on carries
    /// it. Safe to repeat. `false` where there is no such message.
    pub async fn due_by(&self, message: Message, at: Timestamp) -> Result<bool, StoreError> {
        self.save_aside(message, |message| {
            let later = message.state == State::Queued && message.due.is_none_or(|due| due > at);
            later.then(|| (Message { due: Some(at), ..message.clone() }, Vec::new()))
        })
        .await
    }

    /// Saves what no step decided; `change` is asked again about whatever won meanwhile, and `None` leaves it as it is.
    async fn save_aside(
        &self,
        mut message: Message,
        change: impl Fn(&Message) -> Option<(Message, Vec<Note>)>,
    ) -> Result<bool, StoreError> {
        for _ in 0..SAVE_TRIES_MAX {
            let Some((changed, notes)) = change(&message) else { return Ok(true) };
            let aside = Step { waits_until: None, message: changed, save: true, effects: Vec::new(), notes };
            match self.save(&message, aside, &[]).await? {
                Committed::Done(_) => return Ok(true),
                Committed::Lost | Committed::OverLimit { .. } => {}
            }
            match self.store.load(message.id).await? {
                Some(newer) => message = newer,
                None => return Ok(false),
            }
        }
        Err(busy(message.id))
    }

    /// Commits a decision made on `before`. Where the outcome of a commit is not known, the row says it.
    pub fn save(
        &self,
        before: &Message,
        decided: Step,
        spends: &[Spend],
    ) -> impl Future<Output = Result<Committed, StoreError>> {
        self.save_and_look(before, decided, Dues { spends, refunds: &[] }, |id| self.store.load(id))
    }

    /// The same, with a way of its own to look at the row: a decision that may be committed is nobody else's to carry out, so
    /// whoever can wait for the store does.
    pub async fn save_and_look<F: Future<Output = Result<Option<Message>, StoreError>>>(
        &self,
        before: &Message,
        decided: Step,
        dues: Dues<'_>,
        look: impl Fn(MessageId) -> F,
    ) -> Result<Committed, StoreError> {
        if !decided.save {
            return Ok(Committed::Done(Box::new(decided)));
        }
        let save = Save {
            spends: dues.spends.iter().cloned().chain(self.spend_of(&decided)).collect(),
            refunds: dues.refunds.iter().copied().chain(self.refunds_of(&decided)).collect(),
            message: Message { version: before.version + 1, stamp: self.dice.roll(), ..decided.message },
            notes: decided.notes,
            at: self.clock.now(),
        };
        match self.saved(&save, look).await? {
            Saved::Won => {
                let Save { message, notes, at, .. } = save;
                self.tell_metrics(&message, &notes, at);
                Ok(Committed::Done(Box::new(Step { message, notes, ..decided })))
            }
            Saved::Lost => Ok(Committed::Lost),
            Saved::OverLimit { index, free_at } => Ok(Committed::OverLimit { index, free_at }),
        }
    }

    /// What was just opened is told to the log and the counters, as `save` tells of a step. Once, but where the store was away:
    /// an opening that the broker carries alone is told by the door and by the worker that makes its row, and one whose commit
    /// was of unknown outcome is found again and told by nobody.
    pub fn tell_opened(&self, opening: &Opening) {
        self.tell_metrics(&opening.message, &opening.notes, opening.at);
    }

    fn tell_metrics(&self, message: &Message, notes: &[Note], at: Timestamp) {
        for note in notes {
            self.metrics.note(message, note, at);
        }
    }

    /// Where the caller pays for the step, the row proves nothing: another may have paid for the same one. Such a commit
    /// counts as lost, and what must be paid is paid once more rather than never.
    async fn saved<F: Future<Output = Result<Option<Message>, StoreError>>>(
        &self,
        save: &Save,
        look: impl Fn(MessageId) -> F,
    ) -> Result<Saved, StoreError> {
        let saved = match self.store.save(save).await {
            Err(StoreError::UnknownOutcome { why }) => {
                self.metrics.store_error(&StoreError::UnknownOutcome { why });
                look(save.message.id).await.map(|found| match found.as_ref() == Some(&save.message) {
                    true => Saved::Won,
                    false => Saved::Lost,
                })
            }
            known => known,
        };
        self.writes.told(&saved, self.clock.now());
        saved
    }

    /// `price` out of what the tenant's legs to this country may cost in an hour.
    pub fn spend(&self, message: &Message, price: u64) -> Spend {
        Spend {
            bucket: self.vault.spend_bucket(&message.tenant, message.country),
            cost: price,
            limit: self.policy.spend_per_hour_for(&message.tenant),
            window_ms: HOUR_MS,
        }
    }

    /// One call out of those that the tenant may make to this country in an hour.
    pub fn call(&self, message: &Message) -> Spend {
        Spend {
            bucket: self.vault.calls_bucket(&message.tenant, message.country),
            cost: 1,
            limit: self.policy.calls_per_hour_for(&message.tenant).into(),
            window_ms: HOUR_MS,
        }
    }

    fn spend_of(&self, decided: &Step) -> Option<Spend> {
        decided.effects.contains(&Effect::SpendCall).then(|| self.call(&decided.message))
    }

    fn refunds_of(&self, decided: &Step) -> impl Iterator<Item = Refund> {
        let message = &decided.message;
        let is_call = |leg| message.leg(leg).is_some_and(|leg| leg.channel == Channel::Voice);
        decided.effects.iter().filter_map(move |effect| match effect {
            Effect::RefundGuesses => Some(Refund::of_all(self.vault.guesses_bucket(message))),
            Effect::RefundLeg { leg } if is_call(*leg) => Some(self.call(message).into()),
            Effect::RefundLeg { .. }
            | Effect::SpendCall
            | Effect::Call { .. }
            | Effect::Ask { .. }
            | Effect::Wake
            | Effect::HangUp { .. }
            | Effect::Say(_) => None,
        })
    }
}

fn busy(id: MessageId) -> StoreError {
    StoreError::Unavailable { why: format!("message {id} is being changed by too many at once") }
}

/// What a decision pays and gives back beside what its effects say.
#[derive(Clone, Copy)]
pub struct Dues<'a> {
    pub spends: &'a [Spend],
    pub refunds: &'a [Refund],
}

/// What became of a decision.
pub enum Committed {
    Done(Box<Step>),
    Lost,
    OverLimit { index: usize, free_at: Timestamp },
}
