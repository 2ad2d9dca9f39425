//! What handlers take out of a request: who calls, the idempotency key, the id of the path, the body.
//!
//! Each refuses with a `Problem`, so that no answer is in the framework's own words.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use hyper::body::Body;
use otodoke_common::dice::Dice;
use otodoke_common::leg::ProviderId;
use otodoke_common::message::{MessageId, TenantId};
use otodoke_common::provider::Provider;
use otodoke_common::request::{BODY_BYTES_MAX, strict};
use otodoke_common::trace::TraceContext;
use serde::de::DeserializeOwned;

use crate::auth;
use crate::door::Door;
use crate::problem::Problem;

/// Largest body of a provider, bytes: several receipts come in one.
pub const WEBHOOK_BYTES_MAX: usize = 256 * 1024;
/// Longest wait for a body.
pub const BODY_WAIT_MS_MAX: u64 = 5_000;
/// The same of a vendor's, which sends what it has at once, and whose place nobody else has meanwhile.
pub const WEBHOOK_WAIT_MS_MAX: u64 = 2_000;
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// Who calls, proven by an API key.
pub(crate) struct Caller {
    pub(crate) tenant: TenantId,
}

impl FromRequestParts<Arc<Door>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, door: &Arc<Door>) -> Result<Self, Problem> {
        let authorization = parts.headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        let store = door.desk.store.as_ref();
        let asked = auth::tenant_of(store, &door.hands.keys, authorization, door.now()).await;
        let refused = |problem: &Problem| {
            if problem.status == StatusCode::UNAUTHORIZED {
                door.desk.metrics.key_refused();
            }
        };
        asked.inspect_err(refused).map(|tenant| Self { tenant })
    }
}

/// The header `Idempotency-Key`, where it was sent.
pub(crate) struct IdempotencyKey(pub(crate) Option<String>);

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all("idempotency-key").iter();
        let Some(first) = values.next() else { return Ok(Self(None)) };
        let key = first.to_str().ok().filter(|key| {
            (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic())
        });
        match (key, values.next()) {
            (Some(key), None) => Ok(Self(Some(key.to_owned()))),
            (Some(_) | None, _) => {
                let detail = "the header `Idempotency-Key` must come once and hold 1 to 255 visible ASCII characters";
                Err(Problem::input("invalid_field", "Idempotency-Key", detail))
            }
        }
    }
}

/// The message id of the path; what is no id is as unknown as an id nobody knows.
pub(crate) struct Id(pub(crate) MessageId);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let InPath(raw): InPath<String> = InPath::from_request_parts(parts, state).await?;
        MessageId::parse(&raw).map(Self).ok_or_else(Problem::not_found)
    }
}

/// Parameters of the path.
pub(crate) struct InPath<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for InPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Path::from_request_parts(parts, state).await.map(|Path(value)| Self(value)).map_err(|_| Problem::not_found())
    }
}

/// The parameters of a provider's path, and the provider that it names: looked up before anybody's body is read.
pub(crate) struct Known<T> {
    pub(crate) id: ProviderId,
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) path: T,
}

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<Door>> for Known<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, door: &Arc<Door>) -> Result<Self, Problem> {
        let all = RawPathParams::from_request_parts(parts, door).await.map_err(|_| Problem::not_found())?;
        let name = all.iter().find_map(|(key, value)| (key == "provider").then_some(value));
        let id = name.and_then(|name| ProviderId::parse(name).ok()).ok_or_else(Problem::not_found)?;
        let provider = door.providers.get(&id).cloned().ok_or_else(Problem::not_found)?;
        let InPath(path) = InPath::from_request_parts(parts, door).await?;
        Ok(Self { id, provider, path })
    }
}

/// A JSON body, read strictly.
pub(crate) struct Strict<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Strict<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let json = is_json(request.headers());
        let bytes = within::<BODY_BYTES_MAX, BODY_WAIT_MS_MAX>(request.into_body()).await?;
        if json { Ok(Self(strict::read(&bytes)?)) } else { Err(not_json()) }
    }
}

/// The same for requests whose body may be left out.
pub(crate) struct StrictOrNone<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for StrictOrNone<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let json = is_json(request.headers());
        let bytes = within::<BODY_BYTES_MAX, BODY_WAIT_MS_MAX>(request.into_body()).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        if json { Ok(Self(strict::read(&bytes)?)) } else { Err(not_json()) }
    }
}

/// The bytes of a body, no more of them than `MAX`, and within `WAIT_MS`.
pub(crate) async fn within<const MAX: usize, const WAIT_MS: u64>(body: axum::body::Body) -> Result<Bytes, Problem> {
    let wait = Duration::from_millis(WAIT_MS);
    tokio::time::timeout(wait, read(body, MAX)).await.unwrap_or_else(|_| {
        let detail = format!("the body did not arrive within {WAIT_MS} ms: send it faster");
        Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", detail))
    })
}

