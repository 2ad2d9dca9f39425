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
use tokio::sync::Semaphore;

use crate::door::Door;
use crate::extract;
use crate::hands::Hands;
use crate::problem::{Problem, RETRY_UNAVAILABLE_S};
use crate::{health, messages, openapi, receipts, search, verifications, voice};

/// Longest time one request may take; past that the answer is 503, and what was begun is finished all the same.
pub const REQUEST_MS_MAX: u64 = 15_000;

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
        webhook("/receipts/{provider}", receipts::untagged),
        webhook("/receipts/{provider}/{tag}", receipts::tagged),
        webhook("/voice/{provider}/{leg}/{tag}", voice::speak),
        probe("/healthz", health::alive),
        probe("/readyz", health::ready),
        probe("/metrics", health::metrics),
        get("/openapi.json", openapi::document),
    ]
}

fn get<T: 'static>(path: &'static str, handler: impl Handler<T, Arc<Door>>) -> Route {
    (path, routing::get(Bounded { path, among: Among::Requests, handler }))
}

fn post<T: 'static>(path: &'static str, handler: impl Handler<T, Arc<Door>>) -> Route {
    (path, routing::post(Bounded { path, among: Among::Requests, handler }))
}

fn webhook<T: 'static>(path: &'static str, handler: impl Handler<T, Arc<Door>>) -> Route {
    (path, routing::post(Bounded { path, among: Among::Webhooks, handler }))
}

fn probe<T: 'static>(path: &'static str, handler: impl Handler<T, Arc<Door>>) -> Route {
    (path, routing::get(Bounded { path, among: Among::Probes, handler }))
}

/// Whose places a request takes.
#[derive(Clone, Copy)]
enum Among {
    Requests,
    /// Whoever knows the address is listened to before it proves anything: silent ones shall hold no caller's place.
    Webhooks,
    /// Answered however many requests are in hand: a process is not to be killed, nor to go unwatched, because it has much
    /// to do.
    Probes,
}

impl Among {
    fn places(self, hands: &Hands) -> Option<&Arc<Semaphore>> {
        match self {
            Self::Requests => Some(&hands.requests),
            Self::Webhooks => Some(&hands.webhooks),
            Self::Probes => None,
        }
    }
}

/// A handler and what goes around it; as a layer it would cost each request half a dozen allocations more. `path` is its
/// template: what was asked for may hold an id.
#[derive(Clone)]
struct Bounded<H> {
    path: &'static str,
    among: Among,
    handler: H,
}

impl<T: 'static, H: Handler<T, Arc<Door>>> Handler<T, Arc<Door>> for Bounded<H> {
    type Future = Pin<Box<dyn Future<Output = Response> + Send>>;

    fn call(self, request: Request, door: Arc<Door>) -> Self::Future {
        Box::pin(async move {
            let started = tokio::time::Instant::now();
            let Self { path, among, handler } = self;
            let response = match among.places(&door.hands).map(|places| Arc::clone(places).try_acquire_owned()) {
                None => in_time(handler.call(request, Arc::clone(&door))).await,
                Some(Ok(_permit)) => {
                    let trace = extract::trace(request.headers(), &door.desk.dice);
                    trace::within(Some(trace), in_time(handler.call(request, Arc::clone(&door)))).await
                }
                Some(Err(_)) => {
                    Problem::busy("too many requests are in hand: try again", RETRY_UNAVAILABLE_S).into_response()
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
