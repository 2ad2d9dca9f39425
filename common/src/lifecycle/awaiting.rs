//! `Awaiting`: the provider has it, or may have it. Receipts, questions and the overdue time decide what follows.

use super::turn::Turn;
use super::{Effect, Event, Note, legs, operator, sending, whenever_live};
use crate::fallback::{self, Told};
use crate::leg::{CallStage, Leg, LegNumber, LegOutcome};
use crate::message::{Awaited, State, Trigger, Want};
use crate::outcome::{Class, Proof, ReportStatus};
use crate::time::Timestamp;

/// Questions kept back for the sweep, so that forged hints cannot use them all up.
const ASKS_KEPT_FOR_SWEEP: u8 = 2;
/// Longest time from the beginning of a leg whose answer was lost that a question about it may be put off; then it is as if nobody
/// could be asked.
const ANSWER_PUT_OFF_MS_MAX: u64 = 15_000;
/// After a question at the overdue time, its answer gets this long.
const ASK_SETTLE_MS: u64 = 1_000;
/// Questions about a lost answer: soon, whether the provider has it, and after the grace, whether it still has not.
const ASKS_OF_ANSWER: u8 = 2;

pub(super) fn enter(turn: &mut Turn<'_>, leg: LegNumber, what: Awaited) {
    let due = turn.leg(leg).map_or(turn.message.useful_until, |leg| match what {
        Awaited::Answer => answer_due(turn, leg),
        Awaited::Receipt => receipt_due(turn, leg),
    });
    turn.enter(State::Awaiting { leg, what }, due);
}

/// The provider took it: when its receipt is overdue, and when to ask for it; never, where the operator has it already and
/// its route tells no more.
pub(super) fn submitted(turn: &mut Turn<'_>, number: LegNumber) {
    let now = turn.now();
    let ask_after_ms = turn.view.policy.ask_unasked_after_ms;
    if let Some(leg) = turn.leg_mut(number).filter(|leg| leg.outcome != Some(LegOutcome::Delivered)) {
        leg.outcome = Some(LegOutcome::Submitted);
        leg.reason = None;
        leg.ended_at = None;
        let more = !leg.is_at_operator();
        leg.overdue_at = leg.overdue_after_ms.filter(|_| more).map(|ms| now.plus_ms(ms));
        let ask_at = now.plus_ms(ask_after_ms);
        leg.ask_at = (leg.abilities.asks && more).then(|| leg.overdue_at.map_or(ask_at, |at| at.min(ask_at)));
    }
    if turn.any_delivered() {
        return turn.deliver();
    }
    enter(turn, number, Awaited::Receipt);
}

/// State `Awaiting{answer}`: the request may have been taken.
pub(super) fn answer(turn: &mut Turn<'_>, leg: LegNumber, event: &Event) {
    match event {
        Event::Due => answer_is_due(turn, leg),
        Event::Answered { leg: of, answer } if *of == leg => sending::answered(turn, leg, answer),
        Event::Receipt { leg: of, status, proof, .. } if *of == leg => told(turn, leg, status, *proof),
        Event::Taken
        | Event::Answered { .. }
        | Event::Receipt { .. }
        | Event::GuessPaid
        | Event::Guessed { .. }
        | Event::ResendAsked { .. }
        | Event::CancelAsked { .. }
        | Event::Revoked
        | Event::GivenUp
        | Event::CallAnswered { .. }
        | Event::Pressed { .. } => whenever_live(turn, event),
    }
}

/// State `Awaiting{receipt}`: the provider took it.
pub(super) fn receipt(turn: &mut Turn<'_>, leg: LegNumber, event: &Event) {
    match event {
        Event::Due => receipt_is_due(turn, leg),
        Event::Receipt { leg: of, status, proof, .. } if *of == leg => told(turn, leg, status, *proof),
        Event::Taken
        | Event::Answered { .. }
        | Event::Receipt { .. }
        | Event::GuessPaid
        | Event::Guessed { .. }
        | Event::ResendAsked { .. }
        | Event::CancelAsked { .. }
        | Event::Revoked
        | Event::GivenUp
        | Event::CallAnswered { .. }
        | Event::Pressed { .. } => whenever_live(turn, event),
    }
}

/// A report that came before the provider's own answer: as good as an answer.
pub(super) fn early(turn: &mut Turn<'_>, leg: LegNumber, status: &ReportStatus, proof: Proof) {
    match status {
        ReportStatus::Delivered | ReportStatus::Failed(_) if proof != Proof::Nothing => told(turn, leg, status, proof),
        ReportStatus::Underway { reference, .. } => underway_beside(turn, leg, status, proof, reference.as_deref()),
        ReportStatus::Delivered | ReportStatus::Failed(_) | ReportStatus::Absent | ReportStatus::Hint => {}
    }
}

