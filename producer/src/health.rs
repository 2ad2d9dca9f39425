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
/// what comes while the broker is away is carried by its row, and while the store is away by the broker (payments, checks and
/// reads are answered 503 then). 503 when the process stops, the root of its codes is missing, its clock is too far off, every
/// lane or the spill is full, or store and broker are away; and until it reached both for the first time.
#[utoipa::path(
    get, path = "/readyz", tag = "operation", security(()),
    responses((status = 200, body = Readiness), (status = 503, body = Readiness)),
)]
pub(crate) async fn ready(State(door): State<Arc<Door>>) -> (StatusCode, Json<Readiness>) {
    let readiness = readiness(&door).await;
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness))
}

/// All doors share one store: were they not ready while it is away, nobody would take codes, receipts and calls, which can do
/// without. One that has never met its servers is not ready: wrong settings look like that, and it shall not take the place of
/// one that works.
async fn readiness(door: &Door) -> Readiness {
    let stopping = door.stopping.is_cancelled().then(|| "the process is stopping".to_owned());
    let vitals = vitals::look(&door.desk, &*door.broker, &door.codes).await;
    let full: Vec<String> = Lane::ALL.into_iter().filter_map(|lane| full(door, lane)).collect();
    if vitals.broker.is_none() {
        door.met_broker.store(true, Ordering::Relaxed);
    }
    if vitals.store.is_none() {
        door.met_store.store(true, Ordering::Relaxed);
    }
    let met_both = door.met_broker.load(Ordering::Relaxed) && door.met_store.load(Ordering::Relaxed);
    let carried = vitals.store.is_none() || (vitals.broker.is_none() && door.broker.outlives_the_store());
    let is_full = door.spill.is_full(door.now()) || (vitals.broker.is_none() && full.len() == Lane::ALL.len());
    let takes_nothing = stopping.is_some() || is_full || !carried;
    let ready = met_both && !takes_nothing && vitals.clock.is_none() && vitals.root.is_none();
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
