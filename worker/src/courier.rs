//! Carries one message: decide with a permit in hand, save, settle the delivery, call, save the answer, next leg.
//!
//! From its first `Sending` on, the row carries the message. A crash anywhere here leaves a row that the sweep finds.

use std::borrow::Cow;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use otodoke_common::broker::{Broker, BrokerError, Delivery, Queue};
use otodoke_common::code::CodeKeys;
use otodoke_common::desk::{Committed, Desk, Routing};
use otodoke_common::health::{Circuitry, Health};
use otodoke_common::in_use::InUse;
use otodoke_common::leg::{Leg, LegNumber, ProviderId};
use otodoke_common::lifecycle::{Effect, Event, Step};
use otodoke_common::message::{Lane, Message, MessageId, State};
use otodoke_common::metrics::Circuit;
use otodoke_common::outcome::Answer;
use otodoke_common::policy::REPEAT_PATIENCE_MS_MAX;
use otodoke_common::provider::{Registry, SendRequest};
use otodoke_common::request::publication::Publishers;
use otodoke_common::retry::Delays;
use otodoke_common::route::{RouteTable, Standing};
use otodoke_common::store::StoreError;
use otodoke_common::text::Templates;
use otodoke_common::wire::LaneMessage;
use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

use crate::bill::Budget;
use crate::crowds::Crowds;
use crate::hand::{Hand, Passage, acquire};
use crate::inbox;
use crate::permits::Permits;
use crate::questions::Questions;
use crate::recent::Recent;
use crate::request::{Unsendable, Words};
use crate::waiting::{Patience, Waiting};

/// Tries to save while the store is away, some five minutes of them. After that a delivery comes again, and an answer is
/// unknown to the sweep.
const SAVES_MAX: u32 = 160;
const SAVE_FIRST_MS: u64 = 50;
const SAVE_LAST_MS: u64 = 2_000;
/// Delays while the broker or the store is away.
const AWAY_FIRST_MS: u64 = 100;
const AWAY_LAST_MS: u64 = 5_000;
/// Lost compare-and-sets in a row.
const TURNS_MAX: u32 = 32;

pub(crate) struct Courier {
    pub(crate) desk: Desk,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) routes: Arc<RouteTable>,
    pub(crate) providers: Arc<Registry>,
    pub(crate) codes: Arc<CodeKeys>,
    pub(crate) templates: Arc<Templates>,
    pub(crate) permits: Arc<Permits>,
    pub(crate) questions: Questions,
    pub(crate) publishers: Publishers,
    pub(crate) health: Mutex<Health>,
    /// Held by whoever looks up what other processes heard.
    pub(crate) catching_up: tokio::sync::Mutex<()>,
    pub(crate) crowds: Crowds,
    /// Copies of rows that wait for a report.
    pub(crate) recent: Recent,
    /// The ways that living messages went out by.
    pub(crate) in_use: InUse,
}

/// A decision that is committed, and what its leg goes out with.
struct Advanced {
    step: Box<Step>,
    passage: Option<Passage>,
}

impl Courier {
    /// Applies `event` and whatever follows from it, until the message rests or somebody else carries it on.
    /// Safe to repeat: every event is looked at against the row as it stands.
    pub(crate) async fn carry(
        &self,
        message: &Message,
        event: Event,
        delivery: Option<Delivery>,
    ) -> Result<(), StoreError> {
        let event = if self.codes.is_void(message) { Event::Revoked } else { event };
        let mut advanced = self.advance_patiently(message, &event).await?;
        if let Some(delivery) = delivery {
            self.settle(delivery).await;
        }
        let mut answered = None;
        while let Some((leg, event)) = self.perform(&advanced.step, advanced.passage.take()).await {
            answered = answered.or_else(|| self.recent.answered(message.id));
            advanced = self.save_answer(&advanced.step.message, leg, &event).await?;
            if advanced.step.effects.iter().any(|effect| matches!(effect, Effect::Call { .. })) {
                // The next leg's call takes its time, and leaves no copy yet.
                answered = None;
            }
        }
        self.recent.put(advanced.step.message);
        drop(answered);
        Ok(())
    }

