//! The client library: the door's operations as typed calls. Used by the command line, and by anybody's program.

use std::time::Duration;

use axum::http::header;
use otodoke_common::message::MessageId;
use reqwest::{Method, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::answer::{Accepted, Cancelled, Checked, Found, MessageView, Resent, Trace};
use crate::body::{ChannelWord, CheckBody, NewText, NewVerification, ResendBody, SearchBody};
use crate::problem::ProblemBody;

/// Longest wait for an answer.
pub const ANSWER_WAIT_MS_MAX: u64 = 20_000;
/// Largest answer read, bytes.
pub const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// One door and one key. Cheap to clone; connections are shared.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    key: String,
}

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The door refused, and said why.
    #[error("{code}: {detail}{again}", code = .body.code, detail = .body.detail, again = again(*.retry_after_s))]
    Refused {
        body: Box<ProblemBody>,
        /// From `Retry-After`.
        retry_after_s: Option<u64>,
    },
    /// No answer came: the request may have been taken. Repeat it with the same idempotency key.
    #[error("{url} did not answer: check the URL, and whether the door runs there")]
    Unreachable { url: String, source: reqwest::Error },
    /// Something answered that is not the door.
    #[error("{url} answered {status}, which is no answer of Otodoke: check the URL")]
    Unreadable { url: String, status: u16 },
    #[error("the HTTP client cannot be made: install the system's root certificates")]
    Unmade { source: reqwest::Error },
    /// Nothing was sent; nor here.
    #[error("{url:?} is no URL of a door: it looks like \"http://127.0.0.1:8080\"")]
    NotAUrl { url: String },
    #[error("{id:?} is no message id: take it from the answer to `send`")]
    NotAnId { id: String },
}

impl ClientError {
    /// Whether no connection came about: nothing of the request left, so it may be sent again without doubling anything.
    pub fn is_not_connected(&self) -> bool {
        matches!(self, Self::Unreachable { source, .. } if source.is_connect())
    }
}

impl Client {
    /// `url` as the door says it, such as `http://127.0.0.1:8080`.
    pub fn new(url: &str, key: &str) -> Result<Self, ClientError> {
        let is_url =
            reqwest::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if !is_url {
            return Err(ClientError::NotAUrl { url: url.to_owned() });
        }
        // A second installation is refused, which is as good: the TLS provider is the same for the whole process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut http = reqwest::Client::builder()
            .timeout(Duration::from_millis(ANSWER_WAIT_MS_MAX))
            .redirect(reqwest::redirect::Policy::none());
        if url.starts_with("http://") {
            // No TLS will be spoken: the machine's root certificates need not exist.
            http = http.tls_certs_only([]);
        }
        let http = http.build().map_err(|source| ClientError::Unmade { source })?;
        Ok(Self { http, url: url.trim_end_matches('/').to_owned(), key: key.to_owned() })
    }

    /// Sends a code. With a key it may be repeated for 24 hours and stays one message.
    pub async fn send(&self, body: &NewVerification, idempotency_key: Option<&str>) -> Result<Accepted, ClientError> {
        self.post("/v1/verifications", body, idempotency_key).await
    }

    /// Sends a text without a code.
    pub async fn send_text(&self, body: &NewText, idempotency_key: Option<&str>) -> Result<Accepted, ClientError> {
        self.post("/v1/messages", body, idempotency_key).await
    }

    pub async fn check(
        &self,
        id: &str,
        body: &CheckBody,
        idempotency_key: Option<&str>,
    ) -> Result<Checked, ClientError> {
        self.post(&path("verifications", id, "/check")?, body, idempotency_key).await
    }

    pub async fn resend(&self, id: &str, channel: Option<ChannelWord>) -> Result<Resent, ClientError> {
        self.post(&path("verifications", id, "/resend")?, &ResendBody { channel }, None).await
    }

    pub async fn cancel(&self, id: &str) -> Result<Cancelled, ClientError> {
        self.post(&path("verifications", id, "/cancel")?, &serde_json::json!({}), None).await
    }

    pub async fn cancel_text(&self, id: &str) -> Result<Cancelled, ClientError> {
        self.post(&path("messages", id, "/cancel")?, &serde_json::json!({}), None).await
    }

    pub async fn get(&self, id: &str) -> Result<MessageView, ClientError> {
        self.ask(Method::GET, &path("verifications", id, "")?, None, None).await
    }

    pub async fn get_text(&self, id: &str) -> Result<MessageView, ClientError> {
        self.ask(Method::GET, &path("messages", id, "")?, None, None).await
    }

    pub async fn trace(&self, id: &str) -> Result<Trace, ClientError> {
        self.ask(Method::GET, &path("trace", id, "")?, None, None).await
    }

    /// What went to a number, newest first.
    pub async fn search(&self, body: &SearchBody) -> Result<Found, ClientError> {
        self.post("/v1/trace", body, None).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        key: Option<&str>,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).expect("bodies have string keys and no failing fields");
        self.ask(Method::POST, path, Some(body), key).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        key: Option<&str>,
    ) -> Result<T, ClientError> {
        let mut request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.key);
        if let Some(body) = body {
            request = request.header(header::CONTENT_TYPE, "application/json").body(body);
        }
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let response = request.send().await.map_err(|source| self.unreachable(source))?;
        self.read(response).await
    }

    async fn read<T: DeserializeOwned>(&self, mut response: Response) -> Result<T, ClientError> {
        let status = response.status();
        let retry_after_s =
            response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let unreadable = || ClientError::Unreadable { url: self.url.clone(), status: status.as_u16() };
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|source| self.unreachable(source))? {
            if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(unreadable());
            }
            bytes.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return serde_json::from_slice(&bytes).map_err(|_| unreadable());
        }
        let body = serde_json::from_slice(&bytes).map_err(|_| unreadable())?;
        Err(ClientError::Refused { body, retry_after_s })
    }

    fn unreachable(&self, source: reqwest::Error) -> ClientError {
        ClientError::Unreachable { url: self.url.clone(), source: source.without_url() }
    }
}

fn again(retry_after_s: Option<u64>) -> String {
    retry_after_s.map_or_else(String::new, |seconds| format!(". Retry after {seconds} s"))
}

/// An id that came from elsewhere cannot lead to another address.
fn path(face: &str, id: &str, verb: &str) -> Result<String, ClientError> {
    let id = MessageId::parse(id).ok_or_else(|| ClientError::NotAnId { id: id.to_owned() })?;
    Ok(format!("/v1/{face}/{id}{verb}"))
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("url", &self.url).finish_non_exhaustive()
    }
}
