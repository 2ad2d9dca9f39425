//! What each class leads to, and what a message's legs say together.

use super::*;
use crate::leg::LegOutcome;
use crate::lifecycle::tests::given::{code, leg, route};
use crate::phone::LineType;

fn text_leg(number: u8, class: RouteClass, reason: Option<Class>) -> Leg {
    leg(number, &route("sakura", class, Channel::Sms), LegOutcome::Refused, reason)
}

fn call_leg(reason: Class) -> Leg {
    leg(9, &route("kodama", RouteClass::Domestic, Channel::Voice), LegOutcome::Refused, Some(reason))
}

fn with(legs: Vec<Leg>) -> Message {
    Message { legs, ..code() }
}

#[test]
fn a_failed_call_is_followed_by_another_call_only_where_nobody_was_rung() {
    for class in Class::ALL {
        let rung_nobody = matches!(class, Class::NotSent | Class::Throttled | Class::Content | Class::Config);
        let ends = matches!(class, Class::OwnerChanged | Class::FraudBlocked);
        let expected = match (rung_nobody, ends) {
            (true, _) => Reaction::Leg(call(Trigger::Failed)),
            (false, true) => Reaction::Fail,
            (false, false) => Reaction::GiveUp,
        };
        assert_eq!(after(class, Told::Later, &call_leg(class), &code()), expected, "{class:?}");
    }
}

#[test]
fn no_text_is_followed_by_a_text_where_the_line_takes_none() {
    for class in Class::ALL {
        for route_class in [RouteClass::Domestic, RouteClass::International] {
            let failed = text_leg(1, route_class, Some(class));
            let message = with(vec![failed.clone()]);
            let text_follows = |told| {
                matches!(after(class, told, &failed, &message), Reaction::Leg(Want { channel: Channel::Sms, .. }))
            };
            let follows = text_follows(Told::AtOnce) || text_follows(Told::Later);
            assert!(!(follows && texts_closed(&message)), "{class:?} {route_class:?}");
            assert!(!(follows && stopped(&message)), "{class:?} {route_class:?}");
        }
    }
}

#[test]
fn the_most_telling_reason_decides_and_the_earliest_among_equals() {
    let said = |reasons: &[Class]| {
        decisive(&with(reasons.iter().map(|reason| text_leg(1, RouteClass::Domestic, Some(*reason))).collect()))
    };
    assert_eq!(said(&[]), None);
    assert_eq!(said(&[Class::NotSent, Class::Unreceivable, Class::Unanswered]), Some(Class::Unreceivable));
    assert_eq!(said(&[Class::RecipientBlocked, Class::OptedOut]), Some(Class::RecipientBlocked));
    assert_eq!(said(&[Class::Absent, Class::InvalidNumber]), Some(Class::InvalidNumber));
}

#[test]
fn lines_that_take_no_text_begin_with_a_call() {
    for (line, channel) in [
        (LineType::Mobile, Channel::Sms),
        (LineType::Unknown, Channel::Sms),
        (LineType::Landline, Channel::Voice),
        (LineType::Voip, Channel::Voice),
        (LineType::DataOnly, Channel::Voice),
    ] {
        let message = Message { line, ..code() };
        assert_eq!((first(&message).channel, texts_closed(&message)), (channel, channel == Channel::Voice), "{line:?}");
    }
}

#[test]
fn a_refusal_from_abroad_closes_no_domestic_text() {
    let refused = |class| with(vec![text_leg(1, class, Some(Class::RecipientBlocked))]);
    assert!(texts_closed(&refused(RouteClass::Domestic)));
    assert!(!texts_closed(&refused(RouteClass::International)));
}
