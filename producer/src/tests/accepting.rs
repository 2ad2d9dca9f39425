//! Accepting: the row, the claim, the wake, and the same answer for the same request.

use axum::http::StatusCode;
use otodoke_common::broker::Queue;
use otodoke_common::config::TenantSettings;
use otodoke_common::message::{Kind, Lane, Locale, Purpose, State, Voice};
use serde_json::json;

use super::bed::{Bed, NUMBER, OTHER_NUMBER, advance_ms, payment, tenant};

#[tokio::test(start_paused = true)]
async fn an_accepted_request_is_a_row_and_a_wake_on_its_lane() {
    let bed = Bed::new().await;
    let reply = bed.post("/v1/verifications", &json!({"to": NUMBER, "purpose": "login"})).await;
    let id = reply.accepted();
    let now = bed.door.now();
    assert_eq!(
        reply.json(),
        json!({
            "id": id.to_string(), "status": "accepted", "to": "+81*******678",
            "useful_until": now.plus_ms(300_000).rfc3339(), "expected_wait_ms": 0, "joined": false,
            "next_resend_at": now.plus_ms(20_000).rfc3339(),
        })
    );
    let message = bed.load(id).await;
    assert_eq!(message.state, State::Queued);
    assert_eq!((message.purpose, message.lane, message.locale), (Purpose::Login, Lane::Normal, Locale::Ja));
    assert_eq!((message.accepted_at, message.due), (now, Some(message.useful_until)));
    assert_eq!(message.voice, Voice::OnFailure);
    assert!(matches!(&message.kind, Kind::Code { length: 6, template, domain: None, .. } if template == "default"));
    assert_eq!(Bed::woken(&bed.taken(Queue::Lane(Lane::Normal)).await), id);
}

#[tokio::test(start_paused = true)]
async fn a_wake_carries_the_trace_of_its_request_or_one_that_begins_at_the_door() {
    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let bed = Bed::new().await;
    let broken = [("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736"), ("tracestate", "a=1")];
    let twice = [("traceparent", PARENT), ("traceparent", PARENT)];
    let whole = [("traceparent", PARENT), ("tracestate", "a=1"), ("tracestate", "b=2")];
    for (headers, said) in [(&whole[..], Some("a=1,b=2")), (&broken[..], None), (&twice[..], None), (&[], None)] {
        let body = json!({"to": NUMBER, "purpose": "login", "separate": true});
        bed.post_with("/v1/verifications", &body, headers).await.accepted();
        let delivery = bed.memory.broker().take(Queue::Lane(Lane::Normal)).await.expect("a wake");
        let trace = delivery.trace.clone().expect("every request has a trace");
        assert_eq!((trace.parent() == PARENT, trace.state()), (said.is_some(), said), "{headers:?}");
        delivery.done().await.expect("memory settles");
    }
}

#[tokio::test(start_paused = true)]
async fn every_field_reaches_the_row() {
    let bed = Bed::new().await;
    let body = json!({
        "to": "090-1234-5678", "region": "JP", "purpose": "signup", "locale": "en", "code_length": 8,
        "ttl_seconds": 600, "template": "default", "domain": "Example.com", "voice": "on_unverified",
        "voice_after_seconds": 90, "separate": true, "metadata": {"order": "A-1"},
    });
    let message = bed.load(bed.post("/v1/verifications", &body).await.accepted()).await;
    let person = bed.door.desk.vault.open(&message).expect("sealed here");
    assert_eq!(person.to.as_e164(), NUMBER);
    assert_eq!(person.metadata.get("order").map(String::as_str), Some("A-1"));
    assert_eq!((message.locale, message.voice), (Locale::En, Voice::OnUnverified { after_ms: 90_000 }));
    assert_eq!(message.useful_until, message.accepted_at.plus_ms(600_000));
    let Kind::Code { length, domain, .. } = message.kind else { panic!("a code") };
    assert_eq!((length, domain.as_deref()), (8, Some("example.com")));
}

#[tokio::test(start_paused = true)]
async fn a_landline_is_accepted_where_a_call_may_reach_it() {
    let bed = Bed::new().await;
    bed.post("/v1/verifications", &json!({"to": "+81312340011", "purpose": "login"})).await.accepted();
}

#[tokio::test(start_paused = true)]
async fn purposes_go_to_their_lanes() {
    let bed = Bed::new().await;
    bed.post("/v1/verifications", &payment("12000")).await.accepted();
    bed.post("/v1/messages", &json!({"to": NUMBER, "text": "Your parcel is here."})).await.accepted();
    assert_eq!([Lane::Critical, Lane::Normal, Lane::Bulk].map(|lane| bed.waiting(Queue::Lane(lane))), [1, 0, 1]);
    let raised = TenantSettings { login_lane: Lane::Critical, ..TenantSettings::default() };
    let bed = Bed::with(|door| door.tenants = tenant(raised)).await;
    bed.login().await;
    assert_eq!(bed.waiting(Queue::Lane(Lane::Critical)), 1);
}

