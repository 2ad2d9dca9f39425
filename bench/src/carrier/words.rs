//! The vendor's words: what it is sent, what it answers, and what it reports later.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

const ACCEPTED: (u8, &str, u16, &str) = (1, "PENDING", 26, "PENDING_ACCEPTED");
const DELIVERED: (u8, &str, u16, &str) = (3, "DELIVERED", 5, "DELIVERED_TO_HANDSET");

#[derive(Deserialize)]
pub(super) struct Messages<'a> {
    #[serde(borrow)]
    messages: Vec<Message<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    #[serde(borrow)]
    destinations: Vec<Destination<'a>>,
    #[serde(borrow)]
    webhooks: Option<Webhooks<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Destination<'a> {
    #[serde(borrow)]
    to: Cow<'a, str>,
    #[serde(borrow)]
    message_id: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Webhooks<'a> {
    #[serde(borrow)]
    delivery: Delivery<'a>,
    #[serde(borrow)]
    callback_data: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Delivery<'a> {
    #[serde(borrow)]
    url: Cow<'a, str>,
}

/// One message to one handset.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) to: String,
    pub(super) id: String,
    /// Where its receipt goes, and what comes along.
    pub(super) webhook: Option<(String, Option<String>)>,
}

impl Messages<'_> {
    pub(super) fn owned(&self) -> Vec<Taken> {
        let of = |message: &Message<'_>| {
            let webhook = message.webhooks.as_ref().map(|webhooks| {
                let data = webhooks.callback_data.as_ref().map(|data| data.clone().into_owned());
                (webhooks.delivery.url.clone().into_owned(), data)
            });
            let taken = |to: &Destination<'_>| Taken {
                to: to.to.clone().into_owned(),
                id: to.message_id.clone().into_owned(),
                webhook: webhook.clone(),
            };
            message.destinations.iter().map(taken).collect::<Vec<_>>()
        };
        self.messages.iter().flat_map(of).collect()
    }
}

impl Taken {
    pub(super) fn number(&self) -> u64 {
        self.to.trim_start_matches('+').parse().unwrap_or(0)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer<'a> {
    bulk_id: &'static str,
    messages: Vec<Accepted<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Accepted<'a> {
    message_id: &'a str,
    status: Status,
    destination: &'a str,
    details: Details,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    message_count: u8,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    group_id: u8,
    group_name: &'static str,
    id: u16,
    name: &'static str,
    description: &'static str,
}

#[derive(Serialize)]
pub(super) struct Reports<'a> {
    results: Vec<Delivered<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Delivered<'a> {
    bulk_id: &'static str,
    message_id: &'a str,
    to: &'a str,
    sender: &'static str,
    message_count: u8,
    price: Price,
    status: Status,
    error: NoError,
    callback_data: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Price {
    price_per_message: u8,
    currency: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NoError {
    group_id: u8,
    group_name: &'static str,
    id: u8,
    name: &'static str,
    description: &'static str,
    permanent: bool,
}

pub(super) fn answer(messages: &[Taken]) -> Answer<'_> {
    fn one(message: &Taken) -> Accepted<'_> {
        Accepted {
            message_id: &message.id,
            status: status(ACCEPTED),
            destination: &message.to,
            details: Details { message_count: 1 },
        }
    }
    Answer { bulk_id: "bench", messages: messages.iter().map(one).collect() }
}

pub(super) fn report(messages: &[Taken]) -> Reports<'_> {
    fn one(message: &Taken) -> Delivered<'_> {
        Delivered {
            bulk_id: "bench",
            message_id: &message.id,
            to: &message.to,
            sender: "Otodoke",
            message_count: 1,
            price: Price { price_per_message: 0, currency: "JPY" },
            status: status(DELIVERED),
            error: NoError {
                group_id: 0,
                group_name: "OK",
                id: 0,
                name: "NO_ERROR",
                description: "No error",
                permanent: false,
            },
            callback_data: message.webhook.as_ref().and_then(|(_, data)| data.as_deref()),
        }
    }
    Reports { results: messages.iter().map(one).collect() }
}

const fn status((group_id, group_name, id, name): (u8, &'static str, u16, &'static str)) -> Status {
    Status { group_id, group_name, id, name, description: name }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the provider's own file writes it.
    const SENT: &str = r#"{ "messages": [{ "sender": "Otodoke",
        "destinations": [{ "to": "819020000001", "messageId": "0199:1" }], "content": { "text": "123456 \u3042" },
        "options": { "validityPeriod": { "amount": 299, "timeUnit": "SECONDS" } },
        "webhooks": { "delivery": { "url": "http://127.0.0.1:1/receipts/fast" }, "contentType": "application/json",
                      "callbackData": "tag" } }] }"#;

    #[test]
    fn what_is_sent_is_answered_and_reported_by_its_id() {
        let messages = serde_json::from_str::<Messages<'_>>(SENT).expect("good JSON").owned();
        assert_eq!(messages[0].number(), 819_020_000_001);
        let answered = serde_json::to_value(answer(&messages)).expect("JSON");
        assert_eq!(answered["messages"][0]["messageId"], "0199:1");
        let reported = serde_json::to_value(report(&messages)).expect("JSON");
        assert_eq!(reported["results"][0]["callbackData"], "tag");
        assert_eq!(reported["results"][0]["status"]["name"], "DELIVERED_TO_HANDSET");
    }
}
