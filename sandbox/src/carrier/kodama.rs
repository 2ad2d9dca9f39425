//! `kodama`, a domestic voice carrier: Twilio's Calls. It rings, fetches what to say once somebody answers, hears it out in
//! `conversation`, and posts how the call went.

mod conversation;
mod person;
mod twiml;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};

use super::json as answer;
use super::twilio::{API_VERSION, Form, Refusal, authorise, fields, signed};
use crate::call::{Call, CallEntry, CallStatus, Instructions};
use crate::courier::Reply;
use crate::exchange::{Exchange, pause};
use crate::scenario::{AnsweredBy, CallFate, Carrier, Scenario};
use crate::{clock, reference};

const RING_S_DEFAULT: u64 = 60;
const RING_S_MAX: u64 = 600;
const TWIML_CHARS_MAX: usize = 4_000;
const EVENTS: [&str; 4] = ["initiated", "ringing", "answered", "completed"];
const FIELDS: [&str; 14] = [
    "To",
    "From",
    "Url",
    "Twiml",
    "Method",
    "StatusCallback",
    "StatusCallbackMethod",
    "StatusCallbackEvent",
    "Timeout",
    "TimeLimit",
    "MachineDetection",
    "MachineDetectionTimeout",
    "AsyncAmd",
    "Record",
];

pub(super) fn router(exchange: Arc<Exchange>) -> Router {
    Router::new()
        .route("/2010-04-01/Accounts/{account}/Calls.json", post(create))
        .route("/2010-04-01/Accounts/{account}/Calls/{call}", post(change).get(fetch))
        .fallback(async |uri: Uri| Refusal::not_found(uri.path()))
        .with_state(exchange)
}

/// A call that a former run took down with it: it rings once more, from the beginning.
pub(super) fn ring_again(exchange: &Arc<Exchange>, entry: Arc<CallEntry>) {
    let shared = Arc::clone(exchange);
    exchange.courier.run(async move { carry_out(&shared, &entry).await });
}

async fn create(
    State(exchange): State<Arc<Exchange>>,
    Path(account): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match take(&exchange, &account, &headers, &body).await {
        Ok(call) => answer(StatusCode::CREATED, call),
        Err(refusal) => refusal.into_response(),
    }
}

async fn take(exchange: &Arc<Exchange>, account: &str, headers: &HeaderMap, body: &Bytes) -> Result<Value, Refusal> {
    authorise(headers, &exchange.secrets.kodama, account)?;
    let call = read(&Form::read(headers, body, &FIELDS)?)?;
    exchange.think().await;
    let entry = exchange.book.take_call(call).await.map_err(|_error| Refusal::internal())?;
    let resource = resource(exchange, &entry);
    let shared = Arc::clone(exchange);
    exchange.courier.run(async move { carry_out(&shared, &entry).await });
    Ok(resource)
}

fn read(form: &Form) -> Result<Call, Refusal> {
    let number = form.handset()?;
    let from = form.get("From").ok_or_else(|| Refusal::bad(21213, "A 'From' phone number is required."))?;
    let instructions = match (form.url("Url", 21205)?, form.get("Twiml")) {
        (Some(url), _) => Instructions::Url(url),
        (None, Some(twiml)) if twiml.chars().count() <= TWIML_CHARS_MAX => Instructions::Twiml(twiml.to_owned()),
        (None, Some(_)) => return Err(Refusal::bad(21218, "Twiml exceeds 4000 characters")),
        (None, None) => return Err(Refusal::bad(21205, "Url or Twiml is required")),
    };
    for name in ["Method", "StatusCallbackMethod"] {
        if form.get(name).is_some_and(|method| method != "POST") {
            return Err(Refusal::bad(21207, format!("{name} must be POST in this sandbox")));
        }
    }
    if form.all("StatusCallbackEvent").any(|event| !EVENTS.contains(&event)) {
        return Err(Refusal::bad(21626, "StatusCallbackEvent must be initiated, ringing, answered or completed"));
    }
    let ring_s_max = form.count("Timeout", 1..=RING_S_MAX, RING_S_DEFAULT)?;
    Ok(Call {
        carrier: Carrier::Kodama,
        reference: reference::sid("CA"),
        fate: Scenario::of(&number).on_call(),
        number,
        from: from.to_owned(),
        at_ms: clock::now_ms(),
        instructions,
        status_callback: form.url("StatusCallback", 21609)?,
        status_events: form.all("StatusCallbackEvent").map(str::to_owned).collect(),
        ring_ms_max: ring_s_max * 1_000,
        detects_machines: form.get("MachineDetection").is_some(),
    })
}

