//! The journey of one message when nothing goes wrong, and when text is lost.

use otodoke_common::outcome::Class;
use otodoke_tests::carrier::{Person, Script};
use otodoke_tests::world::{Reply, World, legs};
use serde_json::{Value, json};

use crate::{PHONE, leg};

#[tokio::test(start_paused = true)]
async fn a_code_arrives_by_the_first_domestic_route_and_verifies() {
    let world = World::new().await;
    let id = world.ask_for_code(PHONE).await;
    let message = world.until_status(&id, "delivered").await;
    assert_eq!(legs(&message), [leg("sms", "sakura", "delivered")]);
    let code = world.phone(PHONE).code().expect("the text holds a code");
    let checked = world.check(&id, &code).await;
    assert_eq!(checked.body["status"], "verified");
    assert_eq!(checked.body["verified"], json!(true));
    assert_eq!(world.message(&id).await["status"], "verified");
}

#[tokio::test(start_paused = true)]
async fn a_phone_that_refuses_texts_is_called_and_the_call_speaks_the_code() {
    let world = World::new().await;
    world.carrier("sakura").always(Script::fails_later(Class::RecipientBlocked));
    let id = world.ask_for_code(PHONE).await;
    let message = world.until_status(&id, "delivered").await;
    assert_eq!(legs(&message), [leg("sms", "sakura", "refused"), leg("voice", "kodama", "delivered")]);
    let code = world.phone(PHONE).code().expect("the call spoke a code");
    assert_eq!(world.check(&id, &code).await.body["status"], "verified");
}

#[tokio::test(start_paused = true)]
async fn voicemail_never_hears_a_code() {
    let world = World::new().await;
    world.carrier("sakura").always(Script::refuses(Class::RecipientBlocked));
    world.carrier("kodama").always(Script { person: Person::Voicemail, ..Script::works() });
    let id = world.ask_for_code(PHONE).await;
    let message = world.until_status(&id, "failed").await;
    assert_eq!(message["failure"]["reason"], "recipient_blocked");
    assert_eq!(world.phone(PHONE).code(), None);
}

#[tokio::test(start_paused = true)]
async fn a_notice_ends_when_it_is_delivered() {
    let world = World::new().await;
    let id = world.ask(json!({"to": PHONE, "purpose": "notice", "text": "Your parcel is here."})).await;
    let message = world.until_status(&id, "delivered").await;
    assert_eq!(message["guesses_left"], Value::Null);
    assert_eq!(world.phone(PHONE).texts[0].text, "Your parcel is here.");
    let counts = world.store.counts(world.clock.now()).await.expect("memory counts");
    assert_eq!((counts.live, counts.ended), (0, 1), "a delivered notice has ended; a delivered code would live on");
}

