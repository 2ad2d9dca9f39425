//! `sakura`, a domestic carrier: NEXWAY SMSLINK API v1. It takes a delivery, pokes without a status when something is known,
//! and says what it knows when asked. The vendor documents no error bodies; `{"message"}` is ours.

mod results;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Stage, Teller, json as answer, tell_early, tell_later};
use crate::book::Taken;
use crate::courier::{Post, Reply};
use crate::exchange::Exchange;
use crate::line::Line;
use crate::number::{HandsetNumber, half_width};
use crate::scenario::Carrier;
use crate::text::{Draft, Text, TextEntry};
use crate::{clock, reference};

/// The vendor takes 50,000; a code needs one.
const CONTACTS_MAX: usize = 100;
const TEXT_CHARS_MAX: usize = 660;
const NAME_CHARS_MAX: usize = 255;

#[derive(Clone)]
pub(super) struct Sakura(Arc<Exchange>);

impl Sakura {
    pub(super) fn new(exchange: Arc<Exchange>) -> Self {
        Self(exchange)
    }
}

pub(super) fn router(sakura: Sakura) -> Router {
    Router::new()
        .route("/api/v1/delivery", post(deliver))
        .route("/api/v1/delivery_results", get(results::delivery_results))
        .fallback(async || Refusal {
            status: StatusCode::NOT_FOUND,
            message: "no such path in the SMSLINK API v1".to_owned(),
        })
        .with_state(sakura)
}

impl Teller for Sakura {
    const REPORTS_ON_ITS_WAY: bool = false;

    /// The poke says nothing but where to ask, whatever the stage is.
    async fn tell(&self, text: &Text, _stage: Stage) -> bool {
        let Some((delivery_id, contact_id)) = text.draft.reference.split_once('/') else { return false };
        let contact_id: usize = contact_id.parse().unwrap_or(1);
        let poke = Post {
            url: format!("{}/receipts/sakura", self.0.door.public_url()),
            content_type: "application/json",
            body: json!({ "delivery_id": delivery_id, "contact_id": contact_id }).to_string(),
            signature: None,
        };
        self.0.courier.deliver(&poke, poke_accepted).await
    }
}