    /// Returns once there is room for a delivery of this lane, which has so many in hand.
    pub(crate) async fn room(&self, lane: Lane, in_hand: impl Fn() -> usize) {
        let is_ready =
            |provider: &ProviderId| self.lock_health().standing(provider, self.desk.clock.now()) == Standing::Ready;
        self.crowds.of(lane).room(in_hand, &self.permits, is_ready).await;
    }

    /// A delivery that somebody took twice is harmless, so a failure to settle is only counted.
    pub(crate) async fn settle(&self, delivery: Delivery) {
        if let Err(error) = delivery.done().await {
            self.desk.metrics.broker_error(&error);
        }
    }

    async fn advance(&self, message: &Message, event: &Event) -> Result<Advanced, StoreError> {
        if *event == Event::Due {
            inbox::match_silent(self, message).await?;
            self.catch_up(message).await;
        }
        let mut message = Cow::Borrowed(message);
        let mut waiting = Waiting::with(event, &self.crowds, message.lane);
        let mut budget = Budget::default();
        for _ in 0..TURNS_MAX {
            let (decided, passage) = self.decide(&message, event, &budget, &mut waiting).await;
            waiting.ends();
            let bill = self.bill(&decided);
            let saved = self.desk.save_and_look(&message, decided, bill.dues(), |id| self.look(id)).await;
            if let Ok(Committed::Done(step)) = saved {
                if let Some(provider) = passage.as_ref().map(Passage::provider) {
                    waiting.goes(provider, self.permits.is_scarce(provider, message.lane));
                }
                return Ok(Advanced { step, passage });
            }
            self.give_back(passage);
            match saved? {
                Committed::Done(_) => {}
                Committed::OverLimit { index, .. } => self.unpaid(&message, &bill, index, &mut budget),
                Committed::Lost => match self.desk.store.load(message.id).await? {
                    Some(newer) => message = Cow::Owned(newer),
                    None => return Err(StoreError::Refused { why: format!("message {} is gone", message.id) }),
                },
            }
        }
        Err(StoreError::Unavailable { why: format!("message {} is being changed by too many at once", message.id) })
    }

