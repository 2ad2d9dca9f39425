//! The next leg: begin it, wait for a route, leave it to somebody who makes calls, or fall back to voice.

use super::turn::Turn;
use super::{Cap, Choice, Effect, Note, Pick, awaiting};
use crate::fallback::{self, Reaction, Told};
use crate::leg::{Call, CallStage, Channel, Leg, LegNumber, LegOutcome};
use crate::message::{Awaited, End, State, Trigger, Voice, Want};
use crate::outcome::{Class, Reason};
use crate::policy::{CALLS_MAX, LATE_CALL_LOOK_MS, TEXTS_MAX};
use crate::time::Timestamp;

/// Begins a leg as wanted, or says what stands in its way.
pub(super) fn start(turn: &mut Turn<'_>, want: Want) {
    if !may_start(turn, want) {
        return exhausted(turn, want);
    }
    match (turn.view.choose)(&turn.message, &want) {
        Choice::Go(pick) => begin(turn, want, *pick),
        Choice::Wait { until, .. } if costs_the_call(turn, want, until) => exhausted(turn, want),
        Choice::Wait { until, why } => {
            let until = until.max(turn.now().plus_ms(1));
            turn.waits_until = Some(until);
            // Told once: it may look for a free route every second until its deadline.
            if turn.message.state != (State::Retrying { want }) {
                turn.note(Note::Waiting { until, why: Some(why) });
            }
            let jitter = u64::from(turn.view.roll) % (turn.view.policy.retry_first_ms / 4).max(1);
            turn.enter(State::Retrying { want }, until.plus_ms(jitter));
        }
        Choice::Elsewhere => {
            turn.enter(State::Retrying { want }, turn.now());
            turn.effect(Effect::Wake);
        }
        Choice::OverLimit(cap) => over_limit(turn, want, cap),
        Choice::Nothing => exhausted(turn, want),
    }
}

/// What follows a leg that failed; its outcome and reason are recorded already.
pub(super) fn react(turn: &mut Turn<'_>, number: LegNumber, class: Class, told: Told) {
    if fallback::stops(class) {
        return turn.stop(class);
    }
    if turn.any_delivered() {
        return turn.deliver();
    }
    let Some(leg) = turn.leg(number).cloned() else { return turn.settle_down(Reason::Leg(class)) };
    match fallback::after(class, told, &leg, &turn.message) {
        Reaction::Leg(want) => start(turn, want),
        Reaction::LateCall => late_call(turn, class),
        Reaction::Fail => turn.end(End::Failed { reason: Reason::Leg(class) }),
        Reaction::GiveUp => settle(turn, Reason::Leg(class)),
    }
}

/// A code that was not typed back in time is called for, where the request says so.
pub(super) fn call_if_unverified(turn: &mut Turn<'_>) {
    match turn.unverified_call_at() {
        Some(at) if at <= turn.now() => {
            // Its time comes once; from here on a call needs a failure, or the person's wish.
            turn.message.voice = Voice::OnFailure;
            start(turn, fallback::call(Trigger::Unverified));
        }
        Some(_) | None => turn.rest(),
    }
}

fn begin(turn: &mut Turn<'_>, want: Want, pick: Pick) {
    let Pick { route, passed_over } = pick;
    let number = LegNumber::try_from(turn.message.legs.len() + 1).expect("LEGS_MAX fits a leg number");
    note_duplicate(turn, number, want);
    let now = turn.now();
    let call =
        Call { digit: 2 + u8::try_from(turn.view.roll % 8).expect("below 8"), stage: CallStage::Dialled, announced: 0 };
    turn.message.legs.push(Leg {
        number,
        channel: route.channel,
        provider: route.provider.clone(),
        route: route.id.clone(),
        class: route.class,
        sender: route.sender.clone(),
        started_at: now,
        ended_at: None,
        outcome: None,
        reason: None,
        taken: false,
        reference: None,
        usual_by: now.plus_ms(route.usual_ms),
        overdue_after_ms: route.overdue_after_ms(turn.view.policy),
        overdue_at: None,
        ask_at: None,
        asks: 0,
        sends: 1,
        abilities: route.abilities,
        call: (route.channel == Channel::Voice).then_some(call),
        operator: route.operator_receipt(),
    });
    let (channel, trigger) = (route.channel, want.trigger);
    turn.note(Note::LegBegan { leg: number, channel, route: route.id, trigger, passed_over });
    turn.enter_sending(number);
    if channel == Channel::Voice {
        turn.effect(Effect::SpendCall);
    }
    turn.effect(Effect::Call { leg: number });
}

/// A second text while an earlier one may have arrived is counted, whatever the cause (promise 4).
fn note_duplicate(turn: &mut Turn<'_>, leg: LegNumber, want: Want) {
    let cause = match want.trigger {
        Trigger::Unknown => Class::Unknown,
        Trigger::Overdue => Class::Overdue,
        Trigger::First | Trigger::Failed | Trigger::Unverified | Trigger::Asked => return,
    };
    if want.channel == Channel::Sms {
        turn.note(Note::DuplicatePossible { leg, cause });
    }
}

