//! `/v1/messages`: texts without a code. The same as `verifications`, but nothing is checked or sent again.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use otodoke_common::message::Purpose;
use otodoke_common::request::Request;

use crate::accept::{self, Entry};
use crate::answer::{Accepted, Cancelled, MessageView};
use crate::body::{NewText, NoFields};
use crate::documented::{BodyRefused, Busy, KeyRefused, KeyReused, NotFound, TooMany};
use crate::door::Door;
use crate::extract::{Caller, Id, IdempotencyKey, Strict, StrictOrNone};
use crate::find::{self, Face};
use crate::problem::Problem;
use crate::{cancel, view};

/// Send a text.
#[utoipa::path(
    post, path = "/v1/messages", tag = "messages", operation_id = "create_message", request_body = NewText,
    params(("Idempotency-Key" = Option<String>, Header, description = "1-255 visible ASCII, honoured 24 h")),
    responses((status = 202, body = Accepted), KeyRefused, BodyRefused, KeyReused, TooMany, Busy),
)]
pub(crate) async fn create(
    State(door): State<Arc<Door>>,
    caller: Caller,
    IdempotencyKey(key): IdempotencyKey,
    Strict(body): Strict<NewText>,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    let refused = |problem: &Problem| {
        door.desk.metrics.request(&caller.tenant, Purpose::Notice, None, accept::refused_as(problem));
    };
    let request = Request::of_text(body).map_err(Problem::from).inspect_err(refused)?;
    let accepted = accept::accept(Entry { door, caller, key, request }).await?;
    Ok((StatusCode::ACCEPTED, Json(accepted)))
}

/// Where it stands.
#[utoipa::path(
    get, path = "/v1/messages/{id}", tag = "messages", operation_id = "read_message",
    params(("id" = String, Path)),
    responses((status = 200, body = MessageView), KeyRefused, NotFound, Busy),
)]
pub(crate) async fn read(
    State(door): State<Arc<Door>>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<MessageView>, Problem> {
    let message = find::find(&door, &caller, Face::Messages, id).await?;
    Ok(Json(view::of(&door, &message)))
}

/// Cancel whatever is still to come. What has ended keeps its end.
#[utoipa::path(
    post, path = "/v1/messages/{id}/cancel", tag = "messages", operation_id = "cancel_message", request_body = Option<NoFields>,
    params(("id" = String, Path)),
    responses((status = 200, body = Cancelled), KeyRefused, NotFound, BodyRefused, Busy),
)]
pub(crate) async fn cancel(
    State(door): State<Arc<Door>>,
    caller: Caller,
    Id(id): Id,
    StrictOrNone(NoFields {}): StrictOrNone<NoFields>,
) -> Result<Json<Cancelled>, Problem> {
    let message = find::find(&door, &caller, Face::Messages, id).await?;
    cancel::cancel(&door, message).await.map(Json)
}
