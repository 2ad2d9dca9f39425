//! Resend and cancel.

use otodoke_common::broker::Queue;
use otodoke_common::desk::Routing;
use otodoke_common::leg::Channel;
use otodoke_common::lifecycle::{Choice, Event};
use otodoke_common::message::{Lane, Message, Want};
use otodoke_common::outcome::{Class, Proof, Reason, Refusal, ReportStatus, Scope};
use serde_json::{Value, json};

use super::bed::{Bed, NUMBER, Reply, advance_ms};

async fn resend(bed: &Bed, id: otodoke_common::message::MessageId, body: &Value) -> Reply {
    bed.post(&format!("/v1/verifications/{id}/resend"), body).await
}

#[tokio::test(start_paused = true)]
async fn a_resend_waits_for_its_cool_down_then_wakes_a_leg() {
    let bed = Bed::new().await;
    let id = bed.sent_login().await;
    bed.taken(Queue::Lane(Lane::Normal)).await;
    let early = resend(&bed, id, &json!({})).await;
    assert_eq!(early.problem(), (429, "too_soon".to_owned(), None));
    assert_eq!(early.header("retry-after"), Some("20"));
    advance_ms(20_000).await;
    let code = bed.code(id).await;
    let reply = resend(&bed, id, &json!({"channel": "sms"})).await;
    assert_eq!(reply.status.as_u16(), 202, "{}", reply.text);
    assert_eq!(reply.json(), json!({"leg": true, "next_resend_at": bed.door.now().plus_ms(40_000).rfc3339()}));
    assert_eq!(Bed::woken(&bed.taken(Queue::Lane(Lane::Normal)).await), id);
    assert_eq!(bed.code(id).await, code, "the same code");
}

#[tokio::test(start_paused = true)]
async fn a_resend_needs_no_body() {
    let bed = Bed::new().await;
    let id = bed.sent_login().await;
    advance_ms(20_000).await;
    let path = format!("/v1/verifications/{id}/resend");
    let headers = [("authorization", bed.key.as_str())];
    let reply = bed.raw(axum::http::Method::POST, &path, &headers, Vec::new()).await;
    assert_eq!(reply.status.as_u16(), 202, "{}", reply.text);
}

#[tokio::test(start_paused = true)]
async fn no_new_leg_begins_while_the_last_is_on_its_way() {
    let bed = Bed::new().await;
    let id = bed.login().await;
    advance_ms(20_000).await;
    bed.begin(id, Channel::Sms).await;
    let reply = resend(&bed, id, &json!({})).await;
    assert_eq!(reply.json()["leg"], json!(false), "{}", reply.text);
    assert_eq!(bed.load(id).await.resends, 1);
}

#[tokio::test(start_paused = true)]
async fn a_resend_that_no_route_is_left_for_promises_no_leg_and_counts_no_second_failure() {
    let bed = Bed::new().await;
    let id = bed.sent_login().await;
    let refusal = Refusal { class: Class::Content, scope: Scope::Message, code: "x".to_owned(), retry_after_ms: None };
    let status = ReportStatus::Failed(refusal);
    let nothing = Routing { choose: &|_: &Message, _: &Want| Choice::Nothing, ..Routing::ELSEWHERE };
    bed.apply(id, &Event::Receipt { leg: 1, status, proof: Proof::Signature, happened_at: None }, &nothing).await;
    assert_eq!(bed.load(id).await.status(), "failed");
    bed.taken(Queue::Lane(Lane::Normal)).await;
    let metrics = &bed.door.desk.metrics;
    let failures = || metrics.text().lines().filter(|line| line.starts_with("otp_failures_total")).collect::<String>();
    let before = failures();
    for wait_ms in [20_000, 40_000] {
        advance_ms(wait_ms).await;
        let reply = resend(&bed, id, &json!({})).await;
        assert_eq!((reply.status.as_u16(), &reply.json()["leg"]), (202, &json!(false)), "{}", reply.text);
    }
    assert_eq!(bed.waiting(Queue::Lane(Lane::Normal)), 0, "nobody is woken for nothing");
    assert!(before.contains("content"), "{before}");
    assert_eq!(failures(), before);
}