/// What came in one piece is taken as it is. Other pieces are copied: each is a part of a buffer, and holds all of it, so a
/// body in pieces of one byte would hold thousands of times its size.
async fn read(mut body: axum::body::Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let mut read = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|_| {
            Problem::new(StatusCode::BAD_REQUEST, "body_broken", "the body broke off: send the request again")
        })?;
        let Ok(piece) = frame.into_data() else { continue };
        if read.len() + piece.len() > bytes_max {
            return Err(too_large());
        }
        if read.is_empty() && body.is_end_stream() {
            return Ok(piece);
        }
        make_room(&mut read, piece.len(), bytes_max);
        read.extend_from_slice(&piece);
    }
    Ok(read.into())
}

/// Twice as much each time, but never more than a body may have.
fn make_room(read: &mut Vec<u8>, more: usize, bytes_max: usize) {
    let needed = read.len() + more;
    if needed > read.capacity() {
        let room = (2 * read.capacity()).clamp(needed, bytes_max);
        read.reserve_exact(room - read.len());
    }
}

/// The trace that the caller works in, as `traceparent` and `tracestate` say; else one that begins here.
pub(crate) fn trace(headers: &HeaderMap, dice: &Dice) -> TraceContext {
    let values = |name| headers.get_all(name).iter().map(|value: &HeaderValue| value.to_str().unwrap_or_default());
    let mut parents = values("traceparent");
    let said = match (parents.next(), parents.next()) {
        (Some(parent), None) => TraceContext::parse(parent, Some(&values("tracestate").collect::<Vec<_>>().join(","))),
        _ => None,
    };
    said.unwrap_or_else(|| TraceContext::new(dice))
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = value.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/json")
}

fn not_json() -> Problem {
    let detail = "send the body as JSON with the header `Content-Type: application/json`";
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
}

fn too_large() -> Problem {
    let detail = format!("a body may hold {BODY_BYTES_MAX} bytes, that of a provider {WEBHOOK_BYTES_MAX}");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::body::Body;
    use axum::response::IntoResponse;
    use futures_util::stream;

    use super::*;

    const BUFFER_BYTES: usize = 8 * 1024;

    /// As a connection has them; each counts as long as a piece of it is held.
    struct Buffer {
        bytes: [u8; BUFFER_BYTES],
        _held: Arc<()>,
    }

    impl AsRef<[u8]> for Buffer {
        fn as_ref(&self) -> &[u8] {
            &self.bytes
        }
    }

    /// What a body of so many pieces of one byte comes to, and the most buffers that were held meanwhile.
    async fn in_pieces<const MAX: usize>(count: usize) -> (Result<usize, StatusCode>, usize) {
        let (held, most) = (Arc::new(()), Arc::new(AtomicUsize::new(0)));
        let seen = Arc::clone(&most);
        let pieces = (0..count).map(move |_| {
            seen.fetch_max(Arc::strong_count(&held) - 1, Ordering::Relaxed);
            let buffer = Buffer { bytes: [7; BUFFER_BYTES], _held: Arc::clone(&held) };
            Ok::<_, Infallible>(Bytes::from_owner(buffer).slice(..1))
        });
        let read = within::<MAX, BODY_WAIT_MS_MAX>(Body::from_stream(stream::iter(pieces))).await;
        let read = read.map(|bytes| bytes.len()).map_err(|problem| problem.into_response().status());
        (read, most.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn a_body_in_small_pieces_holds_none_of_the_buffers_they_came_in() {
        let (read, held) = in_pieces::<BODY_BYTES_MAX>(BODY_BYTES_MAX).await;
        assert_eq!(read, Ok(BODY_BYTES_MAX));
        assert!(held <= 1, "{held} buffers were held at once");
    }

    #[test]
    fn no_more_room_is_taken_than_a_body_may_have() {
        let mut read = Vec::new();
        for _ in 0..100 {
            make_room(&mut read, 1, 100);
            read.push(7);
        }
        assert_eq!(read.capacity(), 100);
    }

    #[tokio::test]
    async fn pieces_count_towards_the_limit_together() {
        let (read, _) = in_pieces::<100>(101).await;
        assert_eq!(read, Err(StatusCode::PAYLOAD_TOO_LARGE));
    }

    #[tokio::test]
    async fn a_body_in_one_piece_is_not_copied() {
        let sent = Bytes::from(vec![7; 100]);
        let Ok(read) = within::<100, BODY_WAIT_MS_MAX>(Body::from(sent.clone())).await else {
            panic!("a body at its limit was refused");
        };
        assert_eq!(read.as_ptr(), sent.as_ptr());
    }
}
