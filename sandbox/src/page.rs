//! `/sandbox`: the handsets as people see them, and a form to ask for a code. It is served by the door it looks at, so it asks
//! the API from here, with the key kept on this side; what it is sent from another site it refuses.

mod api;
mod guard;
mod problem;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::middleware::{from_fn, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, response::Html};
use serde_json::json;

use crate::exchange::Exchange;
use crate::number::HandsetNumber;
use problem::problem;

const BODY_BYTES_MAX: usize = 16 * 1024;

pub(crate) fn router(exchange: Arc<Exchange>) -> Router {
    let posts = Router::new()
        .route("/sandbox/ask", post(api::ask))
        .route("/sandbox/check", post(api::check))
        .route("/sandbox/resend", post(api::resend))
        .layer(from_fn(guard::same_site_only));
    Router::new()
        .route("/sandbox", get(async || Html(include_str!("page/page.html"))))
        .route("/sandbox/page.css", get(async || asset("text/css; charset=utf-8", include_str!("page/page.css"))))
        .route("/sandbox/page.js", get(async || asset("text/javascript; charset=utf-8", include_str!("page/page.js"))))
        .route("/sandbox/numbers", get(async || Json(view::numbers())))
        .route("/sandbox/state", get(state))
        .route("/sandbox/handsets/{number}", get(handset))
        .route("/sandbox/message/{id}", get(api::message))
        .merge(posts)
        .method_not_allowed_fallback(async || {
            let detail = "this address does not take that method: `Allow` lists those it takes";
            problem(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(map_response(protect))
        .with_state(exchange)
}

fn asset(content_type: &'static str, text: &'static str) -> Response {
    ([(CONTENT_TYPE, content_type)], text).into_response()
}

/// Nothing from elsewhere runs in this page, and no other page frames it.
async fn protect(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (
            "content-security-policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
             base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        ),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The phones in use, unless the page has seen this state already (`?seen=VERSION`).
async fn state(State(exchange): State<Arc<Exchange>>, uri: Uri) -> Response {
    let seen = uri.query().and_then(|query| query.strip_prefix("seen=")).and_then(|seen| seen.parse().ok());
    let version = exchange.book.version();
    if seen == Some(version) {
        return Json(json!({ "version": version })).into_response();
    }
    Json(json!({ "version": version, "handsets": view::latest(&exchange.book) })).into_response()
}

async fn handset(State(exchange): State<Arc<Exchange>>, Path(number): Path<String>) -> Response {
    match HandsetNumber::parse(&number) {
        Some(number) => Json(view::handset(&exchange.book, &number)).into_response(),
        None => {
            let detail = "the handset's number must be written as +819012340001";
            problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid_number", detail)
        }
    }
}
