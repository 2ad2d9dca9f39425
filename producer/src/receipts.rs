//! `/receipts/...`: what providers tell us about their legs. Authenticated and translated by the vendor's own module,
//! made durable on the queue `receipts`, and only then acknowledged. Matching is the status consumer's.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use otodoke_common::broker::Queue;
use otodoke_common::metrics::ReceiptMatch;
use otodoke_common::outcome::{Proof, Report};
use otodoke_common::provider::WebhookReading;
use otodoke_common::wire::encode_reports;

use crate::documented::{Busy, NotFound, WebhookRefused};
use crate::door::Door;
use crate::effects;
use crate::extract::Known;
use crate::problem::Problem;
use crate::webhook::{self, Received};

/// With more reports waiting than this, those without proof are not taken.
pub(crate) const UNPROVEN_WAITING_MAX: u64 = 5_000;

/// A provider's receipts, without a tag of ours.
#[utoipa::path(
    post, path = "/receipts/{provider}", tag = "providers",
    params(("provider" = String, Path)),
    responses((status = 200, description = "durable; the vendor's own form"), WebhookRefused, NotFound, Busy),
    security(()),
)]
pub(crate) async fn untagged(
    State(door): State<Arc<Door>>,
    known: Known<String>,
    received: Received,
) -> Result<Response, Problem> {
    receive(&door, &known, None, &received).await
}

/// A provider's receipts at the address that holds the tag of a leg.
#[utoipa::path(
    post, path = "/receipts/{provider}/{tag}", tag = "providers",
    params(("provider" = String, Path), ("tag" = String, Path)),
    responses((status = 200, description = "durable; the vendor's own form"), WebhookRefused, NotFound, Busy),
    security(()),
)]
pub(crate) async fn tagged(
    State(door): State<Arc<Door>>,
    known: Known<(String, String)>,
    received: Received,
) -> Result<Response, Problem> {
    let (_, tag) = &known.path;
    receive(&door, &known, Some(tag), &received).await
}

/// Anybody can send what nobody proves, and it shares a queue with what is proven. While many wait, such pokes are
/// answered and dropped: the sweep asks about every leg unasked.
fn is_flooded(door: &Door, reports: &[Report]) -> bool {
    let unproven = !reports.is_empty() && reports.iter().all(|report| report.proof == Proof::Nothing);
    unproven && door.broker.backlog(Queue::Receipts).waiting > UNPROVEN_WAITING_MAX
}

async fn receive<T>(
    door: &Arc<Door>,
    Known { id, provider, .. }: &Known<T>,
    tag: Option<&str>,
    received: &Received,
) -> Result<Response, Problem> {
    match received.read(door, tag, |request| provider.read_webhook(request)) {
        WebhookReading::Reports { reports, reply } => {
            if is_flooded(door, &reports) {
                door.desk.metrics.receipt_match(id, ReceiptMatch::Flooded);
            } else if !reports.is_empty() {
                // Where many come at once, the backend lets them travel together.
                let kept = effects::publish(door, Queue::Receipts, encode_reports(&reports)).await;
                kept.map_err(|_| Problem::unavailable())?;
            }
            Ok(webhook::reply(reply))
        }
        WebhookReading::Rejected { status, why } => {
            door.desk.metrics.receipt_match(id, ReceiptMatch::Forged);
            tracing::warn!(provider = %id, status, why, "a webhook was refused");
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
            Err(Problem::new(status, "webhook_refused", why))
        }
    }
}
