//! What Twilio's messages and calls have in common: Basic authentication, form bodies, error bodies, signed callbacks.

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::json as answer;
use crate::TwilioAccount;
use crate::courier::Post;
use crate::number::HandsetNumber;
use crate::signature;

pub(super) const API_VERSION: &str = "2010-04-01";

/// An error in the vendor's form.
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: u32,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn bad(code: u32, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, message: message.into() }
    }

    pub(super) fn not_found(path: &str) -> Self {
        let message = format!("The requested resource {path} was not found");
        Self { status: StatusCode::NOT_FOUND, code: 20404, message }
    }

    pub(super) fn throttled() -> Self {
        let message = "Too Many Requests".to_owned();
        Self { status: StatusCode::TOO_MANY_REQUESTS, code: 20429, message }
    }

    pub(super) fn internal() -> Self {
        let message = "An internal server error has occurred".to_owned();
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, code: 20500, message }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let more_info = format!("https://www.twilio.com/docs/errors/{}", self.code);
        let body = json!({ "code": self.code, "message": self.message, "more_info": more_info, "status": self.status.as_u16() });
        answer(self.status, body)
    }
}

/// The account in the path must be the one whose user name and password are shown.
pub(super) fn authorise(headers: &HeaderMap, account: &TwilioAccount, sid: &str) -> Result<(), Refusal> {
    let shown = headers.get("authorization").and_then(|value| value.to_str().ok());
    let pair = shown
        .and_then(|shown| shown.strip_prefix("Basic "))
        .and_then(|encoded| data_encoding::BASE64.decode(encoded.as_bytes()).ok());
    let expected = format!("{}:{}", account.account_sid, account.auth_token);
    if pair.as_deref() != Some(expected.as_bytes()) {
        let message = "Authenticate".to_owned();
        return Err(Refusal { status: StatusCode::UNAUTHORIZED, code: 20003, message });
    }
    if sid != account.account_sid { Err(Refusal::not_found(&format!("/{API_VERSION}/Accounts/{sid}"))) } else { Ok(()) }
}

/// The fields of a form body.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Twilio overlooks a field it does not know; the sandbox names it, so that a misspelt one is found.
    pub(super) fn read(headers: &HeaderMap, body: &Bytes, known: &[&str]) -> Result<Self, Refusal> {
        let content_type = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !content_type.starts_with("application/x-www-form-urlencoded") {
            return Err(Refusal::bad(20001, "Content-Type must be application/x-www-form-urlencoded"));
        }
        let fields: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
        match fields.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            Some((name, _)) => Err(Refusal::bad(20001, format!("{name} is not a parameter of this resource"))),
            None => Ok(Self(fields)),
        }
    }

    /// `None` for a field that is absent or empty.
    pub(super) fn get<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next().filter(|value| !value.is_empty())
    }

    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn handset(&self) -> Result<HandsetNumber, Refusal> {
        let to = self.get("To").ok_or_else(|| Refusal::bad(21604, "A 'To' phone number is required."))?;
        let number = to.strip_prefix('+').and_then(HandsetNumber::international);
        number.ok_or_else(|| Refusal::bad(21211, "The 'To' number is not a valid phone number."))
    }

    /// A URL that can be called back; `code` is the vendor's for one that cannot.
    pub(super) fn url(&self, name: &str, code: u32) -> Result<Option<String>, Refusal> {
        let Some(raw) = self.get(name) else { return Ok(None) };
        let is_valid =
            reqwest::Url::parse(raw).is_ok_and(|url| url.has_host() && matches!(url.scheme(), "http" | "https"));
        if is_valid { Ok(Some(raw.to_owned())) } else { Err(Refusal::bad(code, format!("{name} is not a valid URL"))) }
    }

    /// A number within the vendor's range, or the default.
    pub(super) fn count(&self, name: &str, range: std::ops::RangeInclusive<u64>, default: u64) -> Result<u64, Refusal> {
        let Some(raw) = self.get(name) else { return Ok(default) };
        let value = raw.parse().ok().filter(|value| range.contains(value));
        value.ok_or_else(|| Refusal::bad(20001, format!("{name} must be {} to {}", range.start(), range.end())))
    }
}

/// A form POST as the vendor signs it.
pub(super) fn signed(account: &TwilioAccount, url: &str, form: &[(String, String)]) -> Post {
    Post {
        url: url.split('#').next().unwrap_or_default().to_owned(),
        content_type: "application/x-www-form-urlencoded; charset=UTF-8",
        body: form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish(),
        signature: Some(signature::sign(&account.auth_token, url, form)),
    }
}

/// Pairs of a form, owned.
pub(super) fn fields<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
