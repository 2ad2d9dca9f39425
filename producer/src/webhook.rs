//! What providers call us with, as they sent it: headers, body and the URL that they were given.

use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use otodoke_common::provider::{WebhookReply, WebhookRequest};

use crate::door::Door;

/// The parts of a request that a vendor's authentication may look at.
pub(crate) struct Received {
    url: String,
    headers: Vec<(String, String)>,
    body: axum::body::Bytes,
}

impl Received {
    pub(crate) fn new(door: &Door, uri: &Uri, headers: &HeaderMap, body: axum::body::Bytes) -> Self {
        let path = uri.path_and_query().map_or_else(|| uri.path(), |path| path.as_str());
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        Self {
            url: format!("{}{path}", door.public_url.trim_end_matches('/')),
            headers: headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes()))).collect(),
            body,
        }
    }

    pub(crate) fn request<'a>(&'a self, door: &Door, tag: Option<&'a str>) -> WebhookRequest<'a> {
        WebhookRequest { url: &self.url, tag, headers: &self.headers, body: &self.body, now: door.now() }
    }
}

/// The vendor's own form.
pub(crate) fn reply(reply: WebhookReply) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, reply.content_type)], reply.body).into_response()
}
