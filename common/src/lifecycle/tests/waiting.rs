//! Waiting for a route: what is told of it, however often it is looked for one.

use super::given::{START, code};
use super::story::Now::{Failed, NotSent, Submitted, Taken};
use super::story::story;
use crate::leg::Channel;
use crate::lifecycle::{Choice, Event, Note, View, step};
use crate::message::{Message, State};
use crate::outcome::Class;
use crate::policy::Policy;

#[test]
fn a_wait_is_told_when_it_begins_and_not_at_each_look() {
    let (policy, mut message, mut now, mut told) = (Policy::default(), code(), START, 0);
    for event in [Event::Taken, Event::Due, Event::Due, Event::Due] {
        let until = now.plus_ms(1_000);
        let choose = |_: &_, _: &_| Choice::Wait { until };
        let view = View { now, policy: &policy, choose: &choose, punctual: &|_| true, roll: 0 };
        let looked = step(&message, &event, &view);
        assert!(looked.message.due >= Some(until), "it waits");
        told += looked.notes.iter().filter(|note| matches!(note, Note::Waiting { .. })).count();
        message = looked.message;
        now = message.due.expect("it is looked at again");
    }
    assert_eq!(told, 1);
}

/// The row may look a second later, and the sweep late.
#[test]
fn a_text_to_a_phone_that_was_off_is_not_waited_for_until_its_late_call_is_lost() {
    let told = story().goes(&[
        (Taken, "sending by sakura"),
        (Submitted, "awaiting sakura"),
        (Failed(Class::Absent), "sending by fuji"),
        (NotSent, "waiting for sms"),
    ]);
    for (left_ms, expected) in [(3_000, Channel::Sms), (1_500, Channel::Voice)] {
        let policy = told.policy.clone();
        let now = told.message.useful_until.minus_ms(policy.late_voice_after_ms + left_ms);
        let message = Message { due: Some(now), ..told.message.clone() };
        let choose = |_: &_, _: &_| Choice::Wait { until: now.plus_ms(50) };
        let view = View { now, policy: &policy, choose: &choose, punctual: &|_| true, roll: 0 };
        let looked = step(&message, &Event::Due, &view).message;
        assert!(
            matches!(looked.state, State::Retrying { want } if want.channel == expected),
            "{left_ms} ms before it is too late: {:?}",
            looked.state
        );
    }
}