fn may_start(turn: &Turn<'_>, want: Want) -> bool {
    let used = turn.message.legs.iter().filter(|leg| leg.channel == want.channel && leg.may_be_out()).count();
    let room = match want.channel {
        Channel::Sms => used < TEXTS_MAX && !fallback::texts_closed(&turn.message),
        Channel::Voice => used < CALLS_MAX && voice_wanted(turn, want),
    };
    room && fallback::legs_left(&turn.message, want.channel) > 0 && !fallback::stopped(&turn.message)
}

fn voice_wanted(turn: &Turn<'_>, want: Want) -> bool {
    match turn.message.voice {
        Voice::OnFailure | Voice::OnUnverified { .. } => true,
        Voice::Never => want.trigger == Trigger::Asked,
    }
}

/// No route, or no room: a text falls back to a call, a call to nothing.
fn exhausted(turn: &mut Turn<'_>, want: Want) {
    match (want.channel, want.trigger) {
        (_, Trigger::Asked) => resume(turn, Reason::NoRoute),
        (Channel::Sms, Trigger::Failed | Trigger::Unknown) if fallback::phone_was_off(&turn.message) => {
            late_call(turn, Class::Absent);
        }
        // No second domestic route can agree: nobody is called, and a code that arrived after all still verifies.
        (Channel::Sms, Trigger::Failed | Trigger::Unknown) if fallback::number_was_denied(&turn.message) => {
            settle(turn, Reason::Leg(Class::InvalidNumber));
        }
        (Channel::Sms, Trigger::First | Trigger::Failed) => start(turn, fallback::call(Trigger::Failed)),
        (Channel::Sms, Trigger::Overdue | Trigger::Unknown | Trigger::Unverified) => {
            start(turn, fallback::call(want.trigger));
        }
        (Channel::Voice, Trigger::First) => settle(turn, Reason::Leg(Class::NotSmsCapable)),
        (Channel::Voice, _) => settle(turn, Reason::NoRoute),
    }
}

/// Money that is spent makes no call out of a text: a call follows only a text that was lost (promise 6).
fn over_limit(turn: &mut Turn<'_>, want: Want, cap: Cap) {
    turn.note(Note::OverLimit { cap });
    match (want.channel, want.trigger) {
        (_, Trigger::Asked) => resume(turn, Reason::OverLimit),
        (Channel::Sms, Trigger::First) | (Channel::Voice, _) => settle(turn, Reason::OverLimit),
        (Channel::Sms, Trigger::Failed | Trigger::Unknown | Trigger::Overdue | Trigger::Unverified) => {
            exhausted(turn, want);
        }
    }
}

/// Whether waiting for a text to a phone that was off would leave no time for the call that comes late after it.
fn costs_the_call(turn: &Turn<'_>, want: Want, until: Timestamp) -> bool {
    let text = want.channel == Channel::Sms && matches!(want.trigger, Trigger::Failed | Trigger::Unknown);
    let call_after = |from: Timestamp| from.plus_ms(turn.view.policy.late_voice_after_ms) < turn.message.useful_until;
    let called = may_start(turn, fallback::call(Trigger::Failed)) && call_after(turn.now());
    // Twice: a look may come late, too.
    let next_look = until.max(turn.now().plus_ms(2 * LATE_CALL_LOOK_MS));
    text && fallback::phone_was_off(&turn.message) && called && !call_after(next_look)
}

fn late_call(turn: &mut Turn<'_>, class: Class) {
    let want = fallback::call(Trigger::Failed);
    let at = turn.now().plus_ms(turn.view.policy.late_voice_after_ms);
    if !may_start(turn, want) || at >= turn.message.useful_until {
        return settle(turn, Reason::Leg(class));
    }
    turn.enter(State::Retrying { want }, at);
}

/// The end of our own efforts, with the reason that tells the person most.
fn settle(turn: &mut Turn<'_>, reason: Reason) {
    let decisive = fallback::decisive(&turn.message).map_or(reason, Reason::Leg);
    turn.settle_down(decisive);
}

/// A leg that was asked for cannot be: an answer that was awaited before is awaited again, with all that follows it.
fn resume(turn: &mut Turn<'_>, reason: Reason) {
    match turn.message.legs.last() {
        Some(leg) if leg.outcome != Some(LegOutcome::Unknown) => settle(turn, reason),
        Some(leg) if leg.is_at_operator() => awaiting::submitted(turn, leg.number),
        Some(leg) => awaiting::enter(turn, leg.number, Awaited::Answer),
        None => settle(turn, reason),
    }
}

impl Turn<'_> {
    /// From here the row carries the message: if nobody reports back within the crash gap, the answer is unknown. At its
    /// deadline it ends all the same, and an answer after that is late.
    pub(super) fn enter_sending(&mut self, leg: LegNumber) {
        let gap = self.now().plus_ms(self.view.policy.crash_gap_ms);
        self.enter(State::Sending { leg }, gap);
    }
}
