//! A story: one message, the real `route::choose` over the routes of `given`, and what happens to it, line by line.

use super::given::{START, at, code, refusal, table};
use crate::leg::{Channel, LegNumber};
use crate::lifecycle::{Effect, Event, Note, Step, Utterance, Verdict, View, step};
use crate::message::{Awaited, End, Furthest, Message, State};
use crate::outcome::{Answer, Class, Proof, ReportStatus};
use crate::policy::Policy;
use crate::route::{self, International, Route, RouteTable, Scene, Standing};
use crate::time::Timestamp;

const EVENT_EVERY_MS: u64 = 100;
const COOLING_MS: u64 = 500;

/// What happens. Without a number, it is about the last leg.
#[derive(Clone, Debug)]
pub(super) enum Now {
    Taken,
    Submitted,
    /// Submitted, and the provider says what it calls the leg.
    Named(&'static str),
    Refused(Class),
    NotSent,
    Lost,
    Failed(Class),
    FailedOf(LegNumber, Class),
    Delivered,
    DeliveredOf(LegNumber),
    Poked,
    NotKnown,
    /// Time passes until the message is due, and the sweep comes.
    Due,
    /// Only time passes.
    Waited(u64),
    Resend(Option<Channel>),
    CallAnswered,
    PressedRight,
    PressedNothing,
    RightCode,
}

pub(super) struct Story {
    pub(super) message: Message,
    pub(super) now: Timestamp,
    pub(super) policy: Policy,
    pub(super) table: RouteTable,
    /// Providers that rest, until when.
    pub(super) resting: Vec<(&'static str, Timestamp)>,
    pub(super) punctual: bool,
    /// When carriers can be asked.
    pub(super) asks_in_ms: u64,
    pub(super) effects: Vec<Effect>,
    pub(super) notes: Vec<Note>,
}

pub(super) fn story() -> Story {
    Story {
        message: code(),
        now: START,
        policy: Policy::default(),
        table: table(International::Last),
        resting: Vec::new(),
        punctual: true,
        asks_in_ms: 0,
        effects: Vec::new(),
        notes: Vec::new(),
    }
}

impl Story {
    pub(super) fn of(message: Message) -> Self {
        Self { message, ..story() }
    }

    pub(super) fn without(mut self, provider: &str) -> Self {
        self.table.routes.retain(|route| route.provider.as_str() != provider);
        self
    }

    pub(super) fn resting(mut self, provider: &'static str, until: Timestamp) -> Self {
        self.resting.push((provider, until));
        self
    }

    pub(super) fn plan(self, international: International) -> Self {
        Self { table: table(international), ..self }
    }

    /// Each line: what happens, and where the message stands afterwards.
    pub(super) fn goes(mut self, lines: &[(Now, &str)]) -> Self {
        for (number, (what, expected)) in (1..).zip(lines) {
            self.happens(what);
            assert_eq!(self.stands(), *expected, "line {number}, after {what:?}: {:?}", self.notes);
        }
        self
    }

    pub(super) fn happens(&mut self, what: &Now) {
        self.now = match what {
            Now::Due => self.message.due.expect("something is due").max(self.now),
            Now::Waited(ms) => self.now.plus_ms(*ms),
            Now::Taken
            | Now::Submitted
            | Now::Named(_)
            | Now::Refused(_)
            | Now::NotSent
            | Now::Lost
            | Now::Failed(_)
            | Now::FailedOf(..)
            | Now::Delivered
            | Now::DeliveredOf(_)
            | Now::Poked
            | Now::NotKnown
            | Now::Resend(_)
            | Now::CallAnswered
            | Now::PressedRight
            | Now::PressedNothing
            | Now::RightCode => self.now.plus_ms(EVENT_EVERY_MS),
        };
        if let Some(event) = self.event(what) {
            self.apply(&event);
        }
    }

    pub(super) fn apply(&mut self, event: &Event) -> Step {
        let resting = &self.resting;
        let now = self.now;
        let standing = |route: &Route| {
            let rest = resting.iter().find(|(name, until)| *name == route.provider.as_str() && *until > now);
            rest.map_or(Standing::Ready, |(_, until)| Standing::Resting { until: *until })
        };
        let scene = Scene {
            now,
            table: &self.table,
            standing: &standing,
            score: &|_| 0,
            cooling_ms: &|failures, _| (COOLING_MS << (failures - 1)).min(self.policy.retry_last_ms),
        };
        let view = View {
            now,
            policy: &self.policy,
            choose: &|message, want| route::choose(message, want, &scene).choice,
            punctual: &|_| self.punctual,
            asks_in_ms: &|_| self.asks_in_ms,
            roll: 0,
        };
        let step = step(&self.message, event, &view);
        self.message = step.message.clone();
        self.effects.extend(step.effects.iter().cloned());
        self.notes.extend(step.notes.iter().cloned());
        step
    }

