//! The themes of the behaviour suite that depend on what lies below: joining, guessing, cancelling, texts without a code.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::caller::{Caller, legs};
use crate::claims;
use crate::stand::Stand;

const PARALLEL_GUESSES: usize = 1_000;
const PARALLEL_REQUESTS: usize = 50;
const GUESSES: usize = 5;

claims![
    a_request_repeated_at_once_is_one_message,
    a_key_means_one_request_and_no_other,
    a_thousand_wrong_guesses_at_once_are_worth_five,
    a_cancelled_message_calls_nobody,
    a_text_without_a_code_ends_when_it_is_delivered,
];

async fn a_request_repeated_at_once_is_one_message(stand: &Stand) {
    let number = "+819012341701";
    let mut crowd = JoinSet::new();
    for _ in 0..PARALLEL_REQUESTS {
        let caller = stand.caller.clone();
        let body = json!({ "to": number, "purpose": "login", "ttl_seconds": 60 });
        crowd.spawn(async move { caller.post("/v1/verifications", &body).await });
    }
    let answers = crowd.join_all().await;
    assert!(answers.iter().all(|answer| answer.status == 202), "{answers:?}");
    let ids: BTreeSet<String> = answers.iter().map(|answer| answer.json()["id"].to_string()).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    let joined = answers.iter().filter(|answer| answer.json()["joined"] == true).count();
    assert_eq!(joined, PARALLEL_REQUESTS - 1);
}

async fn a_key_means_one_request_and_no_other(stand: &Stand) {
    let ask = async |body: &Value| {
        let key = [("idempotency-key", "themes-1")];
        stand.caller.ask(Method::POST, "/v1/verifications", &body.to_string(), &key).await
    };
    let body = json!({ "to": "+819012341702", "purpose": "login", "ttl_seconds": 60 });
    let (first, again) = (ask(&body).await, ask(&body).await);
    assert_eq!((first.status, &first.json()["id"]), (202, &again.json()["id"]), "{first:?} {again:?}");
    let other = ask(&json!({ "to": "+819012341703", "purpose": "login", "ttl_seconds": 60 })).await;
    assert_eq!((other.status, &other.json()["code"]), (409, &json!("key_reused")), "{other:?}");
}

/// Another code of as many digits.
fn wrong(code: &str) -> String {
    let last = code.chars().last().and_then(|digit| digit.to_digit(10)).expect("a code is digits");
    format!("{}{}", &code[..code.len() - 1], (last + 1) % 10)
}

async fn received(caller: &Caller, number: &str) -> (String, String) {
    let id = caller.send(number, json!({})).await;
    caller.until_status(&id, "delivered").await;
    let code = caller.handset(number).await.texts[0].code();
    (id, code)
}

async fn a_thousand_wrong_guesses_at_once_are_worth_five(stand: &Stand) {
    let (id, code) = received(&stand.caller, "+819012341704").await;
    let mut crowd = JoinSet::new();
    for _ in 0..PARALLEL_GUESSES {
        let (caller, id, wrong) = (stand.caller.clone(), id.clone(), wrong(&code));
        crowd.spawn(async move { caller.check(&id, &wrong).await });
    }
    let answers = crowd.join_all().await;
    let compared = answers.iter().filter(|status| *status == "wrong_code").count();
    assert!((1..=GUESSES).contains(&compared), "{compared} were compared");
    // Those who raced for the last guesses may all have found none left; one more wrong one ends it for sure.
    for _ in 0..GUESSES {
        stand.caller.check(&id, &wrong(&code)).await;
    }
    assert_eq!(stand.caller.check(&id, &code).await, "too_many_guesses");
    let message = stand.caller.message(&id).await;
    assert_eq!(message["failure"]["reason"], "guessed_out", "{message:#}");
}

async fn a_cancelled_message_calls_nobody(stand: &Stand) {
    let (caller, number) = (&stand.caller, "+819012340005");
    let calls = caller.handset(number).await.calls.len();
    let separate = || json!({ "separate": true });
    let id = caller.send(number, separate()).await;
    // Switched off: two carriers said so, and a late call is to come.
    let refused = |message: &Value| legs(message).len() == 2 && legs(message).iter().all(|leg| leg.2 == "refused");
    caller.until(&id, "both texts are refused", refused).await;
    let cancelled = caller.post(&format!("/v1/verifications/{id}/cancel"), &json!({})).await;
    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    // Asked for later: its call comes after the one that was cancelled would have.
    let later = caller.send(number, separate()).await;
    caller.until_status(&later, "failed").await;
    let message = caller.message(&id).await;
    assert_eq!((&message["status"], legs(&message).len()), (&json!("cancelled"), 2), "{}", caller.story(&id).await);
    assert_eq!(caller.handset(number).await.calls.len(), calls + 1, "only the later one called");
}

async fn a_text_without_a_code_ends_when_it_is_delivered(stand: &Stand) {
    let (number, text) = ("+819012341705", "The door opens at 9");
    let body = json!({ "to": number, "text": text, "purpose": "notice" });
    let answer = stand.caller.post("/v1/messages", &body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let id = answer.json()["id"].as_str().expect("an id").to_owned();
    let message = async || {
        let message = stand.caller.get(&format!("/v1/messages/{id}")).await.json();
        Some(message).filter(|message| message["status"] == "delivered")
    };
    crate::until::until("the text is delivered", message, async || stand.caller.story(&id).await).await;
    let phone = stand.caller.handset(number).await;
    assert_eq!(phone.texts.iter().map(|text| text.text.as_str()).collect::<Vec<_>>(), [text]);
}
