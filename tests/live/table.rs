//! The phones of the sandbox: each row of their table asked for over HTTP, watched to its end, and read from the phone.
//! Whoever includes this says, by the macro `claims`, in which house.

use serde_json::{Value, json};

use crate::caller::{Caller, legs};
use crate::claims;
use crate::stand::Stand;
use crate::until::until;

const FIRST: &str = "sakura";
const SECOND: &str = "fuji";

claims![
    row_0001_is_delivered_by_the_first_domestic_route,
    row_0002_refuses_the_text_and_hears_the_call,
    row_0003_fails_with_guidance_after_one_call_that_does_not_connect,
    row_0004_is_delivered_while_a_domestic_route_is_up,
    row_0005_is_absent_twice_then_called_late_then_failed,
    row_0006_gets_a_second_text_and_then_a_call_unless_it_verifies_in_between,
    row_0007_ends_delivered_with_one_code_though_the_connection_died,
    row_0008_is_delivered_once_though_its_receipts_come_in_disorder,
    row_0009_arrives_by_another_route_when_it_is_sent_again,
    row_0010_goes_by_the_next_domestic_route_when_the_first_is_full,
    row_0012_never_tells_a_voicemail_the_code,
    a_landline_gets_no_text_and_one_call,
];

fn text(provider: &str, outcome: &str) -> (String, String, String) {
    ("sms".to_owned(), provider.to_owned(), outcome.to_owned())
}

fn call(outcome: &str) -> (String, String, String) {
    ("voice".to_owned(), "kodama".to_owned(), outcome.to_owned())
}

/// One text by this provider arrived, no call came, and the code in the text verifies.
async fn arrives_by(caller: &Caller, number: &str, id: &str, provider: &str) {
    let phone = caller.handset(number).await;
    assert_eq!(phone.texts.len(), 1, "{phone:?}");
    assert_eq!(phone.texts[0].provider, provider);
    assert!(phone.calls.is_empty(), "{phone:?}");
    assert_eq!(caller.check(id, &phone.texts[0].code()).await, "verified");
    assert_eq!(caller.message(id).await["status"], "verified");
}

/// No text arrived, one call was answered by a person, and the code it read out verifies.
async fn heard_by_a_person(caller: &Caller, number: &str, id: &str) {
    let phone =
        caller.until_phone((number, id), "the call is over", |phone| phone.calls[0].status == "completed").await;
    assert!(phone.texts.is_empty(), "{phone:?}");
    assert_eq!(phone.calls.len(), 1, "{phone:?}");
    assert_eq!(phone.calls[0].answered_by.as_deref(), Some("person"));
    let code = phone.calls[0].code().expect("the call reads the code out");
    assert_eq!(caller.check(id, &code).await, "verified");
}

fn assert_guided(message: &Value) {
    let guidance = message["failure"]["guidance"].as_str().unwrap_or_default();
    assert!(!guidance.is_empty(), "{message:#}");
}

async fn row_0001_is_delivered_by_the_first_domestic_route(stand: &Stand) {
    let caller = &stand.caller;
    let id = caller.send("+819012340001", json!({})).await;
    let message = caller.until_status(&id, "delivered").await;
    assert_eq!(legs(&message), [text(FIRST, "delivered")]);
    arrives_by(caller, "+819012340001", &id, FIRST).await;
}

async fn row_0002_refuses_the_text_and_hears_the_call(stand: &Stand) {
    let caller = &stand.caller;
    let id = caller.send("+819012340002", json!({})).await;
    let message = caller.until_status(&id, "delivered").await;
    assert_eq!(legs(&message), [text(FIRST, "refused"), call("delivered")]);
    heard_by_a_person(caller, "+819012340002", &id).await;
}

