//! Promises 2, 3, 4, 6, 7 and 11 (the invariants of ARCHITECTURE.md), as far as one step can keep or break them. Which
//! route is chosen (5) is judged in `domestic`.

use super::ghost::named;
use super::{Node, Script};
use crate::fallback;
use crate::leg::{Call, CallStage, Channel, Leg, LegNumber, LegOutcome};
use crate::lifecycle::{Effect, Event, Note, Step, Utterance, Verdict};
use crate::message::{Awaited, End, Message, State, Trigger, Voice};
use crate::outcome::{Answer, Class, Proof, Reason, ReportStatus};
use crate::policy::{CALLS_MAX, TEXTS_MAX};

pub(super) fn hold(before: &Node, event: &Event, step: &Step, script: &Script) {
    let turn = Taken { before, event, step };
    let checks: [(&str, bool); 20] = [
        ("what is not to be saved is unchanged", step.save || step.message == before.message),
        ("promise 2: a live message is due, and by its deadline", turn.due_in_time()),
        ("promise 2: what is due is done, and only then", turn.due_moves_on(script)),
        ("promise 2: a leg is in hand while sending, and only then", turn.one_leg_in_hand()),
        ("promise 2: a call to a provider is made when sending is entered, and only then", turn.called_when_sending()),
        ("promise 3: nothing begins in an ended message or after the deadline", turn.nothing_begins_late()),
        ("promise 4: never more than four texts and two calls", turn.bounded(before)),
        ("promise 4: what may be out is counted as such", turn.counted(before)),
        ("promise 4: a second text after a lost or overdue one is noted", turn.duplicates_noted()),
        ("promise 6: a call begins for a reason that allows it", turn.call_allowed()),
        ("promise 6: nothing follows what was delivered, but what was asked for", turn.nothing_after_delivered()),
        ("promise 6: the code is spoken once, in time, after the right digit", turn.spoken_rightly()),
        ("promise 6: a call that is still open when its message ends is hung up", turn.hung_up()),
        ("promise 7: ends never change", turn.ends_stay()),
        ("promise 7: a report about another leg changes no state unless it delivers or stops", turn.beside()),
        ("what stops a message stops it, of whichever leg it is proven", turn.stops()),
        ("promise 7: without proof nothing happens but a question", turn.unproven()),
        ("promise 7: a reference is kept", turn.references_kept(before)),
        ("promise 11: a receipt held back begins no leg", !script.unpunctual.get() || turn.begun().is_none()),
        (
            "what the operator has is not overdue, lost or asked about unasked where no more is told",
            turn.rests_at_operator(),
        ),
    ];
    for (promise, kept) in checks {
        assert!(
            kept,
            "{promise}\nat {}\nbefore {:#?}\nevent {event:?}\nafter {step:#?}",
            before.now.rfc3339(),
            before.message
        );
    }
    assert!(turn.guesses_only_shrink(), "guesses: {event:?} {step:?}");
    assert!(turn.verified_rightly(), "verified: {event:?} {step:?}");
}

struct Taken<'a> {
    before: &'a Node,
    event: &'a Event,
    step: &'a Step,
}

