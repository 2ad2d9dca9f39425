//! The check: words for every standing, guesses paid before they are compared, payments bound to amount and payee.

use std::collections::BTreeMap;

use otodoke_common::config::TenantSettings;
use otodoke_common::desk::Routing;
use otodoke_common::leg::Channel;
use otodoke_common::lifecycle::{Event, Verdict};
use otodoke_common::message::MessageId;
use otodoke_common::outcome::Reason;
use otodoke_common::time::{DAY_MS, Timestamp};
use serde_json::{Value, json};

use super::bed::{Bed, NUMBER, OTHER_NUMBER, Reply, advance_ms, payment, tenant, transaction};

#[track_caller]
fn said(reply: &Reply, status: &str, verified: bool, guesses_left: u8) {
    assert_eq!(reply.status.as_u16(), 200, "{}", reply.text);
    assert_eq!(reply.json(), json!({"status": status, "verified": verified, "guesses_left": guesses_left}));
}

async fn sent_payment(bed: &Bed) -> MessageId {
    let id = bed.post("/v1/verifications", &payment("12000")).await.accepted();
    bed.begin(id, Channel::Sms).await;
    id
}

async fn check_with(bed: &Bed, id: MessageId, body: &Value) -> Reply {
    bed.post(&format!("/v1/verifications/{id}/check"), body).await
}

#[tokio::test(start_paused = true)]
async fn the_right_code_verifies_once() {
    let bed = Bed::new().await;
    let id = bed.sent_login().await;
    let code = bed.code(id).await;
    said(&bed.check(id, &code).await, "verified", true, 4);
    said(&bed.check(id, &code).await, "already_verified", false, 4);
    assert_eq!(bed.load(id).await.status(), "verified");
}

