//! Reads Infobip's request strictly: a field this sandbox does not know is refused by name.

use axum::body::Bytes;
use axum::http::HeaderMap;
use serde::Deserialize;

use crate::number::HandsetNumber;
use crate::reference;
use crate::scenario::Carrier;
use crate::text::{Callback, Draft};

const MESSAGES_MAX: usize = 100;
const MESSAGE_ID_CHARS_MAX: usize = 200;
const CALLBACK_DATA_CHARS_MAX: usize = 4_000;
const VALIDITY_HOURS_MAX: u64 = 48;

/// Property and violation.
type Violation = (String, String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    messages: Vec<Message>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    sender: String,
    destinations: Vec<Destination>,
    content: Content,
    options: Option<Options>,
    webhooks: Option<Webhooks>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Destination {
    to: String,
    message_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Options {
    validity_period: Option<Validity>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Validity {
    amount: u64,
    time_unit: Option<TimeUnit>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum TimeUnit {
    Seconds,
    Minutes,
    Hours,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Webhooks {
    delivery: Option<Delivery>,
    content_type: Option<String>,
    callback_data: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Delivery {
    url: String,
    #[serde(default)]
    intermediate_report: bool,
    #[serde(default = "yes")]
    notify: bool,
}

const fn yes() -> bool {
    true
}

/// One draft per destination.
pub(super) fn read(headers: &HeaderMap, body: &Bytes, bulk_id: &str) -> Result<Vec<Draft>, Violation> {
    let content_type = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !content_type.starts_with("application/json") {
        return Err(violation("Content-Type", "must be application/json"));
    }
    let request: Request = serde_json::from_slice(body).map_err(|error| violation("body", &error.to_string()))?;
    let mut drafts = Vec::new();
    for message in &request.messages {
        check(message)?;
        for destination in &message.destinations {
            drafts.push(draft(message, destination, bulk_id)?);
        }
    }
    if drafts.is_empty() || drafts.len() > MESSAGES_MAX {
        return Err(violation("messages", &format!("must have 1 to {MESSAGES_MAX} destinations together")));
    }
    Ok(drafts)
}

fn check(message: &Message) -> Result<(), Violation> {
    if message.content.text.is_empty() {
        return Err(violation("messages.content.text", "must not be empty"));
    }
    if message.sender.is_empty() {
        return Err(violation("messages.sender", "must not be empty"));
    }
    if let Some(validity) = message.options.as_ref().and_then(|options| options.validity_period.as_ref()) {
        let unit_seconds = match validity.time_unit.unwrap_or(TimeUnit::Minutes) {
            TimeUnit::Seconds => 1,
            TimeUnit::Minutes => 60,
            TimeUnit::Hours => 3_600,
        };
        let seconds = validity.amount.saturating_mul(unit_seconds);
        if seconds == 0 || seconds > VALIDITY_HOURS_MAX * 3_600 {
            return Err(violation("messages.options.validityPeriod.amount", "must be above zero and at most 48 hours"));
        }
    }
    let Some(webhooks) = &message.webhooks else { return Ok(()) };
    if webhooks.content_type.as_ref().is_some_and(|content_type| content_type != "application/json") {
        return Err(violation("messages.webhooks.contentType", "must be application/json in this sandbox"));
    }
    if webhooks.callback_data.as_ref().is_some_and(|data| data.chars().count() > CALLBACK_DATA_CHARS_MAX) {
        return Err(violation("messages.webhooks.callbackData", "must be at most 4000 characters"));
    }
    let Some(delivery) = &webhooks.delivery else { return Ok(()) };
    if delivery.intermediate_report || !delivery.notify {
        return Err(violation("messages.webhooks.delivery", "intermediateReport and notify keep their defaults here"));
    }
    match reqwest::Url::parse(&delivery.url) {
        Ok(url) if url.has_host() => Ok(()),
        Ok(_) | Err(_) => Err(violation("messages.webhooks.delivery.url", "must be a whole URL")),
    }
}

fn draft(message: &Message, destination: &Destination, bulk_id: &str) -> Result<Draft, Violation> {
    let number = HandsetNumber::international(destination.to.trim_start_matches('+'))
        .ok_or_else(|| violation("messages.destinations.to", "must be a number in international format"))?;
    let id = destination.message_id.clone().unwrap_or_else(reference::random);
    if id.is_empty() || id.chars().count() > MESSAGE_ID_CHARS_MAX {
        return Err(violation("messages.destinations.messageId", "must be 1 to 200 characters"));
    }
    let webhook = message.webhooks.as_ref();
    let callback = webhook.and_then(|webhooks| webhooks.delivery.as_ref()).map(|delivery| Callback {
        url: delivery.url.clone(),
        data: webhook.and_then(|webhooks| webhooks.callback_data.clone()),
    });
    Ok(Draft {
        carrier: Carrier::Fuji,
        reference: id,
        number,
        text: message.content.text.clone(),
        sender: message.sender.clone(),
        label: bulk_id.to_owned(),
        callback,
    })
}

fn violation(property: &str, violation: &str) -> Violation {
    (property.to_owned(), violation.to_owned())
}
