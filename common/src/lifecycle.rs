//! The state machine of a message: `step` turns a message and an event into the next message and its effects.
//!
//! Pure and total: one function per state, every event handled by name. The shells (`worker`, `producer`) load,
//! step, save, and perform the effects in this order: save, then publish or settle, then call.

mod awaiting;
mod call;
mod choice;
mod ended;
mod guess;
mod legs;
mod operator;
mod resend;
mod sending;
mod turn;

use serde::{Deserialize, Serialize};

use crate::leg::{Channel, Leg, LegNumber, LegOutcome, RouteId};
use crate::message::{Awaited, CancelledBy, End, Message, MessageId, State, Tag, Trigger, Want};
use crate::outcome::{Answer, Class, Proof, Reason, Report, ReportKind, ReportStatus};
use crate::policy::Policy;
use crate::route::PassedOver;
use crate::time::Timestamp;

pub use choice::{Cap, Choice, Hold, Pick};
pub use guess::{GUESS_OPEN_MS_MAX, guessed_out};
pub use resend::{ResendRefusal, asked_again, next_resend_at, resend_gate};

use crate::fallback;
use turn::Turn;

/// Decides. The deadline is looked at before anything else; an event that comes too late is noted and changes nothing.
pub fn step(message: &Message, event: &Event, view: &View<'_>) -> Step {
    let mut turn = Turn::new(message, view);
    if let Event::Receipt { happened_at, .. } = event {
        turn.happened_at = *happened_at;
    }
    if turn.past_deadline() {
        turn.expire();
    }
    // The sweep may have taken a message that somebody moved on since: what was due then is not due now.
    if *event == Event::Due && !turn.is_due() {
        return turn.finish();
    }
    match turn.state() {
        State::Queued => queued(&mut turn, event),
        State::Sending { leg } => sending::step(&mut turn, leg, event),
        State::Awaiting { leg, what: Awaited::Answer } => awaiting::answer(&mut turn, leg, event),
        State::Awaiting { leg, what: Awaited::Receipt } => awaiting::receipt(&mut turn, leg, event),
        State::Retrying { want } => retrying(&mut turn, want, event),
        State::Delivered => delivered(&mut turn, event),
        State::GaveUp { .. } => gave_up(&mut turn, event),
        State::Ended { .. } => ended::step(&mut turn, event),
    }
    turn.finish()
}

fn queued(turn: &mut Turn<'_>, event: &Event) {
    match event {
        Event::Taken | Event::Due => legs::start(turn, fallback::first(&turn.message)),
        Event::GivenUp => turn.end(End::Failed { reason: Reason::Parked }),
        Event::Answered { .. }
        | Event::Receipt { .. }
        | Event::GuessPaid
        | Event::Guessed { .. }
        | Event::ResendAsked { .. }
        | Event::CancelAsked { .. }
        | Event::Revoked
        | Event::CallAnswered { .. }
        | Event::Pressed { .. } => whenever_live(turn, event),
    }
}

fn retrying(turn: &mut Turn<'_>, want: Want, event: &Event) {
    match event {
        Event::Taken | Event::Due if turn.is_due() => legs::start(turn, want),
        Event::Taken
        | Event::GivenUp
        | Event::Due
        | Event::Answered { .. }
        | Event::Receipt { .. }
        | Event::GuessPaid
        | Event::Guessed { .. }
        | Event::ResendAsked { .. }
        | Event::CancelAsked { .. }
        | Event::Revoked
        | Event::CallAnswered { .. }
        | Event::Pressed { .. } => whenever_live(turn, event),
    }
}

fn delivered(turn: &mut Turn<'_>, event: &Event) {
    match event {
        Event::Due => legs::call_if_unverified(turn),
        Event::Taken
        | Event::GivenUp
        | Event::Answered { .. }
        | Event::Receipt { .. }
        | Event::GuessPaid
        | Event::Guessed { .. }
        | Event::ResendAsked { .. }
        | Event::CancelAsked { .. }
        | Event::Revoked
        | Event::CallAnswered { .. }
        | Event::Pressed { .. } => whenever_live(turn, event),
    }
}

/// The deadline is the only thing still due; everything else is as whenever it lives.
fn gave_up(turn: &mut Turn<'_>, event: &Event) {
    whenever_live(turn, event);
}

/// What an event means in any live state that gives it no meaning of its own.
fn whenever_live(turn: &mut Turn<'_>, event: &Event) {
    match event {
        // A repeat of a delivery, or a wake that came too late.
        Event::Taken => {}
        Event::Due => turn.rest(),
        Event::Answered { leg, answer } => sending::late_answer(turn, *leg, answer),
        Event::Receipt { leg, status, proof, .. } => awaiting::of_another_leg(turn, *leg, status, *proof),
        Event::GuessPaid => guess::pay(turn),
        Event::Guessed { verdict, key } => guess::judge(turn, *verdict, *key),
        Event::ResendAsked { channel } => resend::ask(turn, *channel),
        Event::CancelAsked { by } => turn.end(End::Cancelled { by: *by }),
        Event::Revoked => turn.end(End::Failed { reason: Reason::Revoked }),
        // Only its wake was: the row carries it.
        Event::GivenUp => {}
        Event::CallAnswered { leg } => call::answered(turn, *leg),
        Event::Pressed { leg, digit } => call::pressed(turn, *leg, *digit),
    }
}

