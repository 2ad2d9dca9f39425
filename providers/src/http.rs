//! One vendor's API as we reach it over HTTP, and the one place that sorts what went wrong on the way.
//!
//! No redirects, no retries, no proxy from the environment, bounded answers. What a vendor's own codes mean is
//! in that vendor's file; nothing here knows a vendor. No number, text or body ever enters an error.

use std::time::Duration;

use otodoke_common::leg::ProviderId;
use otodoke_common::outcome::{Answer, Class, Refusal, Scope};
use otodoke_common::provider::AskError;
use reqwest::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, StatusCode, Url};
use serde::de::DeserializeOwned;

use crate::settings::{ProviderError, ProviderSettings, is_loopback};

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
    client: Client,
    base: Url,
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
        let headers = HeaderMap::from_iter([(name, secret), (ACCEPT, HeaderValue::from_static("application/json"))]);

        // A second installation is refused, which is as good: the provider is the same for the whole process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = Client::builder()
            .default_headers(headers)
            .user_agent(concat!("otodoke/", env!("CARGO_PKG_VERSION")))
            .timeout(settings.timeout())
            .connect_timeout(Duration::from_millis(CONNECT_MS_MAX.min(settings.timeout_ms / 2)))
            .pool_idle_timeout(Duration::from_millis(IDLE_MS_MAX))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy();
        if base.scheme() == "http" && is_loopback(&base) {
            // No TLS will be spoken: the machine's root certificates need not exist.
            client = client.tls_certs_only([]);
        }
        let client = client.build().map_err(|_| {
            settings.error("base_url", base.as_str(), "TLS could not be set up: install the system's root certificates")
        })?;
        Ok(Self { client, base })
    }

    pub(crate) fn post(&self, path: &[&str]) -> RequestBuilder {
        self.client.post(self.url(path))
    }

    pub(crate) fn get(&self, path: &[&str], query: &[(&str, &str)]) -> RequestBuilder {
        let mut url = self.url(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.client.get(url)
    }

    /// The base and `path`, each segment escaped: a vendor's reference cannot lead elsewhere.
    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        url.path_segments_mut().expect("http and https URLs have a path").pop_if_empty().extend(path);
        url
    }

    pub(crate) async fn call(&self, request: RequestBuilder) -> Result<Reply, Lost> {
        let mut response = request.send().await.map_err(|error| Lost::sort(&error))?;
        let retry_after_ms = retry_after_ms(response.headers());
        let mut body = Some(Vec::new());
        while let Some(read) = body.as_mut() {
            match response.chunk().await {
                Ok(Some(chunk)) if read.len() + chunk.len() <= BODY_BYTES_MAX => read.extend_from_slice(&chunk),
                Ok(None) => break,
                Ok(Some(_)) | Err(_) => body = None,
            }
        }
        Ok(Reply { status: response.status(), retry_after_ms, body })
    }
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
    /// Only an error before the first byte was written is `NotSent`: building, DNS, TCP and TLS.
    fn sort(error: &reqwest::Error) -> Self {
        if error.is_connect() || error.is_builder() {
            return Self::NotSent("could not connect");
        }
        Self::Unknown(if error.is_timeout() { "no answer in time" } else { "the connection broke before an answer" })
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