/// A report about a leg that is no longer the one awaited. "Delivered" wins while the message lives, and over it what
/// stops a message: the code may be in somebody else's hands.
pub(super) fn of_another_leg(turn: &mut Turn<'_>, number: LegNumber, status: &ReportStatus, proof: Proof) {
    let Some(leg) = turn.leg(number) else { return turn.late(format!("report about unknown leg {number}")) };
    let open = matches!(leg.outcome, Some(LegOutcome::Submitted | LegOutcome::Unknown | LegOutcome::Overdue));
    match status {
        ReportStatus::Delivered if leg.outcome != Some(LegOutcome::Delivered) && proof != Proof::Nothing => {
            note(turn, number, status, proof);
            turn.close_leg(number, LegOutcome::Delivered, None);
            delivered_beside(turn);
        }
        ReportStatus::Failed(refusal) if fallback::stops(refusal.class) && proof != Proof::Nothing => {
            let class = refusal.class;
            note(turn, number, status, proof);
            turn.refuse_later(number, class);
            turn.stop(class);
        }
        // A call that spoke is over: how its provider counts it is no news.
        ReportStatus::Failed(_) if spoken(leg) => {}
        ReportStatus::Failed(refusal) if open && proof != Proof::Nothing => {
            let class = refusal.class;
            note(turn, number, status, proof);
            turn.refuse_later(number, class);
        }
        ReportStatus::Underway { reference, .. } => {
            underway_beside(turn, number, status, proof, reference.as_deref());
        }
        ReportStatus::Hint => hint(turn, number),
        ReportStatus::Delivered | ReportStatus::Failed(_) | ReportStatus::Absent => {
            turn.late(format!("{} for leg {number}", status.kind().word()));
        }
    }
}

/// Delivered, but not by the leg in hand: its answer comes first. A call for an unverified code is still wanted; what a person
/// asked for before they had the first one is not.
pub(super) fn delivered_beside(turn: &mut Turn<'_>) {
    match turn.message.state {
        State::Sending { .. } | State::Retrying { want: Want { trigger: Trigger::Unverified, .. } } => {}
        State::Queued
        | State::Awaiting { .. }
        | State::Retrying { .. }
        | State::Delivered
        | State::GaveUp { .. }
        | State::Ended { .. } => turn.deliver(),
    }
}

fn told(turn: &mut Turn<'_>, number: LegNumber, status: &ReportStatus, proof: Proof) {
    if proof == Proof::Nothing {
        return hint(turn, number);
    }
    match status {
        ReportStatus::Delivered => {
            note(turn, number, status, proof);
            turn.close_leg(number, LegOutcome::Delivered, None);
            turn.deliver();
        }
        ReportStatus::Failed(refusal) => {
            note(turn, number, status, proof);
            turn.refuse_later(number, refusal.class);
            legs::react(turn, number, refusal.class, Told::Later);
        }
        ReportStatus::Underway { reference, .. } => underway(turn, number, status, proof, reference.as_deref()),
        ReportStatus::Absent => absent(turn, number, status, proof),
        ReportStatus::Hint => hint(turn, number),
    }
}

fn underway(turn: &mut Turn<'_>, number: LegNumber, status: &ReportStatus, proof: Proof, reference: Option<&str>) {
    let known = turn.leg(number).and_then(|leg| leg.reference.as_deref());
    let news = reference.filter(|reference| known != Some(reference)).is_some();
    sending::took(turn, number, reference);
    let at_operator = operator::is_heard(turn, number, status);
    match turn.message.state {
        State::Awaiting { what: Awaited::Answer, .. } => {
            note(turn, number, status, proof);
            submitted(turn, number);
        }
        State::Awaiting { what: Awaited::Receipt, .. } if at_operator => {
            note(turn, number, status, proof);
            enter(turn, number, Awaited::Receipt);
        }
        State::Awaiting { what: Awaited::Receipt, .. } if news => note(turn, number, status, proof),
        State::Awaiting { what: Awaited::Receipt, .. }
        | State::Queued
        | State::Sending { .. }
        | State::Retrying { .. }
        | State::Delivered
        | State::GaveUp { .. }
        | State::Ended { .. } => {}
    }
}

