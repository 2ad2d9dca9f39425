//! `Ended`: ends never change. Late events are noted, a provider's reference is kept, the personal part is erased.

use super::turn::Turn;
use super::{Effect, Event, Note, Utterance, sending};
use crate::outcome::{Proof, ReportStatus};

pub(super) fn step(turn: &mut Turn<'_>, event: &Event) {
    match event {
        Event::Due => erase(turn),
        Event::Answered { leg, answer } => sending::late_answer(turn, *leg, answer),
        Event::Receipt { leg, status, proof, .. } => match status {
            ReportStatus::Underway { reference, .. } => {
                sending::said_to_have_taken(turn, *leg, reference.as_deref(), *proof);
            }
            ReportStatus::Hint => {}
            ReportStatus::Delivered if arrived_late(turn, *proof) => {
                turn.note(Note::ArrivedLate { leg: *leg, happened_at: turn.happened_at });
            }
            ReportStatus::Delivered | ReportStatus::Failed(_) | ReportStatus::Absent => {
                turn.late(format!("{} for leg {leg}", status.kind().word()));
            }
        },
        Event::CallAnswered { .. } | Event::Pressed { .. } => turn.effect(Effect::Say(Utterance::Goodbye)),
        // Whoever asks is told by the state itself.
        Event::Taken
        | Event::GuessPaid
        | Event::Guessed { .. }
        | Event::ResendAsked { .. }
        | Event::CancelAsked { .. }
        | Event::Revoked
        | Event::GivenUp => {}
    }
}

/// As far as the provider says when; else as far as we can tell.
fn arrived_late(turn: &Turn<'_>, proof: Proof) -> bool {
    proof != Proof::Nothing && turn.happened_at.unwrap_or(turn.now()) > turn.message.useful_until
}

fn erase(turn: &mut Turn<'_>) {
    turn.message.sealed = None;
    turn.message.due = None;
    turn.note(Note::Erased);
}
