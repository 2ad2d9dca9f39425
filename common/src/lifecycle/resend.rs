//! A resend asked for by the person: the same code, another domestic route if there is one, never a longer life.

use super::turn::Turn;
use super::{Event, Note, guess, legs};
use crate::fallback;
use crate::leg::{Channel, Leg, LegOutcome};
use crate::message::{Message, State, Trigger, Voice, Want};
use crate::policy::Policy;
use crate::time::Timestamp;

/// Why a resend is refused now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResendRefusal {
    /// It has ended, or its deadline is over.
    TooLate,
    /// Every resend was used.
    UsedUp,
    /// Its cool-down lasts until then.
    TooEarly { until: Timestamp },
}

pub fn resend_gate(message: &Message, now: Timestamp, policy: &Policy) -> Result<(), ResendRefusal> {
    if !message.lives_at(now) {
        return Err(ResendRefusal::TooLate);
    }
    match next_resend_at(message, policy) {
        None => Err(ResendRefusal::UsedUp),
        Some(until) if until > now => Err(ResendRefusal::TooEarly { until }),
        Some(_) => Ok(()),
    }
}

/// When the next resend is allowed; `None` when none is left.
pub fn next_resend_at(message: &Message, policy: &Policy) -> Option<Timestamp> {
    if message.resends >= policy.resends_max_for(&message.tenant) {
        return None;
    }
    let since = message.last_resend_at.unwrap_or(message.accepted_at);
    let cooldowns = policy.resend_cooldown_ms_for(&message.tenant);
    let cooldown_ms = cooldowns[usize::from(message.resends).min(cooldowns.len() - 1)];
    Some(since.plus_ms(cooldown_ms))
}

/// What becomes of a living message that somebody asks for once more at `asked_at`, with a request that equals its own: it ends
/// where nobody can verify it any more, and makes room for a new one; it is sent again, within a resend's limits. `None` where
/// what was sent is all that they get.
pub fn asked_again(message: &Message, is_void: bool, asked_at: Timestamp, policy: &Policy) -> Option<Event> {
    if is_void {
        return Some(Event::Revoked);
    }
    let asks = guess::guessed_out(message, asked_at) || resend_gate(message, asked_at, policy).is_ok();
    asks.then_some(Event::ResendAsked { channel: None })
}

/// Refused silently where the gate is shut: of two resends at once, one wins.
pub(super) fn ask(turn: &mut Turn<'_>, channel: Option<Channel>) {
    // A code that cannot be typed back any more is not sent again.
    if guess::guessed_out(&turn.message, turn.now()) {
        return guess::end(turn);
    }
    if resend_gate(&turn.message, turn.now(), turn.view.policy).is_err() {
        return;
    }
    turn.message.resends += 1;
    turn.message.last_resend_at = Some(turn.now());
    let place = turn.noted();
    let leg = wanted(turn, channel).is_some_and(|want| follows(turn, want));
    turn.note_at(place, Note::ResendAsked { leg });
}

/// Begins the leg, or has it begun by whoever makes calls; `false` where no route is left for it.
fn follows(turn: &mut Turn<'_>, want: Want) -> bool {
    legs::start(turn, want);
    match turn.message.state {
        State::Sending { .. } => true,
        State::Retrying { want: waiting } => waiting == want,
        State::Queued | State::Awaiting { .. } | State::Delivered | State::GaveUp { .. } | State::Ended { .. } => false,
    }
}

/// Where no text can reach the phone, whoever only asks for one more means a call; where the request allows calls, and none
/// is under way, which would find the line busy.
fn usual(message: &Message) -> Channel {
    let calls = |leg: &Leg| leg.channel == Channel::Voice && matches!(leg.outcome, None | Some(LegOutcome::Submitted));
    let means_a_call = fallback::texts_closed(message) && !message.legs.iter().any(calls);
    match message.voice {
        Voice::OnFailure | Voice::OnUnverified { .. } if means_a_call => Channel::Voice,
        Voice::OnFailure | Voice::OnUnverified { .. } | Voice::Never => Channel::Sms,
    }
}

/// No new leg while one is on its way already, or so young that it may just be arriving.
fn wanted(turn: &Turn<'_>, channel: Option<Channel>) -> Option<Want> {
    let channel = channel.unwrap_or_else(|| usual(&turn.message));
    let young = turn.message.legs.last().is_some_and(|leg| leg.may_be_out() && turn.now() < leg.usual_by);
    let resting = match turn.message.state {
        State::Queued | State::Sending { .. } | State::Ended { .. } => false,
        // A call that waits for its time need not wait for a person who asks for it now.
        State::Retrying { want } => channel == Channel::Voice && want.channel == Channel::Voice,
        State::Awaiting { .. } | State::Delivered | State::GaveUp { .. } => true,
    };
    let in_vain = channel == Channel::Sms && fallback::texts_closed(&turn.message);
    if young || !resting || in_vain {
        return None;
    }
    let want = match channel {
        Channel::Sms => fallback::text(Trigger::Asked),
        Channel::Voice => fallback::call(Trigger::Asked),
    };
    Some(Want { again: true, ..want })
}
