//! The person asks again, the caller cancels, a call is under way while the code is typed: the same code, no longer life.

use otodoke_common::outcome::Class;
use otodoke_common::policy::Policy;
use otodoke_tests::carrier::{Person, Script};
use otodoke_tests::world::{Options, Reply, World, legs};
use serde_json::{Value, json};

use crate::{PHONE, leg};

async fn resend(world: &World, id: &str, body: Value) -> Reply {
    world.post(&format!("/v1/verifications/{id}/resend"), body).await
}

async fn delivered(world: &World) -> String {
    let id = world.ask(json!({"to": PHONE, "purpose": "login", "ttl_seconds": 600})).await;
    world.until_status(&id, "delivered").await;
    id
}

#[tokio::test(start_paused = true)]
async fn a_resend_brings_the_same_code_by_another_route_once_its_cool_down_is_over() {
    let world = World::new().await;
    let id = delivered(&world).await;
    let until = world.message(&id).await["useful_until"].clone();
    let early = resend(&world, &id, json!({})).await;
    assert_eq!((early.status, early.body["code"].as_str()), (429, Some("too_soon")));
    world.wait_ms(early.retry_after_s.expect("it says when") * 1_000).await;
    let reply = resend(&world, &id, json!({})).await;
    assert_eq!((reply.status, &reply.body["leg"]), (202, &json!(true)));
    let message = world.until(&id, |message| legs(message).len() == 2).await;
    world.wait_ms(2_000).await;
    let phone = world.phone(PHONE);
    assert_eq!(phone.texts[0].code(), phone.texts[1].code());
    let says = ["10分間", "9分間"].map(|left| phone.texts.iter().filter(|text| text.text.contains(left)).count());
    assert_eq!(says, [1, 1], "each says how long it is still valid: {phone:?}");
    assert_ne!(phone.texts[0].provider, phone.texts[1].provider);
    assert_eq!(message["useful_until"], until, "never a longer life");
}

#[tokio::test(start_paused = true)]
async fn cool_downs_grow_and_three_resends_are_all() {
    let world = World::new().await;
    let id = delivered(&world).await;
    for cooldown_ms in [20_000, 40_000, 80_000] {
        world.wait_ms(cooldown_ms - 2_000).await;
        assert_eq!(resend(&world, &id, json!({})).await.status, 429, "before {cooldown_ms} ms");
        world.wait_ms(2_100).await;
        assert_eq!(resend(&world, &id, json!({})).await.status, 202, "after {cooldown_ms} ms");
        world.wait_ms(1_500).await;
        world.until_status(&id, "delivered").await;
    }
    world.wait_ms(160_000).await;
    let reply = resend(&world, &id, json!({})).await;
    assert_eq!((reply.status, reply.body["code"].as_str()), (429, Some("too_many_resends")));
    let texts = world.phone(PHONE).texts;
    assert_eq!(texts.len(), 4, "one and three resends");
    assert!(texts.iter().all(|text| text.code() == texts[0].code()));
}