#[tokio::test(start_paused = true)]
async fn a_resend_that_would_come_too_late_is_not_promised() {
    let bed = Bed::new().await;
    let short = json!({"to": NUMBER, "purpose": "login", "ttl_seconds": 30});
    let id = bed.post("/v1/verifications", &short).await.accepted();
    bed.begin(id, Channel::Sms).await;
    advance_ms(20_000).await;
    assert_eq!(resend(&bed, id, &json!({})).await.json()["next_resend_at"], Value::Null);
    assert_eq!(bed.post("/v1/verifications", &short).await.json()["next_resend_at"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn three_resends_are_all_there_are() {
    let bed = Bed::new().await;
    let id = bed.sent_login().await;
    for wait_ms in [20_000, 40_000, 80_000] {
        advance_ms(wait_ms).await;
        assert_eq!(resend(&bed, id, &json!({})).await.status.as_u16(), 202);
    }
    advance_ms(80_000).await;
    let reply = resend(&bed, id, &json!({})).await;
    assert_eq!(reply.problem(), (429, "too_many_resends".to_owned(), None));
    assert_eq!(reply.header("retry-after"), Some("80"));
}

#[tokio::test(start_paused = true)]
async fn what_is_over_is_too_late_to_resend() {
    let bed = Bed::new().await;
    let expired = bed.sent_login().await;
    advance_ms(300_000).await;
    assert_eq!(resend(&bed, expired, &json!({})).await.problem(), (409, "too_late".to_owned(), None));
    let verified = bed.sent_login().await;
    bed.check(verified, &bed.code(verified).await).await;
    assert_eq!(resend(&bed, verified, &json!({})).await.problem(), (409, "too_late".to_owned(), None));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_can_verify_any_more_is_not_sent_again() {
    let bed = Bed::new().await;
    let id = bed.sent_login().await;
    bed.taken(Queue::Lane(Lane::Normal)).await;
    advance_ms(20_000).await;
    bed.revoke_root().await;
    for _ in 0..2 {
        assert_eq!(resend(&bed, id, &json!({})).await.problem(), (409, "too_late".to_owned(), None));
    }
    let message = bed.load(id).await;
    assert_eq!((message.failure(), message.resends), (Some(Reason::Revoked), 0));
    assert_eq!(bed.waiting(Queue::Lane(Lane::Normal)), 0, "nobody is woken for it");
}

#[tokio::test(start_paused = true)]
async fn a_call_is_asked_for_only_where_the_plan_has_calls() {
    let bed = Bed::new().await;
    let here = bed.sent_login().await;
    let body = json!({"to": "+12015550123", "purpose": "login"});
    let there = bed.post("/v1/verifications", &body).await.accepted();
    bed.begin(there, Channel::Sms).await;
    advance_ms(20_000).await;
    let voice = json!({"channel": "voice"});
    assert_eq!(resend(&bed, here, &voice).await.json()["leg"], json!(true));
    let refused = resend(&bed, there, &voice).await;
    assert_eq!(refused.problem(), (422, "voice_not_allowed".to_owned(), Some("channel".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_resend_that_cannot_be_is_refused_by_field() {
    let bed = Bed::new().await;
    let id = bed.sent_login().await;
    for (body, code, field) in
        [(json!({"channel": "fax"}), "invalid_field", "channel"), (json!({"chanel": "sms"}), "unknown_field", "chanel")]
    {
        let reply = resend(&bed, id, &body).await;
        assert_eq!(reply.problem(), (422, code.to_owned(), Some(field.to_owned())));
    }
}

#[tokio::test(start_paused = true)]
async fn cancelling_ends_it_and_may_be_repeated() {
    let bed = Bed::new().await;
    let id = bed.sent_login().await;
    let path = format!("/v1/verifications/{id}/cancel");
    for _ in 0..2 {
        let reply = bed.post(&path, &json!({})).await;
        assert_eq!(reply.status.as_u16(), 200, "{}", reply.text);
        assert_eq!(reply.json(), json!({"id": id.to_string(), "status": "cancelled"}));
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_ended_keeps_its_end_when_cancelled() {
    let bed = Bed::new().await;
    let id = bed.sent_login().await;
    bed.check(id, &bed.code(id).await).await;
    let reply = bed.post(&format!("/v1/verifications/{id}/cancel"), &json!({})).await;
    assert_eq!(reply.word("status"), "verified");
}