/// 200 and `{"result":true}`; the vendor takes a 200 it cannot read for success.
fn poke_accepted(reply: &Reply) -> bool {
    let result = serde_json::from_slice::<Value>(&reply.body).ok().and_then(|body| body.get("result")?.as_bool());
    reply.status == 200 && result != Some(false)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delivery {
    contacts: Vec<Contact>,
    text_message: String,
    delivery_name: Option<String>,
    reserved_at: Option<String>,
    #[serde(default)]
    click_count: bool,
    bill_split_code: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Contact {
    phone_number: String,
}

async fn deliver(
    State(sakura): State<Sakura>,
    ConnectInfo(line): ConnectInfo<Line>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    sakura.authorise(&headers)?;
    let delivery = read(&headers, &body).map_err(Refusal::bad)?;
    sakura.0.think().await;
    let delivery_id = reference::random();
    let accepted_at = clock::japan(clock::now_ms());
    let mut contacts = Vec::with_capacity(delivery.contacts.len());
    let mut taken = Vec::new();
    for (index, contact) in delivery.contacts.iter().enumerate() {
        let contact_id = index + 1;
        let code = match reachable(&contact.phone_number, &delivery, index) {
            Err(code) => code,
            Ok(number) => {
                let draft = Draft {
                    carrier: Carrier::Sakura,
                    reference: format!("{delivery_id}/{contact_id}"),
                    number,
                    text: delivery.text_message.clone(),
                    sender: String::new(),
                    label: delivery.delivery_name.clone().unwrap_or_else(|| accepted_at.clone()),
                    callback: None,
                };
                taken.push(sakura.take(draft).await?);
                "RST200001"
            }
        };
        contacts.push(json!({
            "contact_id": contact_id, "phone_number": contact.phone_number, "result_code": code, "result_message": meaning(code),
        }));
    }
    sakura.conclude(&line, taken).await;
    let body = json!({
        "delivery_id": delivery_id, "accepted_at": accepted_at, "reserved_at": accepted_at, "contacts": contacts,
        "click_count_urls": [],
    });
    Ok(answer(StatusCode::OK, body))
}

impl Sakura {
    fn authorise(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let token = headers.get("token").and_then(|token| token.to_str().ok());
        if token == Some(self.0.secrets.sakura_token.as_str()) {
            return Ok(());
        }
        let message = "the `token` header names no API token of this carrier".to_owned();
        Err(Refusal { status: StatusCode::UNAUTHORIZED, message })
    }

    async fn take(&self, draft: Draft) -> Result<Arc<TextEntry>, Refusal> {
        match self.0.book.take_text(draft, self.0.waits.receipt_ms).await {
            Ok(Taken::Accepted(entry)) => Ok(entry),
            Ok(Taken::Throttled) => {
                let message = "too many requests; nothing was registered".to_owned();
                Err(Refusal { status: StatusCode::TOO_MANY_REQUESTS, message })
            }
            Ok(Taken::Duplicate) | Err(_) => {
                let message = "the delivery could not be registered".to_owned();
                Err(Refusal { status: StatusCode::INTERNAL_SERVER_ERROR, message })
            }
        }
    }

    /// What follows a delivery: the early poke, the later ones, and perhaps the end of this connection.
    async fn conclude(&self, line: &Line, taken: Vec<Arc<TextEntry>>) {
        for entry in taken {
            tell_early(self, &entry.text).await;
            if entry.text.fate.connection_dies {
                line.cut();
            }
            tell_later(&self.0, self.clone(), Arc::clone(&entry.text));
        }
    }
}

fn read(headers: &HeaderMap, body: &Bytes) -> Result<Delivery, String> {
    for name in ["content-type", "accept"] {
        let value = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !value.starts_with("application/json") {
            return Err(format!("the `{name}` header must be application/json"));
        }
    }
    let delivery: Delivery =
        serde_json::from_slice(body).map_err(|error| format!("the body cannot be read: {error}"))?;
    if delivery.contacts.is_empty() || delivery.contacts.len() > CONTACTS_MAX {
        return Err(format!("`contacts` must hold 1 to {CONTACTS_MAX} numbers"));
    }
    if delivery.text_message.is_empty() {
        return Err("`text_message` is required".to_owned());
    }
    if delivery.text_message.chars().any(|letter| letter.len_utf8() == 4) {
        return Err("`text_message` holds a character of four bytes, which this carrier cannot send".to_owned());
    }
    if delivery.delivery_name.as_ref().is_some_and(|name| name.chars().count() > NAME_CHARS_MAX) {
        return Err(format!("`delivery_name` must be at most {NAME_CHARS_MAX} characters"));
    }
    if delivery.reserved_at.as_ref().is_some_and(|at| !at.is_empty()) || delivery.click_count {
        return Err("`reserved_at` and `click_count` are not part of this sandbox; leave them out".to_owned());
    }
    let split =
        |code: &String| code.len() > 20 || !code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if delivery.bill_split_code.as_ref().is_some_and(split) {
        return Err("`bill_split_code` must be at most 20 of A-Z, a-z, 0-9, - and _".to_owned());
    }
    Ok(delivery)
}

/// The number, or the vendor's code for why this contact cannot be sent to.
fn reachable(raw: &str, delivery: &Delivery, index: usize) -> Result<HandsetNumber, &'static str> {
    if raw.is_empty() {
        return Err("RST200002");
    }
    if delivery.contacts.iter().take(index).any(|earlier| earlier.phone_number == raw) {
        return Err("RST200004");
    }
    let plain = half_width(raw);
    let national = plain.strip_prefix("+81").map_or_else(|| plain.clone(), |rest| format!("0{rest}"));
    if !(national.len() == 11 || national.len() == 14 && national.starts_with("020")) {
        return Err("RST200003");
    }
    let mobile = ["070", "080", "090"].iter().any(|prefix| national.starts_with(prefix));
    if !(mobile || national.starts_with("020")) || national.starts_with("0800") {
        return Err("RST200005");
    }
    if length(&delivery.text_message) > TEXT_CHARS_MAX {
        return Err("RST200008");
    }
    HandsetNumber::parse(&national).ok_or("RST200005")
}

/// Every line break is sent as two characters.
fn length(text: &str) -> usize {
    let breaks = text.replace("\r\n", "\n").chars().filter(|letter| matches!(letter, '\n' | '\r')).count();
    text.replace("\r\n", "\n").chars().count() + breaks
}

fn meaning(code: &str) -> &'static str {
    match code {
        "RST200001" => "registered",
        "RST200002" => "the phone number is missing",
        "RST200003" => "the phone number has neither 11 nor 14 digits",
        "RST200004" => "the phone number is in the list already",
        "RST200005" => "the phone number has not the form of a mobile number",
        "RST200008" => "the text is longer than 660 characters",
        _ => "",
    }
}

struct Refusal {
    status: StatusCode,
    message: String,
}

impl Refusal {
    fn bad(message: String) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        answer(self.status, json!({ "message": self.message }))
    }
}
