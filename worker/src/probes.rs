//! `/healthz`, `/readyz` and `/metrics` of a worker process, for those who run it. No key, no personal data.

use std::io;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use otodoke_common::message::Kid;
use otodoke_common::vitals;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::consumer::Consumer;
use crate::courier::Courier;

pub struct Probes {
    pub(crate) courier: Arc<Courier>,
    pub(crate) consumers: Vec<Arc<Consumer>>,
    /// Cancelled when the process begins to stop: not ready from then on.
    pub(crate) stopping: CancellationToken,
}

impl Probes {
    /// Answers until `over`, which is later than `stopping`: a process that drains still says so.
    pub async fn serve(self, listener: TcpListener, over: CancellationToken) -> io::Result<()> {
        let serving = axum::serve(listener, self.router());
        // Whoever still asks when everything is over gets no answer: nothing is lost by that.
        over.run_until_cancelled(serving.into_future()).await.unwrap_or(Ok(()))
    }

    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/healthz", get(alive))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .with_state(Arc::new(self))
    }
}

async fn alive(State(probes): State<Arc<Probes>>) -> (StatusCode, Json<Value>) {
    let reasons: Vec<String> = probes.consumers.iter().filter_map(|consumer| consumer.silence()).collect();
    (status(&reasons), Json(json!({ "alive": reasons.is_empty(), "reasons": reasons })))
}

async fn ready(State(probes): State<Arc<Probes>>) -> (StatusCode, Json<Value>) {
    let mut reasons = Vec::new();
    if probes.stopping.is_cancelled() {
        reasons.push("the process is stopping".to_owned());
    }
    let codes = &probes.courier.codes;
    // A worker can do without none of it.
    let vitals = vitals::look(&probes.courier.desk, &*probes.courier.broker, codes).await;
    reasons.extend(vitals.reasons());
    // As the door says it: whoever brings a new root sees by this that every process has it.
    let known: Vec<&str> = codes.known().map(Kid::as_str).collect();
    let codes = json!({ "active": codes.active().as_str(), "known": known });
    (status(&reasons), Json(json!({ "ready": reasons.is_empty(), "reasons": reasons, "codes": codes })))
}

fn status(reasons: &[String]) -> StatusCode {
    if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

async fn metrics(State(probes): State<Arc<Probes>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], probes.courier.desk.metrics.text())
}
