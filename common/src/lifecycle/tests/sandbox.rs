//! The phones of the sandbox: what each of them does, as the events that its carriers cause, and how it must end.

use super::given::code;
use super::story::Now::{
    CallAnswered, Delivered, DeliveredOf, Due, Failed, Lost, Named, Poked, PressedNothing, PressedRight, Refused,
    Resend, RightCode, Submitted, Taken, Waited,
};
use super::story::{Now, Story, story};
use crate::message::Message;
use crate::outcome::Class;
use crate::phone::LineType;

const FIRST: (Now, &str) = (Taken, "sending by sakura");
const ACCEPTED: (Now, &str) = (Submitted, "awaiting sakura");

#[test]
fn phone_0001_works() {
    let told =
        story().goes(&[FIRST, (Named("s1"), "awaiting sakura"), (Poked, "awaiting sakura"), (Delivered, "delivered")]);
    assert_eq!((told.legs().as_str(), told.asked()), ("sakura", 1));
    told.goes(&[(RightCode, "ended: verified")]);
}

#[test]
fn phone_0002_refuses_texts_and_is_called_once() {
    let told = story().goes(&[
        FIRST,
        ACCEPTED,
        (Failed(Class::Unreceivable), "sending by kodama"),
        (Submitted, "awaiting kodama"),
        (CallAnswered, "awaiting kodama"),
        (PressedRight, "delivered"),
    ]);
    assert!(told.spoke());
    assert_eq!(told.legs(), "sakura kodama");
}

#[test]
fn phone_0003_has_a_data_only_sim_and_fails_with_guidance_after_one_call() {
    let told = story().goes(&[
        FIRST,
        ACCEPTED,
        (Failed(Class::Unreceivable), "sending by kodama"),
        (Submitted, "awaiting kodama"),
        (Failed(Class::Unanswered), "gave up: unreceivable"),
        (Due, "ended: expired, gave up: unreceivable"),
    ]);
    assert_eq!((told.legs().as_str(), told.message.status()), ("sakura kodama", "failed"));
}

#[test]
fn phone_0004_filters_what_comes_from_abroad() {
    story().goes(&[FIRST, ACCEPTED, (Delivered, "delivered")]);
    let until = super::given::at(5_000);
    story().resting("sakura", until).resting("fuji", until).goes(&[
        (Taken, "sending by atlas"),
        (Submitted, "awaiting atlas"),
        (Failed(Class::FilteredRoute), "waiting for sms"),
        (Due, "sending by sakura"),
        (Submitted, "awaiting sakura"),
        (Delivered, "delivered"),
    ]);
}

#[test]
fn phone_0005_is_off_so_its_call_is_late_and_unanswered() {
    let told = story().goes(&[
        FIRST,
        ACCEPTED,
        (Failed(Class::Absent), "sending by fuji"),
        (Submitted, "awaiting fuji"),
        (Failed(Class::Absent), "waiting for voice"),
        (Due, "sending by kodama"),
        (Submitted, "awaiting kodama"),
        (Failed(Class::Unanswered), "gave up: absent"),
    ]);
    assert_eq!(told.legs(), "sakura fuji kodama");
}

#[test]
fn phone_0006_never_sends_a_receipt() {
    let silent = || {
        story().goes(&[FIRST, ACCEPTED, (Due, "awaiting sakura"), (Due, "awaiting sakura"), (Due, "sending by fuji")])
    };
    silent().goes(&[(Submitted, "awaiting fuji"), (RightCode, "ended: verified")]);
    silent().goes(&[(Submitted, "awaiting fuji"), (Due, "sending by kodama")]);
}

#[test]
fn phone_0007_gets_one_or_two_texts_when_the_connection_dies_and_the_second_is_counted() {
    let told = story().goes(&[
        FIRST,
        (Lost, "unsure of sakura"),
        (Due, "sending by fuji"),
        (Submitted, "awaiting fuji"),
        (DeliveredOf(1), "delivered"),
        (DeliveredOf(2), "delivered"),
    ]);
    assert_eq!((told.legs().as_str(), told.duplicates()), ("sakura fuji", 1));
    let found = story().goes(&[FIRST, (Lost, "unsure of sakura"), (Delivered, "delivered")]);
    assert_eq!((found.legs().as_str(), found.duplicates()), ("sakura", 0));
}

#[test]
fn phone_0008_sends_receipts_twice_out_of_order_and_before_the_answer() {
    let told = story().goes(&[
        FIRST,
        (Delivered, "delivered"),
        (Named("s8"), "delivered"),
        (Delivered, "delivered"),
        (Failed(Class::Absent), "delivered"),
    ]);
    assert_eq!(told.legs(), "sakura");
    assert_eq!(told.message.legs[0].reference.as_deref(), Some("s8"), "a reference is kept even when it is late");
}

#[test]
fn phone_0009_says_delivered_but_nothing_came_so_a_resend_takes_another_route() {
    story().goes(&[
        FIRST,
        ACCEPTED,
        (Delivered, "delivered"),
        (Waited(20_000), "delivered"),
        (Resend(None), "sending by fuji"),
        (Submitted, "delivered"),
        (RightCode, "ended: verified"),
    ]);
}

#[test]
fn phone_0010_is_throttled_by_the_first_carrier() {
    let told = story().goes(&[FIRST, (Refused(Class::Throttled), "sending by fuji"), (Submitted, "awaiting fuji")]);
    assert_eq!(told.legs(), "sakura fuji");
}

#[test]
fn phone_0011_is_a_landline_and_gets_no_text() {
    let told = Story::of(Message { line: LineType::Landline, ..code() }).goes(&[
        (Taken, "sending by kodama"),
        (Submitted, "awaiting kodama"),
        (CallAnswered, "awaiting kodama"),
        (PressedRight, "delivered"),
    ]);
    assert_eq!(told.legs(), "kodama");
}

#[test]
fn phone_0012_has_a_voicemail_which_never_hears_the_code() {
    let told = story().goes(&[
        FIRST,
        ACCEPTED,
        (Failed(Class::RecipientBlocked), "sending by kodama"),
        (Submitted, "awaiting kodama"),
        (CallAnswered, "awaiting kodama"),
        (PressedNothing, "awaiting kodama"),
        (PressedNothing, "awaiting kodama"),
        (Failed(Class::Unanswered), "gave up: recipient_blocked"),
    ]);
    assert!(!told.spoke());
    // By a carrier that cannot tell a refusal from a data-only SIM: something answered, so it is none.
    story().goes(&[
        FIRST,
        ACCEPTED,
        (Failed(Class::Unreceivable), "sending by kodama"),
        (Submitted, "awaiting kodama"),
        (CallAnswered, "awaiting kodama"),
        (PressedNothing, "awaiting kodama"),
        (Failed(Class::Unanswered), "gave up: unanswered"),
    ]);
}