async fn row_0003_fails_with_guidance_after_one_call_that_does_not_connect(stand: &Stand) {
    let caller = &stand.caller;
    let id = caller.send("+819012340003", json!({})).await;
    let message = caller.until_status(&id, "failed").await;
    assert_eq!(legs(&message), [text(FIRST, "refused"), call("refused")]);
    assert_guided(&message);
    let phone = caller.handset("+819012340003").await;
    assert!(phone.texts.is_empty(), "{phone:?}");
    assert_eq!(phone.calls.len(), 1, "{phone:?}");
    assert_eq!((phone.calls[0].status.as_str(), &phone.calls[0].answered_by), ("failed", &None));
}

async fn row_0004_is_delivered_while_a_domestic_route_is_up(stand: &Stand) {
    let caller = &stand.caller;
    let id = caller.send("+819012340004", json!({})).await;
    let message = caller.until_status(&id, "delivered").await;
    assert_eq!(legs(&message), [text(FIRST, "delivered")]);
    arrives_by(caller, "+819012340004", &id, FIRST).await;
}

async fn row_0005_is_absent_twice_then_called_late_then_failed(stand: &Stand) {
    let caller = &stand.caller;
    let id = caller.send("+819012340005", json!({})).await;
    let message = caller.until_status(&id, "failed").await;
    assert_eq!(legs(&message), [text(FIRST, "refused"), text(SECOND, "refused"), call("refused")]);
    assert_eq!(message["legs"][1]["reason"], "absent");
    assert_guided(&message);
    let phone = caller.handset("+819012340005").await;
    assert!(phone.texts.is_empty(), "{phone:?}");
    assert_eq!(phone.calls.len(), 1, "{phone:?}");
    assert_eq!(phone.calls[0].status, "no-answer");
}

async fn row_0006_gets_a_second_text_and_then_a_call_unless_it_verifies_in_between(stand: &Stand) {
    let caller = &stand.caller;
    let number = "+819012340006";
    let verified = caller.send(number, json!({})).await;
    let second_text = |message: &Value| legs(message).get(1) == Some(&text(SECOND, "submitted"));
    caller.until(&verified, "the first text is overdue and a second one goes out", second_text).await;
    let phone = caller.handset(number).await;
    assert_eq!(phone.texts.iter().map(|text| text.provider.as_str()).collect::<Vec<_>>(), [FIRST, SECOND]);
    assert_eq!(phone.texts[0].code(), phone.texts[1].code(), "it is the same code");

    assert_eq!(caller.check(&verified, &phone.texts[1].code()).await, "verified");

    // Asked for later, so that a call for the first would have come before its call.
    let unverified = caller.send(number, json!({})).await;
    assert_ne!(verified, unverified, "a verified one is not joined");

    let message = caller.until_status(&unverified, "delivered").await;
    assert_eq!(legs(&message), [text(FIRST, "overdue"), text(SECOND, "overdue"), call("delivered")]);
    let heard = |phone: &crate::handset::Handset| phone.calls.iter().any(|call| call.status == "completed");
    let phone = caller.until_phone((number, &unverified), "the call is over", heard).await;
    assert_eq!(phone.calls.len(), 1, "the verified one called nobody: {phone:?}");
    let code = phone.calls[0].code().expect("the call reads the code out");
    assert_eq!(caller.check(&unverified, &code).await, "verified");
    let message = caller.message(&verified).await;
    assert_eq!(message["status"], "verified");
    assert!(legs(&message).iter().all(|(channel, ..)| channel == "sms"), "{message:#}");
}

async fn row_0007_ends_delivered_with_one_code_though_the_connection_died(stand: &Stand) {
    let caller = &stand.caller;
    let id = caller.send("+819012340007", json!({})).await;
    caller.until_status(&id, "delivered").await;
    let story = caller.story(&id).await;
    assert!(story.contains("unknown (the connection broke before an answer)"), "{story}");
    let phone = caller.handset("+819012340007").await;
    assert!((1..=2).contains(&phone.texts.len()), "{phone:?}");
    let code = phone.texts[0].code();
    assert!(phone.texts.iter().all(|text| text.code() == code), "{phone:?}");
    if phone.texts.len() == 2 {
        assert!(story.contains("a second text may reach the person"), "the duplicate is counted: {story}");
    }
    assert!(phone.calls.is_empty(), "{phone:?}");
    assert_eq!(caller.check(&id, &code).await, "verified");
}

