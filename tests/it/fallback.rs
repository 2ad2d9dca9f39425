//! What follows when a leg does not deliver: the table of failures, and the phones of the sandbox, end to end.

use std::collections::BTreeMap;

use otodoke_common::outcome::{Class, ReportStatus, Scope};
use otodoke_common::route::{International, Plan};
use otodoke_tests::carrier::{Person, Reply, Script, refusal};
use otodoke_tests::world::{Options, World, legs};
use serde_json::{Value, json};

use crate::{PHONE, leg};

type Legs<'a> = &'a [(&'a str, &'a str, &'a str)];

fn is(message: &Value, expected: Legs<'_>) -> bool {
    let expected: Vec<_> =
        expected.iter().map(|(channel, provider, outcome)| leg(channel, provider, outcome)).collect();
    legs(message) == expected
}

/// `sakura` treats the number so; everybody else works. How the message stands once everything is over but the deadline.
async fn after(sakura: Script) -> (World, Value) {
    let world = World::new().await;
    world.carrier("sakura").always(sakura);
    let id = world.ask_for_code(PHONE).await;
    world.wait_ms(60_000).await;
    let message = world.message(&id).await;
    (world, message)
}

#[tokio::test(start_paused = true)]
async fn each_refusal_has_its_next_step() {
    let by_fuji: Legs<'_> = &[("sms", "sakura", "refused"), ("sms", "fuji", "delivered")];
    let by_call: Legs<'_> = &[("sms", "sakura", "refused"), ("voice", "kodama", "delivered")];
    let at_once: Legs<'_> = &[("sms", "sakura", "refused")];
    let table: [(Class, Legs<'_>, &str); 13] = [
        (Class::Throttled, by_fuji, "delivered"),
        (Class::InvalidNumber, at_once, "failed"),
        (Class::NotSmsCapable, by_call, "delivered"),
        (Class::Unreceivable, by_call, "delivered"),
        (Class::RecipientBlocked, by_call, "delivered"),
        (Class::FilteredRoute, by_fuji, "delivered"),
        (Class::OptedOut, by_fuji, "delivered"),
        (Class::Absent, by_fuji, "delivered"),
        (Class::OwnerChanged, at_once, "failed"),
        (Class::FraudBlocked, at_once, "failed"),
        (Class::Content, by_fuji, "delivered"),
        (Class::Config, by_fuji, "delivered"),
        (Class::ExpiredAtProvider, by_fuji, "delivered"),
    ];
    for (class, expected, status) in table {
        let (_, message) = after(Script::refuses(class)).await;
        assert!(is(&message, expected), "{class:?}: {:?}", legs(&message));
        assert_eq!(message["status"], status, "{class:?}");
        if status == "failed" {
            assert_eq!(message["failure"]["reason"], class.word());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_told_by_a_receipt_has_the_same_next_step_but_an_invalid_number_needs_a_second_opinion() {
    let by_fuji: Legs<'_> = &[("sms", "sakura", "refused"), ("sms", "fuji", "delivered")];
    let by_call: Legs<'_> = &[("sms", "sakura", "refused"), ("voice", "kodama", "delivered")];
    let at_once: Legs<'_> = &[("sms", "sakura", "refused")];
    let table: [(Class, Legs<'_>); 8] = [
        (Class::InvalidNumber, by_fuji),
        (Class::Unreceivable, by_call),
        (Class::RecipientBlocked, by_call),
        (Class::FilteredRoute, by_fuji),
        (Class::Absent, by_fuji),
        (Class::OwnerChanged, at_once),
        (Class::FraudBlocked, at_once),
        (Class::ExpiredAtProvider, by_fuji),
    ];
    for (class, expected) in table {
        let (_, message) = after(Script::fails_later(class)).await;
        assert!(is(&message, expected), "{class:?}: {:?}", legs(&message));
    }
}

#[tokio::test(start_paused = true)]
async fn two_domestic_routes_that_agree_on_an_invalid_number_end_it() {
    let world = World::new().await;
    world.carrier("sakura").always(Script::fails_later(Class::InvalidNumber));
    world.carrier("fuji").always(Script::fails_later(Class::InvalidNumber));
    let id = world.ask_for_code(PHONE).await;
    let message = world.until_status(&id, "failed").await;
    assert_eq!(message["failure"]["reason"], "invalid_number");
    assert!(is(&message, &[("sms", "sakura", "refused"), ("sms", "fuji", "refused")]));
    world.wait_ms(60_000).await;
    assert_eq!(world.carrier("kodama").seen().len(), 0, "nobody calls a number that is not in use");
}

#[tokio::test(start_paused = true)]
async fn what_was_not_sent_goes_by_the_next_route_at_once() {
    let (world, message) = after(Script::answers(Reply::NotSent)).await;
    assert!(is(&message, &[("sms", "sakura", "not_sent"), ("sms", "fuji", "delivered")]));
    let waited = world.carrier("fuji").seen()[0].at_ms - world.carrier("sakura").seen()[0].at_ms;
    assert!(waited < 100, "{waited} ms");
    assert!((world.metric("otp_duplicates_possible_total", &[])).abs() < f64::EPSILON);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_from_abroad_sends_a_domestic_text_first_never_the_same_route() {
    for class in [Class::FilteredRoute, Class::RecipientBlocked] {
        let world = World::new().await;
        // Domestic routes are out of service at first, so that the text goes abroad.
        for domestic in ["sakura", "fuji"] {
            world
                .carrier(domestic)
                .script(|_, times| if times <= 1 { Script::answers(Reply::NotSent) } else { Script::works() });
        }
        world.carrier("atlas").always(Script::fails_later(class));
        let id = world.ask_for_code(PHONE).await;
        let message = world.until_status(&id, "delivered").await;
        let last = legs(&message).pop().expect("it has legs");
        assert_eq!((last.0.as_str(), last.2.as_str()), ("sms", "delivered"), "{class:?}: {message:#}");
        assert_ne!(last.1, "atlas");
        assert_eq!(world.carrier("atlas").seen().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_data_only_sim_gets_one_call_and_then_guidance() {
    let world = World::new().await;
    world.carrier("sakura").always(Script::fails_later(Class::Unreceivable));
    world.carrier("kodama").always(Script { person: Person::NobodyAnswers, ..Script::works() });
    let id = world.ask_for_code(PHONE).await;
    let message = world.until_status(&id, "failed").await;
    assert_eq!(legs(&message).len(), 2);
    assert_eq!(message["failure"]["reason"], "unreceivable");
    assert!(message["failure"]["guidance"].as_str().is_some_and(|words| words.contains("データ専用")));
    world.wait_ms(200_000).await;
    assert_eq!(world.carrier("kodama").seen().len(), 1, "one call, no more");
    assert_eq!(world.carrier("fuji").seen().len(), 0, "no more text");
}

#[tokio::test(start_paused = true)]
async fn whoever_was_not_called_is_not_told_that_calls_fail() {
    let world = World::new().await;
    world.carrier("sakura").always(Script::fails_later(Class::Unreceivable));
    let id = world.ask(json!({"to": PHONE, "purpose": "login", "voice": "never"})).await;
    let message = world.until_status(&id, "failed").await;
    assert_eq!(message["failure"]["reason"], "unreceivable");
    let guidance = message["failure"]["guidance"].as_str().expect("guidance");
    assert!(guidance.contains("音声通話か") && !guidance.contains("通話も"), "{guidance}");
}

#[tokio::test(start_paused = true)]
async fn a_phone_that_is_off_gets_another_domestic_text_then_a_late_call_then_fails() {
    let world = World::new().await;
    for carrier in ["sakura", "fuji"] {
        world.carrier(carrier).always(Script::fails_later(Class::Absent));
    }
    world.carrier("kodama").always(Script { person: Person::NobodyAnswers, ..Script::works() });
    let id = world.ask_for_code(PHONE).await;
    let message = world.until_status(&id, "failed").await;
    assert!(is(&message, &[("sms", "sakura", "refused"), ("sms", "fuji", "refused"), ("voice", "kodama", "refused")]));
    assert_eq!(message["failure"]["reason"], "absent");
    let waited = world.carrier("kodama").seen()[0].at_ms - world.carrier("fuji").seen()[0].at_ms;
    assert!(waited >= 3_000, "the call comes late: after {waited} ms");
    assert_eq!(world.carrier("atlas").seen().len(), 0, "a phone that is off is off for texts from abroad too");
}

#[tokio::test(start_paused = true)]
async fn receipts_that_never_come_cause_one_more_text_then_a_call() {
    let world = World::new().await;
    for carrier in ["sakura", "fuji"] {
        world.carrier(carrier).always(Script::silent());
    }
    let id = world.ask_for_code(PHONE).await;
    let message = world.until_status(&id, "delivered").await;
    assert!(is(
        &message,
        &[("sms", "sakura", "overdue"), ("sms", "fuji", "overdue"), ("voice", "kodama", "delivered")]
    ));
    let phone = world.phone(PHONE);
    assert_eq!((phone.texts.len(), phone.calls.len()), (2, 1));
    assert_eq!(phone.texts[0].text, phone.texts[1].text, "the same code");
    assert!((world.metric("otp_duplicates_possible_total", &["cause=\"overdue\""]) - 1.0).abs() < f64::EPSILON);
}

#[tokio::test(start_paused = true)]
async fn a_code_that_was_typed_back_is_neither_repeated_nor_called_for() {
    let world = World::new().await;
    for carrier in ["sakura", "fuji"] {
        world.carrier(carrier).always(Script::silent());
    }
    let id = world.ask_for_code(PHONE).await;
    world.until_status(&id, "submitted").await;
    let code = world.phone(PHONE).code().expect("the text arrived");
    assert_eq!(world.check(&id, &code).await.body["status"], "verified");
    world.wait_ms(400_000).await;
    let phone = world.phone(PHONE);
    assert_eq!((phone.texts.len(), phone.calls.len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_text_too_long_for_one_route_goes_by_another_that_takes_it() {
    let segments_max = BTreeMap::from([("sakura", 1)]);
    let world = World::with(Options { segments_max, ..Options::default() }).await;
    let words = "お荷物が届きました。".repeat(8);
    let id = world.ask(json!({"to": PHONE, "purpose": "notice", "text": words})).await;
    let message = world.until_status(&id, "delivered").await;
    assert!(is(&message, &[("sms", "sakura", "refused"), ("sms", "fuji", "delivered")]));
    assert_eq!(world.carrier("sakura").seen(), [], "it would have been cut, or billed twice");
}

#[tokio::test(start_paused = true)]
async fn a_text_that_fits_only_routes_that_the_plan_has_not_is_refused() {
    let segments_max = BTreeMap::from([("sakura", 1), ("fuji", 1)]);
    let plan = Plan { international: International::Never, voice: true };
    let words = json!({"to": PHONE, "purpose": "notice", "text": "お荷物が届きました。".repeat(8)});
    for (plan, status) in [(Options::default().plan, 202), (plan, 422)] {
        let world = World::with(Options { segments_max: segments_max.clone(), plan, ..Options::default() }).await;
        assert_eq!(world.post("/v1/messages", words.clone()).await.status, status);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_asked_about_where_that_is_possible() {
    let world = World::new().await;
    world.carrier("sakura").always(Script { asked: Some(ReportStatus::Delivered), ..Script::lost() });
    let id = world.ask_for_code(PHONE).await;
    let message = world.until_status(&id, "delivered").await;
    assert!(is(&message, &[("sms", "sakura", "delivered")]));
    assert_eq!(world.phone(PHONE).texts.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_never_got_it_is_left_for_the_next_without_counting_a_duplicate() {
    let world = World::new().await;
    let never = Script { arrives: false, asked: Some(ReportStatus::Absent), ..Script::lost() };
    world.carrier("sakura").always(never);
    let id = world.ask_for_code(PHONE).await;
    let message = world.until_status(&id, "delivered").await;
    assert!(is(&message, &[("sms", "sakura", "not_sent"), ("sms", "fuji", "delivered")]));
    assert!(world.metric("otp_duplicates_possible_total", &[]).abs() < f64::EPSILON);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_repeated_at_a_provider_that_dedupes() {
    let world = World::new().await;
    world.carrier("sakura").always(Script::refuses(Class::Content));
    world.carrier("fuji").script(|_, times| if times == 1 { Script::lost() } else { Script::works() });
    let id = world.ask_for_code(PHONE).await;
    let message = world.until_status(&id, "delivered").await;
    assert!(is(&message, &[("sms", "sakura", "refused"), ("sms", "fuji", "delivered")]));
    let seen = world.carrier("fuji").seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].our_reference, seen[1].our_reference, "the very same request");
    assert_eq!(world.phone(PHONE).texts.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_that_nobody_can_explain_causes_one_more_text_of_the_same_code_and_is_counted() {
    let (world, message) = after(Script::lost()).await;
    assert!(is(&message, &[("sms", "sakura", "unknown"), ("sms", "fuji", "delivered")]));
    let phone = world.phone(PHONE);
    assert_eq!(phone.texts.len(), 2);
    assert_eq!(phone.texts[0].text, phone.texts[1].text, "the same code");
    assert!((world.metric("otp_duplicates_possible_total", &["cause=\"unknown\""]) - 1.0).abs() < f64::EPSILON);
}

#[tokio::test(start_paused = true)]
async fn two_lost_answers_are_followed_by_a_call_not_by_a_third_text() {
    let world = World::new().await;
    for carrier in ["sakura", "fuji", "atlas"] {
        world.carrier(carrier).always(Script::lost());
    }
    let id = world.ask_for_code(PHONE).await;
    let message = world.until_status(&id, "delivered").await;
    assert!(is(
        &message,
        &[("sms", "sakura", "unknown"), ("sms", "fuji", "unknown"), ("voice", "kodama", "delivered")]
    ));
    assert_eq!(world.phone(PHONE).texts.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_carrier_is_passed_over_for_the_next_domestic_one() {
    for scope in [Scope::Number, Scope::Provider] {
        let (world, message) = after(Script::answers(Reply::Refused(Class::Throttled, scope))).await;
        assert!(is(&message, &[("sms", "sakura", "refused"), ("sms", "fuji", "delivered")]), "{scope:?}");
        assert_eq!(world.carrier("atlas").seen().len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn carriers_that_all_throttle_are_waited_for_and_nothing_goes_abroad() {
    let world = World::new().await;
    for domestic in ["sakura", "fuji"] {
        world.carrier(domestic).script(|_, times| {
            if times <= 3 { Script::answers(Reply::Refused(Class::Throttled, Scope::Number)) } else { Script::works() }
        });
    }
    let id = world.ask_for_code(PHONE).await;
    world.until_status(&id, "delivered").await;
    assert_eq!(world.carrier("atlas").seen().len(), 0, "throttled is not tried");
    assert_eq!(world.phone(PHONE).texts.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_opted_out_sender_is_never_used_again_for_the_message() {
    let world = World::new().await;
    for carrier in ["sakura", "fuji", "atlas"] {
        world.carrier(carrier).always(Script::refuses(Class::OptedOut));
    }
    let id = world.ask_for_code(PHONE).await;
    let message = world.until_status(&id, "delivered").await;
    assert_eq!(legs(&message).last(), Some(&leg("voice", "kodama", "delivered")));
    world.wait_ms(120_000).await;
    for carrier in ["sakura", "fuji", "atlas"] {
        assert!(world.carrier(carrier).seen().len() <= 1, "{carrier}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_text_by_its_receipt_after_delivery_changes_nothing() {
    let failed = ReportStatus::Failed(refusal(Class::Absent, Scope::Number));
    let (world, message) = after(Script::reports(&[(300, ReportStatus::Delivered), (900, failed)])).await;
    assert!(is(&message, &[("sms", "sakura", "delivered")]));
    assert_eq!(world.phone(PHONE).texts.len(), 1);
}
