//! What follows when a leg did not deliver: the table of failures, one arm per class. Pure.
//!
//! `lifecycle` asks here which step is right; `route` then finds who can take it.

use crate::leg::{CallStage, Channel, Leg, RouteClass};
use crate::message::{Message, Trigger, Want};
use crate::outcome::Class;
use crate::policy::{LEGS_MAX, TEXT_LEGS_MAX};

/// The right next step after a leg failed for a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Another leg as wanted; where no route is left for a text, a call.
    Leg(Want),
    /// A call, but not before a while: the phone was off.
    LateCall,
    /// The end at once: no other route, no call.
    Fail,
    /// Nothing more of our own accord.
    GiveUp,
}

/// How the failure was said: in the answer to the request, or later by a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    AtOnce,
    Later,
}

pub fn after(class: Class, told: Told, leg: &Leg, message: &Message) -> Reaction {
    match leg.channel {
        Channel::Sms => after_text(class, told, leg, message),
        Channel::Voice => after_call(class),
    }
}

fn after_text(class: Class, told: Told, leg: &Leg, message: &Message) -> Reaction {
    match class {
        Class::NotSent | Class::Throttled | Class::Content | Class::Config | Class::ExpiredAtProvider => {
            Reaction::Leg(still_wanted(text(Trigger::Failed), message))
        }
        // Promise 4 allows one more text after a lost answer.
        Class::Unknown if said_before(message, leg, class) => Reaction::Leg(call(Trigger::Unknown)),
        Class::Unknown => Reaction::Leg(still_wanted(text(Trigger::Unknown), message)),
        Class::InvalidNumber => match told {
            Told::AtOnce => Reaction::Fail,
            Told::Later if said_before(message, leg, class) => Reaction::Fail,
            Told::Later => Reaction::Leg(domestic(text(Trigger::Failed))),
        },
        Class::NotSmsCapable | Class::Unreceivable => Reaction::Leg(call(Trigger::Failed)),
        Class::RecipientBlocked => match leg.class {
            RouteClass::Domestic => Reaction::Leg(call(Trigger::Failed)),
            RouteClass::International => Reaction::Leg(domestic(text(Trigger::Failed))),
        },
        Class::FilteredRoute => Reaction::Leg(domestic(text(Trigger::Failed))),
        Class::OptedOut => Reaction::Leg(Want { new_sender: true, ..text(Trigger::Failed) }),
        Class::Absent if said_before(message, leg, class) => Reaction::LateCall,
        Class::Absent => Reaction::Leg(domestic(text(Trigger::Failed))),
        Class::OwnerChanged | Class::FraudBlocked => Reaction::Fail,
        Class::Overdue if said_before(message, leg, class) => Reaction::Leg(call(Trigger::Overdue)),
        Class::Overdue => Reaction::Leg(domestic(text(Trigger::Overdue))),
        Class::Unanswered => Reaction::GiveUp,
    }
}

fn after_call(class: Class) -> Reaction {
    match class {
        Class::NotSent | Class::Throttled | Class::Content | Class::Config => Reaction::Leg(call(Trigger::Failed)),
        Class::OwnerChanged | Class::FraudBlocked => Reaction::Fail,
        Class::Unknown
        | Class::InvalidNumber
        | Class::NotSmsCapable
        | Class::Unreceivable
        | Class::RecipientBlocked
        | Class::FilteredRoute
        | Class::OptedOut
        | Class::Absent
        | Class::ExpiredAtProvider
        | Class::Overdue
        | Class::Unanswered => Reaction::GiveUp,
    }
}

/// The first leg of a message: a text, but for lines that take none.
pub fn first(message: &Message) -> Want {
    if message.line.takes_texts() { text(Trigger::First) } else { call(Trigger::First) }
}

/// Whether any further text would be in vain: the line takes none, or a domestic route said so.
pub fn texts_closed(message: &Message) -> bool {
    let closed = |leg: &Leg| match leg.reason {
        Some(Class::NotSmsCapable | Class::Unreceivable) => true,
        Some(Class::RecipientBlocked) => leg.class == RouteClass::Domestic,
        Some(
            Class::NotSent
            | Class::Throttled
            | Class::Unknown
            | Class::InvalidNumber
            | Class::FilteredRoute
            | Class::OptedOut
            | Class::Absent
            | Class::OwnerChanged
            | Class::FraudBlocked
            | Class::Content
            | Class::Config
            | Class::ExpiredAtProvider
            | Class::Overdue
            | Class::Unanswered,
        )
        | None => false,
    };
    first(message).channel == Channel::Voice
        || message.legs.iter().any(|leg| leg.channel == Channel::Sms && closed(leg))
}

/// Whether the person opted out of this sender: then no route that uses it is right any more.
pub fn sender_closed(message: &Message, channel: Channel, sender: &str) -> bool {
    let closed = |leg: &Leg| leg.channel == channel && leg.reason == Some(Class::OptedOut) && leg.sender == sender;
    message.legs.iter().any(closed)
}

