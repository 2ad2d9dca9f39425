//! Twilio, API version 2010-04-01: what its texts (`messages`) and its calls (`calls`) share.
//!
//! Source: twilio-oai `twilio_api_v2010.json`, "Security: validating requests", "API response 429". Nothing is
//! deduped: a lost answer stays unknown until a signed callback with our tag in its path clears it up.

use std::sync::Arc;

use data_encoding::BASE64;
use hyper::header::AUTHORIZATION;
use otodoke_common::leg::ProviderId;
use otodoke_common::outcome::{About, Answer, Proof, Refusal, Report, ReportStatus};
use otodoke_common::provider::{AskError, Question, SendRequest, WebhookReading, WebhookRequest};
use otodoke_common::seal::Vault;
use ring::hmac;
use serde::Deserialize;

use crate::http::{Api, Lost, Reply};
use crate::report::{asked, received, reference};
use crate::settings::{ProviderError, ProviderSettings};

pub(crate) mod calls;
mod errors;
pub(crate) mod messages;
mod signature;
#[cfg(test)]
mod tests;
mod twiml;

const VERSION: &str = "2010-04-01";

/// One account at Twilio, as one of our providers uses it.
struct Account {
    id: ProviderId,
    sid: String,
    api: Api,
    /// Only the primary auth token signs; it is also what we authenticate with.
    token: hmac::Key,
    vault: Arc<Vault>,
    public_url: String,
}

/// A text or a call as the API describes it. Fields are added by the vendor at any time.
#[derive(Deserialize)]
struct Resource {
    sid: Option<String>,
    status: Option<String>,
    error_code: Option<u32>,
}

/// The body of a 4xx. Its `message` may hold the number and is never read.
#[derive(Deserialize)]
struct Problem {
    code: u32,
}

/// A status as the vendor tells it.
struct Told<'a> {
    word: &'a str,
    error: Option<u32>,
    /// What the network of the one who was called answered (`SipResponseCode`); only callbacks about calls say it.
    sip: Option<u16>,
    /// Where it is news.
    sid: Option<String>,
}

