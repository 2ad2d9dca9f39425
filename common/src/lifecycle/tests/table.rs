//! The table of failures (`fallback`), row by row: what happened, its class, and what follows.

use super::given::{at, notice, refusal};
use super::story::Now::{
    Delivered, Due, Failed, Lost, NotKnown, NotSent, PressedNothing, Refused, RightCode, Submitted, Taken, Waited,
};
use super::story::{Now, Story, story};
use crate::leg::{Channel, RouteClass};
use crate::lifecycle::Event;
use crate::outcome::{Answer, Class, Refusal, Scope};
use crate::route::International;

const FIRST: (Now, &str) = (Taken, "sending by sakura");
const ACCEPTED: (Now, &str) = (Submitted, "awaiting sakura");

/// Both domestic providers rest, so that the first leg goes abroad.
fn abroad() -> Story {
    story().resting("sakura", at(5_000)).resting("fuji", at(6_000)).goes(&[(Taken, "sending by atlas")])
}

#[test]
fn not_sent_takes_the_next_route_now_and_comes_back_when_all_were_tried() {
    story().goes(&[FIRST, (NotSent, "sending by fuji"), (Submitted, "awaiting fuji")]);
    story().plan(International::Never).goes(&[
        FIRST,
        (NotSent, "sending by fuji"),
        (NotSent, "waiting for sms"),
        (Due, "sending by sakura"),
    ]);
}

#[test]
fn throttled_is_not_tried_so_it_waits_for_a_domestic_route_and_goes_abroad_only_by_plan() {
    let throttled = [FIRST, (Refused(Class::Throttled), "sending by fuji")];
    story().goes(&throttled).goes(&[(Refused(Class::Throttled), "waiting for sms"), (Due, "sending by sakura")]);
    story().plan(International::Spill).goes(&throttled).goes(&[(Refused(Class::Throttled), "sending by atlas")]);
}

/// As a vendor's limit of texts to one number in an hour, which the first request may have used up.
#[test]
fn a_route_that_takes_no_more_of_this_message_is_tried_no_more_and_unsays_no_earlier_request() {
    let refused = |class| {
        let answer = Answer::Refused(Refusal { scope: Scope::Message, ..refusal(class) });
        Event::Answered { leg: 1, answer }
    };
    let full = refused(Class::Config);
    let mut first = story().plan(International::Never).goes(&[FIRST]);
    first.apply(&full);
    assert_eq!(first.stands(), "sending by fuji");
    let told = first.goes(&[(NotSent, "waiting for sms"), (Due, "sending by fuji")]);
    assert_eq!(told.legs(), "sakura fuji fuji", "however long it waits");
    for refused in [full, refused(Class::NotSent)] {
        let mut repeat = story().resting("sakura", at(60_000)).goes(&[
            (Taken, "sending by fuji"),
            (Lost, "unsure of fuji"),
            (Due, "sending by fuji"),
        ]);
        repeat.apply(&refused);
        assert_eq!(repeat.stands(), "unsure of fuji");
        assert!(repeat.message.legs[0].may_be_out());
    }
}

#[test]
fn unknown_waits_out_a_grace_where_it_can_neither_repeat_nor_ask() {
    let told =
        story().goes(&[FIRST, (Lost, "unsure of sakura"), (Due, "sending by fuji"), (Submitted, "awaiting fuji")]);
    assert_eq!((told.since_start_ms(), told.duplicates()), (5_300, 1));
}

#[test]
fn unknown_is_repeated_where_the_provider_dedupes_and_then_one_more_text_follows() {
    let told = story().resting("sakura", at(60_000)).goes(&[
        (Taken, "sending by fuji"),
        (Lost, "unsure of fuji"),
        (Due, "sending by fuji"),
        (Lost, "unsure of fuji"),
        (Due, "sending by fuji"),
        (Lost, "unsure of fuji"),
        (Due, "sending by atlas"),
        (Lost, "unsure of atlas"),
        (Due, "sending by kodama"),
    ]);
    assert_eq!(told.legs(), "fuji atlas kodama");
    assert_eq!((told.message.legs[0].sends, told.duplicates()), (3, 1));
}

#[test]
fn unknown_is_asked_about_where_it_can_be_asked() {
    let mut asking = story();
    asking.table.routes[0].abilities.asks_by_our_id = true;
    let asking = asking.goes(&[FIRST, (Lost, "unsure of sakura"), (Due, "unsure of sakura")]);
    assert_eq!(asking.asked(), 1);
    let asking = asking.goes(&[(NotKnown, "unsure of sakura"), (Due, "unsure of sakura")]);
    assert_eq!(asking.asked(), 2, "it may be on its way into the provider's list");
    let settled = asking.goes(&[(NotKnown, "sending by fuji")]);
    assert_eq!(settled.duplicates(), 0, "what the provider still does not know was not sent");
    assert!(!settled.message.legs[0].may_be_out());
}