#[tokio::test(start_paused = true)]
async fn the_same_key_repeats_verified_for_a_minute() {
    let bed = Bed::new().await;
    let id = bed.sent_login().await;
    let (path, body) = (format!("/v1/verifications/{id}/check"), json!({"code": bed.code(id).await}));
    let (mine, other) = ([("idempotency-key", "check-1")], [("idempotency-key", "check-2")]);
    said(&bed.post_with(&path, &body, &mine).await, "verified", true, 4);
    advance_ms(59_999).await;
    said(&bed.post_with(&path, &body, &mine).await, "verified", true, 4);
    said(&bed.post_with(&path, &body, &other).await, "already_verified", false, 4);
    said(&bed.post_with(&path, &body, &[]).await, "already_verified", false, 4);
    advance_ms(1).await;
    said(&bed.post_with(&path, &body, &mine).await, "already_verified", false, 4);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_verified_verifies_nothing_but_the_right_code() {
    let bed = Bed::new().await;
    let id = bed.sent_login().await;
    let (path, key) = (format!("/v1/verifications/{id}/check"), [("idempotency-key", "check-1")]);
    let (right, wrong) = (json!({"code": bed.code(id).await}), json!({"code": bed.wrong_code(id).await}));
    said(&bed.post_with(&path, &right, &key).await, "verified", true, 4);
    said(&bed.post_with(&path, &wrong, &key).await, "already_verified", false, 4);
    let elsewhere = json!({"code": bed.code(id).await, "to": OTHER_NUMBER});
    said(&bed.post_with(&path, &elsewhere, &key).await, "already_verified", false, 4);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_verified_tries_no_more_codes_than_the_number_has_guesses() {
    let bed = Bed::new().await;
    let id = bed.sent_login().await;
    let (path, key) = (format!("/v1/verifications/{id}/check"), [("idempotency-key", "check-1")]);
    let (right, wrong) = (json!({"code": bed.code(id).await}), json!({"code": bed.wrong_code(id).await}));
    said(&bed.post_with(&path, &right, &key).await, "verified", true, 4);
    let guesses = bed.door.desk.policy.guesses_per_number;
    for _ in 0..guesses - 1 {
        said(&bed.post_with(&path, &wrong, &key).await, "already_verified", false, 4);
    }
    said(&bed.post_with(&path, &right, &key).await, "verified", true, 4);
    for _ in 0..guesses {
        said(&bed.post_with(&path, &wrong, &key).await, "already_verified", false, 4);
    }
    said(&bed.post_with(&path, &right, &key).await, "already_verified", false, 4);
}

#[tokio::test(start_paused = true)]
async fn a_code_whose_root_is_not_known_here_is_neither_right_nor_wrong() {
    let mut bed = Bed::new().await;
    let id = bed.sent_login().await;
    let code = bed.code(id).await;
    bed.forget_roots().await;
    let reply = bed.check(id, &code).await;
    assert_eq!(reply.problem().0, 503, "another door knows it: {}", reply.text);
    let message = bed.load(id).await;
    assert!(message.is_live() && message.guesses_left == 5, "it lives on, and nobody paid");
}

#[tokio::test(start_paused = true)]
async fn a_door_that_has_not_seen_which_roots_are_revoked_judges_and_accepts_no_code() {
    let mut bed = Bed::new().await;
    let id = bed.sent_login().await;
    let code = bed.code(id).await;
    bed.revoke_root().await;
    bed.start_anew_unlooked();
    assert_eq!(bed.check(id, &code).await.problem().0, 503, "a root that leaked verifies nothing meanwhile");
    let accepted = bed.post("/v1/verifications", &json!({"to": NUMBER, "purpose": "login", "separate": true})).await;
    assert_eq!(accepted.problem().0, 503, "{}", accepted.text);
    assert!(bed.get("/readyz").await.text.contains("not looked up yet"));
    bed.door.codes.look(&*bed.door.desk.store).await.expect("memory answers");
    said(&bed.check(id, &code).await, "expired", false, 5);
}

#[tokio::test(start_paused = true)]
async fn a_code_whose_root_was_revoked_ends_at_the_check() {
    let bed = Bed::new().await;
    let id = bed.sent_login().await;
    let code = bed.code(id).await;
    bed.revoke_root().await;
    for _ in 0..2 {
        said(&bed.check(id, &code).await, "expired", false, 5);
    }
    let message = bed.load(id).await;
    assert_eq!((message.status(), message.failure()), ("failed", Some(Reason::Revoked)));
}

#[tokio::test(start_paused = true)]
async fn a_code_is_taken_as_people_type_it() {
    let bed = Bed::new().await;
    let id = bed.sent_login().await;
    let code = bed.code(id).await;
    let wide: String =
        code.chars().map(|digit| char::from_u32(u32::from(digit) + 0xfee0).expect("a wide digit")).collect();
    let (half, rest) = wide.split_at(wide.len() / 2);
    said(&bed.check(id, &format!(" {half}　{rest}\n")).await, "verified", true, 4);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_code_costs_a_guess_and_the_fifth_ends_it() {
    let bed = Bed::new().await;
    let id = bed.sent_login().await;
    let (code, wrong) = (bed.code(id).await, bed.wrong_code(id).await);
    for left in (0..5).rev() {
        said(&bed.check(id, &wrong).await, "wrong_code", false, left);
    }
    said(&bed.check(id, &code).await, "too_many_guesses", false, 0);
    assert_eq!(bed.load(id).await.status(), "failed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_thousand_parallel_wrong_checks_five_are_compared() {
    let bed = Bed::new().await;
    let id = bed.sent_login().await;
    let (code, wrong) = (bed.code(id).await, bed.wrong_code(id).await);
    let mut checks = tokio::task::JoinSet::new();
    for _ in 0..1_000 {
        let (router, key, wrong) = (bed.router.clone(), bed.key.clone(), wrong.clone());
        checks.spawn(async move {
            let request = axum::http::Request::post(format!("/v1/verifications/{id}/check"))
                .header("authorization", key)
                .header("content-type", "application/json")
                .body(axum::body::Body::from(json!({"code": wrong}).to_string()))
                .expect("a request");
            let response = tower::ServiceExt::oneshot(router, request).await.expect("the router always answers");
            let bytes = axum::body::to_bytes(response.into_body(), 4_096).await.expect("a body");
            let body: Value = serde_json::from_slice(&bytes).expect("JSON");
            body["status"].as_str().expect("a check's own answer, not a refusal").to_owned()
        });
    }
    let mut said: BTreeMap<String, usize> = BTreeMap::new();
    while let Some(status) = checks.join_next().await {
        *said.entry(status.expect("no check panics")).or_default() += 1;
    }
    let compared = said.get("wrong_code").copied().unwrap_or(0);
    assert!((1..=5).contains(&compared), "{said:?}");
    assert_eq!(compared + said["too_many_guesses"], 1_000, "{said:?}");
    self::said(&bed.check(id, &code).await, "too_many_guesses", false, 0);
    let journal = bed.door.desk.store.journal(id).await.expect("the store");
    let guessed = journal.iter().filter(|line| matches!(line.note, otodoke_common::lifecycle::Note::Guessed { .. }));
    assert!(guessed.count() <= 5);
}

#[tokio::test(start_paused = true)]
async fn ten_wrong_guesses_a_day_close_a_number_and_the_right_code_opens_it_again() {
    let bed = Bed::new().await;
    let ids = three_of_one_number(&bed).await;
    for id in &ids[..2] {
        let wrong = bed.wrong_code(*id).await;
        for _ in 0..4 {
            said_wrong(&bed.check(*id, &wrong).await);
        }
    }
    let wrong = bed.wrong_code(ids[2]).await;
    said_wrong(&bed.check(ids[2], &wrong).await);
    let code = bed.code(ids[0]).await;
    said(&bed.check(ids[0], &code).await, "verified", true, 0);
    for _ in 0..3 {
        said_wrong(&bed.check(ids[2], &wrong).await);
    }
    let code = bed.code(ids[2]).await;
    said(&bed.check(ids[2], &code).await, "verified", true, 0);
}

/// Each with a text on its way.
async fn three_of_one_number(bed: &Bed) -> Vec<MessageId> {
    let separate = json!({"to": NUMBER, "purpose": "login", "separate": true});
    let mut ids = Vec::new();
    for _ in 0..3 {
        let id = bed.post("/v1/verifications", &separate).await.accepted();
        bed.begin(id, Channel::Sms).await;
        ids.push(id);
    }
    ids
}

fn said_wrong(reply: &Reply) {
    assert_eq!(reply.word("status"), "wrong_code", "{}", reply.text);
}

#[tokio::test(start_paused = true)]
async fn a_number_over_its_guesses_is_refused_without_a_comparison() {
    let bed = Bed::new().await;
    let ids = three_of_one_number(&bed).await;
    for id in &ids[..2] {
        let wrong = bed.wrong_code(*id).await;
        for _ in 0..5 {
            said_wrong(&bed.check(*id, &wrong).await);
        }
    }
    let code = bed.code(ids[2]).await;
    let refused = bed.check(ids[2], &code).await;
    assert_eq!((refused.word("status"), &refused.json()["guesses_left"]), ("too_many_guesses".to_owned(), &json!(0)));
    let next = Timestamp::parse_rfc3339(&refused.word("next_guess_at")).expect("a time");
    assert!(
        next > bed.door.now().plus_ms(DAY_MS - 200_000) && next <= bed.door.now().plus_ms(DAY_MS),
        "{}",
        refused.text
    );
    let counted = "otp_guard_decisions_total{action=\"refused\",country=\"JP\",rule=\"guesses_per_number\"} 1";
    assert!(bed.door.desk.metrics.text().contains(counted));
    advance_ms(200_000).await;
    assert_eq!(bed.load(ids[2]).await.guesses_left, 5, "what cannot be paid costs nothing");
}

#[tokio::test(start_paused = true)]
async fn before_the_first_leg_nothing_is_compared() {
    let bed = Bed::new().await;
    let id = bed.login().await;
    let code = bed.code(id).await;
    said(&bed.check(id, &code).await, "not_sent_yet", false, 5);
}

#[tokio::test(start_paused = true)]
async fn after_the_end_the_end_is_said() {
    let bed = Bed::new().await;
    let cancelled = bed.sent_login().await;
    bed.post(&format!("/v1/verifications/{cancelled}/cancel"), &json!({})).await;
    let code = bed.code(cancelled).await;
    said(&bed.check(cancelled, &code).await, "cancelled", false, 5);
    let expired = bed.sent_login().await;
    let code = bed.code(expired).await;
    advance_ms(300_000).await;
    said(&bed.check(expired, &code).await, "expired", false, 5);
}

#[tokio::test(start_paused = true)]
async fn a_guess_of_the_wrong_form_costs_nothing() {
    let bed = Bed::new().await;
    let id = bed.sent_login().await;
    for code in ["", "12345", "12345678901", "12345a", "１２３４５", "12-34-56", &format!("{}123456", " ".repeat(40))]
    {
        let reply = bed.check(id, code).await;
        assert_eq!(reply.problem(), (422, "invalid_field".to_owned(), Some("code".to_owned())), "{code}");
    }
    let reply = check_with(&bed, id, &json!({"code": 123_456})).await;
    assert_eq!(reply.problem(), (422, "invalid_field".to_owned(), Some("code".to_owned())));
    assert_eq!(bed.load(id).await.guesses_left, 5);
}

#[tokio::test(start_paused = true)]
async fn a_payment_is_checked_against_what_the_caller_says_it_is() {
    let bed = Bed::new().await;
    let id = sent_payment(&bed).await;
    let code = bed.code(id).await;
    for (body, field) in [
        (json!({"code": code, "transaction": transaction("12000")}), "to"),
        (json!({"code": code, "to": NUMBER}), "transaction"),
    ] {
        let reply = check_with(&bed, id, &body).await;
        assert_eq!(reply.problem(), (422, "missing_field".to_owned(), Some(field.to_owned())));
    }
    let body = json!({"code": code, "to": "090-1234-5678", "transaction": transaction("12000")});
    said(&check_with(&bed, id, &body).await, "verified", true, 4);
}

#[tokio::test(start_paused = true)]
async fn another_number_is_a_wrong_code() {
    let bed = Bed::new().await;
    let id = sent_payment(&bed).await;
    let code = bed.code(id).await;
    let body = json!({"code": code, "to": OTHER_NUMBER, "transaction": transaction("12000")});
    said(&check_with(&bed, id, &body).await, "wrong_code", false, 4);
}

#[tokio::test(start_paused = true)]
async fn a_changed_transaction_ends_the_message_even_with_the_right_code() {
    for changed in [
        transaction("12001"),
        json!({"amount": "12000", "currency": "USD", "payee": {"name": "YAMADA TARO", "account": "1234567"}}),
        json!({"amount": "12000", "currency": "JPY", "payee": {"name": "YAMADA JIRO", "account": "1234567"}}),
        json!({"amount": "12000", "currency": "JPY", "payee": {"name": "YAMADA TARO", "account": "1234568"}}),
    ] {
        let bed = Bed::new().await;
        let id = sent_payment(&bed).await;
        let code = bed.code(id).await;
        let body = json!({"code": code, "to": NUMBER, "transaction": changed});
        said(&check_with(&bed, id, &body).await, "transaction_changed", false, 4);
        let body = json!({"code": code, "to": NUMBER, "transaction": transaction("12000")});
        said(&check_with(&bed, id, &body).await, "transaction_changed", false, 4);
        assert_eq!(bed.load(id).await.status(), "failed");
    }
}

#[tokio::test(start_paused = true)]
async fn a_tenant_may_require_the_number_of_every_check() {
    let settings = TenantSettings { require_to: true, ..TenantSettings::default() };
    let bed = Bed::with(|door| door.tenants = tenant(settings)).await;
    let id = bed.sent_login().await;
    let code = bed.code(id).await;
    assert_eq!(bed.check(id, &code).await.problem(), (422, "missing_field".to_owned(), Some("to".to_owned())));
    said(&check_with(&bed, id, &json!({"code": code, "to": NUMBER})).await, "verified", true, 4);
}

#[tokio::test(start_paused = true)]
async fn a_transaction_belongs_to_payments_only() {
    let bed = Bed::new().await;
    let id = bed.sent_login().await;
    let reply = check_with(&bed, id, &json!({"code": "123456", "transaction": transaction("1")})).await;
    assert_eq!(reply.problem(), (422, "field_not_allowed".to_owned(), Some("transaction".to_owned())));
}

/// Pays for every guess of a message and judges all but the last, as a door does that is killed in the middle.
async fn pay_and_die(bed: &Bed, id: MessageId) {
    let events = [vec![Event::GuessPaid; 5], vec![Event::Guessed { verdict: Verdict::Wrong, key: None }; 4]];
    for event in events.concat() {
        bed.door.desk.apply(id, &event, &Routing::ELSEWHERE, &[]).await.expect("the store");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_last_guess_was_never_judged_ends_and_a_new_one_can_be_opened() {
    let bed = Bed::new().await;
    let id = bed.sent_login().await;
    pay_and_die(&bed, id).await;
    let code = bed.code(id).await;
    said(&bed.check(id, &code).await, "too_many_guesses", false, 0);
    assert_eq!(bed.load(id).await.status(), "submitted", "the last guess may still be judged");
    advance_ms(20_000).await;
    said(&bed.check(id, &code).await, "too_many_guesses", false, 0);
    assert_eq!(bed.load(id).await.failure(), Some(Reason::GuessedOut));
    assert_ne!(bed.login().await, id);
}

#[tokio::test(start_paused = true)]
async fn nobody_joins_a_message_whose_last_guess_was_never_judged() {
    let bed = Bed::new().await;
    let id = bed.sent_login().await;
    advance_ms(100).await;
    pay_and_die(&bed, id).await;
    advance_ms(20_000).await;
    let asked = bed.post("/v1/verifications", &json!({"to": NUMBER, "purpose": "login"})).await;
    assert_ne!(asked.accepted(), id);
    assert_eq!(asked.json()["joined"], json!(false));
    assert_eq!(bed.load(id).await.failure(), Some(Reason::GuessedOut));
}