/// How a resource's status is read. `None` is no news.
type ReadStatus = fn(Told<'_>) -> Option<ReportStatus>;

impl Account {
    fn new(settings: &ProviderSettings, vault: Arc<Vault>) -> Result<Self, ProviderError> {
        let sid = settings.account.clone().unwrap_or_default();
        if sid.is_empty() || !sid.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(settings.error("account", &sid, "set the AccountSid: AC and 32 hex digits"));
        }
        let credentials = BASE64.encode(format!("{sid}:{}", settings.secret.expose()).as_bytes());
        let api = Api::new(settings, AUTHORIZATION, &format!("Basic {credentials}"))?;
        let token = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, settings.secret.expose().as_bytes());
        Ok(Self { id: settings.id.clone(), sid, api, token, vault, public_url: settings.public()? })
    }

    /// `collection` is `Messages` or `Calls`; `sid` names one of it.
    async fn post(&self, collection: &str, sid: Option<&str>, form: &[(&str, &str)]) -> Result<Reply, Lost> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let place = match sid {
            None => self.api.place(&[VERSION, "Accounts", &self.sid, &format!("{collection}.json")]),
            Some(sid) => self.api.place(&[VERSION, "Accounts", &self.sid, collection, &format!("{sid}.json")]),
        };
        self.api.call(self.api.post(place, "application/x-www-form-urlencoded", body)).await
    }

    /// By the vendor's own name only: its lists cannot be searched for ours.
    async fn ask(&self, collection: &str, question: &Question, read: ReadStatus) -> Result<Vec<Report>, AskError> {
        let Some(sid) = &question.reference else {
            return Ok(Vec::new());
        };
        let path = [VERSION, "Accounts", &self.sid, collection, &format!("{sid}.json")];
        let request = self.api.get(&path, &[]);
        let reply = self.api.call(request).await.map_err(|lost| lost.asking(&self.id))?;
        let resource: Resource = reply.answer_to_asking(&self.id)?;
        let told = |word| Told { word, error: resource.error_code, sip: None, sid: Some(sid.clone()) };
        let status = resource.status.as_deref().map(told).and_then(read);
        Ok(status.map(|status| asked(&self.id, question, status, None)).into_iter().collect())
    }

    /// Where callbacks about this leg go. The tag names it; the signature proves it.
    fn receipts_url(&self, request: &SendRequest) -> String {
        format!("{}/receipts/{}/{}", self.public_url, self.id, request.tag.as_str())
    }

    /// The form of a request that is signed by the account; `None` where it is not.
    fn signed_form(&self, request: &WebhookRequest<'_>) -> Option<Form> {
        signature::holds(&self.token, request).then(|| Form::read(request.body))
    }

    /// A status callback: `prefix` is `Message` or `Call`, as in `MessageSid` and `CallStatus`.
    fn read_callback(&self, request: &WebhookRequest<'_>, prefix: &str, read: ReadStatus) -> WebhookReading {
        let Some(form) = self.signed_form(request) else {
            return WebhookReading::Rejected { status: 403, why: "X-Twilio-Signature does not hold" };
        };
        let sid = form.get(&format!("{prefix}Sid")).and_then(reference);
        let leg = request.tag.and_then(|tag| self.vault.read_leg_tag(tag));
        let about = match (leg, &sid) {
            (Some((id, leg)), _) => About::Leg { id, leg },
            (None, Some(sid)) => About::Reference(sid.clone()),
            (None, None) => return WebhookReading::Rejected { status: 400, why: "the callback names no resource" },
        };
        let told = Told {
            word: form.get(&format!("{prefix}Status")).unwrap_or_default(),
            error: form.get("ErrorCode").and_then(|code| code.parse().ok()),
            sip: form.get("SipResponseCode").and_then(|code| code.parse().ok()),
            sid,
        };
        let report = |status| Report {
            provider: self.id.clone(),
            about: about.clone(),
            status,
            proof: Proof::Signature,
            at: request.now,
            // `RawDlrDoneDate` has no time zone.
            happened_at: None,
        };
        let reports = read(told).map(report).into_iter().collect();
        WebhookReading::Reports { reports, reply: received() }
    }
}

/// The answer to a creation: 201 with the new resource, or a problem with a code.
fn read_answer(reply: &Reply, read: ReadStatus) -> Answer {
    let by_status = reply.by_status();
    if reply.status.is_success() {
        let Some(resource) = reply.json::<Resource>() else {
            return by_status;
        };
        let Some(sid) = resource.sid.as_deref().and_then(reference) else {
            return Answer::Unknown { why: "an answer without a sid".to_owned() };
        };
        let word = resource.status.unwrap_or_default();
        return match read(Told { word: &word, error: resource.error_code, sip: None, sid: None }) {
            Some(ReportStatus::Failed(refusal)) => Answer::Refused(refusal),
            Some(
                ReportStatus::Underway { .. } | ReportStatus::Delivered | ReportStatus::Absent | ReportStatus::Hint,
            )
            | None => Answer::Submitted { reference: Some(sid) },
        };
    }
    // A 429 is never processed (code 20429), whatever its body says; a 5xx is read by its status alone.
    let (Answer::Refused(refusal), Some(Problem { code })) = (&by_status, reply.json::<Problem>()) else {
        return by_status;
    };
    let by_code = errors::meaning(code).filter(|_| reply.status.as_u16() != 429);
    let (class, scope) = by_code.unwrap_or((refusal.class, refusal.scope));
    Answer::Refused(Refusal { class, scope, code: code.to_string(), retry_after_ms: refusal.retry_after_ms })
}

/// A form as Twilio posts it.
struct Form(Vec<(String, String)>);

impl Form {
    fn read(body: &[u8]) -> Self {
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}