/// The same of a leg in hand, or no longer awaited: it changes no state, and is told where it is all that will be heard.
fn underway_beside(
    turn: &mut Turn<'_>,
    number: LegNumber,
    status: &ReportStatus,
    proof: Proof,
    reference: Option<&str>,
) {
    sending::said_to_have_taken(turn, number, reference, proof);
    if proof != Proof::Nothing && operator::is_heard(turn, number, status) {
        note(turn, number, status, proof);
    }
}

/// The provider does not know it. That settles an unknown answer, but not at once: a request that timed out may still be
/// in the provider's hands, and is on no list yet. A leg it took before, it does not unsay.
fn absent(turn: &mut Turn<'_>, number: LegNumber, status: &ReportStatus, proof: Proof) {
    match turn.message.state {
        State::Awaiting { what: Awaited::Answer, .. } => {
            note(turn, number, status, proof);
            if grace_of(turn, number).is_some_and(|until| turn.now() < until) {
                return;
            }
            turn.close_leg(number, LegOutcome::NotSent, Some(Class::NotSent));
            legs::react(turn, number, Class::NotSent, Told::Later);
        }
        State::Awaiting { what: Awaited::Receipt, .. }
        | State::Queued
        | State::Sending { .. }
        | State::Retrying { .. }
        | State::Delivered
        | State::GaveUp { .. }
        | State::Ended { .. } => turn.late(format!("not known to the provider, leg {number}")),
    }
}

/// Until when a request whose answer was lost may still show up.
fn grace_of(turn: &Turn<'_>, number: LegNumber) -> Option<Timestamp> {
    Some(turn.leg(number)?.ended_at?.plus_ms(turn.view.policy.unknown_grace_ms))
}

/// A poke, or a receipt without proof: it causes a question at the most.
fn hint(turn: &mut Turn<'_>, number: LegNumber) {
    let most = turn.view.policy.asks_max.saturating_sub(ASKS_KEPT_FOR_SWEEP);
    let Some(leg) = turn.leg(number).filter(|leg| can_ask(leg) && leg.asks < most) else { return };
    match (turn.view.asks_in_ms)(leg) {
        0 => ask(turn, number),
        in_ms => ask_later(turn, number, in_ms),
    }
}

/// No question is used up. Where its receipt is awaited its leg is not overdue before it; else the poke was for nothing.
fn ask_later(turn: &mut Turn<'_>, number: LegNumber, in_ms: u64) {
    let at = turn.now().plus_ms(in_ms);
    if turn.message.state != (State::Awaiting { leg: number, what: Awaited::Receipt }) {
        return;
    }
    let put_off = |leg: &&mut Leg| leg.ask_at.is_none_or(|ask_at| ask_at <= turn.view.now || ask_at > at);
    // Not by `leg_mut`: where nothing is put off, nothing is saved.
    if let Some(leg) = turn.message.legs.iter_mut().find(|leg| leg.number == number).filter(put_off) {
        leg.ask_at = Some(at);
        leg.overdue_at = leg.overdue_at.map(|overdue_at| overdue_at.max(at));
        enter(turn, number, Awaited::Receipt);
    }
}

fn ask(turn: &mut Turn<'_>, number: LegNumber) {
    if let Some(leg) = turn.leg_mut(number) {
        leg.asks = leg.asks.saturating_add(1);
        turn.note(Note::Asked { leg: number });
        turn.effect(Effect::Ask { leg: number });
    }
}

const fn can_ask(leg: &Leg) -> bool {
    leg.abilities.asks_by_our_id || (leg.abilities.asks && leg.reference.is_some())
}

fn answer_due(turn: &Turn<'_>, leg: &Leg) -> Timestamp {
    let policy = turn.view.policy;
    let quick = can_repeat(turn, leg) || (can_ask(leg) && leg.asks == 0);
    turn.now().plus_ms(if quick { policy.unknown_ask_after_ms } else { policy.unknown_grace_ms })
}

fn can_repeat(turn: &Turn<'_>, leg: &Leg) -> bool {
    let in_time = turn.now() <= leg.usual_by.max(turn.message.useful_until.minus_ms(leg.usual_ms()));
    leg.abilities.dedupes && leg.sends <= turn.view.policy.repeats_max && in_time
}

