//! Waiting for a route, or to ask about a leg: what is told of it, and what is not used up by it, however often it is looked.

use super::given::{START, code};
use super::story::Now::{Due, Failed, Lost, Named, NotSent, Refused, Submitted, Taken, Waited};
use super::story::{Story, story};
use crate::leg::Channel;
use crate::lifecycle::{Cap, Choice, Event, Hold, Note, View, step};
use crate::message::{Message, State};
use crate::outcome::Class;
use crate::policy::{Policy, TEXT_LEGS_MAX};

#[test]
fn a_wait_is_told_when_it_begins_and_not_at_each_look() {
    let (policy, mut message, mut now, mut told) = (Policy::default(), code(), START, 0);
    for event in [Event::Taken, Event::Due, Event::Due, Event::Due] {
        let until = now.plus_ms(1_000);
        let choose = |_: &_, _: &_| Choice::Wait { until, why: Hold::Full };
        let view = View { now, policy: &policy, choose: &choose, punctual: &|_| true, asks_in_ms: &|_| 0, roll: 0 };
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
        let choose = |_: &_, _: &_| Choice::Wait { until: now.plus_ms(50), why: Hold::Full };
        let view = View { now, policy: &policy, choose: &choose, punctual: &|_| true, asks_in_ms: &|_| 0, roll: 0 };
        let looked = step(&message, &Event::Due, &view).message;
        assert!(
            matches!(looked.state, State::Retrying { want } if want.channel == expected),
            "{left_ms} ms before it is too late: {:?}",
            looked.state
        );
    }
}

/// A login spike may last as long as its codes are useful.
#[test]
fn carriers_that_throttle_for_long_are_tried_until_little_time_is_left_and_a_call_follows() {
    for mut told in [story(), story().without("fuji")] {
        told.happens(&Taken);
        let mut last_text_ms = 0;
        while told.message.legs.iter().all(|leg| leg.channel == Channel::Sms) {
            last_text_ms = told.since_start_ms();
            told.happens(&Refused(Class::Throttled));
            assert!(told.message.is_live(), "no call followed: {}", told.stands());
            while matches!(told.message.state, State::Retrying { want } if want.channel == Channel::Sms) {
                told.happens(&Due);
            }
        }
        assert_eq!(told.stands(), "sending by kodama");
        let lifetime_ms = told.message.useful_until.since_ms(START);
        assert!(last_text_ms > lifetime_ms / 2, "the last text was tried after {last_text_ms} of {lifetime_ms} ms");
        assert_eq!(told.message.legs.len(), TEXT_LEGS_MAX + 1);
    }
}

/// The door leaves a resend to a worker, which finds the money spent as before.
#[test]
fn a_resend_that_cannot_be_paid_for_gives_up_for_that_reason() {
    let mut told = story();
    for (event, choice) in [
        (Event::Taken, Choice::OverLimit(Cap::SpendPerHour)),
        (Event::ResendAsked { channel: None }, Choice::Elsewhere),
        (Event::Due, Choice::OverLimit(Cap::SpendPerHour)),
    ] {
        let choose = |_: &_, _: &_| choice.clone();
        let now = told.message.accepted_at.plus_ms(60_000);
        let view =
            View { now, policy: &told.policy, choose: &choose, punctual: &|_| true, asks_in_ms: &|_| 0, roll: 0 };
        told.message = step(&told.message, &event, &view).message;
        let waits = matches!(event, Event::ResendAsked { .. });
        assert_eq!(told.stands(), if waits { "waiting for sms" } else { "gave up: over_limit" });
    }
}

/// With carriers that cannot be asked about any more legs now.
fn not_to_be_asked(told: Story) -> Story {
    Story { asks_in_ms: 2_000, ..told }
}

#[test]
fn a_question_that_is_put_off_is_not_used_up_and_its_leg_not_overdue_before_it() {
    let told = story().goes(&[(Taken, "sending by sakura"), (Named("s1"), "awaiting sakura")]);
    let mut told = not_to_be_asked(told);
    for _ in 0..20 {
        told = told.goes(&[(Due, "awaiting sakura")]);
    }
    assert_eq!((told.asked(), told.message.legs[0].asks), (0, 0));
    let told = Story { asks_in_ms: 0, ..told }.goes(&[(Due, "awaiting sakura")]);
    assert_eq!((told.asked(), told.message.legs[0].asks), (1, 1));
    told.goes(&[(Waited(2_000), "awaiting sakura"), (Due, "sending by fuji")]);
}

#[test]
fn a_lost_answer_is_asked_about_before_another_text_unless_that_takes_too_long() {
    let unsure = || {
        let mut asking = story();
        asking.table.routes[0].abilities.asks_by_our_id = true;
        not_to_be_asked(asking.goes(&[(Taken, "sending by sakura"), (Lost, "unsure of sakura")]))
    };
    let waits = unsure().goes(&[(Due, "unsure of sakura"), (Due, "unsure of sakura"), (Due, "unsure of sakura")]);
    assert_eq!(waits.asked(), 0);
    let asked = Story { asks_in_ms: 0, ..waits }.goes(&[(Due, "unsure of sakura")]);
    assert_eq!(asked.asked(), 1);
    let mut never = unsure();
    for _ in 0..20 {
        if never.legs() == "sakura" {
            never.happens(&Due);
        }
    }
    assert_eq!((never.legs().as_str(), never.asked()), ("sakura fuji", 0), "its turn never came");
}
