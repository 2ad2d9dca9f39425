//! `/healthz`, `/readyz`, `/metrics`: for those who run the process. No key, no personal data.

use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use futures_util::FutureExt;
use futures_util::future::Shared;
use otodoke_common::broker::Queue;
use otodoke_common::message::Lane;
use otodoke_common::vitals::{self, Vitals};
use tokio::task::AbortHandle;

use crate::admission;
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
async fn readiness(door: &Arc<Door>) -> Readiness {
    let stopping = door.stopping.is_cancelled().then(|| "the process is stopping".to_owned());
    let looking = Arc::clone(door);
    let look = async move { vitals::look(&looking.desk, &*looking.broker, &looking.codes).await };
    let vitals = door.hands.looks.share(look).await;
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

/// Anybody may ask, and each look asks the store. So one looks at a time, and whoever comes meanwhile takes what it sees: nobody
/// waits for longer than one look, and one that was begun ends, whoever hangs up.
#[derive(Default)]
pub struct Looks(Mutex<Option<Look>>);

struct Look {
    /// Ends by itself, whoever waits.
    task: AbortHandle,
    seen: Shared<Pin<Box<dyn Future<Output = Vitals> + Send>>>,
}

impl Looks {
    async fn share(&self, look: impl Future<Output = Vitals> + Send + 'static) -> Vitals {
        let seen = {
            let mut last = self.0.lock().expect("no code panics while it holds a look");
            match last.as_ref().filter(|look| !look.task.is_finished()) {
                Some(under_way) => under_way.seen.clone(),
                None => last.insert(Look::begin(look)).seen.clone(),
            }
        };
        seen.await
    }
}

impl Look {
    fn begin(look: impl Future<Output = Vitals> + Send + 'static) -> Self {
        let looking = tokio::spawn(look);
        let task = looking.abort_handle();
        let seen: Pin<Box<dyn Future<Output = Vitals> + Send>> = Box::pin(async move {
            let broken = |_| Vitals { store: Some("nobody could look".to_owned()), ..Vitals::default() };
            looking.await.unwrap_or_else(broken)
        });
        Self { task, seen: seen.shared() }
    }
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
    for lane in Lane::ALL {
        door.desk.metrics.expected_wait(lane, admission::expected_wait_ms(&door, lane));
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], door.desk.metrics.text())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;
    use std::time::Duration;

    use futures_util::future::join_all;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn of_many_looks_at_once_one_is_made_and_of_those_one_after_the_other_all() {
        let (looks, made) = (Looks::default(), Arc::new(AtomicU64::new(0)));
        let look = async || {
            let made = Arc::clone(&made);
            let slow = async move {
                made.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_secs(1)).await;
                Vitals::default()
            };
            looks.share(slow).await
        };
        let begun = Instant::now();
        let others = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            join_all((0..100).map(|_| look())).await
        };
        let hangs_up = tokio::time::timeout(Duration::from_millis(600), look());
        let (hung_up, _) = tokio::join!(hangs_up, others);
        assert!(hung_up.is_err(), "it left before the look was over");
        assert_eq!((made.load(Ordering::Relaxed), begun.elapsed()), (1, Duration::from_secs(1)));
        for _ in 0..3 {
            look().await;
        }
        assert_eq!(made.load(Ordering::Relaxed), 4);
        let alone = tokio::time::timeout(Duration::from_millis(500), look()).await;
        assert!(alone.is_err(), "it hung up, and nobody saw what it began");
        tokio::time::sleep(Duration::from_secs(60)).await;
        look().await;
        assert_eq!(made.load(Ordering::Relaxed), 6, "what was seen a minute ago is not what is");
    }
}
