//! Guesses: paid before they are compared, and what becomes of those that nobody judged.

use super::story::Now::{Submitted, Taken};
use super::story::{Now, Story, story};
use crate::lifecycle::{Event, GUESS_OPEN_MS_MAX, Verdict, asked_again};
use crate::policy::Policy;

const FIRST: (Now, &str) = (Taken, "sending by sakura");
const ACCEPTED: (Now, &str) = (Submitted, "awaiting sakura");

/// All guesses were paid for, and all but one were wrong.
fn with_one_unjudged() -> Story {
    let mut told = story().goes(&[FIRST, ACCEPTED]);
    (0..5).for_each(|_| drop(told.apply(&Event::GuessPaid)));
    assert!(!told.apply(&Event::GuessPaid).save, "five are all there are");
    (0..4).for_each(|_| drop(told.apply(&Event::Guessed { verdict: Verdict::Wrong, key: None })));
    told
}

#[test]
fn guesses_are_paid_one_by_one_and_the_last_wrong_one_ends_it() {
    let mut told = story().goes(&[FIRST, ACCEPTED]);
    for left in [4, 3, 2, 1, 0] {
        assert_eq!(told.apply(&Event::GuessPaid).message.guesses_left, left);
        told.apply(&Event::Guessed { verdict: Verdict::Wrong, key: None });
    }
    assert_eq!(told.stands(), "ended: failed, guessed_out");
    let mut changed = story().goes(&[FIRST, ACCEPTED]);
    changed.apply(&Event::Guessed { verdict: Verdict::TransactionChanged, key: None });
    assert_eq!(changed.stands(), "ended: failed, transaction_changed");
}

#[test]
fn of_guesses_made_at_once_the_right_one_counts_though_it_is_judged_last() {
    assert_eq!(with_one_unjudged().stands(), "awaiting sakura", "one is still being compared");
    let mut right = with_one_unjudged();
    right.apply(&Event::Guessed { verdict: Verdict::Right, key: None });
    assert_eq!(right.stands(), "ended: verified");
    let mut wrong = with_one_unjudged();
    wrong.apply(&Event::Guessed { verdict: Verdict::Wrong, key: None });
    assert_eq!(wrong.stands(), "ended: failed, guessed_out");
}

#[test]
fn a_guess_that_was_paid_and_never_judged_ends_the_message_once_nobody_compares_it_any_more() {
    for event in [Event::GuessPaid, Event::ResendAsked { channel: None }] {
        let mut early = with_one_unjudged();
        early.now = early.now.plus_ms(GUESS_OPEN_MS_MAX - 1);
        early.apply(&event);
        assert!(early.message.is_live(), "it may still be the right one: {event:?}");
        let mut late = with_one_unjudged();
        late.now = late.now.plus_ms(GUESS_OPEN_MS_MAX);
        late.apply(&event);
        assert_eq!((late.stands().as_str(), late.legs().as_str()), ("ended: failed, guessed_out", "sakura"));
    }
    // Whoever asks anew while no resend is allowed gets a new one.
    let policy = Policy { resends_max: 0, ..Policy::default() };
    let (told, asked) = (with_one_unjudged(), Some(Event::ResendAsked { channel: None }));
    let compared = told.now.plus_ms(GUESS_OPEN_MS_MAX - 1);
    assert_eq!(asked_again(&told.message, false, compared, &policy), None);
    assert_eq!(asked_again(&told.message, false, compared.plus_ms(1), &policy), asked);
    assert_eq!(asked_again(&told.message, true, told.now, &policy), Some(Event::Revoked));
}