async fn change(
    State(exchange): State<Arc<Exchange>>,
    Path((account, call)): Path<(String, String)>,
    headers: HeaderMap,
    uri: Uri,
    body: Bytes,
) -> Response {
    match hang_up(&exchange, (&account, &call), &headers, &body) {
        Ok(Some(call)) => answer(StatusCode::OK, call),
        Ok(None) => Refusal::not_found(uri.path()).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

/// Ends a call that still rings or talks, as its caller asks.
fn hang_up(
    exchange: &Exchange,
    (account, call): (&str, &str),
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Option<Value>, Refusal> {
    authorise(headers, &exchange.secrets.kodama, account)?;
    let form = Form::read(headers, body, &["Status"])?;
    if !matches!(form.get("Status"), Some("completed" | "canceled")) {
        return Err(Refusal::bad(21218, "Status must be completed or canceled"));
    }
    let Some(entry) = exchange.book.call(call.strip_suffix(".json").unwrap_or(call)) else { return Ok(None) };
    if entry.progress().status.is_over() {
        return Err(Refusal::bad(21220, "Call is not in-progress. Cannot redirect."));
    }
    entry.hangup.cancel();
    Ok(Some(resource(exchange, &entry)))
}

async fn fetch(
    State(exchange): State<Arc<Exchange>>,
    Path((account, call)): Path<(String, String)>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    if let Err(refusal) = authorise(&headers, &exchange.secrets.kodama, &account) {
        return refusal.into_response();
    }
    match exchange.book.call(call.strip_suffix(".json").unwrap_or(&call)) {
        Some(entry) => answer(StatusCode::OK, resource(&exchange, &entry)),
        None => Refusal::not_found(uri.path()).into_response(),
    }
}

/// The whole life of a call.
async fn carry_out(exchange: &Arc<Exchange>, entry: &Arc<CallEntry>) {
    post_event(exchange, entry, CallStatus::Queued, "initiated");
    let status = match entry.hangup.run_until_cancelled(ring(exchange, entry)).await {
        None => CallStatus::Canceled,
        Some(Err(over)) => over,
        Some(Ok(answered_by)) => {
            answered(exchange, entry, answered_by);
            // A caller who hangs up in the middle still had a completed call.
            let _hung_up = entry.hangup.run_until_cancelled(conversation::hold(exchange, entry, answered_by)).await;
            CallStatus::Completed
        }
    };
    end(exchange, entry, status).await;
}

/// Who answers, or how the call ended without anybody.
async fn ring(exchange: &Arc<Exchange>, entry: &Arc<CallEntry>) -> Result<AnsweredBy, CallStatus> {
    let call = &entry.call;
    if call.fate == CallFate::DoesNotConnect {
        pause(exchange.waits.ring_ms).await;
        return Err(CallStatus::Failed);
    }
    exchange.book.advance(entry, |progress| progress.status = CallStatus::Ringing);
    post_event(exchange, entry, CallStatus::Ringing, "ringing");
    match call.fate {
        CallFate::Answered(answered_by) => {
            pause(exchange.waits.ring_ms).await;
            Ok(answered_by)
        }
        CallFate::RingsOut | CallFate::DoesNotConnect => {
            pause(exchange.waits.no_answer_ms.min(call.ring_ms_max)).await;
            Err(CallStatus::NoAnswer)
        }
    }
}

fn answered(exchange: &Arc<Exchange>, entry: &Arc<CallEntry>, answered_by: AnsweredBy) {
    exchange.book.advance(entry, |progress| {
        progress.status = CallStatus::InProgress;
        progress.answered_by = Some(answered_by);
        progress.answered_at_ms = Some(clock::now_ms());
    });
    post_event(exchange, entry, CallStatus::InProgress, "answered");
}

async fn end(exchange: &Arc<Exchange>, entry: &Arc<CallEntry>, status: CallStatus) {
    if exchange.book.end_call(entry, status).await.is_err() {
        tracing::error!("the end of a call could not be written down; it will end again after a restart");
    }
    post_event(exchange, entry, status, "completed");
}

/// Posts a state the caller asked for; the end, unless it asked for others only.
fn post_event(exchange: &Arc<Exchange>, entry: &Arc<CallEntry>, status: CallStatus, event: &str) {
    let call = &entry.call;
    let Some(url) = call.status_callback.clone() else { return };
    let is_wanted = if call.status_events.is_empty() {
        event == "completed"
    } else {
        call.status_events.iter().any(|wanted| wanted == event)
    };
    if !is_wanted {
        return;
    }
    let form = event_form(exchange, entry, status);
    let shared = Arc::clone(exchange);
    exchange.courier.run(async move {
        shared.courier.deliver(&signed(&shared.secrets.kodama, &url, &form), Reply::is_success).await;
    });
}

fn event_form(exchange: &Exchange, entry: &CallEntry, status: CallStatus) -> Vec<(String, String)> {
    let mut progress = entry.progress();
    let sequence = progress.sequence.to_string();
    progress.sequence += 1;
    let mut form = call_fields(exchange, &entry.call, status);
    form.extend(fields([
        ("CallbackSource", "call-progress-events"),
        ("SequenceNumber", &sequence),
        ("Timestamp", &clock::rfc2822(clock::now_ms())),
    ]));
    if status.is_over() {
        form.extend(fields([("CallDuration", &duration_s(&progress).to_string())]));
    }
    if let (true, Some(answered_by)) = (entry.call.detects_machines, progress.answered_by) {
        let word = match answered_by {
            AnsweredBy::Person => "human",
            AnsweredBy::Voicemail => "machine_start",
        };
        form.extend(fields([("AnsweredBy", word)]));
    }
    form
}

/// What every request about a call carries.
fn call_fields(exchange: &Exchange, call: &Call, status: CallStatus) -> Vec<(String, String)> {
    fields([
        ("AccountSid", &exchange.secrets.kodama.account_sid),
        ("ApiVersion", API_VERSION),
        ("CallSid", &call.reference),
        ("CallStatus", status.word()),
        ("Direction", "outbound-api"),
        ("From", &call.from),
        ("To", call.number.as_e164()),
    ])
}

fn duration_s(progress: &crate::call::Progress) -> i64 {
    match (progress.answered_at_ms, progress.ended_at_ms) {
        // Started seconds count, as on a bill.
        (Some(answered), Some(ended)) => (ended - answered + 999) / 1_000,
        (None | Some(_), _) => 0,
    }
}

fn resource(exchange: &Exchange, entry: &CallEntry) -> Value {
    let (call, progress) = (&entry.call, entry.progress());
    let account = &exchange.secrets.kodama.account_sid;
    json!({
        "sid": call.reference, "account_sid": account, "api_version": API_VERSION, "to": call.number.as_e164(),
        "from": call.from, "status": progress.status.word(), "direction": "outbound-api",
        "date_created": clock::rfc2822(call.at_ms), "start_time": progress.answered_at_ms.map(clock::rfc2822),
        "end_time": progress.ended_at_ms.map(clock::rfc2822), "duration": duration_s(&progress).to_string(),
        "answered_by": null, "price": null, "price_unit": "USD",
        "uri": format!("/{API_VERSION}/Accounts/{account}/Calls/{}.json", call.reference),
    })
}
