//! Which address is answered by what. Around all of it: a bound on requests in hand, on their time, and the metrics.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::response::{IntoResponse, Response};
use axum::routing::{self, MethodRouter};
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
    routes()
        .into_iter()
        .fold(Router::new(), |router, (path, methods)| router.route(path, methods))
        .fallback(|| async { Problem::not_found() })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .with_state(door)
}

type Route = (&'static str, MethodRouter<Arc<Door>>);

/// Every address of the door.
pub(crate) fn routes() -> Vec<Route> {
    vec![
        post("/v1/verifications", verifications::create),
        get("/v1/verifications/{id}", verifications::read),
        post("/v1/verifications/{id}/check", verifications::check),
        post("/v1/verifications/{id}/resend", verifications::resend),
        post("/v1/verifications/{id}/cancel", verifications::cancel),
        post("/v1/messages", messages::create),
        get("/v1/messages/{id}", messages::read),
        post("/v1/messages/{id}/cancel", messages::cancel),
        post("/v1/trace", search::search),
        get("/v1/trace/{id}", crate::trace::read),
        post("/receipts/{provider}", receipts::untagged),
        post("/receipts/{provider}/{tag}", receipts::tagged),
        post("/voice/{provider}/{leg}/{tag}", voice::speak),
        get("/healthz", health::alive),
        get("/readyz", health::ready),
        get("/metrics", health::metrics),
        get("/openapi.json", openapi::document),
    ]
}

fn get<T: 'static>(path: &'static str, handler: impl Handler<T, Arc<Door>>) -> Route {
    (path, routing::get(Bounded { path, handler }))
}

fn post<T: 'static>(path: &'static str, handler: impl Handler<T, Arc<Door>>) -> Route {
    (path, routing::post(Bounded { path, handler }))
}

/// A handler and what goes around it; as a layer it would cost each request half a dozen allocations more. `path` is its
/// template: what was asked for may hold an id.
#[derive(Clone)]
struct Bounded<H> {
    path: &'static str,
    handler: H,
}

impl<T: 'static, H: Handler<T, Arc<Door>>> Handler<T, Arc<Door>> for Bounded<H> {
    type Future = Pin<Box<dyn Future<Output = Response> + Send>>;

    fn call(self, request: Request, door: Arc<Door>) -> Self::Future {
        Box::pin(async move {
            let started = tokio::time::Instant::now();
            let Self { path, handler } = self;
            let response = if PROBES.contains(&path) {
                in_time(handler.call(request, Arc::clone(&door))).await
            } else {
                match Arc::clone(&door.hands.requests).try_acquire_owned() {
                    Ok(_permit) => {
                        let trace = extract::trace(request.headers(), &door.desk.dice);
                        trace::within(Some(trace), in_time(handler.call(request, Arc::clone(&door)))).await
                    }
                    Err(_) => {
                        Problem::busy("too many requests are in hand: try again", RETRY_UNAVAILABLE_S).into_response()
                    }
                }
            };
            door.desk.metrics.http(path, response.status().as_str(), started.elapsed().as_secs_f64());
            response
        })
    }
}

async fn in_time(answer: impl Future<Output = Response>) -> Response {
    let wait = Duration::from_millis(REQUEST_MS_MAX);
    tokio::time::timeout(wait, answer).await.unwrap_or_else(|_| {
        tracing::warn!(wait_ms = REQUEST_MS_MAX, "a request took too long");
        Problem::unavailable().into_response()
    })
}