#[tokio::test(start_paused = true)]
async fn what_may_just_be_arriving_is_not_repeated() {
    let policy = Policy { late_voice_after_ms: 19_000, ..Options::default().policy };
    let world = World::with(Options { policy, ..Options::default() }).await;
    for carrier in ["sakura", "fuji"] {
        world.carrier(carrier).always(Script::fails_later(Class::Absent));
    }
    let id = world.ask_for_code(PHONE).await;
    world.until(&id, |message| legs(message).len() == 3).await;
    let reply = loop {
        let reply = resend(&world, &id, json!({})).await;
        if reply.status == 202 {
            break reply;
        }
        world.wait_ms(25).await;
    };
    assert_eq!(reply.body["leg"], json!(false), "the call that began a moment ago rings now");
    world.wait_ms(5_000).await;
    assert_eq!(legs(&world.message(&id).await).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn asking_for_a_call_brings_a_call_even_where_the_request_said_never() {
    let world = World::new().await;
    let id = world.ask(json!({"to": PHONE, "purpose": "login", "voice": "never"})).await;
    world.until_status(&id, "delivered").await;
    world.wait_ms(20_000).await;
    assert_eq!(resend(&world, &id, json!({"channel": "voice"})).await.status, 202);
    world.until(&id, |message| legs(message).last() == Some(&leg("voice", "kodama", "delivered"))).await;
    let phone = world.phone(PHONE);
    assert_eq!((phone.texts.len(), phone.calls.len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_equal_request_joins_the_living_one_and_acts_as_a_resend() {
    let world = World::new().await;
    let id = delivered(&world).await;
    let body = json!({"to": PHONE, "purpose": "login"});
    let young = world.post("/v1/verifications", body.clone()).await;
    assert_eq!((young.body["id"].as_str(), &young.body["joined"]), (Some(id.as_str()), &json!(true)));
    world.wait_ms(5_000).await;
    assert_eq!(world.phone(PHONE).texts.len(), 1, "within the cool-down it only joins");
    world.wait_ms(20_000).await;
    let later = world.post("/v1/verifications", body).await;
    assert_eq!(later.body["id"].as_str(), Some(id.as_str()));
    world.until(&id, |message| legs(message).len() == 2).await;
    world.wait_ms(1_000).await;
    assert_eq!(world.phone(PHONE).texts.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_phone_that_refuses_texts_is_sent_none_on_request_either() {
    let world = World::new().await;
    world.carrier("sakura").always(Script::fails_later(Class::RecipientBlocked));
    world.carrier("kodama").always(Script { person: Person::NobodyAnswers, ..Script::works() });
    let id = world.ask_for_code(PHONE).await;
    world.until_status(&id, "failed").await;
    world.wait_ms(30_000).await;
    let reply = resend(&world, &id, json!({"channel": "sms"})).await;
    assert_eq!((reply.status, &reply.body["leg"]), (202, &json!(false)));
    world.wait_ms(60_000).await;
    let reply = resend(&world, &id, json!({})).await;
    assert_eq!((reply.status, &reply.body["leg"]), (202, &json!(true)), "a call, which may still reach it");
    world.until(&id, |message| legs(message).len() == 3).await;
    assert_eq!(world.carrier("kodama").seen().len(), 2);
    for carrier in ["fuji", "atlas"] {
        assert_eq!(world.carrier(carrier).seen().len(), 0, "{carrier}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_landline_that_missed_its_call_is_called_again_when_the_person_presses_again() {
    let world = World::new().await;
    let body = json!({"to": "+81312340011", "purpose": "login"});
    world.carrier("kodama").always(Script { person: Person::NobodyAnswers, ..Script::works() });
    let id = world.ask(body.clone()).await;
    world.until_status(&id, "failed").await;
    world.wait_ms(30_000).await;
    world.carrier("kodama").always(Script::works());
    let again = world.post("/v1/verifications", body).await;
    let said = (again.body["id"].as_str(), &again.body["joined"], again.body["status"].as_str());
    assert_eq!(said, (Some(id.as_str()), &json!(true), Some("sending")));
    world.until_status(&id, "delivered").await;
    assert_eq!(world.carrier("kodama").seen().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_called_unasked_where_the_request_said_never() {
    let world = World::new().await;
    world.carrier("sakura").always(Script::fails_later(Class::RecipientBlocked));
    let id = world.ask(json!({"to": PHONE, "purpose": "login", "voice": "never"})).await;
    world.until_status(&id, "failed").await;
    world.wait_ms(30_000).await;
    assert_eq!(resend(&world, &id, json!({})).await.body["leg"], json!(false));
    world.wait_ms(60_000).await;
    assert_eq!(world.carrier("kodama").seen().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_receipt_that_says_delivered_where_nothing_arrived_is_healed_by_a_resend() {
    let world = World::new().await;
    world.carrier("sakura").always(Script { arrives: false, ..Script::works() });
    let id = delivered(&world).await;
    assert_eq!(world.phone(PHONE).texts.len(), 0);
    world.wait_ms(20_000).await;
    resend(&world, &id, json!({})).await;
    world.until(&id, |message| legs(message).last() == Some(&leg("sms", "fuji", "delivered"))).await;
    let code = world.phone(PHONE).code().expect("the other route brought it");
    assert_eq!(world.check(&id, &code).await.body["status"], "verified");
}

#[tokio::test(start_paused = true)]
async fn nothing_more_comes_after_a_cancel_and_the_code_is_void() {
    let world = World::new().await;
    world.carrier("sakura").always(Script::silent());
    let id = world.ask_for_code(PHONE).await;
    world.until_status(&id, "submitted").await;
    let code = world.phone(PHONE).code().expect("the text arrived");
    let path = format!("/v1/verifications/{id}/cancel");
    assert_eq!(world.post(&path, json!({})).await.body["status"], "cancelled");
    assert_eq!(world.post(&path, json!({})).await.body["status"], "cancelled", "twice is harmless");
    assert_eq!(world.check(&id, &code).await.body["status"], "cancelled");
    assert_eq!(resend(&world, &id, json!({})).await.status, 409);
    world.wait_ms(400_000).await;
    let phone = world.phone(PHONE);
    assert_eq!((phone.texts.len(), phone.calls.len()), (1, 0));
}

/// The text arrived though its receipt says it did not: the call that follows rings while the code is typed.
async fn called_while_typing(world: &World) -> (String, String) {
    world.carrier("sakura").always(Script { arrives: true, ..Script::fails_later(Class::RecipientBlocked) });
    let id = world.ask_for_code(PHONE).await;
    world.until(&id, |message| legs(message).last() == Some(&leg("voice", "kodama", "submitted"))).await;
    (id, world.phone(PHONE).code().expect("the text arrived"))
}

#[tokio::test(start_paused = true)]
async fn the_right_code_hangs_up_a_call_that_is_still_ringing() {
    let world = World::new().await;
    let (id, code) = called_while_typing(&world).await;
    assert_eq!(world.check(&id, &code).await.body["status"], "verified");
    world.wait_ms(10_000).await;
    assert_eq!(world.carrier("kodama").hung_up().len(), 1);
    assert_eq!(world.phone(PHONE).calls.len(), 0);
    let message = world.message(&id).await;
    assert_eq!(legs(&message).last(), Some(&leg("voice", "kodama", "cancelled")));
    assert!(message["legs"][1]["ended_at"].is_string(), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_call_answered_after_verification_says_goodbye_without_the_code() {
    let world = World::new().await;
    world.carrier("kodama").ignore_hang_ups();
    let (id, code) = called_while_typing(&world).await;
    assert_eq!(world.check(&id, &code).await.body["status"], "verified");
    world.wait_ms(10_000).await;
    let calls = world.phone(PHONE).calls;
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].heard.len(), 1, "it says goodbye at once: {:?}", calls[0].heard);
    assert!(!calls[0].heard[0].contains(|c: char| c.is_ascii_digit()));
}

#[tokio::test(start_paused = true)]
async fn never_more_than_four_texts_and_two_calls_whatever_is_asked() {
    let world = World::new().await;
    for carrier in ["sakura", "fuji", "atlas"] {
        world.carrier(carrier).always(Script::silent());
    }
    world.carrier("kodama").always(Script { person: Person::NobodyAnswers, ..Script::works() });
    let id = world.ask(json!({"to": PHONE, "purpose": "login", "ttl_seconds": 1_800})).await;
    for _ in 0..60 {
        world.wait_ms(25_000).await;
        for channel in ["sms", "voice"] {
            resend(&world, &id, json!({"channel": channel})).await;
        }
    }
    let texts: usize = ["sakura", "fuji", "atlas"].iter().map(|carrier| world.carrier(carrier).seen().len()).sum();
    assert!(texts <= 4, "{texts} texts");
    assert!(world.carrier("kodama").seen().len() <= 2);
}
