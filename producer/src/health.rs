//! `/healthz`, `/readyz`, `/metrics`: for those who run the process. No key, no personal data.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use otodoke_common::broker::Queue;
use otodoke_common::message::Lane;
use otodoke_common::vitals;

use crate::answer::{Alive, Kids, Readiness};
use crate::door::Door;

/// Alive.
#[utoipa::path(get, path = "/healthz", tag = "operation", security(()), responses((status = 200, body = Alive)))]
pub(crate) async fn alive() -> Json<Alive> {
    Json(Alive { alive: true })
}

/// Can accept, and what is in the way. 200 as long as something can be accepted: a full lane takes nothing from the others,
/// and what comes while the broker is away is carried by its row. 503 when the process stops, its store or the root of its
/// codes is missing, its clock is too far off, or every lane or the spill is full; and until it reached its broker for the first time.
#[utoipa::path(
    get, path = "/readyz", tag = "operation", security(()),
    responses((status = 200, body = Readiness), (status = 503, body = Readiness)),
)]
pub(crate) async fn ready(State(door): State<Arc<Door>>) -> (StatusCode, Json<Readiness>) {
    let readiness = readiness(&door).await;
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness))
}

/// With the store away the broker still carries openings, but payments, checks, resends and reads all need the store, and
/// another door may reach it: such a door is not ready. Nor is one that has never met its broker: wrong settings look like
/// that, and it shall not take the place of one that works.
async fn readiness(door: &Door) -> Readiness {
    let stopping = door.stopping.is_cancelled().then(|| "the process is stopping".to_owned());
    let vitals = vitals::look(&door.desk, &*door.broker, &door.codes).await;
    let full: Vec<String> = Lane::ALL.into_iter().filter_map(|lane| full(door, lane)).collect();
    if vitals.broker.is_none() {
        door.met_broker.store(true, Ordering::Relaxed);
    }
    let met_broker = door.met_broker.load(Ordering::Relaxed);
    let is_full = door.spill.is_full(door.now()) || (vitals.broker.is_none() && full.len() == Lane::ALL.len());
    let takes_nothing = stopping.is_some() || is_full;
    let ready =
        met_broker && !takes_nothing && vitals.store.is_none() && vitals.clock.is_none() && vitals.root.is_none();
    let reasons = stopping.into_iter().chain(vitals.reasons()).chain(full).collect();
    let known = door.codes.known().map(|kid| kid.as_str().to_owned()).collect();
    Readiness { ready, reasons, codes: Kids { active: door.codes.active().as_str().to_owned(), known } }
}

fn full(door: &Door, lane: Lane) -> Option<String> {
    let (waiting, window) = (door.broker.backlog(Queue::Lane(lane)).waiting, door.windows.of(lane));
    (waiting >= window).then(|| format!("lane {} is full: {waiting} of {window} messages wait", lane.word()))
}

/// Prometheus text.
#[utoipa::path(
    get, path = "/metrics", tag = "operation", security(()),
    responses((status = 200, description = "Prometheus text format 0.0.4", content_type = "text/plain", body = String)),
)]
pub(crate) async fn metrics(State(door): State<Arc<Door>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], door.desk.metrics.text())
}