#[test]
fn unknown_has_its_grace_also_where_no_question_may_be_put() {
    let mut silent = story();
    silent.table.routes[0].abilities.asks_by_our_id = true;
    silent.policy.asks_max = 0;
    let silent = silent.goes(&[FIRST, (Lost, "unsure of sakura"), (Due, "unsure of sakura"), (Due, "sending by fuji")]);
    assert_eq!((silent.asked(), silent.since_start_ms()), (0, 200 + silent.policy.unknown_grace_ms));
}

#[test]
fn a_crash_between_save_and_answer_is_unknown() {
    story().goes(&[FIRST, (Due, "unsure of sakura"), (Due, "sending by fuji")]);
}

#[test]
fn invalid_at_once_fails_and_by_a_receipt_a_second_domestic_route_must_agree() {
    story().goes(&[FIRST, (Refused(Class::InvalidNumber), "ended: failed, invalid_number")]);
    story().goes(&[
        FIRST,
        ACCEPTED,
        (Failed(Class::InvalidNumber), "sending by fuji"),
        (Submitted, "awaiting fuji"),
        (Failed(Class::InvalidNumber), "ended: failed, invalid_number"),
    ]);
    let denied = abroad().goes(&[(Submitted, "awaiting atlas"), (Failed(Class::InvalidNumber), "waiting for sms")]);
    denied.goes(&[(Due, "sending by sakura"), (Submitted, "awaiting sakura"), (Delivered, "delivered")]);
}

#[test]
fn a_line_or_a_sim_without_texts_is_called_and_gets_no_more_text() {
    for class in [Class::NotSmsCapable, Class::Unreceivable, Class::RecipientBlocked] {
        let by_call = [(Submitted, "awaiting kodama")];
        story().goes(&[FIRST, (Refused(class), "sending by kodama")]).goes(&by_call);
        let told = story().goes(&[FIRST, ACCEPTED, (Failed(class), "sending by kodama")]).goes(&by_call);
        let gave_up = format!("gave up: {}", class.word());
        let told = told.goes(&[(Failed(Class::Unanswered), &gave_up), (Waited(60_000), &gave_up)]);
        let told = told.goes(&[(Now::Resend(Some(Channel::Sms)), &gave_up)]);
        let told = told.goes(&[(Waited(60_000), &gave_up), (Now::Resend(None), "sending by kodama")]).goes(&by_call);
        let told = told.goes(&[(RightCode, "ended: verified")]);
        assert_eq!(told.legs(), "sakura kodama kodama");
    }
}

#[test]
fn refused_abroad_wants_a_domestic_route_and_never_the_same_one() {
    for class in [Class::RecipientBlocked, Class::FilteredRoute] {
        for how in [Refused(class), Failed(class)] {
            let told = abroad().goes(&[(how, "waiting for sms"), (Due, "sending by sakura")]);
            assert_eq!(told.message.legs[1].class, RouteClass::Domestic);
            told.goes(&[(Refused(Class::FilteredRoute), "waiting for sms"), (Due, "sending by fuji")]);
        }
    }
}

#[test]
fn opted_out_wants_another_sender_else_a_call() {
    story().goes(&[FIRST, (Refused(Class::OptedOut), "sending by fuji")]);
    let mut one_sender = story();
    for route in &mut one_sender.table.routes {
        route.sender = "Otodoke".to_owned();
    }
    one_sender.goes(&[FIRST, (Refused(Class::OptedOut), "sending by kodama")]);
}

#[test]
fn an_absent_phone_gets_one_other_domestic_text_then_a_late_call() {
    let told = story().goes(&[
        FIRST,
        ACCEPTED,
        (Failed(Class::Absent), "sending by fuji"),
        (Submitted, "awaiting fuji"),
        (Failed(Class::Absent), "waiting for voice"),
    ]);
    let off_at = told.since_start_ms();
    let told = told.goes(&[(Due, "sending by kodama")]);
    assert_eq!(told.since_start_ms() - off_at, told.policy.late_voice_after_ms);
}

