//! Refusals as RFC 9457 writes them: `application/problem+json` with a stable `code`, a remedy in `detail`, the `field`.
//!
//! Every answer of the door that is not a success is made here, so that all of them have one form.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use otodoke_common::phone::PhoneError;
use otodoke_common::request::RequestError;
use otodoke_common::request::strict::ReadError;
use otodoke_common::store::StoreError;
use otodoke_common::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a caller that nobody can serve now is told to wait, seconds.
pub const RETRY_UNAVAILABLE_S: u64 = 5;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub status: StatusCode,
    pub code: &'static str,
    pub detail: String,
    pub field: Option<String>,
    pub retry_after_s: Option<u64>,
}

/// The body of every refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// `about:blank`: the HTTP status and `code` say it all.
    #[serde(rename = "type")]
    pub kind: String,
    /// The words of the HTTP status.
    pub title: String,
    pub status: u16,
    /// Stable, for programs.
    pub code: String,
    /// What is wrong and what would be right, for people.
    pub detail: String,
    /// The field of the request that is meant, as a path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), field: None, retry_after_s: None }
    }

    /// 422 about one field.
    pub fn input(code: &'static str, field: &str, detail: impl Into<String>) -> Self {
        Self { field: Some(field.to_owned()), ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail) }
    }

    pub fn retry_after_s(self, seconds: u64) -> Self {
        Self { retry_after_s: Some(seconds.max(1)), ..self }
    }

    /// Waits until `at`, rounded up to whole seconds.
    pub fn retry_at(self, at: Timestamp, now: Timestamp) -> Self {
        self.retry_after_s(at.since_ms(now).div_ceil(1_000))
    }

    /// One answer for every key that opens nothing.
    pub fn unauthorized() -> Self {
        let detail = "send a valid API key: `Authorization: Bearer <key>`";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }

    /// One answer for an unknown id and for that of another tenant.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "nothing is known under this address: check the id and the path")
    }

    pub fn method_not_allowed() -> Self {
        let detail = "this address does not take that method: `Allow` lists those it takes";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
    }

    pub fn unavailable() -> Self {
        let detail = "this could not be done, or nobody can tell yet whether it was: try again shortly";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail).retry_after_s(RETRY_UNAVAILABLE_S)
    }

    pub fn busy(detail: impl Into<String>, retry_after_s: u64) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).retry_after_s(retry_after_s)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            kind: "about:blank".to_owned(),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            code: self.code.to_owned(),
            detail: self.detail,
            field: self.field,
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"otodoke\""));
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<RequestError> for Problem {
    fn from(error: RequestError) -> Self {
        let problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, error.code(), error.to_string());
        Self { field: error.field().map(str::to_owned), ..problem }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        RequestError::from(error).into()
    }
}

impl From<PhoneError> for Problem {
    fn from(error: PhoneError) -> Self {
        RequestError::from(error).into()
    }
}

/// The caller learns that it cannot be done now; why is for the operator, in the log.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "the store refused the door");
        Self::unavailable()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_said_in_whole_seconds_and_never_zero() {
        let now = Timestamp::from_unix_ms(10_000);
        for (at_ms, seconds) in [(10_000, 1), (9_000, 1), (10_001, 1), (11_000, 1), (11_001, 2), (70_000, 60)] {
            let problem = Problem::unavailable().retry_at(Timestamp::from_unix_ms(at_ms), now);
            assert_eq!(problem.retry_after_s, Some(seconds), "{at_ms}");
        }
    }

    #[test]
    fn a_refused_key_is_told_how_to_present_one() {
        let response = Problem::unauthorized().into_response();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer realm=\"otodoke\"");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    }
}
