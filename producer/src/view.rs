//! A message as its owner sees it: masked, in the words of the API.

use otodoke_common::leg::{Channel, Leg, LegOutcome};
use otodoke_common::lifecycle::next_resend_at;
use otodoke_common::message::Message;
use otodoke_common::outcome::Class;
use otodoke_common::time::Timestamp;

use crate::answer::{FailureView, LegView, MessageView};
use crate::door::Door;

pub(crate) fn of(door: &Door, message: &Message) -> MessageView {
    MessageView {
        id: message.id.to_string(),
        status: message.status().to_owned(),
        to: door.masked_number(message),
        purpose: message.purpose.word().to_owned(),
        useful_until: message.useful_until.rfc3339(),
        guesses_left: message.is_code().then_some(message.guesses_left),
        next_resend_at: next_resend(door, message).map(Timestamp::rfc3339),
        legs: message.legs.iter().map(leg).collect(),
        failure: message.failure().map(|reason| FailureView {
            reason: reason.word().to_owned(),
            guidance: reason.guidance(was_called(message), message.locale).to_owned(),
        }),
    }
}

fn was_called(message: &Message) -> bool {
    message.legs.iter().any(|leg| leg.channel == Channel::Voice)
}

/// From when a resend is allowed, while it would still be of use.
pub(crate) fn next_resend(door: &Door, message: &Message) -> Option<Timestamp> {
    let resendable = message.is_code() && message.is_live();
    let at = next_resend_at(message, &door.desk.policy).filter(|at| *at < message.useful_until);
    at.filter(|_| resendable)
}

fn leg(leg: &Leg) -> LegView {
    LegView {
        leg: leg.number,
        channel: leg.channel.word().to_owned(),
        provider: leg.provider.to_string(),
        route: leg.class.word().to_owned(),
        route_id: leg.route.to_string(),
        outcome: leg.outcome.map(LegOutcome::word).map(str::to_owned),
        reason: leg.reason.map(Class::word).map(str::to_owned),
        started_at: leg.started_at.rfc3339(),
        ended_at: leg.ended_at.map(Timestamp::rfc3339),
    }
}
