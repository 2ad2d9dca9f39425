//! Which address is answered by what. Around all of it: a bound on requests in hand, on their time, and the metrics.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use otodoke_common::trace;

use crate::door::Door;
use crate::extract;
use crate::problem::{Problem, RETRY_UNAVAILABLE_S};
use crate::{health, messages, openapi, receipts, search, verifications, voice};

/// Longest time one request may take; past that the answer is 503, and what was begun is finished all the same.
pub const REQUEST_MS_MAX: u64 = 15_000;

/// Answered however many requests are in hand: a process is not to be killed, nor to go unwatched, because it has much
/// to do.
const PROBES: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

pub fn router(door: Arc<Door>) -> Router {
    let mut router = Router::new();
    for (path, methods) in routes() {
        let around = Around { door: door.clone(), path };
        router = router.route(path, methods.layer(middleware::from_fn_with_state(around, bounded)));
    }
    router
        .fallback(|| async { Problem::not_found() })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .with_state(door)
}

/// Every address of the door.
pub(crate) fn routes() -> Vec<(&'static str, MethodRouter<Arc<Door>>)> {
    vec![
        ("/v1/verifications", post(verifications::create)),
        ("/v1/verifications/{id}", get(verifications::read)),
        ("/v1/verifications/{id}/check", post(verifications::check)),
        ("/v1/verifications/{id}/resend", post(verifications::resend)),
        ("/v1/verifications/{id}/cancel", post(verifications::cancel)),
        ("/v1/messages", post(messages::create)),
        ("/v1/messages/{id}", get(messages::read)),
        ("/v1/messages/{id}/cancel", post(messages::cancel)),
        ("/v1/trace", post(search::search)),
        ("/v1/trace/{id}", get(crate::trace::read)),
        ("/receipts/{provider}", post(receipts::untagged)),
        ("/receipts/{provider}/{tag}", post(receipts::tagged)),
        ("/voice/{provider}/{leg}/{tag}", post(voice::speak)),
        ("/healthz", get(health::alive)),
        ("/readyz", get(health::ready)),
        ("/metrics", get(health::metrics)),
        ("/openapi.json", get(openapi::document)),
    ]
}

/// What goes around one address. `path` is its template: what was asked for may hold an id.
#[derive(Clone)]
struct Around {
    door: Arc<Door>,
    path: &'static str,
}

async fn bounded(State(Around { door, path }): State<Around>, request: Request, next: Next) -> Response {
    let started = tokio::time::Instant::now();
    let response = if PROBES.contains(&path) {
        in_time(request, next).await
    } else {
        match door.hands.requests.clone().try_acquire_owned() {
            Ok(_permit) => {
                let trace = extract::trace(request.headers(), &door.desk.dice);
                trace::within(Some(trace), in_time(request, next)).await
            }
            Err(_) => Problem::busy("too many requests are in hand: try again", RETRY_UNAVAILABLE_S).into_response(),
        }
    };
    door.desk.metrics.http(path, response.status().as_str(), started.elapsed().as_secs_f64());
    response
}

async fn in_time(request: Request, next: Next) -> Response {
    let wait = Duration::from_millis(REQUEST_MS_MAX);
    tokio::time::timeout(wait, next.run(request)).await.unwrap_or_else(|_| {
        tracing::warn!(wait_ms = REQUEST_MS_MAX, "a request took too long");
        Problem::unavailable().into_response()
    })
}