async fn row_0008_is_delivered_once_though_its_receipts_come_in_disorder(stand: &Stand) {
    let caller = &stand.caller;
    let id = caller.send("+819012340008", json!({})).await;
    caller.until_status(&id, "delivered").await;
    // The poke before the answer names nothing yet and proves nothing: it is not kept. The last one comes too late.
    let late = async || Some(caller.story(&id).await).filter(|story| story.contains("Too late"));
    until("the later receipt comes as well", late, async || caller.story(&id).await).await;
    let message = caller.message(&id).await;
    assert_eq!(legs(&message), [text(FIRST, "delivered")]);
    arrives_by(caller, "+819012340008", &id, FIRST).await;
}

async fn row_0009_arrives_by_another_route_when_it_is_sent_again(stand: &Stand) {
    let caller = &stand.caller;
    let id = caller.send("+819012340009", json!({})).await;
    let message = caller.until_status(&id, "delivered").await;
    assert_eq!(legs(&message), [text(FIRST, "delivered")]);
    assert!(caller.handset("+819012340009").await.texts.is_empty(), "the receipt lied");

    let resend = format!("/v1/verifications/{id}/resend");
    let early = caller.post(&resend, &json!({})).await;
    assert_eq!((early.status, &early.json()["code"]), (429, &json!("too_soon")), "{}", early.text);
    let again = async || Some(caller.post(&resend, &json!({})).await).filter(|answer| answer.status == 202);
    let again = until("the cool-down is over", again, async || caller.story(&id).await).await;
    assert_eq!(again.json()["leg"], true, "{}", again.text);
    let two = |message: &Value| legs(message) == [text(FIRST, "delivered"), text(SECOND, "delivered")];
    caller.until(&id, "the second leg is delivered", two).await;
    arrives_by(caller, "+819012340009", &id, SECOND).await;
}

async fn row_0010_goes_by_the_next_domestic_route_when_the_first_is_full(stand: &Stand) {
    let caller = &stand.caller;
    let id = caller.send("+819012340010", json!({})).await;
    let message = caller.until_status(&id, "delivered").await;
    assert_eq!(legs(&message), [text(FIRST, "refused"), text(SECOND, "delivered")]);
    assert_eq!(message["legs"][0]["reason"], "throttled");
    arrives_by(caller, "+819012340010", &id, SECOND).await;
}

async fn row_0012_never_tells_a_voicemail_the_code(stand: &Stand) {
    let caller = &stand.caller;
    let id = caller.send("+819012340012", json!({})).await;
    let message = caller.until_status(&id, "failed").await;
    assert_eq!(legs(&message), [text(FIRST, "refused"), call("refused")]);
    assert_guided(&message);
    let phone = caller.handset("+819012340012").await;
    assert!(phone.texts.is_empty(), "{phone:?}");
    assert_eq!(phone.calls.len(), 1, "{phone:?}");
    let call = &phone.calls[0];
    assert_eq!((call.provider.as_str(), call.answered_by.as_deref()), ("kodama", Some("voicemail")));
    assert!(call.transcript.contains("[a recorded tone"), "{call:?}");
    assert_eq!(call.code(), None);
    let press = call.transcript.chars().find(char::is_ascii_digit).expect("the announcement names a digit");
    let spoken = call.transcript.chars().filter(|letter| letter.is_numeric() && *letter != press).count();
    assert!(spoken <= 1, "only the digit to press, and that of the tone: {call:?}");
}

async fn a_landline_gets_no_text_and_one_call(stand: &Stand) {
    let caller = &stand.caller;
    let id = caller.send("+81312340011", json!({})).await;
    let message = caller.until_status(&id, "delivered").await;
    assert_eq!(legs(&message), [call("delivered")]);
    heard_by_a_person(caller, "+81312340011", &id).await;
}
