//! `fuji`, a domestic carrier: Infobip SMS v3, as NTT CPaaS resells it. The caller's `messageId` dedupes, rejections come
//! inside a 200, receipts come in batches to each message's own webhook, and `logs` and `reports` answer questions.

mod receipts;
mod request;
mod words;

use std::iter::repeat_n;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use self::receipts::Batches;
use self::words::{
    DELIVERED_TO_OPERATOR, NO_ERROR, PENDING_ACCEPTED, PENDING_ENROUTE, REJECTED_DND, REJECTED_DUPLICATE, Status,
    receipt,
};
use super::{Stage, Teller, json as answer, query, segments, tell_early, tell_later};
use crate::book::Taken;
use crate::exchange::Exchange;
use crate::line::Line;
use crate::scenario::{Carrier, Verdict};
use crate::text::{Draft, Text, TextEntry};
use crate::{clock, reference};

const REPORTS_DEFAULT: usize = 50;
const REPORTS_MAX: usize = 1_000;

#[derive(Clone)]
pub(super) struct Fuji {
    exchange: Arc<Exchange>,
    batches: Arc<Batches>,
}

impl Fuji {
    pub(super) fn new(exchange: Arc<Exchange>) -> Self {
        let batches = Batches::new(Arc::clone(&exchange));
        Self { exchange, batches }
    }
}

pub(super) fn router(fuji: Fuji) -> Router {
    Router::new()
        .route("/sms/3/messages", post(send))
        .route("/sms/3/logs", get(logs))
        .route("/sms/3/reports", get(reports))
        .fallback(async || Refusal::other(StatusCode::NOT_FOUND, "E404", "The requested resource does not exist."))
        .with_state(fuji)
}

impl Teller for Fuji {
    const REPORTS_ON_ITS_WAY: bool = false;

    /// A message without a webhook has nobody to tell.
    async fn tell(&self, text: &Text, stage: Stage) -> bool {
        let Some(callback) = &text.draft.callback else { return true };
        let status = match stage {
            Stage::OnItsWay => DELIVERED_TO_OPERATOR,
            Stage::Verdict => receipt(text.fate.verdict).0,
        };
        let mut report = report(text, status);
        report["to"] = to(text).into();
        if let Some(data) = &callback.data {
            report["callbackData"] = data.as_str().into();
        }
        self.batches.tell(&callback.url, report).await
    }
}

async fn send(
    State(fuji): State<Fuji>,
    ConnectInfo(line): ConnectInfo<Line>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    fuji.authorise(&headers)?;
    let bulk_id = reference::random();
    let drafts = request::read(&headers, &body, &bulk_id)
        .map_err(|(property, violation)| Refusal::violated(&property, &violation))?;
    fuji.exchange.think().await;
    let mut messages = Vec::with_capacity(drafts.len());
    for draft in drafts {
        messages.push(fuji.take(&line, draft).await?);
    }
    Ok(answer(StatusCode::OK, json!({ "bulkId": bulk_id, "messages": messages })))
}

impl Fuji {
    fn authorise(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let shown = headers.get("authorization").and_then(|value| value.to_str().ok());
        if shown.and_then(|shown| shown.strip_prefix("App ")) == Some(self.exchange.secrets.fuji_key.as_str()) {
            return Ok(());
        }
        let description = "The request lacks valid authentication credentials for the requested resource.";
        Err(Refusal::other(StatusCode::UNAUTHORIZED, "E401", description))
    }

    /// Takes one message and says in the vendor's words what became of it.
    async fn take(&self, line: &Line, draft: Draft) -> Result<Value, Refusal> {
        let (id, number) = (draft.reference.clone(), draft.number.clone());
        let parts = segments(&draft.text);
        let status = match self.exchange.book.take_text(draft, self.exchange.waits.receipt_ms).await {
            Ok(Taken::Duplicate) => REJECTED_DUPLICATE,
            Ok(Taken::Throttled) => {
                return Err(Refusal::other(StatusCode::TOO_MANY_REQUESTS, "E429", "Too many requests sent."));
            }
            Ok(Taken::Accepted(entry)) if entry.text.fate.verdict == Verdict::RefusedByPerson => {
                // Said in the answer, so there is nothing left to tell.
                self.exchange.book.told(&entry.text);
                REJECTED_DND
            }
            Ok(Taken::Accepted(entry)) => {
                tell_early(self, &entry.text).await;
                if entry.text.fate.connection_dies {
                    line.cut();
                }
                tell_later(&self.exchange, self.clone(), Arc::clone(&entry.text));
                PENDING_ACCEPTED
            }
            Err(_error) => {
                let description = "An unexpected error has occurred.";
                return Err(Refusal::other(StatusCode::INTERNAL_SERVER_ERROR, "E500", description));
            }
        };
        Ok(json!({
            "messageId": id, "status": status.json(), "destination": number.as_e164().trim_start_matches('+'),
            "details": { "messageCount": parts },
        }))
    }
}

