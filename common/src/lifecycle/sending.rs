//! `Sending`: a request to a provider is in hand. Its answer, or the silence after it, decides what follows.

use super::turn::Turn;
use super::{Event, Note, awaiting, legs, whenever_live};
use crate::fallback::Told;
use crate::leg::{LegNumber, LegOutcome};
use crate::message::Awaited;
use crate::outcome::{Answer, Class};

pub(super) fn step(turn: &mut Turn<'_>, leg: LegNumber, event: &Event) {
    match event {
        Event::Answered { leg: of, answer } if *of == leg => answered(turn, leg, answer),
        Event::Due => unknown(turn, leg, "no answer was saved"),
        Event::Receipt { leg: of, status, proof } if *of == leg => awaiting::early(turn, leg, status, *proof),
        // A repeat of the delivery, or a wake: the row carries the message already.
        Event::Taken => {}
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

pub(super) fn answered(turn: &mut Turn<'_>, leg: LegNumber, answer: &Answer) {
    match answer {
        Answer::Submitted { reference } => {
            note(turn, leg, "submitted", None, None);
            keep_reference(turn, leg, reference.as_deref());
            awaiting::submitted(turn, leg);
        }
        Answer::Refused(refusal) => {
            note(turn, leg, "refused", Some(refusal.class), Some(refusal.code.clone()));
            turn.close_leg(leg, LegOutcome::Refused, Some(refusal.class));
            legs::react(turn, leg, refusal.class, Told::AtOnce);
        }
        Answer::NotSent { why } => {
            note(turn, leg, "not_sent", Some(Class::NotSent), Some(why.clone()));
            turn.close_leg(leg, LegOutcome::NotSent, Some(Class::NotSent));
            legs::react(turn, leg, Class::NotSent, Told::AtOnce);
        }
        Answer::Unknown { why } => unknown(turn, leg, why),
    }
}

fn unknown(turn: &mut Turn<'_>, leg: LegNumber, why: &str) {
    note(turn, leg, "unknown", Some(Class::Unknown), Some(why.to_owned()));
    turn.close_leg(leg, LegOutcome::Unknown, Some(Class::Unknown));
    if turn.any_delivered() {
        return turn.deliver();
    }
    awaiting::enter(turn, leg, Awaited::Answer);
}

/// An answer that nobody waits for any more: only what it tells about its leg is kept.
pub(super) fn late_answer(turn: &mut Turn<'_>, leg: LegNumber, answer: &Answer) {
    match answer {
        Answer::Submitted { reference } => {
            keep_reference(turn, leg, reference.as_deref());
            turn.late(format!("answer to leg {leg}: submitted"));
        }
        Answer::Refused(refusal) => turn.late(format!("answer to leg {leg}: refused, {}", refusal.class.word())),
        Answer::NotSent { .. } => turn.late(format!("answer to leg {leg}: not sent")),
        Answer::Unknown { .. } => turn.late(format!("answer to leg {leg}: unknown")),
    }
}

pub(super) fn keep_reference(turn: &mut Turn<'_>, leg: LegNumber, reference: Option<&str>) {
    if let (Some(reference), Some(leg)) = (reference, turn.leg_mut(leg)) {
        leg.reference = Some(reference.to_owned());
    }
}

fn note(turn: &mut Turn<'_>, leg: LegNumber, outcome: &str, class: Option<Class>, code: Option<String>) {
    turn.note(Note::Answered { leg, outcome: outcome.to_owned(), class, code });
}
