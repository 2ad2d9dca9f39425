//! Guesses: paid before they are compared, judged after; the right one ends the message and gives the number its guesses back.

use super::turn::Turn;
use super::{Effect, Note, Verdict};
use crate::message::{End, Tag, Verified};
use crate::outcome::Reason;

/// Nothing is saved where no guess is left: the caller sees that in the message.
pub(super) fn pay(turn: &mut Turn<'_>) {
    if let Some(left) = turn.message.guesses_left.checked_sub(1) {
        turn.message.guesses_left = left;
        turn.message.guesses_open = turn.message.guesses_open.saturating_add(1);
        turn.note(Note::GuessPaid { left });
    }
}

pub(super) fn judge(turn: &mut Turn<'_>, verdict: Verdict, key: Option<Tag>) {
    turn.note(Note::Guessed { verdict });
    let open = turn.message.guesses_open.saturating_sub(1);
    turn.message.guesses_open = open;
    match verdict {
        Verdict::Right => {
            turn.message.verified = Some(Verified { at: turn.now(), key });
            turn.effect(Effect::RefundGuesses);
            turn.end(End::Verified);
        }
        // Of guesses made at once, the right one may be judged last.
        Verdict::Wrong if turn.message.guesses_left == 0 && open == 0 => {
            turn.end(End::Failed { reason: Reason::GuessedOut });
        }
        Verdict::Wrong => {}
        Verdict::TransactionChanged => turn.end(End::Failed { reason: Reason::TransactionChanged }),
    }
}