#[tokio::test(start_paused = true)]
async fn a_text_is_accepted_without_anything_of_a_code() {
    let bed = Bed::new().await;
    let body = json!({"to": "+12015550123", "text": "Your parcel\nis here.", "purpose": "notice", "voice": "never"});
    let reply = bed.post("/v1/messages", &body).await;
    let message = bed.load(reply.accepted()).await;
    assert_eq!((message.kind, message.locale, message.voice), (Kind::Text, Locale::En, Voice::Never));
    assert_eq!(message.useful_until, message.accepted_at.plus_ms(3_600_000));
    assert_eq!(reply.json()["next_resend_at"], json!(null));
}

#[tokio::test(start_paused = true)]
async fn the_same_key_and_body_get_the_same_answer_to_the_letter() {
    let bed = Bed::new().await;
    let key = [("idempotency-key", "order-1")];
    let body = json!({"to": NUMBER, "purpose": "login", "metadata": {"a": "1", "b": "2"}});
    let first = bed.post_with("/v1/verifications", &body, &key).await;
    let id = first.accepted();
    advance_ms(3_000).await;
    bed.begin(id, otodoke_common::leg::Channel::Sms).await;
    let written_otherwise = json!({
        "metadata": {"b": "2", "a": "1"}, "purpose": "login", "to": "+81 90-1234-5678", "ttl_seconds": 300, "region": null,
    });
    let again = bed.post_with("/v1/verifications", &written_otherwise, &key).await;
    assert_eq!((again.status, again.text), (StatusCode::ACCEPTED, first.text));
    assert_eq!(bed.load(id).await.resends, 0, "a repeat is no resend");
}

#[tokio::test(start_paused = true)]
async fn a_repeat_of_a_message_still_queued_wakes_its_lane_again() {
    let bed = Bed::new().await;
    let key = [("idempotency-key", "order-1")];
    let body = json!({"to": NUMBER, "purpose": "login"});
    let id = bed.post_with("/v1/verifications", &body, &key).await.accepted();
    bed.post_with("/v1/verifications", &body, &key).await.accepted();
    for _ in 0..2 {
        assert_eq!(Bed::woken(&bed.taken(Queue::Lane(Lane::Normal)).await), id);
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_key_with_another_body_is_a_conflict() {
    let bed = Bed::new().await;
    let key = [("idempotency-key", "order-1")];
    let body = json!({"to": NUMBER, "purpose": "login"});
    bed.post_with("/v1/verifications", &body, &key).await.accepted();
    for other in [
        json!({"to": OTHER_NUMBER, "purpose": "login"}),
        json!({"to": NUMBER, "purpose": "signup"}),
        json!({"to": NUMBER, "purpose": "login", "ttl_seconds": 301}),
        json!({"to": NUMBER, "purpose": "login", "metadata": {"a": "1"}}),
    ] {
        let reply = bed.post_with("/v1/verifications", &other, &key).await;
        assert_eq!(reply.problem(), (409, "key_reused".to_owned(), Some("Idempotency-Key".to_owned())), "{other}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_is_a_tenants_own_and_held_for_a_day() {
    let bed = Bed::new().await;
    let key = ("idempotency-key", "order-1");
    let body = json!({"to": NUMBER, "purpose": "login"});
    let first = bed.post_with("/v1/verifications", &body, &[key]).await.accepted();
    let stranger = [key, ("authorization", bed.stranger_key.as_str())];
    let theirs = bed.post_with("/v1/verifications", &body, &stranger).await.accepted();
    assert_ne!(first, theirs);
    advance_ms(24 * 3_600_000).await;
    let later = bed.post_with("/v1/verifications", &body, &[key]).await.accepted();
    assert_ne!(first, later);
}

#[tokio::test(start_paused = true)]
async fn neither_row_nor_queue_holds_number_or_payee_in_the_clear() {
    let bed = Bed::new().await;
    let id = bed.post("/v1/verifications", &payment("9876543")).await.accepted();
    let row = otodoke_common::wire::encode_row(&bed.load(id).await);
    let row = String::from_utf8_lossy(&row);
    let body = bed.taken(Queue::Lane(Lane::Critical)).await;
    let body = String::from_utf8_lossy(&body);
    let code = bed.code(id).await;
    for secret in [&NUMBER[1..], "09012345678", "YAMADA", "9876543", "1234567", code.as_str()] {
        assert!(!row.contains(secret) && !body.contains(secret), "{secret}");
    }
    assert!(!bed.door.desk.metrics.text().contains("9012345678"));
}