    fn event(&self, what: &Now) -> Option<Event> {
        let leg = self.message.legs.last().map_or(0, |leg| leg.number);
        let answered = |answer| Some(Event::Answered { leg, answer });
        let told = |leg, status| Some(Event::Receipt { leg, status, proof: Proof::Signature, happened_at: None });
        let digit = self.message.legs.last().and_then(|leg| leg.call).map(|call| call.digit);
        match what {
            Now::Taken => Some(Event::Taken),
            Now::Submitted => answered(Answer::Submitted { reference: None }),
            Now::Named(name) => answered(Answer::Submitted { reference: Some((*name).to_owned()) }),
            Now::Refused(class) => answered(Answer::Refused(refusal(*class))),
            Now::NotSent => answered(Answer::NotSent { why: "no connection".to_owned() }),
            Now::Lost => answered(Answer::Unknown { why: "reset".to_owned() }),
            Now::Failed(class) => told(leg, ReportStatus::Failed(refusal(*class))),
            Now::FailedOf(leg, class) => told(*leg, ReportStatus::Failed(refusal(*class))),
            Now::Delivered => told(leg, ReportStatus::Delivered),
            Now::DeliveredOf(leg) => told(*leg, ReportStatus::Delivered),
            Now::Poked => {
                Some(Event::Receipt { leg, status: ReportStatus::Hint, proof: Proof::Nothing, happened_at: None })
            }
            Now::NotKnown => {
                Some(Event::Receipt { leg, status: ReportStatus::Absent, proof: Proof::Asked, happened_at: None })
            }
            Now::Due => Some(Event::Due),
            Now::Waited(_) => None,
            Now::Resend(channel) => Some(Event::ResendAsked { channel: *channel }),
            Now::CallAnswered => Some(Event::CallAnswered { leg }),
            Now::PressedRight => Some(Event::Pressed { leg, digit }),
            Now::PressedNothing => Some(Event::Pressed { leg, digit: None }),
            Now::RightCode => Some(Event::Guessed { verdict: Verdict::Right, key: None }),
        }
    }

    /// Where it stands, in one line.
    pub(super) fn stands(&self) -> String {
        let by =
            |leg: LegNumber| self.message.leg(leg).expect("a state names a leg of its message").provider.to_string();
        match &self.message.state {
            State::Queued => "queued".to_owned(),
            State::Sending { leg } => format!("sending by {}", by(*leg)),
            State::Awaiting { leg, what: Awaited::Answer } => format!("unsure of {}", by(*leg)),
            State::Awaiting { leg, what: Awaited::Receipt } => format!("awaiting {}", by(*leg)),
            State::Retrying { want } => format!("waiting for {}", want.channel.word()),
            State::Delivered => "delivered".to_owned(),
            State::GaveUp { reason } => format!("gave up: {}", reason.word()),
            State::Ended { end } => format!("ended: {}", ended(end)),
        }
    }

    /// The providers of all legs, in order.
    pub(super) fn legs(&self) -> String {
        let names: Vec<String> = self.message.legs.iter().map(|leg| leg.provider.to_string()).collect();
        names.join(" ")
    }

    pub(super) fn spoke(&self) -> bool {
        self.effects.contains(&Effect::Say(Utterance::Content))
    }

    pub(super) fn asked(&self) -> usize {
        self.effects.iter().filter(|effect| matches!(effect, Effect::Ask { .. })).count()
    }

    pub(super) fn duplicates(&self) -> usize {
        self.notes.iter().filter(|note| matches!(note, Note::DuplicatePossible { .. })).count()
    }

    pub(super) fn since_start_ms(&self) -> u64 {
        self.now.since_ms(at(0))
    }
}

fn ended(end: &End) -> String {
    match end {
        End::Delivered => "delivered".to_owned(),
        End::Verified => "verified".to_owned(),
        End::Failed { reason } => format!("failed, {}", reason.word()),
        End::Expired { furthest: Furthest::NeverSent } => "expired, never sent".to_owned(),
        End::Expired { furthest: Furthest::Submitted } => "expired, submitted".to_owned(),
        End::Expired { furthest: Furthest::Delivered } => "expired, delivered".to_owned(),
        End::Expired { furthest: Furthest::GaveUp { reason } } => format!("expired, gave up: {}", reason.word()),
        End::Cancelled { .. } => "cancelled".to_owned(),
    }
}
