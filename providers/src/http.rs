//! One vendor's API as we reach it over HTTP, and the one place that sorts what went wrong on the way.
//!
//! No redirects, no retries of what may have left, no proxy from the environment, bounded answers. What a vendor's own codes mean is
//! in that vendor's file; nothing here knows a vendor. No number, text or body ever enters an error.

use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use otodoke_common::leg::ProviderId;
use otodoke_common::outcome::{Answer, Class, Refusal, Scope};
use otodoke_common::provider::AskError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};
use url::{Position, Url};

use self::connector::Connector;
use crate::settings::{ProviderError, ProviderSettings};

mod connector;
#[cfg(test)]
mod tests;

/// Longer answers are not read to their end: the longest one we ask for is a list of 50 texts.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Connecting is given up early, while another route can still deliver in time.
const CONNECT_MS_MAX: u64 = 3_000;
/// Kept shorter than vendors' own idle limits: a request on a connection that just died is `Unknown`.
const IDLE_MS_MAX: u64 = 15_000;
/// A vendor that asks for more is not waited for longer.
const RETRY_AFTER_MS_MAX: u64 = 3_600_000;

pub(crate) struct Api {
    client: Client<Connector, Full<Bytes>>,
    base: Url,
    /// Of every request.
    headers: HeaderMap,
    timeout: Duration,
}

/// An HTTP answer of any status.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    retry_after_ms: Option<u64>,
    /// `None`: longer than the limit, or the connection broke while it came.
    body: Option<Vec<u8>>,
}

/// No answer at all, sorted by the one question: may the request be out already?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    NotSent(&'static str),
    Unknown(&'static str),
}

impl Api {
    /// `secret_header` carries the vendor's credentials in every request.
    pub(crate) fn new(settings: &ProviderSettings, name: HeaderName, secret: &str) -> Result<Self, ProviderError> {
        let base = settings.base()?;
        let mut secret = HeaderValue::from_str(secret)
            .map_err(|_| settings.error("secret", "(hidden)", "a header can carry visible ASCII only"))?;
        secret.set_sensitive(true);
        // Said here, the client need not spell it out for each request.
        let host = HeaderValue::from_str(&base[Position::BeforeHost..Position::AfterPort]);
        let headers = HeaderMap::from_iter([
            (HOST, host.expect("the host of a URL is visible ASCII")),
            (name, secret),
            (ACCEPT, HeaderValue::from_static("application/json")),
            (USER_AGENT, HeaderValue::from_static(concat!("otodoke/", env!("CARGO_PKG_VERSION")))),
        ]);
        let connect_max = Duration::from_millis(CONNECT_MS_MAX.min(settings.timeout_ms / 2));
        let connector = Connector::new(&base, connect_max).map_err(|_| {
            settings.error("base_url", base.as_str(), "TLS could not be set up: install the system's root certificates")
        })?;
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_millis(IDLE_MS_MAX))
            .build(connector);
        Ok(Self { client, base, headers, timeout: settings.timeout() })
    }

    /// The base and `path`, each segment escaped: a vendor's reference cannot lead elsewhere.
    pub(crate) fn place(&self, path: &[&str]) -> Uri {
        uri(&self.url(path))
    }

    pub(crate) fn post_json(&self, place: Uri, body: &impl Serialize) -> Request<Full<Bytes>> {
        let body = serde_json::to_vec(body).expect("what vendors are sent has string keys and no failing fields");
        self.post(place, "application/json", body)
    }

    pub(crate) fn post(&self, place: Uri, content_type: &'static str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
        let mut request = self.request(Method::POST, place, body.into());
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        request
    }

    pub(crate) fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Request<Full<Bytes>> {
        let mut url = self.url(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.request(Method::GET, uri(&url), Bytes::new())
    }

    fn request(&self, method: Method, place: Uri, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        (*request.method_mut(), *request.uri_mut()) = (method, place);
        request.headers_mut().clone_from(&self.headers);
        request
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        url.path_segments_mut().expect("http and https URLs have a path").pop_if_empty().extend(path);
        url
    }

    /// Bounded from its beginning to the last byte of the answer.
    pub(crate) async fn call(&self, request: Request<Full<Bytes>>) -> Result<Reply, Lost> {
        let until = Instant::now() + self.timeout;
        let answered = timeout_at(until, self.client.request(request)).await;
        let response = answered.map_err(|_| Lost::Unknown("no answer in time"))?.map_err(|error| Lost::sort(&error))?;
        let (status, retry_after_ms) = (response.status(), retry_after_ms(response.headers()));
        Ok(Reply { status, retry_after_ms, body: timeout_at(until, body(response)).await.unwrap_or(None) })
    }
}