/// The latest first, as often as it is asked: each message behind the repeats that were rejected for its id.
async fn logs(State(fuji): State<Fuji>, headers: HeaderMap, uri: Uri) -> Result<Response, Refusal> {
    let (found, limit) = fuji.found(&headers, &uri)?;
    let now_ms = clock::now_ms();
    let results: Vec<Value> = found
        .iter()
        .rev()
        .flat_map(|entry| {
            let text = &entry.text;
            let status = if text.fate.verdict == Verdict::RefusedByPerson {
                REJECTED_DND
            } else if text.settled(now_ms) {
                receipt(text.fate.verdict).0
            } else {
                PENDING_ENROUTE
            };
            let repeats = entry.rejected_repeats.load(Ordering::Acquire);
            repeat_n(log(text, REJECTED_DUPLICATE), repeats).chain([log(text, status)])
        })
        .take(limit)
        .collect();
    Ok(answer(StatusCode::OK, json!({ "results": results })))
}

fn log(text: &Text, status: Status) -> Value {
    let mut log = report(text, status);
    log["destination"] = to(text).into();
    log["content"] = json!({ "text": text.draft.text });
    log
}

/// Each report is given once.
async fn reports(State(fuji): State<Fuji>, headers: HeaderMap, uri: Uri) -> Result<Response, Refusal> {
    let (found, limit) = fuji.found(&headers, &uri)?;
    let now_ms = clock::now_ms();
    let results: Vec<Value> = found
        .iter()
        .filter(|entry| entry.text.settled(now_ms))
        .filter(|entry| !entry.reported.load(Ordering::Acquire))
        .take(limit)
        .filter(|entry| !entry.reported.swap(true, Ordering::AcqRel))
        .map(|entry| {
            let mut report = report(&entry.text, receipt(entry.text.fate.verdict).0);
            report["to"] = to(&entry.text).into();
            report
        })
        .collect();
    Ok(answer(StatusCode::OK, json!({ "results": results })))
}

impl Fuji {
    /// The texts a question names, oldest first, and how many it wants.
    fn found(&self, headers: &HeaderMap, uri: &Uri) -> Result<(Vec<Arc<TextEntry>>, usize), Refusal> {
        self.authorise(headers)?;
        let (mut message_ids, mut bulk_ids, mut limit) = (Vec::new(), Vec::new(), REPORTS_DEFAULT);
        for (name, value) in query(uri) {
            match name.as_str() {
                "messageId" => message_ids.extend(value.split(',').map(str::to_owned)),
                "bulkId" => bulk_ids.extend(value.split(',').map(str::to_owned)),
                "limit" => limit = value.parse().map_err(|_invalid| Refusal::violated("limit", "must be a number"))?,
                _ => return Err(Refusal::violated(&name, "is not a parameter this sandbox knows")),
            }
        }
        let texts = if message_ids.is_empty() {
            self.exchange.book.texts_of(Carrier::Fuji)
        } else {
            message_ids.iter().filter_map(|id| self.exchange.book.text(Carrier::Fuji, id)).collect()
        };
        let asked = |entry: &Arc<TextEntry>| bulk_ids.is_empty() || bulk_ids.contains(&entry.text.draft.label);
        Ok((texts.into_iter().filter(asked).collect(), limit.min(REPORTS_MAX)))
    }
}

fn to(text: &Text) -> &str {
    text.draft.number.as_e164().trim_start_matches('+')
}

/// What logs, reports and receipts have in common.
fn report(text: &Text, status: Status) -> Value {
    let done = text.settles_at_ms.unwrap_or(text.at_ms);
    let error = if status.final_by_handset() { receipt(text.fate.verdict).1 } else { NO_ERROR };
    json!({
        "bulkId": text.draft.label, "messageId": text.draft.reference, "sender": text.draft.sender,
        "sentAt": clock::infobip(text.at_ms), "doneAt": clock::infobip(done),
        "messageCount": segments(&text.draft.text), "price": { "pricePerMessage": 0, "currency": "JPY" },
        "status": status.json(), "error": error.json(),
    })
}

struct Refusal {
    status: StatusCode,
    code: &'static str,
    description: &'static str,
    /// Property and violation.
    violation: Option<(String, String)>,
}

impl Refusal {
    fn violated(property: &str, violation: &str) -> Self {
        let violation = Some((property.to_owned(), violation.to_owned()));
        Self { status: StatusCode::BAD_REQUEST, code: "E400", description: "Request cannot be processed.", violation }
    }

    const fn other(status: StatusCode, code: &'static str, description: &'static str) -> Self {
        Self { status, code, description, violation: None }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let violations: Vec<Value> = self
            .violation
            .iter()
            .map(|(property, violation)| json!({ "property": property, "violation": violation }))
            .collect();
        let body = json!({
            "errorCode": self.code, "description": self.description,
            "action": "Check the violations and adjust the request.", "violations": violations, "resources": [],
        });
        answer(self.status, body)
    }
}
