//! `/healthz`, `/readyz`, `/metrics`: for those who run the process. No key, no personal data.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use otodoke_common::broker::Queue;
use otodoke_common::message::Lane;
use otodoke_common::vitals;

use crate::answer::{Alive, Readiness};
use crate::door::Door;

/// Alive.
#[utoipa::path(get, path = "/healthz", tag = "operation", security(()), responses((status = 200, body = Alive)))]
pub(crate) async fn alive() -> Json<Alive> {
    Json(Alive { alive: true })
}

/// Can accept; else why not.
#[utoipa::path(
    get, path = "/readyz", tag = "operation", security(()),
    responses((status = 200, body = Readiness), (status = 503, body = Readiness)),
)]
pub(crate) async fn ready(State(door): State<Arc<Door>>) -> (StatusCode, Json<Readiness>) {
    let reasons = reasons(&door).await;
    let ready = reasons.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, reasons }))
}

async fn reasons(door: &Door) -> Vec<String> {
    let mut reasons = Vec::new();
    if door.stopping.is_cancelled() {
        reasons.push("the process is stopping".to_owned());
    }
    reasons.extend(vitals::reasons(&door.desk, &*door.broker, &door.codes).await);
    for lane in Lane::ALL {
        let (waiting, window) = (door.broker.backlog(Queue::Lane(lane)).waiting, door.windows.of(lane));
        if waiting >= window {
            reasons.push(format!("lane {} is full: {waiting} of {window} messages wait", lane.word()));
        }
    }
    reasons
}

/// Prometheus text.
#[utoipa::path(
    get, path = "/metrics", tag = "operation", security(()),
    responses((status = 200, description = "Prometheus text format 0.0.4", content_type = "text/plain", body = String)),
)]
pub(crate) async fn metrics(State(door): State<Arc<Door>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], door.desk.metrics.text())
}