    /// What became of a save. Without it the leg would be nobody's: it is not in any other hand, and its row says that it is.
    /// For no longer than a call may wait before it begins, by which the crash gap is reckoned.
    fn look(&self, id: MessageId) -> Pin<Box<dyn Future<Output = Result<Option<Message>, StoreError>> + Send + '_>> {
        let unseen =
            move || StoreError::Unavailable { why: format!("what became of message {id} could not be looked up") };
        let look = self.patiently(move || self.desk.store.load(id));
        let in_time = Duration::from_millis(REPEAT_PATIENCE_MS_MAX);
        Box::pin(async move { tokio::time::timeout(in_time, look).await.unwrap_or_else(|_| Err(unseen())) })
    }

    /// Decides, waiting in hand for a permit where one is expected soon: nothing is saved meanwhile, and nothing is lost.
    async fn decide(
        &self,
        message: &Message,
        event: &Event,
        budget: &Budget,
        waiting: &mut Waiting<'_>,
    ) -> (Step, Option<Passage>) {
        loop {
            let now = self.desk.clock.now();
            let hand = Hand {
                table: &self.routes,
                codes: &self.codes,
                permits: &self.permits,
                health: &self.health,
                metrics: &self.desk.metrics,
                now,
                delays: Delays::new(self.desk.policy.retry_first_ms, self.desk.policy.retry_last_ms),
                budget,
                waits_for: Mutex::default(),
                held: Mutex::new(None),
            };
            let choose = |message: &Message, want: &_| hand.choose(message, want);
            let punctual = |leg: &Leg| self.lock_health().punctual((message.id, message.number_tag), leg, now);
            let asks_in_ms = |leg: &Leg| self.questions.asks_in_ms(&leg.provider);
            let routing = Routing { choose: &choose, punctual: &punctual, asks_in_ms: &asks_in_ms };
            let mut decided = self.desk.decide(message, event, &routing);
            let (passage, waits_for) = hand.empty();
            let Some(until) = decided.waits_until else { return (decided, passage) };
            match waiting.patience(&waits_for, until.since_ms(now)) {
                Patience::InHand { look_ms } => self.permits.wait(&waits_for, look_ms).await,
                Patience::Row => return (decided, passage),
                Patience::Aside(line) => {
                    line.put(&mut decided.message, now);
                    return (decided, passage);
                }
            }
        }
    }

    /// Performs what a committed decision asks for. A call's answer is the next event.
    pub(crate) async fn perform(&self, step: &Step, mut passage: Option<Passage>) -> Option<(LegNumber, Event)> {
        let mut answered = None;
        for effect in &step.effects {
            match effect {
                Effect::Call { leg } => answered = Some((*leg, self.call(&step.message, *leg, passage.take()).await)),
                // Large and rare.
                Effect::Ask { leg } => Box::pin(self.ask(&step.message, *leg)).await,
                Effect::Wake => self.wake(&step.message).await,
                Effect::HangUp { leg } => self.hang_up(&step.message, *leg).await,
                // Paid and refunded with the save; words are for the door.
                Effect::SpendCall | Effect::RefundLeg { .. } | Effect::RefundGuesses | Effect::Say(_) => {}
            }
        }
        answered
    }

    async fn call(&self, message: &Message, number: LegNumber, passage: Option<Passage>) -> Event {
        let Some(leg) = message.leg(number) else { return unknown(number, "the leg is not in its message") };
        let passage = match passage {
            Some(passage) => passage,
            None => match self.passage_of_repeat(message, leg).await {
                Ok(passage) => passage,
                Err(why) => return unknown(number, why),
            },
        };
        let request = match self.request(message, leg) {
            Ok(request) => request,
            Err(event) => {
                self.give_back(Some(passage));
                return event;
            }
        };
        let answer = self.send(message, leg, &request).await;
        drop(passage);
        Event::Answered { leg: number, answer }
    }

    /// A repeat goes by the route of its first request, and may have to wait for it; meanwhile its message may have ended,
    /// or be in other hands.
    async fn passage_of_repeat(&self, message: &Message, leg: &Leg) -> Result<Passage, &'static str> {
        let permit = acquire(&self.permits, &leg.provider, message.lane, REPEAT_PATIENCE_MS_MAX).await;
        let permit = permit.ok_or("no permit was free for the repeat")?;
        let stored = self.desk.store.load(message.id).await;
        let in_hand = |stored: Message| stored.state == State::Sending { leg: leg.number };
        if !stored.ok().flatten().is_some_and(in_hand) {
            permit.give_back_unused();
            return Err("the repeat is not wanted any more");
        }
        Ok(Passage::of_repeat(permit, &leg.provider))
    }

    /// What to send; else what became of the leg instead.
    fn request(&self, message: &Message, leg: &Leg) -> Result<SendRequest, Event> {
        // Committing and waiting for a permit took their time: what was in time when it was decided may not be any more.
        let now = self.desk.clock.now();
        if now.plus_ms(leg.usual_ms()) > message.useful_until {
            let answer = Answer::NotSent { why: "no time was left when its turn came".to_owned() };
            return Err(Event::Answered { leg: leg.number, answer });
        }
        self.words().request(message, leg, now).map_err(|unsendable| match unsendable {
            Unsendable::Revoked => Event::Revoked,
            Unsendable::Refused(answer) => Event::Answered { leg: leg.number, answer },
        })
    }

    /// What was to go out with it does not.
    fn give_back(&self, passage: Option<Passage>) {
        if let Some(passage) = passage {
            passage.give_back(&mut self.lock_health());
        }
    }

    async fn send(&self, message: &Message, leg: &Leg, request: &SendRequest) -> Answer {
        let Some(provider) = self.providers.get(&leg.provider) else {
            return Answer::NotSent { why: format!("provider {} is not in the settings", leg.provider) };
        };
        self.in_use.note(&leg.route, &leg.provider, message.useful_until);
        let started = Instant::now();
        let answer = provider.send(request).await;
        self.desk.metrics.provider_call(&leg.route, &answer, started.elapsed().as_secs_f64());
        self.count_cost(message, leg, request, &answer);
        self.learn(message, leg, &answer);
        answer
    }

    /// What an answer says about its provider and its route.
    fn learn(&self, message: &Message, leg: &Leg, answer: &Answer) {
        let now = self.desk.clock.now();
        let mut health = self.lock_health();
        let before = health.shown(&leg.provider, now);
        health.answered(&leg.route, &leg.provider, answer, now);
        let after = health.shown(&leg.provider, now);
        if matches!(answer, Answer::Submitted { .. }) {
            health.submitted(&leg.route, (message.id, leg.number), message.number_tag, now);
        }
        let standing = health.standing(&leg.provider, now);
        drop(health);
        if let Standing::Full { until } = standing {
            // What it asked for is no time to save up calls in: they would go out at once and be refused again.
            self.permits.pause(&leg.provider, until.since_ms(now));
        }
        if before.word() != after.word() {
            match after {
                Circuitry::Open { until } => self.desk.metrics.rests(&leg.provider, answer, until),
                Circuitry::Closed | Circuitry::HalfOpen => self.desk.metrics.circuit(&leg.provider, circuit(after)),
            }
        }
    }

    /// While the store is away a message in hand stays in hand: given back, it would only be taken again.
    async fn advance_patiently(&self, message: &Message, event: &Event) -> Result<Advanced, StoreError> {
        self.patiently(|| self.advance(message, event)).await
    }

    /// Repeats what the store could not do now, with growing delays.
    pub(crate) async fn patiently<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        attempt: impl Fn() -> F,
    ) -> Result<T, StoreError> {
        let delays = Delays::new(SAVE_FIRST_MS, SAVE_LAST_MS);
        for tries in 1..=SAVES_MAX {
            match attempt().await {
                Err(StoreError::Unavailable { .. } | StoreError::UnknownOutcome { .. }) => {
                    let wait_ms = delays.delay_ms(tries, self.desk.dice.roll());
                    tokio::time::sleep(Duration::from_millis(wait_ms)).await;
                }
                other => return other,
            }
        }
        attempt().await
    }

    /// The answer must be kept: without it the leg counts as unknown.
    async fn save_answer(&self, message: &Message, leg: LegNumber, event: &Event) -> Result<Advanced, StoreError> {
        let advanced = self.advance_patiently(message, event).await?;
        let message = &advanced.step.message;
        if let Some(leg) = message.leg(leg).filter(|leg| self.may_have_come_before(leg)) {
            self.patiently(|| inbox::match_waiting(self, message, leg)).await?;
        }
        Ok(advanced)
    }

    /// Whether something about this leg may wait in the inbox.
    fn may_have_come_before(&self, leg: &Leg) -> bool {
        self.providers.get(&leg.provider).is_none_or(|provider| provider.proves_by_reference())
    }

    /// The row is due now: if the wake is lost, the sweep carries it.
    pub(crate) async fn wake(&self, message: &Message) {
        let body = LaneMessage::Wake { id: message.id }.encode();
        let published: Result<(), BrokerError> = self.broker.publish(Queue::Lane(message.lane), body).await;
        if let Err(error) = published {
            self.desk.metrics.broker_error(&error);
        }
    }

    async fn hang_up(&self, message: &Message, number: LegNumber) {
        let Some(leg) = message.leg(number) else { return };
        let voice = self.providers.get(&leg.provider).and_then(|provider| provider.voice());
        if let (Some(voice), Some(reference)) = (voice, leg.reference.as_deref()) {
            voice.hang_up(reference).await;
        }
    }

    pub(crate) fn words(&self) -> Words<'_> {
        Words { vault: &self.desk.vault, codes: &self.codes, templates: &self.templates, routes: &self.routes }
    }

    pub(crate) fn lock_health(&self) -> std::sync::MutexGuard<'_, Health> {
        self.health.lock().expect("no code panics while it holds the health")
    }
}

/// Waits before the next try, after so many failures in a row (from 1).
pub(crate) async fn pause(courier: &Courier, failures: u32, stop: &CancellationToken) {
    let wait_ms = Delays::new(AWAY_FIRST_MS, AWAY_LAST_MS).delay_ms(failures, courier.desk.dice.roll());
    stop.run_until_cancelled(tokio::time::sleep(Duration::from_millis(wait_ms))).await;
}

fn unknown(leg: LegNumber, why: &str) -> Event {
    Event::Answered { leg, answer: Answer::Unknown { why: why.to_owned() } }
}

pub(crate) const fn circuit(state: Circuitry) -> Circuit {
    match state {
        Circuitry::Closed => Circuit::Closed,
        Circuitry::HalfOpen => Circuit::HalfOpen,
        Circuitry::Open { .. } => Circuit::Open,
    }
}