/// What can happen to a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A worker has it in hand: from its lane, or woken.
    Taken,
    /// What should have brought it to a worker was handed out too often without an end.
    GivenUp,
    /// The provider's API answered the request of this leg.
    Answered {
        leg: LegNumber,
        answer: Answer,
    },
    /// A receipt, a hint, or the answer to a question.
    Receipt {
        leg: LegNumber,
        status: ReportStatus,
        proof: Proof,
        /// When the provider says it happened, where it says so sanely.
        happened_at: Option<Timestamp>,
    },
    /// Its due time has come.
    Due,
    /// A guess is about to be compared: it is paid first.
    GuessPaid,
    /// The comparison of a paid guess.
    Guessed {
        verdict: Verdict,
        key: Option<Tag>,
    },
    ResendAsked {
        channel: Option<Channel>,
    },
    CancelAsked {
        by: CancelledBy,
    },
    /// The root of its code was revoked.
    Revoked,
    /// Our call was answered and asks what to say.
    CallAnswered {
        leg: LegNumber,
    },
    /// A digit was pressed, or the time for it is over.
    Pressed {
        leg: LegNumber,
        digit: Option<u8>,
    },
}

impl Event {
    pub fn reported(leg: LegNumber, report: &Report) -> Self {
        let Report { status, proof, happened_at, .. } = report;
        Self::Receipt { leg, status: status.clone(), proof: *proof, happened_at: *happened_at }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Right,
    Wrong,
    /// The transaction supplied with the guess is not the one that was sent.
    TransactionChanged,
}

/// What a decision may look at besides the message and the event.
pub struct View<'a> {
    pub now: Timestamp,
    pub policy: &'a Policy,
    /// Turns a wish into a route: `route::choose` over the shell's snapshot of providers.
    pub choose: &'a dyn Fn(&Message, &Want) -> Choice,
    /// Whether receipts of this leg's route come in time otherwise (promise 11).
    pub punctual: &'a dyn Fn(&Leg) -> bool,
    /// In how many milliseconds its provider can be asked about a leg; 0: now.
    pub asks_in_ms: &'a dyn Fn(&Leg) -> u64,
    /// Chance, as a number: jitter and the call's digit.
    pub roll: u32,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Until when the next leg has to wait for a free route, where that is why none begins.
    pub waits_until: Option<Timestamp>,
    /// To be saved where `save` is set; else unchanged.
    pub message: Message,
    pub save: bool,
    pub effects: Vec<Effect>,
    /// For the journal, the log and the counters.
    pub notes: Vec<Note>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send the leg that the message is now `Sending`.
    Call { leg: LegNumber },
    /// Ask the provider about this leg.
    Ask { leg: LegNumber },
    /// Publish the id on its lane: somebody who makes calls shall take it.
    Wake,
    /// End a call that was asked for.
    HangUp { leg: LegNumber },
    /// Pay for a call out of the tenant's voice budget, with the save.
    SpendCall,
    /// Give back what was paid for a leg that did not go out, with the save.
    RefundLeg { leg: LegNumber },
    /// Give the number's guesses back, with the save.
    RefundGuesses,
    /// Answer the call that asks what to say.
    Say(Utterance),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Utterance {
    /// Announce the digit to press.
    Announce {
        digit: u8,
    },
    /// Speak the code, or the text.
    Content,
    /// That another key was pressed than the one that was announced, and that the call ends.
    WrongDigit,
    Goodbye,
}

/// One line of a message's journal, without personal data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Note {
    Accepted {
        expected_wait_ms: u64,
    },
    /// Another program published it, and it cannot be taken: the words of the API for why.
    Refused {
        code: String,
        field: Option<String>,
    },
    /// Another program published it while an equal one was alive, which was sent again instead.
    Duplicate {
        of: MessageId,
    },
    /// A second request for the same thing, with an `Idempotency-Key`, and what it was answered.
    Joined {
        key: Tag,
        status: String,
        expected_wait_ms: u64,
        next_resend_at: Option<Timestamp>,
    },
    LegBegan {
        leg: LegNumber,
        channel: Channel,
        route: RouteId,
        trigger: Trigger,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        passed_over: Vec<PassedOver>,
    },
    Answered {
        leg: LegNumber,
        outcome: LegOutcome,
        class: Option<Class>,
        code: Option<String>,
    },
    Receipt {
        leg: LegNumber,
        status: ReportKind,
        class: Option<Class>,
        code: Option<String>,
        proof: Proof,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        happened_at: Option<Timestamp>,
    },
    /// It was on the handset after its deadline: too late for the person, and for the message (promise 3).
    ArrivedLate {
        leg: LegNumber,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        happened_at: Option<Timestamp>,
    },
    Asked {
        leg: LegNumber,
    },
    Repeated {
        leg: LegNumber,
    },
    Overdue {
        leg: LegNumber,
    },
    /// Overdue, but so are others of its route: no second text for it (promise 11).
    HeldBack {
        leg: LegNumber,
    },
    /// A second text may reach the person.
    DuplicatePossible {
        leg: LegNumber,
        cause: Class,
    },
    Waiting {
        until: Timestamp,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<Hold>,
    },
    /// No leg began: what the tenant may have in an hour is used up.
    OverLimit {
        cap: Cap,
    },
    GuessPaid {
        left: u8,
    },
    Guessed {
        verdict: Verdict,
    },
    ResendAsked {
        leg: bool,
    },
    CallAnswered {
        leg: LegNumber,
    },
    Pressed {
        leg: LegNumber,
        right: bool,
    },
    Spoken {
        leg: LegNumber,
    },
    GaveUp {
        reason: Reason,
    },
    Ended {
        end: End,
    },
    /// An event that came too late to change anything.
    Late {
        what: String,
    },
    Erased,
}

#[cfg(test)]
pub(crate) mod tests;
