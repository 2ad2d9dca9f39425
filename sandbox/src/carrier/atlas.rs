//! `atlas`, an international carrier: Twilio's Messages. Each state is posted to the message's own `StatusCallback`, signed;
//! `GET Messages/{Sid}.json` answers questions.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::twilio::{API_VERSION, Form, Refusal, authorise, fields, signed};
use super::{Stage, Teller, json as answer, segments, tell_early, tell_later};
use crate::book::Taken;
use crate::courier::Reply;
use crate::exchange::Exchange;
use crate::line::Line;
use crate::scenario::{Carrier, Scenario, Verdict};
use crate::text::{Callback, Draft, Text};
use crate::{clock, reference};

const BODY_CHARS_MAX: usize = 1_600;
const VALIDITY_S_MAX: u64 = 36_000;
const FIELDS: [&str; 12] = [
    "To",
    "From",
    "MessagingServiceSid",
    "Body",
    "StatusCallback",
    "ValidityPeriod",
    "Attempt",
    "ProvideFeedback",
    "SmartEncoded",
    "ContentRetention",
    "AddressRetention",
    "RiskCheck",
];

#[derive(Clone)]
pub(super) struct Atlas(Arc<Exchange>);

impl Atlas {
    pub(super) fn new(exchange: Arc<Exchange>) -> Self {
        Self(exchange)
    }
}

pub(super) fn router(atlas: Atlas) -> Router {
    Router::new()
        .route("/2010-04-01/Accounts/{account}/Messages.json", post(create))
        .route("/2010-04-01/Accounts/{account}/Messages/{message}", get(fetch))
        .fallback(async |uri: Uri| Refusal::not_found(uri.path()))
        .with_state(atlas)
}

impl Teller for Atlas {
    const REPORTS_ON_ITS_WAY: bool = true;

    /// A message without a callback has nobody to tell.
    async fn tell(&self, text: &Text, stage: Stage) -> bool {
        let Some(callback) = &text.draft.callback else { return true };
        let account = &self.0.secrets.atlas;
        let (status, error) = match stage {
            Stage::OnItsWay => ("sent", None),
            Stage::Verdict => words(text.fate.verdict),
        };
        let sid = text.draft.reference.as_str();
        let mut form = fields([
            ("AccountSid", &account.account_sid),
            ("ApiVersion", API_VERSION),
            ("From", &text.draft.sender),
            ("MessageSid", sid),
            ("MessageStatus", status),
            ("SmsSid", sid),
            ("SmsStatus", status),
            ("To", text.draft.number.as_e164()),
        ]);
        if let Some(error) = error {
            form.extend(fields([("ErrorCode", &error.to_string())]));
        }
        if stage == Stage::Verdict {
            let done = text.settles_at_ms.unwrap_or_else(clock::now_ms);
            form.extend(fields([("RawDlrDoneDate", &clock::dlr_done(done))]));
        }
        self.0.courier.deliver(&signed(account, &callback.url, &form), Reply::is_success).await
    }
}

async fn create(
    State(atlas): State<Atlas>,
    ConnectInfo(line): ConnectInfo<Line>,
    Path(account): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match atlas.take(&line, &account, &headers, &body).await {
        Ok(message) => answer(StatusCode::CREATED, message),
        Err(refusal) => refusal.into_response(),
    }
}

impl Atlas {
    async fn take(&self, line: &Line, account: &str, headers: &HeaderMap, body: &Bytes) -> Result<Value, Refusal> {
        authorise(headers, &self.0.secrets.atlas, account)?;
        let draft = read(&Form::read(headers, body, &FIELDS)?)?;
        self.0.think().await;
        let entry = match self.0.book.take_text(draft, self.0.waits.receipt_ms).await {
            Ok(Taken::Accepted(entry)) => entry,
            Ok(Taken::Throttled) => return Err(Refusal::throttled()),
            Ok(Taken::Duplicate) | Err(_) => return Err(Refusal::internal()),
        };
        tell_early(self, &entry.text).await;
        if entry.text.fate.connection_dies {
            line.cut();
        }
        tell_later(&self.0, self.clone(), Arc::clone(&entry.text));
        Ok(self.resource(&entry.text, "queued", None))
    }

    fn resource(&self, text: &Text, status: &str, error: Option<u32>) -> Value {
        let account = &self.0.secrets.atlas.account_sid;
        let sid = &text.draft.reference;
        json!({
            "sid": sid, "account_sid": account, "api_version": API_VERSION, "to": text.draft.number.as_e164(),
            "from": text.draft.sender, "body": text.draft.text, "status": status, "direction": "outbound-api",
            "num_segments": segments(&text.draft.text).to_string(), "num_media": "0", "price": null, "price_unit": "USD",
            "error_code": error, "error_message": null, "messaging_service_sid": null,
            "date_created": clock::rfc2822(text.at_ms), "date_updated": clock::rfc2822(text.at_ms), "date_sent": null,
            "uri": format!("/{API_VERSION}/Accounts/{account}/Messages/{sid}.json"),
        })
    }
}

fn read(form: &Form) -> Result<Draft, Refusal> {
    let number = form.handset()?;
    let sender = form.get("From").or_else(|| form.get("MessagingServiceSid"));
    let sender =
        sender.ok_or_else(|| Refusal::bad(21603, "A 'From' phone number or MessagingServiceSid is required."))?;
    let text = form.get("Body").ok_or_else(|| Refusal::bad(21602, "Message body is required."))?;
    if text.chars().count() > BODY_CHARS_MAX {
        return Err(Refusal::bad(21617, "The concatenated message body exceeds the 1600 character limit"));
    }
    form.count("ValidityPeriod", 1..=VALIDITY_S_MAX, VALIDITY_S_MAX)?;
    let callback = form.url("StatusCallback", 21609)?;
    if Scenario::of(&number) == Scenario::Landline {
        return Err(Refusal::bad(21614, "The 'To' number is not a mobile number"));
    }
    Ok(Draft {
        carrier: Carrier::Atlas,
        reference: reference::sid("SM"),
        number,
        text: text.to_owned(),
        sender: sender.to_owned(),
        label: String::new(),
        callback: callback.map(|url| Callback { url, data: None }),
    })
}

async fn fetch(
    State(atlas): State<Atlas>,
    Path((account, message)): Path<(String, String)>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    if let Err(refusal) = authorise(&headers, &atlas.0.secrets.atlas, &account) {
        return refusal.into_response();
    }
    let sid = message.strip_suffix(".json").unwrap_or(&message);
    let Some(entry) = atlas.0.book.text(Carrier::Atlas, sid) else {
        return Refusal::not_found(uri.path()).into_response();
    };
    let (status, error) =
        if entry.text.settled(clock::now_ms()) { words(entry.text.fate.verdict) } else { ("sent", None) };
    answer(StatusCode::OK, atlas.resource(&entry.text, status, error))
}

/// The verdict in the vendor's words. From abroad, a person who refuses texts looks like a message that is blocked.
const fn words(verdict: Verdict) -> (&'static str, Option<u32>) {
    match verdict {
        Verdict::Delivered => ("delivered", None),
        Verdict::RefusedByPerson => ("undelivered", Some(30_004)),
        Verdict::CannotReceive | Verdict::Landline => ("undelivered", Some(30_006)),
        Verdict::SwitchedOff => ("undelivered", Some(30_003)),
        Verdict::FilteredAbroad => ("undelivered", Some(30_007)),
    }
}
