//! Every refusal names its field, a stable code and a remedy, and costs nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::http::{Method, StatusCode};
use otodoke_common::broker::Queue;
use otodoke_common::config::TenantSettings;
use otodoke_common::message::{Lane, Locale, TenantId};
use otodoke_common::request::BODY_BYTES_MAX;
use otodoke_common::route::{RouteTable, TenantRoutes};
use otodoke_common::text::Templates;
use otodoke_common::throughput::{TELL_EVERY_MS, Telling, Throughput};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::bed::{Bed, NUMBER, advance_ms, payment, tenant, transaction};
use crate::hands::ACCEPTING_NORMAL_MAX;
use crate::{LaneWindows, follow_workers};

/// `base` with the entries of `change` over it; null leaves one out.
fn with(base: &Value, change: &Value) -> Value {
    let mut body = base.clone();
    for (name, value) in change.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body
}

#[track_caller]
fn expect(reply: &super::bed::Reply, status: u16, code: &str, field: Option<&str>) {
    assert_eq!(reply.problem(), (status, code.to_owned(), field.map(str::to_owned)), "{}", reply.text);
}

#[tokio::test(start_paused = true)]
async fn a_verification_that_cannot_be_is_refused_by_field() {
    let bed = Bed::new().await;
    let base = json!({"to": NUMBER, "purpose": "login"});
    let many: Value = (0..17).map(|n| (format!("k{n}"), json!("v"))).collect::<serde_json::Map<_, _>>().into();
    for (change, code, field) in [
        (json!({"to": null}), "invalid_field", "to"),
        (json!({"to": 81}), "invalid_field", "to"),
        (json!({"to": "+8190"}), "invalid_number", "to"),
        (json!({"to": "+81901234\u{0}5678"}), "invalid_field", "to"),
        (json!({"to": "090-1234-5678"}), "region_needed", "to"),
        (json!({"region": "jp"}), "invalid_field", "region"),
        (json!({"to": "+81990123456"}), "refused_number_type", "to"),
        (json!({"to": "+442079460000"}), "unsupported_country", "to"),
        (json!({"to": "+33612345678"}), "unsupported_country", "to"),
        (json!({"to": "+81312340011", "voice": "never"}), "unreachable_line", "to"),
        (json!({"purpose": "notice"}), "invalid_field", "purpose"),
        (json!({"purpose": null}), "invalid_field", "purpose"),
        (json!({"locale": "fr"}), "invalid_field", "locale"),
        (json!({"code_length": 5}), "invalid_field", "code_length"),
        (json!({"code_length": 11}), "invalid_field", "code_length"),
        (json!({"code_length": "6"}), "invalid_field", "code_length"),
        (json!({"ttl_seconds": 29}), "invalid_field", "ttl_seconds"),
        (json!({"ttl_seconds": 1801}), "invalid_field", "ttl_seconds"),
        (json!({"ttl_seconds": -1}), "invalid_field", "ttl_seconds"),
        (json!({"voice": "always"}), "invalid_field", "voice"),
        (json!({"voice": "on_unverified", "voice_after_seconds": 29}), "invalid_field", "voice_after_seconds"),
        (json!({"voice": "on_unverified", "voice_after_seconds": 301}), "invalid_field", "voice_after_seconds"),
        (json!({"template": "unheard-of"}), "unknown_template", "template"),
        (json!({"template": ""}), "invalid_field", "template"),
        (json!({"domain": "https://example.com"}), "invalid_domain", "domain"),
        (json!({"separate": "yes"}), "invalid_field", "separate"),
        (json!({"metadata": many}), "invalid_field", "metadata"),
        (json!({"metadata": {"k": "v".repeat(256)}}), "invalid_field", "metadata"),
        (json!({"metadata": {"": "v"}}), "invalid_field", "metadata"),
        (json!({"metadata": {"k": "a\u{7}"}}), "invalid_field", "metadata.k"),
        (json!({"metadata": {"k": 1}}), "invalid_field", "metadata.k"),
        (json!({"transaction": transaction("1")}), "field_not_allowed", "transaction"),
        (json!({"ttl": 300}), "unknown_field", "ttl"),
    ] {
        let reply = bed.post("/v1/verifications", &with(&base, &change)).await;
        let (status, said, about) = reply.problem();
        assert_eq!((status, said.as_str(), about.as_deref()), (422, code, Some(field)), "{change}: {}", reply.text);
    }
    assert_eq!(bed.waiting(Queue::Lane(Lane::Normal)), 0, "a refused request leaves nothing behind");
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_cannot_be_is_refused_by_field() {
    let bed = Bed::new().await;
    let payee = |name: &str, account: &str| json!({"amount": "1", "currency": "JPY", "payee": {"name": name, "account": account}});
    for (transaction, code, field) in [
        (json!(null), "missing_field", "transaction"),
        (json!({}), "missing_field", "transaction.amount"),
        (transaction("0"), "invalid_field", "transaction.amount"),
        (transaction("12.5"), "invalid_field", "transaction.amount"),
        (with(&transaction("1"), &json!({"amount": 1})), "invalid_field", "transaction.amount"),
        (with(&transaction("1"), &json!({"currency": "yen"})), "invalid_field", "transaction.currency"),
        (with(&transaction("1"), &json!({"currency": "JYP"})), "invalid_field", "transaction.currency"),
        (with(&transaction("1"), &json!({"ammount": "2"})), "unknown_field", "transaction.ammount"),
        (payee("", "1"), "invalid_field", "transaction.payee.name"),
        (payee("A\nB", "1"), "invalid_field", "transaction.payee.name"),
        (payee("\u{200b}\u{3164}\u{2800} \u{e0041}", "1"), "invalid_field", "transaction.payee.name"),
        (payee("A", &"1".repeat(35)), "invalid_field", "transaction.payee.account"),
    ] {
        let body = json!({"to": NUMBER, "purpose": "payment", "transaction": transaction});
        let reply = bed.post("/v1/verifications", &body).await;
        expect(&reply, 422, code, Some(field));
    }
}

#[tokio::test(start_paused = true)]
async fn a_text_that_fits_no_route_is_refused_with_its_length() {
    let bed = Bed::new().await;
    let long = json!({"to": NUMBER, "text": "あ".repeat(200)});
    expect(&bed.post("/v1/messages", &long).await, 422, "template_too_long", Some("text"));
    // A landline takes none, and a call says so much at most.
    for (chars, status) in [(660, 202), (661, 422)] {
        let spoken = json!({"to": "+81312345678", "text": "あ".repeat(chars)});
        let reply = bed.post("/v1/messages", &spoken).await;
        assert_eq!(reply.status, status, "{}", reply.text);
        assert!(status == 202 || reply.json()["code"] == "template_too_long", "{}", reply.text);
    }
    let unspeakable = json!({"to": "+81312345678", "text": "\u{200b}\u{3164}"});
    expect(&bed.post("/v1/messages", &unspeakable).await, 422, "invalid_text", Some("text"));
    let payee = json!({"name": "ヤマダ".repeat(20), "account": "1"});
    let body = json!({"to": NUMBER, "purpose": "payment", "domain": format!("{}.{}.example.com", "a".repeat(60), "b".repeat(60)),
        "transaction": {"amount": "1", "currency": "JPY", "payee": payee}});
    expect(&bed.post("/v1/verifications", &body).await, 422, "template_too_long", Some("template"));
}

/// People know the shop by its words.
#[tokio::test(start_paused = true)]
async fn a_template_is_unknown_to_tenants_whose_it_is_not() {
    let bed = Bed::with(|door| {
        let mut templates = Templates::builtin();
        templates.add("shop", Locale::Ja, "{code} はショップのコードです。").expect("a good template");
        door.templates = Arc::new(templates);
        let own = TenantRoutes { templates: Some(BTreeSet::new()), ..TenantRoutes::default() };
        let tenants = [(TenantId::parse("acme").expect("a tenant"), own)].into();
        door.routes = Arc::new(RouteTable { tenants, ..(*door.routes).clone() });
    })
    .await;
    let login = |template: &str| json!({"to": NUMBER, "purpose": "login", "template": template});
    expect(&bed.post("/v1/verifications", &login("shop")).await, 422, "unknown_template", Some("template"));
    bed.post("/v1/verifications", &login("default")).await.accepted();
    let stranger = [("authorization", bed.stranger_key.as_str())];
    bed.post_with("/v1/verifications", &login("shop"), &stranger).await.accepted();
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_is_refused_by_field() {
    let bed = Bed::new().await;
    let base = json!({"to": NUMBER, "text": "Your parcel is here."});
    for (change, code, field) in [
        (json!({"text": null}), "invalid_field", "text"),
        (json!({"text": "  \n"}), "invalid_field", "text"),
        (json!({"text": "a\u{0}b"}), "invalid_field", "text"),
        (json!({"purpose": "login"}), "invalid_field", "purpose"),
        (json!({"ttl_seconds": 59}), "invalid_field", "ttl_seconds"),
        (json!({"ttl_seconds": 36001}), "invalid_field", "ttl_seconds"),
        (json!({"voice": "on_unverified"}), "invalid_field", "voice"),
        (json!({"code_length": 6}), "unknown_field", "code_length"),
        (json!({"to": "+33612345678"}), "unsupported_country", "to"),
    ] {
        let reply = bed.post("/v1/messages", &with(&base, &change)).await;
        expect(&reply, 422, code, Some(field));
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_no_json_object_is_refused() {
    let bed = Bed::new().await;
    let headers = [("authorization", bed.key.as_str()), ("content-type", "application/json")];
    let send = |body: &str| bed.raw(Method::POST, "/v1/verifications", &headers, body.as_bytes().to_vec());
    for body in ["", "{", "hello", "\u{0}", "{\"to\":\"a\"}{}"] {
        expect(&send(body).await, 422, "invalid_json", None);
    }
    expect(&send("[]").await, 422, "invalid_field", None);
    expect(&send("{}").await, 422, "missing_field", Some("to"));
    expect(&send(r#"{"to":"a","to":"b","purpose":"login"}"#).await, 422, "duplicate_field", Some("to"));
    expect(&send(r#"{"metadata":{"a":"1","a":"2"}}"#).await, 422, "duplicate_field", Some("metadata.a"));
    let form = [("authorization", bed.key.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    let reply = bed.raw(Method::POST, "/v1/verifications", &form, b"to=1".to_vec()).await;
    expect(&reply, 415, "unsupported_media_type", None);
}

#[tokio::test(start_paused = true)]
async fn a_body_over_the_limit_is_413() {
    let bed = Bed::new().await;
    let body = json!({"to": NUMBER, "purpose": "login", "template": "a".repeat(BODY_BYTES_MAX)});
    expect(&bed.post("/v1/verifications", &body).await, 413, "body_too_large", None);
}

#[tokio::test(start_paused = true)]
async fn an_idempotency_key_that_cannot_be_is_refused() {
    let bed = Bed::new().await;
    let body = json!({"to": NUMBER, "purpose": "login"});
    for key in ["", "a b", "caf\u{e9}", &"k".repeat(256)] {
        let reply = bed.post_with("/v1/verifications", &body, &[("idempotency-key", key)]).await;
        expect(&reply, 422, "invalid_field", Some("Idempotency-Key"));
    }
    let twice = [("idempotency-key", "a"), ("idempotency-key", "b")];
    expect(&bed.post_with("/v1/verifications", &body, &twice).await, 422, "invalid_field", Some("Idempotency-Key"));
}

#[tokio::test(start_paused = true)]
async fn without_a_valid_key_every_operation_answers_the_same_401() {
    let bed = Bed::new().await;
    let id = bed.login().await;
    let mut seen = BTreeSet::new();
    for (method, path) in [
        (Method::POST, "/v1/verifications".to_owned()),
        (Method::GET, format!("/v1/verifications/{id}")),
        (Method::POST, format!("/v1/verifications/{id}/check")),
        (Method::POST, format!("/v1/verifications/{id}/resend")),
        (Method::POST, format!("/v1/verifications/{id}/cancel")),
        (Method::POST, "/v1/messages".to_owned()),
        (Method::GET, format!("/v1/messages/{id}")),
        (Method::POST, format!("/v1/messages/{id}/cancel")),
        (Method::GET, format!("/v1/trace/{id}")),
    ] {
        for authorization in [None, Some("Bearer unknown"), Some("Basic YTpi"), Some("Bearer")] {
            let headers: Vec<_> = authorization.map(|value| ("authorization", value)).into_iter().collect();
            let reply = bed.raw(method.clone(), &path, &headers, b"not even json".to_vec()).await;
            expect(&reply, 401, "unauthorized", None);
            assert_eq!(reply.header("www-authenticate"), Some("Bearer realm=\"otodoke\""));
            seen.insert(reply.text);
        }
    }
    assert_eq!(seen.len(), 1, "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn an_id_of_another_tenant_is_as_unknown_as_one_nobody_has() {
    let bed = Bed::new().await;
    let id = bed.sent_login().await;
    let mut seen = BTreeSet::new();
    for (key, id) in [
        (&bed.stranger_key, id.to_string()),
        (&bed.key, "01980000-0000-7000-8000-000000000000".to_owned()),
        (&bed.key, "no-id".to_owned()),
        (&bed.key, "%FF".to_owned()),
    ] {
        let headers = [("authorization", key.as_str()), ("content-type", "application/json")];
        for (method, path, body) in [
            (Method::GET, format!("/v1/verifications/{id}"), ""),
            (Method::POST, format!("/v1/verifications/{id}/check"), r#"{"code":"123456"}"#),
            (Method::POST, format!("/v1/verifications/{id}/resend"), ""),
            (Method::POST, format!("/v1/verifications/{id}/cancel"), ""),
            (Method::GET, format!("/v1/messages/{id}"), ""),
            (Method::GET, format!("/v1/trace/{id}"), ""),
        ] {
            let reply = bed.raw(method, &path, &headers, body.as_bytes().to_vec()).await;
            expect(&reply, 404, "not_found", None);
            seen.insert(reply.text);
        }
    }
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(bed.load(id).await.guesses_left, 5, "a stranger's check costs nothing");
}

#[tokio::test(start_paused = true)]
async fn a_number_gets_five_messages_in_ten_minutes_and_ten_a_day() {
    let bed = Bed::new().await;
    let body = json!({"to": NUMBER, "purpose": "login", "separate": true});
    for _ in 0..5 {
        bed.post("/v1/verifications", &body).await.accepted();
    }
    let reply = bed.post("/v1/verifications", &body).await;
    expect(&reply, 429, "too_many_messages", Some("to"));
    assert_eq!(reply.header("retry-after"), Some("600"));
    advance_ms(600_000).await;
    for _ in 0..5 {
        bed.post("/v1/verifications", &body).await.accepted();
    }
    advance_ms(600_000).await;
    let reply = bed.post("/v1/verifications", &body).await;
    expect(&reply, 429, "too_many_messages", Some("to"));
    assert_eq!(reply.header("retry-after"), Some("85200"));
    let other = json!({"to": super::bed::OTHER_NUMBER, "purpose": "login"});
    bed.post("/v1/verifications", &other).await.accepted();
}

#[tokio::test(start_paused = true)]
async fn a_tenant_may_have_caps_of_its_own() {
    let settings = TenantSettings { messages_per_10_minutes: Some(1), ..TenantSettings::default() };
    let bed = Bed::with(|door| door.tenants = tenant(settings)).await;
    let body = json!({"to": NUMBER, "purpose": "login", "separate": true});
    bed.post("/v1/verifications", &body).await.accepted();
    expect(&bed.post("/v1/verifications", &body).await, 429, "too_many_messages", Some("to"));
}

#[tokio::test(start_paused = true)]
async fn a_full_lane_is_busy_and_leaves_the_others_open() {
    let bed = Bed::with(|door| door.windows = LaneWindows { normal: 1, ..LaneWindows::default() }).await;
    bed.login().await;
    let reply = bed.post("/v1/verifications", &json!({"to": NUMBER, "purpose": "signup"})).await;
    expect(&reply, 503, "busy", None);
    assert!(reply.header("retry-after").is_some());
    bed.post("/v1/verifications", &payment("12000")).await.accepted();
}

/// As where several doors put into a lane that grows: none of them sees that anything leaves it.
#[tokio::test(start_paused = true)]
async fn what_workers_tell_of_their_pace_counts_where_a_door_sees_none() {
    let bed = Bed::new().await;
    for _ in 0..4_000 {
        bed.door.broker.publish(Queue::Lane(Lane::Normal), Vec::new()).await.expect("memory takes it");
    }
    let stop = CancellationToken::new();
    let (door, stopping) = (Arc::clone(&bed.door), stop.clone());
    let following = tokio::spawn(async move { follow_workers(&door, &stopping).await });
    let login = json!({"to": NUMBER, "purpose": "login", "ttl_seconds": 60});
    expect(&bed.post("/v1/verifications", &login).await, 503, "busy", None);
    let mut telling = Telling::new(&bed.door.desk.dice);
    let per_s = Throughput::from([(Lane::Normal, 400.0)]);
    telling.tell(&*bed.door.desk.store, bed.door.now(), per_s).await.expect("memory takes it");
    advance_ms(TELL_EVERY_MS + 1).await;
    bed.post("/v1/verifications", &login).await.accepted();
    stop.cancel();
    following.await.expect("it stops");
}

#[tokio::test(start_paused = true)]
async fn too_much_at_once_sheds_bulk_before_payments() {
    let bed = Bed::new().await;
    let _in_hand: Vec<_> = (0..ACCEPTING_NORMAL_MAX).map_while(|_| bed.door.hands.accepting(Lane::Critical)).collect();
    let text = json!({"to": NUMBER, "text": "Your parcel is here."});
    for (path, body) in [("/v1/messages", text), ("/v1/verifications", json!({"to": NUMBER, "purpose": "login"}))] {
        let reply = bed.post(path, &body).await;
        expect(&reply, 503, "busy", None);
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
    bed.post("/v1/verifications", &payment("12000")).await.accepted();
}

#[tokio::test(start_paused = true)]
async fn too_many_requests_in_hand_are_busy() {
    let bed = Bed::new().await;
    let all = u32::try_from(crate::hands::REQUESTS_IN_HAND_MAX).expect("a small limit");
    let _held = bed.door.hands.requests.clone().try_acquire_many_owned(all).expect("nothing is in hand");
    expect(&bed.get("/openapi.json").await, 503, "busy", None);
    for probe in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(bed.get(probe).await.status.as_u16(), 200, "{probe} is answered all the same");
    }
}

#[tokio::test(start_paused = true)]
async fn callers_and_providers_take_no_places_from_each_other() {
    let bed = Bed::new().await;
    let (requests, webhooks) = (bed.door.hands.requests.clone(), bed.door.hands.webhooks.clone());
    let all = |max: usize| u32::try_from(max).expect("a small limit");
    let proof = [("x-proof", "https://otp.example.com/receipts/kodama")];
    let receipt = || bed.raw(Method::POST, "/receipts/kodama", &proof, b"one".to_vec());
    let held = webhooks.try_acquire_many_owned(all(crate::hands::WEBHOOKS_IN_HAND_MAX)).expect("nothing is in hand");
    let refused = receipt().await;
    expect(&refused, 503, "busy", None);
    assert_eq!(refused.header("retry-after"), Some("5"));
    bed.login().await;
    drop(held);
    let _held = requests.try_acquire_many_owned(all(crate::hands::REQUESTS_IN_HAND_MAX)).expect("nothing is in hand");
    assert_eq!(receipt().await.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_comes_is_given_up() {
    let bed = Bed::new().await;
    let silence = futures_util::stream::pending::<Result<axum::body::Bytes, std::io::Error>>();
    let request = axum::http::Request::post("/v1/verifications")
        .header("authorization", &bed.key)
        .header("content-type", "application/json")
        .body(axum::body::Body::from_stream(silence))
        .expect("a request");
    let response = tower::ServiceExt::oneshot(bed.router.clone(), request).await.expect("the router always answers");
    assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
}