/// `None`: longer than the limit, or the connection broke while it came.
async fn body(response: Response<Incoming>) -> Option<Vec<u8>> {
    let (mut incoming, mut read) = (response.into_body(), Vec::new());
    while let Some(frame) = incoming.frame().await {
        let Ok(chunk) = frame.ok()?.into_data() else { continue };
        if read.len() + chunk.len() > BODY_BYTES_MAX {
            return None;
        }
        read.extend_from_slice(&chunk);
    }
    Some(read)
}

fn uri(url: &Url) -> Uri {
    url.as_str().parse().expect("the base was read as a URI, and what is put behind it is bounded and escaped")
}

impl Reply {
    /// The body as JSON; `None` when it is garbage, too long, or broke off.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(self.body.as_deref()?).ok()
    }

    /// The answer to a question: a 2xx that can be read, or else nothing was learned.
    pub(crate) fn answer_to_asking<T: DeserializeOwned>(&self, provider: &ProviderId) -> Result<T, AskError> {
        let status = self.status.as_u16();
        let error = |why: String| AskError { provider: provider.clone(), why };
        if !self.status.is_success() {
            return Err(error(format!("http {status}")));
        }
        self.json().ok_or_else(|| error(format!("http {status} with an unreadable body")))
    }

    pub(crate) fn refused(&self, class: Class, scope: Scope, code: String) -> Answer {
        Answer::Refused(Refusal { class, scope, code, retry_after_ms: self.retry_after_ms })
    }

    /// What the status alone says, where the vendor's body says nothing more.
    ///
    /// A 2xx whose body we cannot read may be out. Of the 5xx only 503 says that the request was not handled
    /// (RFC 9110, section 15.6.4). Redirects are a wrong `base_url`: no vendor documents one.
    pub(crate) fn by_status(&self) -> Answer {
        let status = self.status.as_u16();
        let code = format!("http {status}");
        match status {
            300..=399 | 401..=405 | 410 => self.refused(Class::Config, Scope::Provider, code),
            429 => self.refused(Class::Throttled, Scope::Provider, code),
            503 => Answer::NotSent { why: code },
            408 | 500..=599 => Answer::Unknown { why: code },
            400..=499 => self.refused(Class::Content, Scope::Message, code),
            _ => Answer::Unknown { why: format!("{code} with an unreadable body") },
        }
    }
}

impl Lost {
    /// Only an error before the first byte was written is `NotSent`: DNS, TCP and TLS.
    fn sort(error: &Error) -> Self {
        if error.is_connect() {
            Self::NotSent("could not connect")
        } else {
            Self::Unknown("the connection broke before an answer")
        }
    }

    const fn why(self) -> &'static str {
        match self {
            Self::NotSent(why) | Self::Unknown(why) => why,
        }
    }

    pub(crate) fn asking(self, provider: &ProviderId) -> AskError {
        AskError { provider: provider.clone(), why: self.why().to_owned() }
    }
}

impl From<Lost> for Answer {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::NotSent(why) => Self::NotSent { why: why.to_owned() },
            Lost::Unknown(why) => Self::Unknown { why: why.to_owned() },
        }
    }
}

/// Whole seconds only; a date would need a clock, and no vendor of ours documents one.
fn retry_after_ms(headers: &HeaderMap) -> Option<u64> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(seconds.saturating_mul(1_000).min(RETRY_AFTER_MS_MAX))
}
