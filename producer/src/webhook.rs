//! What providers call us with, as they sent it: headers, body and the URL that they were given.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use otodoke_common::provider::{WebhookReply, WebhookRequest};

use crate::door::Door;
use crate::extract::{WEBHOOK_BYTES_MAX, WEBHOOK_WAIT_MS_MAX, within};
use crate::problem::Problem;

/// The parts of a request that a vendor's authentication may look at.
pub(crate) struct Received {
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

impl<S: Send + Sync> FromRequest<S> for Received {
    type Rejection = Problem;

    async fn from_request(mut request: Request, _: &S) -> Result<Self, Problem> {
        let (uri, headers) = (std::mem::take(request.uri_mut()), std::mem::take(request.headers_mut()));
        let body = within::<WEBHOOK_BYTES_MAX, WEBHOOK_WAIT_MS_MAX>(request.into_body()).await?;
        Ok(Self { uri, headers, body })
    }
}

impl Received {
    /// Has the vendor's module read it. A header that is no text is none to it.
    pub(crate) fn read<T>(&self, door: &Door, tag: Option<&str>, read: impl FnOnce(&WebhookRequest<'_>) -> T) -> T {
        let path = self.uri.path_and_query().map_or_else(|| self.uri.path(), |path| path.as_str());
        let url = format!("{}{path}", door.public_url.trim_end_matches('/'));
        let headers = self.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let headers: Vec<_> = headers.collect();
        read(&WebhookRequest { url: &url, tag, headers: &headers, body: &self.body, now: door.now() })
    }
}

/// The vendor's own form.
pub(crate) fn reply(reply: WebhookReply) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, reply.content_type)], reply.body).into_response()
}