/// Promise 4: repeat where the provider dedupes; else ask; else, after the grace, at most one more text.
fn answer_is_due(turn: &mut Turn<'_>, number: LegNumber) {
    let Some(leg) = turn.leg(number).cloned() else { return turn.rest() };
    if can_repeat(turn, &leg) && turn.now().plus_ms(leg.usual_ms()) <= turn.message.useful_until {
        if let Some(leg) = turn.leg_mut(number) {
            leg.sends += 1;
            leg.outcome = None;
        }
        turn.note(Note::Repeated { leg: number });
        turn.enter_sending(number);
        return turn.effect(Effect::Call { leg: number });
    }
    if can_ask(&leg) && leg.asks < ASKS_OF_ANSWER.min(turn.view.policy.asks_max) {
        let unsure = State::Awaiting { leg: number, what: Awaited::Answer };
        let in_ms = (turn.view.asks_in_ms)(&leg);
        if in_ms == 0 {
            ask(turn, number);
            return turn.enter(unsure, turn.now().plus_ms(turn.view.policy.unknown_grace_ms));
        }
        let later = turn.now().plus_ms(in_ms);
        if later <= leg.started_at.plus_ms(ANSWER_PUT_OFF_MS_MAX) {
            return turn.enter(unsure, later);
        }
    }
    // Looked at early for a question that cannot be put: its receipt still has the grace.
    if let Some(until) = grace_of(turn, number).filter(|until| turn.now() < *until) {
        return turn.enter(State::Awaiting { leg: number, what: Awaited::Answer }, until);
    }
    legs::react(turn, number, Class::Unknown, Told::Later);
}

fn receipt_due(turn: &Turn<'_>, leg: &Leg) -> Timestamp {
    let times = [leg.ask_at, leg.overdue_at];
    times.into_iter().flatten().min().unwrap_or(turn.message.useful_until)
}

fn receipt_is_due(turn: &mut Turn<'_>, number: LegNumber) {
    if turn.unverified_call_at().is_some_and(|at| at <= turn.now()) {
        return legs::call_if_unverified(turn);
    }
    let Some(leg) = turn.leg(number).cloned() else { return turn.rest() };
    if leg.ask_at.is_some_and(|at| at <= turn.now()) {
        return ask_unasked(turn, &leg);
    }
    if leg.overdue_at.is_some_and(|at| at <= turn.now()) {
        return overdue(turn, &leg);
    }
    enter(turn, number, Awaited::Receipt);
}

/// Asked once when a receipt would usually be here, and once more before it counts as overdue.
fn ask_unasked(turn: &mut Turn<'_>, leg: &Leg) {
    let now = turn.now();
    let last = leg.overdue_at.is_none_or(|at| at <= now);
    if can_ask(leg) && leg.asks < turn.view.policy.asks_max {
        match (turn.view.asks_in_ms)(leg) {
            0 => ask(turn, leg.number),
            in_ms => return ask_later(turn, leg.number, in_ms),
        }
    }
    if let Some(leg) = turn.leg_mut(leg.number) {
        leg.ask_at = if last { None } else { leg.overdue_at };
        if last {
            leg.overdue_at = leg.overdue_at.map(|_| now.plus_ms(ASK_SETTLE_MS));
        }
    }
    enter(turn, leg.number, Awaited::Receipt);
}

/// Promise 11: an overdue receipt starts a leg only while its route is otherwise on time.
fn overdue(turn: &mut Turn<'_>, leg: &Leg) {
    let number = leg.number;
    if (turn.view.punctual)(leg) {
        turn.note(Note::Overdue { leg: number });
        turn.close_leg(number, LegOutcome::Overdue, Some(Class::Overdue));
        return legs::react(turn, number, Class::Overdue, Told::Later);
    }
    turn.note(Note::HeldBack { leg: number });
    let again = turn.now().plus_ms(leg.overdue_after_ms.unwrap_or(ASK_SETTLE_MS));
    if let Some(leg) = turn.leg_mut(number) {
        leg.overdue_at = Some(again);
        leg.ask_at = (leg.abilities.asks && leg.overdue_after_ms.is_some()).then_some(again);
    }
    enter(turn, number, Awaited::Receipt);
}

fn note(turn: &mut Turn<'_>, leg: LegNumber, status: &ReportStatus, proof: Proof) {
    let (class, code) = match status {
        ReportStatus::Failed(refusal) => (Some(refusal.class), Some(refusal.code.clone())),
        ReportStatus::Delivered | ReportStatus::Underway { .. } | ReportStatus::Absent | ReportStatus::Hint => {
            (None, None)
        }
    };
    let happened_at = turn.happened_at;
    turn.note(Note::Receipt { leg, status: status.kind(), class, code, proof, happened_at });
}

/// A call that spoke to the person is over: what its provider says of it later changes nothing.
fn spoken(leg: &Leg) -> bool {
    leg.call.is_some_and(|call| call.stage == CallStage::Spoken)
}
