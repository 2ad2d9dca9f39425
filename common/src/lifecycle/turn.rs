//! One turn of the state machine in the making: the message being changed, and what was decided so far.

use super::{Effect, Note, Step, View};
use crate::leg::{Channel, Leg, LegNumber, LegOutcome};
use crate::message::{Awaited, End, Furthest, Message, State, Voice};
use crate::outcome::{Class, Reason};
use crate::policy::LINES_BESIDE_MAX;
use crate::time::{HOUR_MS, Timestamp};

pub(super) struct Turn<'a> {
    pub(super) message: Message,
    pub(super) view: &'a View<'a>,
    pub(super) waits_until: Option<Timestamp>,
    /// When what is reported happened, where the reporter says so.
    pub(super) happened_at: Option<Timestamp>,
    save: bool,
    effects: Vec<Effect>,
    notes: Vec<Note>,
}

impl<'a> Turn<'a> {
    pub(super) fn new(message: &Message, view: &'a View<'a>) -> Self {
        Self {
            message: message.clone(),
            view,
            waits_until: None,
            happened_at: None,
            save: false,
            effects: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub(super) fn finish(self) -> Step {
        Step {
            waits_until: self.waits_until,
            message: self.message,
            save: self.save,
            effects: self.effects,
            notes: self.notes,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.view.now
    }

    pub(super) fn state(&self) -> State {
        self.message.state.clone()
    }

    pub(super) fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Everything noted is saved with the message.
    pub(super) fn note(&mut self, note: Note) {
        self.save = true;
        self.notes.push(note);
    }

    /// The same, told before the notes from `place` on.
    pub(super) fn note_at(&mut self, place: usize, note: Note) {
        self.save = true;
        self.notes.insert(place, note);
    }

    pub(super) const fn noted(&self) -> usize {
        self.notes.len()
    }

    /// What comes late may come for ever: a provider that repeats itself does not fill the journal.
    pub(super) fn late(&mut self, what: impl Into<String>) {
        if self.message.lines_beside < LINES_BESIDE_MAX {
            self.message.lines_beside += 1;
            self.note(Note::Late { what: what.into() });
        }
    }

    /// Enters a live state that needs no look before `due`, or before the call for an unverified code.
    pub(super) fn enter(&mut self, state: State, due: Timestamp) {
        self.save = true;
        let unverified = match state {
            State::Awaiting { what: Awaited::Receipt, .. } | State::Delivered => self.unverified_call_at(),
            // Here something is still to be settled first, at its own time.
            State::Queued
            | State::Sending { .. }
            | State::Awaiting { what: Awaited::Answer, .. }
            | State::Retrying { .. }
            | State::GaveUp { .. }
            | State::Ended { .. } => None,
        };
        let latest = unverified.unwrap_or(self.message.useful_until).min(self.message.useful_until);
        self.message.state = state;
        self.message.due = Some(due.min(latest));
    }

    /// The due time was the business of nobody: it moves on to the next one that is.
    pub(super) fn rest(&mut self) {
        let next = self.unverified_call_at().filter(|at| *at > self.now()).unwrap_or(self.message.useful_until);
        self.save = true;
        self.message.due = Some(next);
    }

    pub(super) fn is_due(&self) -> bool {
        self.message.due.is_some_and(|due| due <= self.now())
    }

    pub(super) fn leg(&self, number: LegNumber) -> Option<&Leg> {
        self.message.leg(number)
    }

    /// To be changed: the row is saved.
    pub(super) fn leg_mut(&mut self, number: LegNumber) -> Option<&mut Leg> {
        self.save = true;
        self.message.legs.iter_mut().find(|leg| leg.number == number)
    }

    /// What was delivered stays delivered.
    pub(super) fn close_leg(&mut self, number: LegNumber, outcome: LegOutcome, reason: Option<Class>) {
        let now = self.now();
        if let Some(leg) = self.leg_mut(number).filter(|leg| leg.outcome != Some(LegOutcome::Delivered)) {
            leg.outcome = Some(outcome);
            leg.reason = reason;
            leg.ended_at = Some(now);
            leg.taken = match outcome {
                LegOutcome::Submitted | LegOutcome::Delivered | LegOutcome::Unknown | LegOutcome::Overdue => true,
                LegOutcome::Refused | LegOutcome::Cancelled => leg.taken,
                LegOutcome::NotSent => false,
            };
        }
    }

    /// A refusal that was reported, not answered: the provider had taken it before.
    pub(super) fn refuse_later(&mut self, number: LegNumber, class: Class) {
        if let Some(leg) = self.leg_mut(number) {
            leg.taken = true;
        }
        self.close_leg(number, LegOutcome::Refused, Some(class));
    }

    pub(super) fn past_deadline(&self) -> bool {
        self.message.is_live() && self.now() >= self.message.useful_until
    }

    pub(super) fn any_delivered(&self) -> bool {
        self.message.legs.iter().any(|leg| leg.outcome == Some(LegOutcome::Delivered))
    }

    /// When a code that nobody has typed back is to be called for, if it is and no call began yet.
    pub(super) fn unverified_call_at(&self) -> Option<Timestamp> {
        let called = self.message.legs.iter().any(|leg| leg.channel == Channel::Voice);
        match self.message.voice {
            Voice::OnUnverified { after_ms } if self.message.is_code() && !called => {
                Some(self.message.accepted_at.plus_ms(after_ms))
            }
            Voice::OnUnverified { .. } | Voice::OnFailure | Voice::Never => None,
        }
    }

    pub(super) fn expire(&mut self) {
        let furthest = if self.any_delivered() {
            Furthest::Delivered
        } else if let State::GaveUp { reason } = self.message.state {
            Furthest::GaveUp { reason }
        } else if self.message.legs.iter().any(Leg::may_be_out) {
            Furthest::Submitted
        } else {
            Furthest::NeverSent
        };
        self.end(End::Expired { furthest });
    }

    /// Nothing more of our own accord; the right code still verifies. Where it was given up before, that is no news.
    pub(super) fn give_up(&mut self, reason: Reason) {
        if matches!(self.message.state, State::GaveUp { .. }) {
            return;
        }
        if self.message.is_code() {
            self.note(Note::GaveUp { reason });
            self.message.state = State::GaveUp { reason };
            self.message.due = Some(self.message.useful_until);
        } else {
            self.end(End::Failed { reason });
        }
    }

    /// A receipt says delivered: the end of a text; for a code the right answer is still to come.
    pub(super) fn deliver(&mut self) {
        if self.message.is_code() {
            self.enter(State::Delivered, self.message.useful_until);
        } else {
            self.end(End::Delivered);
        }
    }

    /// The number may be somebody else's by now, or a fraud: no leg follows, and no code verifies.
    pub(super) fn stop(&mut self, class: Class) {
        self.end(End::Failed { reason: Reason::Leg(class) });
    }

    /// Ends never change: this is the only way in, and only from a live state.
    pub(super) fn end(&mut self, end: End) {
        self.note(Note::Ended { end: end.clone() });
        self.hang_up();
        let now = self.now();
        // A text that a provider took cannot be taken back; a call can.
        let rings = |leg: &Leg| leg.channel == Channel::Voice && leg.outcome == Some(LegOutcome::Submitted);
        for leg in self.message.legs.iter_mut().filter(|leg| leg.outcome.is_none() || rings(leg)) {
            leg.outcome = Some(LegOutcome::Cancelled);
            leg.ended_at = Some(now);
        }
        self.message.state = State::Ended { end };
        self.message.due = Some(now.plus_ms(u64::from(self.view.policy.number_keep_hours) * HOUR_MS));
    }

    fn hang_up(&mut self) {
        let open = |leg: &&Leg| {
            leg.channel == Channel::Voice
                && matches!(leg.outcome, None | Some(LegOutcome::Submitted | LegOutcome::Unknown))
        };
        let calls: Vec<LegNumber> = self.message.legs.iter().filter(open).map(|leg| leg.number).collect();
        for leg in calls {
            self.effect(Effect::HangUp { leg });
        }
    }

    /// A leg came to nothing and none follows: back to what is still open of the others, else given up.
    pub(super) fn settle_down(&mut self, reason: Reason) {
        if self.any_delivered() {
            return self.deliver();
        }
        let open = self.message.legs.iter().rev().find(|leg| leg.outcome == Some(LegOutcome::Submitted));
        match open.map(|leg| leg.number) {
            Some(leg) => super::awaiting::enter(self, leg, Awaited::Receipt),
            None => self.give_up(reason),
        }
    }
}