#[tokio::test(start_paused = true)]
async fn lines_that_take_no_text_are_called_at_once() {
    for (number, line) in [("+81312340011", "landline"), ("+815012345678", "050"), ("+812012345678", "data only")] {
        let world = World::new().await;
        let id = world.ask_for_code(number).await;
        let message = world.until_status(&id, "delivered").await;
        assert_eq!(legs(&message), [leg("voice", "kodama", "delivered")], "{line}");
        let code = world.phone(number).code().expect("the call spoke a code");
        assert_eq!(world.check(&id, &code).await.body["status"], "verified", "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_notice_to_a_landline_is_read_out() {
    let world = World::new().await;
    let id = world.ask(json!({"to": "+81312340011", "purpose": "notice", "text": "Gate 7 is closed."})).await;
    world.until_status(&id, "delivered").await;
    let heard = world.phone("+81312340011").calls[0].heard.join(" ");
    assert!(heard.contains("Gate 7 is closed."), "{heard}");
}

#[tokio::test(start_paused = true)]
async fn texts_and_calls_speak_the_language_of_the_request() {
    for (locale, words, spoken) in
        [(json!(null), "認証コード:", "確認コード"), (json!("en"), "Your code is", "Your code is")]
    {
        let world = World::new().await;
        let mut body = json!({"to": PHONE, "purpose": "login"});
        if !locale.is_null() {
            body["locale"] = locale;
        }
        let id = world.ask(body).await;
        world.until_status(&id, "delivered").await;
        assert!(world.phone(PHONE).texts[0].text.contains(words));
        world.wait_ms(20_000).await;
        let reply = world.post(&format!("/v1/verifications/{id}/resend"), json!({"channel": "voice"})).await;
        assert_eq!(reply.status, 202, "{:?}", reply.body);
        world.until(&id, |message| legs(message).contains(&leg("voice", "kodama", "delivered"))).await;
        assert!(world.phone(PHONE).calls[0].heard.join(" ").contains(spoken));
    }
}

#[tokio::test(start_paused = true)]
async fn a_text_with_a_domain_ends_in_its_origin_bound_line() {
    let world = World::new().await;
    let id = world.ask(json!({"to": PHONE, "purpose": "login", "domain": "example.com"})).await;
    world.until_status(&id, "delivered").await;
    let phone = world.phone(PHONE);
    let code = phone.code().expect("the text holds a code");
    let last = phone.texts[0].text.lines().last().map(str::to_owned);
    assert_eq!(last, Some(format!("@example.com #{code}")));
}

#[tokio::test(start_paused = true)]
async fn the_text_of_a_payment_names_amount_and_payee_and_goes_ahead_of_others() {
    let world = World::new().await;
    let id = world.ask(payment("12000", "YAMADA TARO")).await;
    world.until_status(&id, "delivered").await;
    let text = &world.phone(PHONE).texts[0].text;
    assert!(text.contains("12,000円") && text.contains("YAMADA TARO"), "{text}");
    assert!(world.metric("otp_queue_wait_seconds_count", &["lane=\"critical\""]) > 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_call_about_a_payment_says_amount_and_payee_before_and_after_the_code() {
    let world = World::new().await;
    world.carrier("sakura").always(Script::refuses(Class::RecipientBlocked));
    let id = world.ask(payment("12000", "YAMADA TARO")).await;
    world.until_status(&id, "delivered").await;
    let heard = &world.phone(PHONE).calls[0].heard;
    assert!(heard[0].contains("12,000") && heard[0].contains("YAMADA TARO"), "announced: {}", heard[0]);
    assert_eq!(heard[1].matches("YAMADA TARO").count(), 2, "spoken: {}", heard[1]);
}

#[tokio::test(start_paused = true)]
async fn a_payment_is_checked_against_its_own_number_and_transaction() {
    let world = World::new().await;
    let body = payment("12000", "YAMADA TARO");
    let id = world.ask(body.clone()).await;
    world.until_status(&id, "delivered").await;
    let code = world.phone(PHONE).code().expect("the text holds a code");
    for missing in ["to", "transaction"] {
        let mut check = json!({"code": code, "to": PHONE, "transaction": body["transaction"]});
        check.as_object_mut().expect("an object").remove(missing);
        let reply = post_check(&world, &id, check).await;
        assert_eq!((reply.status, reply.body["field"].as_str()), (422, Some(missing)));
    }
    let other = json!({"code": code, "to": "+819087654321", "transaction": body["transaction"]});
    assert_eq!(post_check(&world, &id, other).await.body["status"], "wrong_code");
    let right = json!({"code": code, "to": PHONE, "transaction": body["transaction"]});
    assert_eq!(post_check(&world, &id, right).await.body["status"], "verified");
}

#[tokio::test(start_paused = true)]
async fn a_changed_transaction_ends_the_message_even_with_the_right_code() {
    for (amount, payee) in [("12001", "YAMADA TARO"), ("12000", "YAMADA JIRO")] {
        let world = World::new().await;
        let body = payment("12000", "YAMADA TARO");
        let id = world.ask(body.clone()).await;
        world.until_status(&id, "delivered").await;
        let code = world.phone(PHONE).code().expect("the text holds a code");
        let changed = payment(amount, payee)["transaction"].clone();
        let reply = post_check(&world, &id, json!({"code": code, "to": PHONE, "transaction": changed})).await;
        assert_eq!(reply.body["status"], "transaction_changed");
        assert_eq!(reply.body["verified"], json!(false));
        assert_eq!(world.message(&id).await["failure"]["reason"], "transaction_changed");
        let right = json!({"code": code, "to": PHONE, "transaction": body["transaction"]});
        assert_eq!(post_check(&world, &id, right).await.body["verified"], json!(false), "it has ended for good");
        assert!(world.metric("otp_security_events_total", &["transaction_changed"]) > 0.0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_code_nobody_types_back_is_called_for_where_the_request_says_so() {
    let world = World::new().await;
    let body = json!({"to": PHONE, "purpose": "login", "voice": "on_unverified", "voice_after_seconds": 30});
    let id = world.ask(body.clone()).await;
    world.until_status(&id, "delivered").await;
    world.wait_ms(28_000).await;
    assert_eq!(world.phone(PHONE).calls.len(), 0, "not before its time");
    world.until(&id, |message| legs(message).len() == 2).await;
    world.wait_ms(5_000).await;
    assert_eq!(world.phone(PHONE).calls.len(), 1);

    let quick = World::new().await;
    let id = quick.ask(body).await;
    quick.until_status(&id, "delivered").await;
    let code = quick.phone(PHONE).code().expect("the text holds a code");
    assert_eq!(quick.check(&id, &code).await.body["status"], "verified");
    quick.wait_ms(400_000).await;
    assert_eq!(quick.phone(PHONE).calls.len(), 0, "who typed the code is not called");
}

fn payment(amount: &str, payee: &str) -> Value {
    json!({
        "to": PHONE,
        "purpose": "payment",
        "transaction": {"amount": amount, "currency": "JPY", "payee": {"name": payee, "account": "1234567"}},
    })
}

async fn post_check(world: &World, id: &str, body: Value) -> Reply {
    world.post(&format!("/v1/verifications/{id}/check"), body).await
}
