//! `Sending`: a request to a provider is in hand. Its answer, or the silence after it, decides what follows.

use super::turn::Turn;
use super::{Effect, Event, Note, awaiting, legs, whenever_live};
use crate::fallback::{self, Told};
use crate::leg::{Leg, LegNumber, LegOutcome};
use crate::message::Awaited;
use crate::outcome::{Answer, Class, Proof, Scope};

pub(super) fn step(turn: &mut Turn<'_>, leg: LegNumber, event: &Event) {
    match event {
        Event::Answered { leg: of, answer } if *of == leg => answered(turn, leg, answer),
        Event::Due => unknown(turn, leg, "no answer was saved"),
        Event::Receipt { leg: of, status, proof, .. } if *of == leg => awaiting::early(turn, leg, status, *proof),
        // A repeat of the delivery, or a wake: the row carries the message already.
        Event::Taken => {}
        Event::Answered { .. }
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

pub(super) fn answered(turn: &mut Turn<'_>, leg: LegNumber, answer: &Answer) {
    match answer {
        Answer::Submitted { reference } => {
            note(turn, leg, LegOutcome::Submitted, None, None);
            took(turn, leg, reference.as_deref());
            awaiting::submitted(turn, leg);
        }
        Answer::Refused(_) | Answer::NotSent { .. } if says_nothing(turn, leg, answer) => {
            unknown(turn, leg, "the repeat was not taken");
        }
        Answer::Refused(refusal) => {
            note(turn, leg, LegOutcome::Refused, Some(refusal.class), Some(refusal.code.clone()));
            refund(turn, leg);
            turn.close_leg(leg, LegOutcome::Refused, Some(refusal.class));
            legs::react(turn, leg, refusal.class, Told::AtOnce);
        }
        Answer::NotSent { why } => {
            note(turn, leg, LegOutcome::NotSent, Some(Class::NotSent), Some(why.clone()));
            refund(turn, leg);
            turn.close_leg(leg, LegOutcome::NotSent, Some(Class::NotSent));
            legs::react(turn, leg, Class::NotSent, Told::AtOnce);
        }
        Answer::Unknown { why } => unknown(turn, leg, why),
    }
}

/// A repeat that went nowhere says nothing about the request before it: that one may be out still. Nor does a repeat
/// that its provider would not take just now, as where the request before it used up what one number may get, or for a
/// reason that nobody knows; nor does an answer unsay a report that came before it.
fn says_nothing(turn: &Turn<'_>, leg: LegNumber, answer: &Answer) -> bool {
    let out_before = turn.leg(leg).is_some_and(|leg| leg.sends > 1 || (leg.outcome.is_none() && leg.taken));
    out_before
        && match answer {
            Answer::NotSent { .. } => true,
            Answer::Refused(refusal) => matches!(
                (refusal.class, refusal.scope),
                (_, Scope::Provider)
                    | (Class::NotSent | Class::Throttled | Class::Unknown, _)
                    | (Class::Config, Scope::Message)
            ),
            Answer::Submitted { .. } | Answer::Unknown { .. } => false,
        }
}

fn unknown(turn: &mut Turn<'_>, leg: LegNumber, why: &str) {
    note(turn, leg, LegOutcome::Unknown, Some(Class::Unknown), Some(why.to_owned()));
    // The answer is lost, but it is known already that the provider took it and handed it on.
    if turn.leg(leg).is_some_and(Leg::is_at_operator) {
        return awaiting::submitted(turn, leg);
    }
    turn.close_leg(leg, LegOutcome::Unknown, Some(Class::Unknown));
    if turn.any_delivered() {
        return turn.deliver();
    }
    awaiting::enter(turn, leg, Awaited::Answer);
}

/// An answer that nobody waits for any more: only what it tells about its leg is kept, unless it stops the message.
pub(super) fn late_answer(turn: &mut Turn<'_>, leg: LegNumber, answer: &Answer) {
    match answer {
        Answer::Submitted { reference } => {
            took(turn, leg, reference.as_deref());
            turn.late(format!("answer to leg {leg}: submitted"));
        }
        Answer::Refused(refusal) => {
            turn.late(format!("answer to leg {leg}: refused, {}", refusal.class.word()));
            refund(turn, leg);
            if turn.message.is_live() && turn.leg(leg).is_some() && fallback::stops(refusal.class) {
                turn.close_leg(leg, LegOutcome::Refused, Some(refusal.class));
                turn.stop(refusal.class);
            }
        }
        Answer::NotSent { .. } => {
            turn.late(format!("answer to leg {leg}: not sent"));
            refund(turn, leg);
        }
        Answer::Unknown { .. } => turn.late(format!("answer to leg {leg}: unknown")),
    }
}

/// The provider took this leg, and calls it so. Told twice, it is no news.
pub(super) fn took(turn: &mut Turn<'_>, number: LegNumber, reference: Option<&str>) {
    let Some(leg) = turn.leg(number) else { return };
    if leg.taken && (reference.is_none() || leg.reference.as_deref() == reference) {
        return;
    }
    if let Some(leg) = turn.leg_mut(number) {
        leg.taken = true;
        leg.reference = reference.map(str::to_owned).or_else(|| leg.reference.take());
    }
}

/// The same by a report: never from somebody who may have made it up, because the reference is what we ask about.
pub(super) fn said_to_have_taken(turn: &mut Turn<'_>, leg: LegNumber, reference: Option<&str>, proof: Proof) {
    match proof {
        Proof::Signature | Proof::Tag | Proof::Asked => took(turn, leg, reference),
        Proof::Nothing => {}
    }
}

/// Nobody took it: it costs its tenant nothing.
fn refund(turn: &mut Turn<'_>, number: LegNumber) {
    let unsettled = |leg: &Leg| matches!(leg.outcome, None | Some(LegOutcome::Cancelled));
    if turn.leg(number).is_some_and(|leg| unsettled(leg) && !leg.taken && leg.sends == 1) {
        turn.effect(Effect::RefundLeg { leg: number });
    }
}

fn note(turn: &mut Turn<'_>, leg: LegNumber, outcome: LegOutcome, class: Option<Class>, code: Option<String>) {
    turn.note(Note::Answered { leg, outcome, class, code });
}
