//! The page's way to the API: four requests, passed on with the key that the page never sees, and their answers passed back.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use reqwest::Method;
use serde_json::{Map, Value};

use super::problem::problem;
use crate::exchange::Exchange;

const API_WAIT_MS_MAX: u64 = 15_000;
const ANSWER_BYTES_MAX: usize = 256 * 1024;
const ID_CHARS_MAX: usize = 64;

pub(super) async fn ask(State(exchange): State<Arc<Exchange>>, body: Bytes) -> Response {
    pass(&exchange, Method::POST, "", body.to_vec()).await
}

/// `{"id", "code", ...}`: the id goes into the path, the rest on.
pub(super) async fn check(State(exchange): State<Arc<Exchange>>, body: Bytes) -> Response {
    about(&exchange, &body, "check").await
}

/// `{"id", "channel"}`.
pub(super) async fn resend(State(exchange): State<Arc<Exchange>>, body: Bytes) -> Response {
    about(&exchange, &body, "resend").await
}

pub(super) async fn message(State(exchange): State<Arc<Exchange>>, Path(id): Path<String>) -> Response {
    if is_id(&id) { pass(&exchange, Method::GET, &format!("/{id}"), Vec::new()).await } else { no_id() }
}

async fn about(exchange: &Exchange, body: &Bytes, verb: &str) -> Response {
    let Ok(mut fields) = serde_json::from_slice::<Map<String, Value>>(body) else { return no_id() };
    match fields.remove("id") {
        Some(Value::String(id)) if is_id(&id) => {
            let rest = Value::Object(fields).to_string().into_bytes();
            pass(exchange, Method::POST, &format!("/{id}/{verb}"), rest).await
        }
        Some(_) | None => no_id(),
    }
}

/// An id becomes part of a path, so it may hold nothing that means something there.
fn is_id(id: &str) -> bool {
    (1..=ID_CHARS_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

fn no_id() -> Response {
    problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid_field", "`id` must be the id of a message, as the API gave it")
}

async fn pass(exchange: &Exchange, method: Method, path: &str, body: Vec<u8>) -> Response {
    let url = format!("{}/v1/verifications{path}", exchange.door.api_url());
    let request = exchange.client.request(method, url).bearer_auth(&exchange.door.api_key);
    let request = if body.is_empty() { request } else { request.header(CONTENT_TYPE, "application/json").body(body) };
    let answer = tokio::time::timeout(Duration::from_millis(API_WAIT_MS_MAX), async {
        let mut answer = request.send().await.ok()?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.ok()? {
            if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
                return None;
            }
            bytes.extend_from_slice(&chunk);
        }
        Some((status, headers, bytes))
    });
    let Ok(Some((status, headers, bytes))) = answer.await else {
        return problem(StatusCode::BAD_GATEWAY, "unavailable", "the API did not answer; see whether it still runs");
    };
    let mut response = (status, Body::from(bytes)).into_response();
    for name in [CONTENT_TYPE, RETRY_AFTER] {
        let value = headers.get(&name).cloned();
        if let Some(value) = value {
            response.headers_mut().insert(name, value);
        }
    }
    // Whatever it is, a browser must not take it for a page.
    response.headers_mut().entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    response
}
