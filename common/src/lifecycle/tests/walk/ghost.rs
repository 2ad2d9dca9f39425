//! What really happened, kept beside the message and by other means than its own: which legs may be out, and the
//! references their providers gave.

use std::collections::{BTreeMap, BTreeSet};

use super::Node;
use crate::leg::{Channel, LegNumber, LegOutcome};
use crate::lifecycle::{Event, Step};
use crate::message::{Awaited, State};
use crate::outcome::{Answer, Proof, ReportStatus};

const LISTED_AFTER_MS: u64 = 5_000;
/// The route of the walk whose receipts end at the operator.
const ENDS_AT_OPERATOR: &str = "jp-hikari";

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Ghost {
    /// Legs that may have reached the person.
    pub(super) out: BTreeMap<LegNumber, Channel>,
    pub(super) references: BTreeMap<LegNumber, String>,
    /// Texts that their operators have, by routes that tell no more.
    pub(super) at_operator: BTreeSet<LegNumber>,
}

impl Ghost {
    pub(super) fn may_be_out(&self, channel: Channel) -> usize {
        self.out.values().filter(|of| **of == channel).count()
    }

    pub(super) fn after(&self, before: &Node, event: &Event, step: &Step) -> Self {
        let mut next = self.clone();
        if let Some((leg, reference)) = named(event)
            && before.message.leg(leg).is_some()
        {
            next.references.insert(leg, reference);
        }
        next.at_operator.extend(reached_operator(before, event));
        match happened(before, event) {
            Happened::Out(leg) => {
                if let Some(leg) = step.message.leg(leg) {
                    next.out.insert(leg.number, leg.channel);
                }
            }
            Happened::NeverTaken(leg) => {
                next.out.remove(&leg);
            }
            Happened::Nothing => {}
        }
        next
    }
}

enum Happened {
    Out(LegNumber),
    NeverTaken(LegNumber),
    Nothing,
}

fn happened(before: &Node, event: &Event) -> Happened {
    let in_hand = match &before.message.state {
        State::Sending { leg } | State::Awaiting { leg, .. } => Some(*leg),
        State::Queued | State::Retrying { .. } | State::Delivered | State::GaveUp { .. } | State::Ended { .. } => None,
    };
    let unsure = |leg| matches!(before.message.state, State::Awaiting { leg: of, what: Awaited::Answer } if of == leg);
    let sent_once = |leg| before.message.leg(leg).is_some_and(|leg| leg.sends == 1);
    match event {
        Event::Answered { leg, answer: Answer::Submitted { .. } } => Happened::Out(*leg),
        // The one answer, saved late: nothing left this machine after all.
        Event::Answered { leg, answer: Answer::NotSent { .. } } if unsure(*leg) && sent_once(*leg) => {
            Happened::NeverTaken(*leg)
        }
        Event::Answered { leg, answer: Answer::Unknown { .. } } if in_hand == Some(*leg) => Happened::Out(*leg),
        // The sweep finds a leg in hand: whoever had it crashed.
        Event::Due if before.message.due.is_some_and(|due| due <= before.now) => {
            in_hand.map_or(Happened::Nothing, Happened::Out)
        }
        Event::Receipt { leg, status, proof, .. } if *proof != Proof::Nothing => match status {
            ReportStatus::Delivered => Happened::Out(*leg),
            ReportStatus::Failed(_) if in_hand == Some(*leg) => Happened::Out(*leg),
            ReportStatus::Underway { .. } if in_hand == Some(*leg) => Happened::Out(*leg),
            ReportStatus::Absent if unsure(*leg) && is_on_every_list(before, *leg) => Happened::NeverTaken(*leg),
            ReportStatus::Failed(_) | ReportStatus::Underway { .. } | ReportStatus::Absent | ReportStatus::Hint => {
                Happened::Nothing
            }
        },
        Event::Taken
        | Event::Due
        | Event::Answered { .. }
        | Event::Receipt { .. }
        | Event::GuessPaid
        | Event::Guessed { .. }
        | Event::ResendAsked { .. }
        | Event::CancelAsked { .. }
        | Event::Revoked
        | Event::GivenUp
        | Event::CallAnswered { .. }
        | Event::Pressed { .. } => Happened::Nothing,
    }
}

/// Whether a provider that has it lists it by now: a request that was lost on the way back arrives at once, and one that timed
/// out within a few seconds.
fn is_on_every_list(before: &Node, leg: LegNumber) -> bool {
    let lost_at = before.message.leg(leg).and_then(|leg| leg.ended_at);
    lost_at.is_none_or(|at| before.now >= at.plus_ms(LISTED_AFTER_MS))
}

/// The leg of which it is proven in time that the operator has it, where that is the last that its route tells.
fn reached_operator(before: &Node, event: &Event) -> Option<LegNumber> {
    let Event::Receipt { leg, status: ReportStatus::Underway { at_operator: true, .. }, proof, .. } = event else {
        return None;
    };
    let in_time = before.message.is_live() && before.now < before.message.useful_until;
    let over = [LegOutcome::Delivered, LegOutcome::Refused, LegOutcome::NotSent].map(Some);
    let open = before.message.leg(*leg).filter(|leg| !over.contains(&leg.outcome));
    let awaited = open.is_some_and(|leg| leg.route.as_str() == ENDS_AT_OPERATOR);
    (awaited && in_time && *proof != Proof::Nothing).then_some(*leg)
}

/// The leg and the reference that an event names with proof.
pub(super) fn named(event: &Event) -> Option<(LegNumber, String)> {
    match event {
        Event::Answered { leg, answer: Answer::Submitted { reference: Some(reference) } } => {
            Some((*leg, reference.clone()))
        }
        Event::Receipt { leg, status: ReportStatus::Underway { reference: Some(reference), .. }, proof, .. }
            if *proof != Proof::Nothing =>
        {
            Some((*leg, reference.clone()))
        }
        Event::Taken
        | Event::Due
        | Event::Answered { .. }
        | Event::Receipt { .. }
        | Event::GuessPaid
        | Event::Guessed { .. }
        | Event::ResendAsked { .. }
        | Event::CancelAsked { .. }
        | Event::Revoked
        | Event::GivenUp
        | Event::CallAnswered { .. }
        | Event::Pressed { .. } => None,
    }
}
