//! Infobip SMS API version 3, which NTT CPaaS uses under its own name.
//!
//! Source: Infobip "SMS API" OpenAPI 3.210 (`POST /sms/3/messages`, `GET /sms/3/logs`, delivery reports) and its
//! pages "Message status and error codes". It dedupes on a message id of ours. Rejections come inside a 200.
//! Receipts come in batches and unsigned: our tag travels in `callbackData` and proves a receipt one by one.

use std::sync::Arc;

use async_trait::async_trait;
use hyper::Uri;
use hyper::header::AUTHORIZATION;
use otodoke_common::leg::{Abilities, Channel, ProviderId};
use otodoke_common::outcome::{About, Answer, Class, Proof, Report, ReportStatus, Scope};
use otodoke_common::provider::{
    AskError, Provider, Question, SendContent, SendRequest, WebhookReading, WebhookRequest,
};
use otodoke_common::seal::Vault;
use otodoke_common::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::http::{Api, Reply};
use crate::report::{asked, received, reference, refused};
use crate::settings::{ProviderError, ProviderSettings};
use crate::stamp::happened_at;

mod codes;
#[cfg(test)]
mod tests;

/// As many results as the vendor documents for one batch: more without a tag of ours are not the vendor's.
const HINTS_MAX: usize = 100;
/// Records of one message id to look at: the message, and each repeat of ours that the vendor rejected as one.
const LOGS_MAX: usize = 10;

pub(crate) struct Infobip {
    id: ProviderId,
    api: Api,
    messages: Uri,
    vault: Arc<Vault>,
    /// One URL for all legs, so that the vendor can batch its receipts.
    receipts_url: String,
}

impl Infobip {
    pub(crate) fn new(settings: &ProviderSettings, vault: Arc<Vault>) -> Result<Self, ProviderError> {
        settings.no_account()?;
        let api = Api::new(settings, AUTHORIZATION, &format!("App {}", settings.secret.expose()))?;
        let receipts_url = format!("{}/receipts/{}", settings.public()?, settings.id);
        let messages = api.place(&["sms", "3", "messages"]);
        Ok(Self { id: settings.id.clone(), api, messages, vault, receipts_url })
    }
}

#[async_trait]
impl Provider for Infobip {
    fn id(&self) -> &ProviderId {
        &self.id
    }

    fn channel(&self) -> Channel {
        Channel::Sms
    }

    fn abilities(&self) -> Abilities {
        Abilities { dedupes: true, asks: true, asks_by_our_id: true, validity: true }
    }

    async fn send(&self, request: &SendRequest) -> Answer {
        let SendContent::Text(text) = &request.content else {
            return refused((Class::Config, Scope::Message), "carries texts only");
        };
        let body = self.body(request, text);
        match self.api.call(self.api.post_json(self.messages.clone(), &body)).await {
            Ok(reply) => read_answer(&reply, &request.our_reference),
            Err(lost) => lost.into(),
        }
    }

    /// The logs, not the reports: `GET /sms/3/reports` gives each report only once, so a crash after reading it
    /// would lose it. An empty log is no news, for it may lag: the same id sent again is the question that counts.
    async fn ask(&self, question: &Question) -> Result<Vec<Report>, AskError> {
        let (ours, limit) = (question.our_reference.as_str(), LOGS_MAX.to_string());
        let request = self.api.get(&["sms", "3", "logs"], &[("messageId", ours), ("limit", &limit)]);
        let reply = self.api.call(request).await.map_err(|lost| lost.asking(&self.id))?;
        let logs: Batch<Value> = reply.answer_to_asking(&self.id)?;
        let tells = |entry: &Entry| entry.message_id.as_deref() == Some(ours) && entry.read() != ReportStatus::Hint;
        // The latest records may be repeats that were not taken, which say nothing of the request that was.
        let entry = logs.readable().filter(tells).min_by_key(Entry::is_rejection);
        let report = |entry: Entry| asked(&self.id, question, entry.read(), entry.happened_at(question.now));
        Ok(entry.map(report).into_iter().collect())
    }

    fn read_webhook(&self, request: &WebhookRequest<'_>) -> WebhookReading {
        let Some(entries) = entries(request.body) else {
            return WebhookReading::Rejected { status: 400, why: "the body is not a batch of delivery reports" };
        };
        let (mut reports, hints): (Vec<Report>, Vec<Report>) = entries
            .into_iter()
            .filter_map(|entry| self.read_receipt(&entry, request.now))
            .partition(|report| report.proof == Proof::Tag);
        reports.extend(hints.into_iter().take(HINTS_MAX));
        WebhookReading::Reports { reports, reply: received() }
    }

    fn proves_by_reference(&self) -> bool {
        false
    }
}