/// Whether a route that failed so would fail again, even for a person who asks for one more.
pub const fn route_closed(class: Class) -> bool {
    match class {
        Class::InvalidNumber
        | Class::NotSmsCapable
        | Class::Unreceivable
        | Class::RecipientBlocked
        | Class::FilteredRoute
        | Class::OptedOut
        | Class::OwnerChanged
        | Class::FraudBlocked
        | Class::Content => true,
        Class::NotSent
        | Class::Throttled
        | Class::Unknown
        | Class::Absent
        | Class::Config
        | Class::ExpiredAtProvider
        | Class::Overdue
        | Class::Unanswered => false,
    }
}

/// Whether a message ends with what was said, of whichever leg: the number may be somebody else's by now, or a fraud.
pub const fn stops(class: Class) -> bool {
    match class {
        Class::OwnerChanged | Class::FraudBlocked => true,
        Class::NotSent
        | Class::Throttled
        | Class::Unknown
        | Class::InvalidNumber
        | Class::NotSmsCapable
        | Class::Unreceivable
        | Class::RecipientBlocked
        | Class::FilteredRoute
        | Class::OptedOut
        | Class::Absent
        | Class::Content
        | Class::Config
        | Class::ExpiredAtProvider
        | Class::Overdue
        | Class::Unanswered => false,
    }
}

/// Whether any further leg would be wrong.
pub fn stopped(message: &Message) -> bool {
    message.legs.iter().filter_map(|leg| leg.reason).any(stops)
}

/// Whether the last that was heard is that the phone is off: a call at once would be in vain.
pub fn phone_was_off(message: &Message) -> bool {
    last_heard(message).is_some_and(|(leg, class)| leg.channel == Channel::Sms && class == Class::Absent)
}

/// Whether the last that was heard is that nobody has the number: a call to it would be in vain.
pub fn number_was_denied(message: &Message) -> bool {
    last_heard(message).is_some_and(|(_, class)| class == Class::InvalidNumber)
}

/// What was heard of a phone before keeps its texts away from routes abroad, also when a route at home could not be used.
fn still_wanted(want: Want, message: &Message) -> Want {
    match last_heard(message) {
        Some((_, Class::Absent | Class::InvalidNumber | Class::FilteredRoute)) => domestic(want),
        Some((leg, Class::RecipientBlocked)) if leg.class == RouteClass::International => domestic(want),
        Some(_) | None => want,
    }
}

/// The last leg that says something about the number or its phone, and what.
fn last_heard(message: &Message) -> Option<(&Leg, Class)> {
    let mut said = message.legs.iter().rev().filter_map(|leg| leg.reason.map(|class| (leg, class)));
    said.find(|(_, class)| match class {
        Class::NotSent
        | Class::Throttled
        | Class::Unknown
        | Class::Content
        | Class::Config
        | Class::ExpiredAtProvider => false,
        Class::InvalidNumber
        | Class::NotSmsCapable
        | Class::Unreceivable
        | Class::RecipientBlocked
        | Class::FilteredRoute
        | Class::OptedOut
        | Class::Absent
        | Class::OwnerChanged
        | Class::FraudBlocked
        | Class::Overdue
        | Class::Unanswered => true,
    })
}

/// The reason that tells the person most, among those of all legs; the earliest where several tell alike. A phone that
/// answered a call is no data-only SIM.
pub fn decisive(message: &Message) -> Option<Class> {
    let answered = message.legs.iter().filter_map(|leg| leg.call).any(|call| call.stage != CallStage::Dialled);
    let told = message.legs.iter().filter_map(|leg| leg.reason);
    let telling = told.filter(|class| !answered || *class != Class::Unreceivable).map(|class| (weight(class), class));
    telling.reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|(_, class)| class)
}

const fn weight(class: Class) -> u8 {
    match class {
        Class::OwnerChanged | Class::FraudBlocked | Class::InvalidNumber => 9,
        Class::Unreceivable => 8,
        Class::RecipientBlocked | Class::OptedOut => 7,
        Class::NotSmsCapable => 6,
        Class::Absent => 5,
        Class::FilteredRoute => 4,
        Class::Unanswered => 3,
        Class::Content | Class::Config => 2,
        Class::Unknown | Class::Overdue | Class::ExpiredAtProvider => 1,
        Class::NotSent | Class::Throttled => 0,
    }
}

/// Legs that may still begin on a channel, of any outcome.
pub fn legs_left(message: &Message, channel: Channel) -> usize {
    let most = match channel {
        Channel::Sms => TEXT_LEGS_MAX,
        Channel::Voice => LEGS_MAX,
    };
    most.saturating_sub(message.legs.len())
}

pub const fn text(trigger: Trigger) -> Want {
    Want { channel: Channel::Sms, only: None, new_sender: false, again: false, trigger }
}

pub const fn call(trigger: Trigger) -> Want {
    Want { channel: Channel::Voice, only: None, new_sender: false, again: false, trigger }
}

const fn domestic(want: Want) -> Want {
    Want { only: Some(RouteClass::Domestic), ..want }
}

fn said_before(message: &Message, leg: &Leg, class: Class) -> bool {
    message.legs.iter().any(|other| other.number != leg.number && other.reason == Some(class))
}

#[cfg(test)]
mod tests;
