//! Every address answers in one form, and the OpenAPI document lists exactly those that are served.

use std::collections::BTreeSet;

use axum::http::Method;
use serde_json::Value;

use super::bed::Bed;
use crate::router::routes;

const METHODS: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

async fn document(bed: &Bed) -> Value {
    bed.get("/openapi.json").await.json()
}

#[tokio::test(start_paused = true)]
async fn the_document_lists_exactly_what_is_served() {
    let bed = Bed::new().await;
    let mut served = BTreeSet::new();
    for (path, _) in routes() {
        let concrete = path.replace("{id}", "x").replace("{provider}", "x").replace("{leg}", "1").replace("{tag}", "x");
        for method in METHODS {
            let reply = bed.raw(method.clone(), &concrete, &[], Vec::new()).await;
            if reply.status.as_u16() != 405 {
                served.insert((path.to_owned(), method.as_str().to_ascii_lowercase()));
            }
        }
    }
    let document = document(&bed).await;
    let mut listed = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for method in methods.as_object().expect("methods").keys() {
            listed.insert((path.clone(), method.clone()));
        }
    }
    assert_eq!(listed, served);
    assert_eq!(served.len(), routes().len());
}

#[tokio::test(start_paused = true)]
async fn the_document_is_openapi_3_1_and_every_reference_in_it_leads_somewhere() {
    let bed = Bed::new().await;
    let document = document(&bed).await;
    assert!(document["openapi"].as_str().expect("a version").starts_with("3.1"));
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(references.len() > 20);
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("a local reference");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            references.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| collect(value, references));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, references)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test(start_paused = true)]
async fn every_operation_of_a_caller_lists_its_refusals() {
    let bed = Bed::new().await;
    let document = document(&bed).await;
    for (path, statuses) in [
        ("/paths/~1v1~1verifications/post", ["202", "401", "409", "413", "415", "422", "429", "503"].as_slice()),
        ("/paths/~1v1~1verifications~1{id}/get", &["200", "401", "404", "503"]),
        ("/paths/~1v1~1verifications~1{id}~1check/post", &["200", "401", "404", "413", "422", "503"]),
        ("/paths/~1v1~1verifications~1{id}~1resend/post", &["202", "401", "404", "409", "422", "429", "503"]),
        ("/paths/~1v1~1verifications~1{id}~1cancel/post", &["200", "401", "404", "503"]),
        ("/paths/~1v1~1messages/post", &["202", "401", "409", "413", "422", "429", "503"]),
        ("/paths/~1receipts~1{provider}/post", &["200", "403", "404", "413", "503"]),
    ] {
        let operation = document.pointer(path).unwrap_or_else(|| panic!("no {path}"));
        for status in statuses {
            assert!(operation["responses"].get(status).is_some(), "{path} lacks {status}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_served_is_refused_in_the_same_form() {
    let bed = Bed::new().await;
    for path in ["/", "/v1", "/v1/verifications/", "/v2/verifications", "/receipts", "/voice/x/1"] {
        assert_eq!(bed.get(path).await.problem(), (404, "not_found".to_owned(), None), "{path}");
    }
    let reply = bed.get("/v1/verifications").await;
    assert_eq!(reply.problem(), (405, "method_not_allowed".to_owned(), None));
    assert_eq!(reply.header("allow"), Some("POST"));
}

#[tokio::test(start_paused = true)]
async fn the_process_says_that_it_lives_is_ready_and_counts() {
    let bed = Bed::new().await;
    assert_eq!(bed.get("/healthz").await.text, r#"{"alive":true}"#);
    assert_eq!(bed.get("/readyz").await.text, r#"{"ready":true,"reasons":[],"codes":{"active":"k1","known":["k1"]}}"#);
    bed.login().await;
    let metrics = bed.get("/metrics").await;
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let counted = r#"otp_requests_total{country="JP",purpose="login",result="accepted"} 1"#;
    assert!(metrics.text.lines().any(|line| line == counted), "{}", metrics.text);
}

#[tokio::test(start_paused = true)]
async fn a_stopping_process_is_not_ready_and_says_so() {
    let bed = Bed::new().await;
    bed.door.stopping.cancel();
    let reply = bed.get("/readyz").await;
    assert_eq!(reply.status.as_u16(), 503);
    assert_eq!(
        reply.text,
        r#"{"ready":false,"reasons":["the process is stopping"],"codes":{"active":"k1","known":["k1"]}}"#
    );
}