#[test]
fn an_absent_phone_keeps_its_rule_when_the_other_domestic_route_cannot_be_used() {
    let absent = [FIRST, ACCEPTED, (Failed(Class::Absent), "sending by fuji")];
    for unusable in [NotSent, Refused(Class::Throttled)] {
        let told = story().goes(&absent).goes(&[(unusable, "waiting for sms"), (Due, "sending by fuji")]);
        told.goes(&[(Submitted, "awaiting fuji"), (Failed(Class::Absent), "waiting for voice")]);
    }
    for unusable in [Refused(Class::Config), Refused(Class::Content)] {
        let told = story().goes(&absent).goes(&[(unusable, "waiting for voice")]);
        let off_at = told.since_start_ms();
        let told = told.goes(&[(Due, "sending by kodama")]);
        assert_eq!(told.since_start_ms() - off_at, told.policy.late_voice_after_ms);
    }
    let mut never_back = story().goes(&absent);
    while never_back.stands() != "sending by kodama" {
        assert!(!never_back.legs().contains("atlas"), "{}", never_back.legs());
        never_back.happens(if never_back.stands() == "sending by fuji" { &NotSent } else { &Due });
    }
}

#[test]
fn an_invalid_number_that_no_second_route_confirms_is_not_called() {
    let told = story().without("fuji").goes(&[
        FIRST,
        ACCEPTED,
        (Failed(Class::InvalidNumber), "gave up: invalid_number"),
        (Waited(60_000), "gave up: invalid_number"),
        (RightCode, "ended: verified"),
    ]);
    assert_eq!(told.legs(), "sakura");
    let mut unusable = story().goes(&[FIRST, ACCEPTED, (Failed(Class::InvalidNumber), "sending by fuji")]);
    while unusable.message.is_live() {
        unusable.happens(if unusable.stands() == "sending by fuji" { &NotSent } else { &Due });
    }
    assert!(unusable.legs().starts_with("sakura fuji fuji"), "{}", unusable.legs());
    assert!(!unusable.legs().contains("atlas") && !unusable.legs().contains("kodama"), "{}", unusable.legs());
}

#[test]
fn a_new_owner_or_a_fraud_ends_at_once() {
    for class in [Class::OwnerChanged, Class::FraudBlocked] {
        let end = format!("ended: failed, {}", class.word());
        story().goes(&[FIRST, (Refused(class), &end)]);
        story().goes(&[FIRST, ACCEPTED, (Failed(class), &end)]);
        let by_call = story().goes(&[FIRST, (Refused(Class::Unreceivable), "sending by kodama")]);
        by_call.goes(&[(Refused(class), &end)]);
    }
}

#[test]
fn what_only_this_route_cannot_do_goes_by_another() {
    for class in [Class::Content, Class::Config, Class::ExpiredAtProvider] {
        story().goes(&[FIRST, (Refused(class), "sending by fuji"), (Refused(class), "sending by atlas")]);
        story().goes(&[FIRST, ACCEPTED, (Failed(class), "sending by fuji")]);
    }
}

#[test]
fn an_overdue_receipt_leads_to_one_more_domestic_text_then_to_a_call() {
    let told = story().goes(&[
        FIRST,
        ACCEPTED,
        (Due, "awaiting sakura"),
        (Due, "awaiting sakura"),
        (Due, "sending by fuji"),
        (Submitted, "awaiting fuji"),
        (Due, "sending by kodama"),
    ]);
    assert_eq!((told.legs().as_str(), told.duplicates()), ("sakura fuji kodama", 1));
}

#[test]
fn an_overdue_receipt_of_a_route_that_is_late_as_a_whole_starts_nothing() {
    let mut late = story().goes(&[FIRST, ACCEPTED]);
    late.punctual = false;
    while late.message.is_live() {
        late.happens(&Due);
    }
    assert_eq!((late.legs().as_str(), late.stands().as_str()), ("sakura", "ended: expired, submitted"));
}

#[test]
fn a_text_to_be_read_ends_with_its_receipt_and_fails_when_nothing_is_left() {
    Story::of(notice()).goes(&[FIRST, ACCEPTED, (Delivered, "ended: delivered")]);
    Story::of(notice()).goes(&[
        FIRST,
        (Refused(Class::Unreceivable), "sending by kodama"),
        (Submitted, "awaiting kodama"),
        (PressedNothing, "awaiting kodama"),
        (Failed(Class::Unanswered), "ended: failed, unreceivable"),
    ]);
}

#[test]
fn a_resend_that_names_no_channel_starts_no_call_beside_one_that_is_ringing() {
    let rings =
        story().goes(&[FIRST, (Refused(Class::NotSmsCapable), "sending by kodama"), (Submitted, "awaiting kodama")]);
    let rings = rings.goes(&[(Waited(20_000), "awaiting kodama"), (Now::Resend(None), "awaiting kodama")]);
    assert_eq!(rings.legs(), "sakura kodama");
}
