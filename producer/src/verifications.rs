//! `/v1/verifications`: codes. Handlers only: take the request apart, hand it on, put the answer together.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use otodoke_common::message::Purpose;
use otodoke_common::request::Request;

use crate::accept::{self, Entry};
use crate::answer::{Accepted, Cancelled, Checked, MessageView, Resent};
use crate::body::{CheckBody, NewVerification, NoFields, ResendBody};
use crate::cancel;
use crate::check::{self, Guess};
use crate::documented::{BodyRefused, Busy, KeyRefused, NotFound, TooLate, TooMany};
use crate::door::Door;
use crate::extract::{Caller, Id, IdempotencyKey, Strict, StrictOrNone};
use crate::find::{self, Face};
use crate::problem::Problem;
use crate::{resend, view};

/// Send a code. Where an equal one is alive this is a resend of it.
#[utoipa::path(
    post, path = "/v1/verifications", tag = "verifications", operation_id = "create_verification", request_body = NewVerification,
    params(("Idempotency-Key" = Option<String>, Header, description = "1-255 visible ASCII, honoured 24 h")),
    responses((status = 202, body = Accepted), KeyRefused, BodyRefused, crate::documented::KeyReused, TooMany, Busy),
)]
pub(crate) async fn create(
    State(door): State<Arc<Door>>,
    caller: Caller,
    IdempotencyKey(key): IdempotencyKey,
    Strict(body): Strict<NewVerification>,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    let purpose = Purpose::from(body.purpose);
    let refused = |problem: &Problem| {
        door.desk.metrics.request(&caller.tenant, purpose, None, accept::refused_as(problem));
    };
    let request = Request::of_code(body).map_err(Problem::from).inspect_err(refused)?;
    let accepted = accept::accept(Entry { door, caller, key, request }).await?;
    Ok((StatusCode::ACCEPTED, Json(accepted)))
}

/// Where it stands.
#[utoipa::path(
    get, path = "/v1/verifications/{id}", tag = "verifications", operation_id = "read_verification",
    params(("id" = String, Path)),
    responses((status = 200, body = MessageView), KeyRefused, NotFound, Busy),
)]
pub(crate) async fn read(
    State(door): State<Arc<Door>>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<MessageView>, Problem> {
    let message = find::find(&door, &caller, Face::Verifications, id).await?;
    Ok(Json(view::of(&door, &message)))
}

/// Check what the person typed. A code that is wrong is no error: see `status`.
#[utoipa::path(
    post, path = "/v1/verifications/{id}/check", tag = "verifications", operation_id = "check_verification", request_body = CheckBody,
    params(
        ("id" = String, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "the same key repeats `verified` for 60 s"),
    ),
    responses((status = 200, body = Checked), KeyRefused, NotFound, BodyRefused, Busy),
)]
pub(crate) async fn check(
    State(door): State<Arc<Door>>,
    caller: Caller,
    IdempotencyKey(key): IdempotencyKey,
    Id(id): Id,
    Strict(body): Strict<CheckBody>,
) -> Result<Json<Checked>, Problem> {
    let message = find::find_sent(&door, &caller, id).await?;
    let guess = Guess::of(&door, &message, key.as_deref(), &body)?;
    check::check(&door, message, guess).await.map(Json)
}

/// Send the same code again, by another route where there is one, or by a call where no text can come.
#[utoipa::path(
    post, path = "/v1/verifications/{id}/resend", tag = "verifications", operation_id = "resend_verification", request_body = Option<ResendBody>,
    params(("id" = String, Path)),
    responses((status = 202, body = Resent), KeyRefused, NotFound, BodyRefused, TooLate, TooMany, Busy),
)]
pub(crate) async fn resend(
    State(door): State<Arc<Door>>,
    caller: Caller,
    Id(id): Id,
    StrictOrNone(body): StrictOrNone<ResendBody>,
) -> Result<(StatusCode, Json<Resent>), Problem> {
    let message = find::find_sent(&door, &caller, id).await?;
    let resent = resend::resend(&door, message, body.channel).await?;
    Ok((StatusCode::ACCEPTED, Json(resent)))
}

/// Cancel whatever is still to come. What has ended keeps its end.
#[utoipa::path(
    post, path = "/v1/verifications/{id}/cancel", tag = "verifications", operation_id = "cancel_verification", request_body = Option<NoFields>,
    params(("id" = String, Path)),
    responses((status = 200, body = Cancelled), KeyRefused, NotFound, BodyRefused, Busy),
)]
pub(crate) async fn cancel(
    State(door): State<Arc<Door>>,
    caller: Caller,
    Id(id): Id,
    StrictOrNone(NoFields {}): StrictOrNone<NoFields>,
) -> Result<Json<Cancelled>, Problem> {
    let message = find::find_sent(&door, &caller, id).await?;
    cancel::cancel(&door, message).await.map(Json)
}
