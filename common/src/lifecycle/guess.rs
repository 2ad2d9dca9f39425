//! Guesses: paid before they are compared, judged after; the right one ends the message and gives the number its guesses back.

use super::turn::Turn;
use super::{Effect, Note, Verdict};
use crate::message::{End, Message, Tag, Verified};
use crate::outcome::Reason;
use crate::time::Timestamp;

/// A guess paid this long ago is not compared any more: longer than a door works on one request.
pub const GUESS_OPEN_MS_MAX: u64 = 20_000;

/// Nothing is saved where no guess is left: the caller sees that in the message.
pub(super) fn pay(turn: &mut Turn<'_>) {
    if guessed_out(&turn.message, turn.now()) {
        return end(turn);
    }
    if let Some(left) = turn.message.guesses_left.checked_sub(1) {
        turn.message.guesses_left = left;
        turn.message.guesses_open = turn.message.guesses_open.saturating_add(1);
        turn.message.guess_paid_at = Some(turn.now());
        turn.note(Note::GuessPaid { left });
    }
}

/// Whether no guess is left and none is being compared: who paid for the last ones was killed before it judged them.
pub fn guessed_out(message: &Message, now: Timestamp) -> bool {
    let compared = |at: Timestamp| now.since_ms(at) < GUESS_OPEN_MS_MAX;
    message.is_live() && message.is_code() && message.guesses_left == 0 && !message.guess_paid_at.is_some_and(compared)
}

pub(super) fn end(turn: &mut Turn<'_>) {
    turn.end(End::Failed { reason: Reason::GuessedOut });
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
        Verdict::Wrong if turn.message.guesses_left == 0 && open == 0 => end(turn),
        Verdict::Wrong => {}
        Verdict::TransactionChanged => turn.end(End::Failed { reason: Reason::TransactionChanged }),
    }
}
