//! A call in progress: announce a digit, and speak only to the person who presses it, while it is still useful.

use super::turn::Turn;
use super::{Effect, Note, Utterance, awaiting};
use crate::leg::{Call, CallStage, LegNumber, LegOutcome};

/// How often the announcement is given before we say goodbye: to whoever said nothing. A wrong digit ends the call, for a
/// greeting of a voicemail can hold as many tones as it is given tries.
const ANNOUNCEMENTS_MAX: u8 = 2;

pub(super) fn answered(turn: &mut Turn<'_>, leg: LegNumber) {
    match call_of(turn, leg) {
        Some(call) if call.stage != CallStage::Spoken && call.announced < ANNOUNCEMENTS_MAX => {
            turn.note(Note::CallAnswered { leg });
            announce(turn, leg, call);
        }
        Some(_) | None => turn.effect(Effect::Say(Utterance::Goodbye)),
    }
}

pub(super) fn pressed(turn: &mut Turn<'_>, leg: LegNumber, digit: Option<u8>) {
    let listens = |call: &Call| call.stage == CallStage::Answered && call.announced <= ANNOUNCEMENTS_MAX;
    let Some(call) = call_of(turn, leg).filter(listens) else {
        return turn.effect(Effect::Say(Utterance::Goodbye));
    };
    let right = digit == Some(call.digit);
    turn.note(Note::Pressed { leg, right });
    if right {
        speak(turn, leg, call);
    } else if digit.is_none() && call.announced < ANNOUNCEMENTS_MAX {
        announce(turn, leg, call);
    } else {
        // That was the last word: whoever asks on in this call's name hears no code.
        set(turn, leg, Call { announced: ANNOUNCEMENTS_MAX + 1, ..call });
        let last_word = if digit.is_some() { Utterance::WrongDigit } else { Utterance::Goodbye };
        turn.effect(Effect::Say(last_word));
    }
}

fn announce(turn: &mut Turn<'_>, leg: LegNumber, call: Call) {
    set(turn, leg, Call { stage: CallStage::Answered, announced: call.announced + 1, ..call });
    turn.effect(Effect::Say(Utterance::Announce { digit: call.digit }));
}

/// Said once: a second press hears goodbye.
fn speak(turn: &mut Turn<'_>, leg: LegNumber, call: Call) {
    set(turn, leg, Call { stage: CallStage::Spoken, ..call });
    turn.note(Note::Spoken { leg });
    turn.effect(Effect::Say(Utterance::Content));
    turn.close_leg(leg, LegOutcome::Delivered, None);
    awaiting::delivered_beside(turn);
}

fn call_of(turn: &Turn<'_>, leg: LegNumber) -> Option<Call> {
    turn.leg(leg).and_then(|leg| leg.call)
}

fn set(turn: &mut Turn<'_>, leg: LegNumber, call: Call) {
    if let Some(leg) = turn.leg_mut(leg) {
        leg.call = Some(call);
    }
}