impl Infobip {
    /// `validityPeriod` counts minutes unless told otherwise; ours is exact to the second.
    fn body<'a>(&'a self, request: &'a SendRequest, text: &'a str) -> Messages<'a> {
        let to = request.to.as_e164().trim_start_matches('+');
        Messages {
            messages: [Message {
                sender: &request.sender,
                destinations: [Destination { to, message_id: &request.our_reference }],
                content: Content { text },
                options: Options {
                    validity_period: ValidityPeriod { amount: request.validity_s.max(1), time_unit: "SECONDS" },
                },
                webhooks: Webhooks {
                    delivery: Delivery { url: &self.receipts_url },
                    content_type: "application/json",
                    callback_data: request.tag.as_str(),
                },
            }],
        }
    }

    /// One result of a batch. With a tag of ours it is a receipt; without, anybody could have posted it: a hint.
    /// `None`: it names nothing.
    fn read_receipt(&self, entry: &Entry, now: Timestamp) -> Option<Report> {
        let leg = entry.callback_data.as_deref().and_then(|raw| self.vault.read_leg_tag(raw));
        let (about, status, proof) = match leg {
            Some((id, leg)) => (About::Leg { id, leg }, entry.read(), Proof::Tag),
            None => (About::Reference(reference(entry.message_id.as_deref()?)?), ReportStatus::Hint, Proof::Nothing),
        };
        let happened_at = entry.happened_at(now).filter(|_| proof == Proof::Tag);
        Some(Report { provider: self.id.clone(), about, status, proof, at: now, happened_at })
    }
}

/// The body of `POST /sms/3/messages`, with one message to one handset.
#[derive(Serialize)]
struct Messages<'a> {
    messages: [Message<'a>; 1],
}

#[derive(Serialize)]
struct Message<'a> {
    sender: &'a str,
    destinations: [Destination<'a>; 1],
    content: Content<'a>,
    options: Options,
    webhooks: Webhooks<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Destination<'a> {
    to: &'a str,
    message_id: &'a str,
}

#[derive(Serialize)]
struct Content<'a> {
    text: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Options {
    validity_period: ValidityPeriod,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ValidityPeriod {
    amount: u32,
    time_unit: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Webhooks<'a> {
    delivery: Delivery<'a>,
    content_type: &'static str,
    callback_data: &'a str,
}

#[derive(Serialize)]
struct Delivery<'a> {
    url: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Accepted {
    messages: Vec<AcceptedMessage>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AcceptedMessage {
    message_id: Option<String>,
    status: Status,
}

/// A 200 says per message whether it was taken; a rejection is final and nothing is out. What is neither may be out:
/// the same id sent again tells.
fn read_answer(reply: &Reply, our_reference: &str) -> Answer {
    if !reply.status.is_success() {
        return reply.by_status();
    }
    let Some(accepted) = reply.json::<Accepted>() else {
        return reply.by_status();
    };
    let [message] = accepted.messages.as_slice() else {
        return Answer::Unknown { why: "an answer without our one message".to_owned() };
    };
    let taken = || Answer::Submitted {
        reference: message.message_id.as_deref().and_then(reference).or_else(|| reference(our_reference)),
    };
    match codes::read(&message.status, None) {
        ReportStatus::Failed(refusal) if refusal.class == Class::Unknown && !message.status.is_rejection() => {
            Answer::Unknown { why: format!("{}: it may be out", refusal.code) }
        }
        ReportStatus::Failed(refusal) => Answer::Refused(refusal),
        ReportStatus::Hint => Answer::Unknown { why: "an answer without a status".to_owned() },
        ReportStatus::Underway { .. } | ReportStatus::Delivered | ReportStatus::Absent => taken(),
    }
}

/// A batch of delivery reports, or a page of logs: both hold the same results. At most 100 are documented; more
/// are read, for the door bounds the body.
#[derive(Deserialize)]
struct Batch<R> {
    results: Vec<R>,
}

/// One garbled result must not lose the others: where all cannot be read at once, each is read by itself. `None`: no batch.
fn entries(body: &[u8]) -> Option<Vec<Entry>> {
    if let Ok(batch) = serde_json::from_slice::<Batch<Entry>>(body) {
        return Some(batch.results);
    }
    serde_json::from_slice::<Batch<Value>>(body).ok().map(|batch| batch.readable().collect())
}

impl Batch<Value> {
    fn readable(self) -> impl Iterator<Item = Entry> {
        self.results.into_iter().map(Entry::of)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    message_id: Option<String>,
    status: Option<Status>,
    error: Option<ErrorCode>,
    done_at: Option<String>,
    callback_data: Option<String>,
}

/// The vendor's document requires neither of its fields.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    group_id: Option<u32>,
    id: Option<u32>,
}

#[derive(Clone, Copy, Deserialize)]
struct ErrorCode {
    id: Option<u32>,
    permanent: Option<bool>,
}

impl Entry {
    /// As much of a result as can be read: where it is garbled, what it is about.
    fn of(result: Value) -> Self {
        let word = |name| result.get(name).and_then(Value::as_str).map(str::to_owned);
        let (message_id, callback_data) = (word("messageId"), word("callbackData"));
        let named = Self { message_id, callback_data, status: None, error: None, done_at: None };
        serde_json::from_value(result).unwrap_or(named)
    }

    /// A result without a status is documented as possible: it says only that there is news.
    fn read(&self) -> ReportStatus {
        self.status.as_ref().map_or(ReportStatus::Hint, |status| codes::read(status, self.error.as_ref()))
    }

    fn is_rejection(&self) -> bool {
        self.status.is_some_and(|status| status.is_rejection())
    }

    fn happened_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.done_at.as_deref().and_then(|raw| happened_at(raw, now))
    }
}