impl Taken<'_> {
    fn was(&self) -> &Message {
        &self.before.message
    }

    fn became(&self) -> &Message {
        &self.step.message
    }

    fn in_time(&self) -> bool {
        self.was().is_live() && self.before.now < self.was().useful_until
    }

    /// The leg that began in this step, and for what.
    fn begun(&self) -> Option<(&Leg, Trigger)> {
        self.step.notes.iter().find_map(|note| {
            let Note::LegBegan { leg, trigger, .. } = note else { return None };
            self.became().leg(*leg).map(|leg| (leg, *trigger))
        })
    }

    /// The leg whose request goes out in this step: a new one, or a repeat.
    fn called(&self) -> Vec<LegNumber> {
        let call = |effect: &Effect| if let Effect::Call { leg } = effect { Some(*leg) } else { None };
        self.step.effects.iter().filter_map(call).collect()
    }

    fn due_in_time(&self) -> bool {
        match (&self.became().state, self.became().due) {
            (State::Ended { .. }, _) => true,
            (_, due) => due.is_some_and(|due| due <= self.became().useful_until),
        }
    }

    fn due_moves_on(&self, script: &Script) -> bool {
        let was_due = self.was().due.is_some_and(|due| due <= self.before.now);
        let moved = self.became() != self.was();
        let elsewhere = self.step.effects.contains(&Effect::Wake) && !script.asked.borrow().is_empty();
        *self.event != Event::Due || moved == was_due || (was_due && elsewhere)
    }

    fn one_leg_in_hand(&self) -> bool {
        let open: Vec<&Leg> = self.became().legs.iter().filter(|leg| leg.outcome.is_none()).collect();
        match (&self.became().state, open.as_slice()) {
            (State::Sending { leg }, [only]) => only.number == *leg,
            // The person heard the code before the provider's answer to our request was saved.
            (State::Sending { leg }, []) => self.became().leg(*leg).is_some_and(spoken),
            (_, open) => open.is_empty(),
        }
    }

    fn called_when_sending(&self) -> bool {
        let entered = match (&self.was().state, &self.became().state) {
            (State::Sending { leg: old }, State::Sending { leg }) => (leg != old).then_some(*leg),
            (_, State::Sending { leg }) => Some(*leg),
            _ => None,
        };
        let paid = self.step.effects.contains(&Effect::SpendCall);
        let calls = self.begun().is_some_and(|(leg, _)| leg.channel == Channel::Voice);
        self.called() == entered.into_iter().collect::<Vec<_>>() && paid == calls
    }

    fn nothing_begins_late(&self) -> bool {
        self.called().is_empty() || self.in_time()
    }

    fn bounded(&self, before: &Node) -> bool {
        let ghost = before.ghost.after(before, self.event, self.step);
        self.begun().is_none_or(|(leg, _)| match leg.channel {
            Channel::Sms => ghost.may_be_out(Channel::Sms) < TEXTS_MAX,
            Channel::Voice => ghost.may_be_out(Channel::Voice) < CALLS_MAX,
        })
    }

    fn counted(&self, before: &Node) -> bool {
        let ghost = before.ghost.after(before, self.event, self.step);
        !self.became().is_live() || ghost.out.keys().all(|leg| self.became().leg(*leg).is_some_and(Leg::may_be_out))
    }

    fn duplicates_noted(&self) -> bool {
        let noted = self.step.notes.iter().any(|note| matches!(note, Note::DuplicatePossible { .. }));
        self.begun().is_none_or(|(leg, trigger)| {
            let second = matches!(trigger, Trigger::Unknown | Trigger::Overdue) && leg.channel == Channel::Sms;
            noted == second
        })
    }

    fn call_allowed(&self) -> bool {
        let Some((_, trigger)) = self.begun().filter(|(leg, _)| leg.channel == Channel::Voice) else { return true };
        let unverified_at = match self.was().voice {
            Voice::OnUnverified { after_ms } => Some(self.was().accepted_at.plus_ms(after_ms)),
            Voice::OnFailure | Voice::Never => None,
        };
        let waited = matches!(self.was().state, State::Retrying { want } if want.trigger == Trigger::Unverified);
        let by_request = match trigger {
            Trigger::Asked => true,
            Trigger::Unverified => waited || unverified_at.is_some_and(|at| at <= self.before.now),
            Trigger::First => self.was().voice != Voice::Never && fallback::first(self.was()).channel == Channel::Voice,
            Trigger::Failed | Trigger::Overdue | Trigger::Unknown => self.was().voice != Voice::Never,
        };
        by_request && !fallback::stopped(self.became())
    }

    fn nothing_after_delivered(&self) -> bool {
        let delivered = self.was().legs.iter().any(|leg| leg.outcome == Some(LegOutcome::Delivered));
        let wished = |trigger| matches!(trigger, Trigger::Asked | Trigger::Unverified);
        !delivered || self.begun().is_none_or(|(_, trigger)| wished(trigger))
    }

    fn spoken_rightly(&self) -> bool {
        if !self.step.effects.contains(&Effect::Say(Utterance::Content)) {
            return true;
        }
        let Event::Pressed { leg, digit } = self.event else { return false };
        let call = |message: &Message| message.leg(*leg).and_then(|leg| leg.call);
        let answered = call(self.was())
            .is_some_and(|Call { digit: right, stage, .. }| stage == CallStage::Answered && Some(right) == *digit);
        let once = call(self.became()).is_some_and(|call| call.stage == CallStage::Spoken);
        answered && once && self.in_time()
    }

    fn hung_up(&self) -> bool {
        let open = |leg: &&Leg| {
            let outcome =
                matches!(leg.outcome, Some(LegOutcome::Submitted | LegOutcome::Unknown | LegOutcome::Cancelled));
            leg.channel == Channel::Voice && outcome
        };
        let hung_up = |leg: &Leg| self.step.effects.contains(&Effect::HangUp { leg: leg.number });
        let ends_now = self.was().is_live() && !self.became().is_live();
        !ends_now || self.became().legs.iter().filter(open).all(hung_up)
    }

    fn ends_stay(&self) -> bool {
        if self.was().is_live() {
            return true;
        }
        let told = |message: &Message| {
            let legs: Vec<_> = message.legs.iter().map(|leg| (leg.outcome, leg.reason, leg.asks, leg.call)).collect();
            (message.state.clone(), message.verified.clone(), message.guesses_left, message.resends, legs)
        };
        // What was paid for a leg that nobody took comes back, however late that is heard.
        let still = |effect: &Effect| matches!(effect, Effect::Say(Utterance::Goodbye) | Effect::RefundLeg { .. });
        let silent = self.step.effects.iter().all(still);
        told(self.was()) == told(self.became()) && silent
    }

    fn beside(&self) -> bool {
        let in_hand = match &self.was().state {
            State::Sending { leg } | State::Awaiting { leg, what: Awaited::Answer | Awaited::Receipt } => Some(*leg),
            State::Queued | State::Retrying { .. } | State::Delivered | State::GaveUp { .. } | State::Ended { .. } => {
                None
            }
        };
        let (of, delivered) = match self.event {
            Event::Answered { leg, .. } => (*leg, false),
            Event::Receipt { leg, status, .. } => (*leg, *status == ReportStatus::Delivered),
            Event::Taken
            | Event::Due
            | Event::GuessPaid
            | Event::Guessed { .. }
            | Event::ResendAsked { .. }
            | Event::CancelAsked { .. }
            | Event::Revoked
            | Event::GivenUp
            | Event::CallAnswered { .. }
            | Event::Pressed { .. } => return true,
        };
        in_hand == Some(of)
            || delivered
            || self.stopping().is_some()
            || !self.in_time()
            || self.was().state == self.became().state
    }

    fn rests_at_operator(&self) -> bool {
        let has = |leg: &LegNumber| self.before.ghost.at_operator.contains(leg);
        let tells = |note: &Note| matches!(note, Note::Overdue { leg } | Note::HeldBack { leg } if has(leg));
        let overdue = self.step.notes.iter().any(tells);
        let asks = |effect: &Effect| matches!(effect, Effect::Ask { leg } if has(leg));
        let asked = *self.event == Event::Due && self.step.effects.iter().any(asks);
        let unsure = matches!(&self.became().state, State::Awaiting { leg, what: Awaited::Answer } if has(leg));
        !overdue && !asked && !unsure
    }

    /// The class of what was said with proof of a leg of this message, where that stops it.
    fn stopping(&self) -> Option<Class> {
        let (leg, refusal) = if let Event::Answered { leg, answer: Answer::Refused(refusal) } = self.event {
            (leg, refusal)
        } else if let Event::Receipt { leg, status: ReportStatus::Failed(refusal), proof, .. } = self.event
            && *proof != Proof::Nothing
        {
            (leg, refusal)
        } else {
            return None;
        };
        let stops = matches!(refusal.class, Class::OwnerChanged | Class::FraudBlocked);
        (stops && self.was().leg(*leg).is_some()).then_some(refusal.class)
    }

    fn stops(&self) -> bool {
        let Some(class) = self.stopping().filter(|_| self.in_time()) else { return true };
        self.became().state == State::Ended { end: End::Failed { reason: Reason::Leg(class) } }
    }

    fn unproven(&self) -> bool {
        if !matches!(self.event, Event::Receipt { proof: Proof::Nothing, .. }) || !self.in_time() {
            return true;
        }
        let mut quiet = Message { lines_beside: self.was().lines_beside, ..self.became().clone() };
        for (leg, old) in quiet.legs.iter_mut().zip(&self.was().legs) {
            leg.asks = old.asks;
        }
        quiet == *self.was() && self.step.effects.iter().all(|effect| matches!(effect, Effect::Ask { .. }))
    }

    fn references_kept(&self, before: &Node) -> bool {
        let held = |leg: &LegNumber, reference: &str| {
            self.became().leg(*leg).is_none_or(|leg| leg.reference.as_deref() == Some(reference))
        };
        let new = named(self.event);
        let kept = before.ghost.references.iter().filter(|(leg, _)| new.as_ref().is_none_or(|(of, _)| of != *leg));
        kept.into_iter().all(|(leg, reference)| held(leg, reference))
            && new.as_ref().is_none_or(|(leg, reference)| held(leg, reference))
    }

    fn guesses_only_shrink(&self) -> bool {
        let (old, new) = (self.was().guesses_left, self.became().guesses_left);
        new == old || (*self.event == Event::GuessPaid && Some(new) == old.checked_sub(1) && self.in_time())
    }

    fn verified_rightly(&self) -> bool {
        let right = matches!(self.event, Event::Guessed { verdict: Verdict::Right, .. }) && self.in_time();
        let verified = |message: &Message| matches!(message.state, State::Ended { end: End::Verified });
        verified(self.was()) || verified(self.became()) == right
    }
}

fn spoken(leg: &Leg) -> bool {
    leg.call.is_some_and(|call| call.stage == CallStage::Spoken)
}
