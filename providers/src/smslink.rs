//! NEXWAY SMSLINK, API version 1: texts to Japanese mobile numbers over direct links to the four carriers.
//!
//! Source: NEXWAY "SMSLINK API v1 reference" (`/api/v1/delivery`, `/api/v1/delivery_results`, "10 SMS配信完了通知").
//! It neither dedupes nor takes a validity. `delivery_name` carries our reference and comes back in the results,
//! so a lost answer can be cleared up by asking. The completion webhook is an unsigned poke without a status.
//! Error bodies and rate limits of version 1 are not documented: there only the HTTP status is read.

use async_trait::async_trait;
use hyper::header::HeaderName;
use otodoke_common::leg::{Abilities, Channel, ProviderId};
use otodoke_common::outcome::{About, Answer, Class, Proof, Report, ReportStatus, Scope};
use otodoke_common::phone::PhoneNumber;
use otodoke_common::provider::{
    AskError, Provider, Question, SendContent, SendRequest, WebhookReading, WebhookReply, WebhookRequest,
};
use otodoke_common::text::{Counting, has_4_byte_chars};
use serde::{Deserialize, Serialize};

use crate::http::{Api, Reply};
use crate::report::{Meaning, asked, failed, reference, refused};
use crate::settings::{ProviderError, ProviderSettings};
use crate::stamp::happened_at;

#[cfg(test)]
mod tests;

/// The vendor counts characters; every line end counts as two.
const TEXT_CHARS_MAX: usize = 660;
/// Results of one request: some 25 KiB of them.
const RESULTS_MAX: usize = 50;
/// Requests to look through one number's deliveries. The vendor can narrow them by `reserved_from`, but does not say
/// whether a text without a reservation is among what is found then; so all of them are looked at.
const PAGES_MAX: usize = 10;
/// How the numbers begin that the vendor documents: mobile phones, and data SIMs (020).
const PREFIXES: [&str; 4] = ["020", "070", "080", "090"];
/// Begins a placeholder, which the vendor fills in or takes out.
const PLACEHOLDER: &str = "{{";
/// The vendor's own limit for a delivery id.
const DELIVERY_ID_BYTES_MAX: usize = 50;

pub(crate) struct Smslink {
    id: ProviderId,
    api: Api,
}

impl Smslink {
    pub(crate) fn new(settings: &ProviderSettings) -> Result<Self, ProviderError> {
        settings.no_account()?;
        let api = Api::new(settings, HeaderName::from_static("token"), settings.secret.expose())?;
        Ok(Self { id: settings.id.clone(), api })
    }
}

#[async_trait]
impl Provider for Smslink {
    fn id(&self) -> &ProviderId {
        &self.id
    }

    fn channel(&self) -> Channel {
        Channel::Sms
    }

    fn abilities(&self) -> Abilities {
        Abilities { dedupes: false, asks: true, asks_by_our_id: true, validity: false }
    }

    /// `transmission_count` of `GET /api/v1/delivery_results`: characters count alike whatever their width, 70 in one text;
    /// longer ones have 66 in each part to docomo, 67 to au and Rakuten, and cost one unit to SoftBank.
    fn counting(&self) -> Counting {
        Counting::Alike
    }

    async fn send(&self, request: &SendRequest) -> Answer {
        let body = match Delivery::new(request) {
            Ok(body) => body,
            Err((meaning, code)) => return refused(meaning, code),
        };
        match self.api.call(self.api.post_json(self.api.place(&["api", "v1", "delivery"]), &body)).await {
            Ok(reply) => read_answer(&reply),
            Err(lost) => lost.into(),
        }
    }

    /// By the delivery id where we have it, else by number, looking for our reference.
    async fn ask(&self, question: &Question) -> Result<Vec<Report>, AskError> {
        let national = mobile(&question.to).unwrap_or_default();
        let subject = match &question.reference {
            Some(delivery_id) => ("delivery_id[]", delivery_id.as_str()),
            None => ("phone_number[]", national.as_str()),
        };
        let mut looked_at = 0;
        for _ in 0..PAGES_MAX {
            let results = self.results(subject, looked_at).await?;
            looked_at += results.contacts.len();
            if let Some(contact) = results.contacts.iter().find(|contact| contact.is_of(question)) {
                return Ok(self.read_contact(question, contact));
            }
            let more = results.total.is_some_and(|total| total > looked_at) && !results.contacts.is_empty();
            if question.reference.is_some() || !more {
                return Ok(self.read_absence(question, results.total == Some(looked_at)));
            }
        }
        Ok(Vec::new())
    }

    /// A poke: it says which delivery ended, not how, and anybody could have posted it. Read, it is a hint to ask.
    fn read_webhook(&self, request: &WebhookRequest<'_>) -> WebhookReading {
        let Ok(poke) = serde_json::from_slice::<Poke>(request.body) else {
            return WebhookReading::Rejected { status: 400, why: "the body is not {delivery_id, contact_id}" };
        };
        let short = poke.delivery_id.len() <= DELIVERY_ID_BYTES_MAX;
        let Some(delivery_id) = reference(&poke.delivery_id).filter(|_| short) else {
            return WebhookReading::Rejected { status: 400, why: "the delivery id is not one of the vendor's" };
        };
        let report = Report {
            provider: self.id.clone(),
            about: About::Reference(delivery_id),
            status: ReportStatus::Hint,
            proof: Proof::Nothing,
            at: request.now,
            happened_at: None,
        };
        WebhookReading::Reports { reports: vec![report], reply: poke_reply() }
    }

    fn proves_by_reference(&self) -> bool {
        false
    }
}

/// The body of `POST /api/v1/delivery`: one contact.
#[derive(Serialize)]
struct Delivery<'a> {
    contacts: [Contact; 1],
    text_message: &'a str,
    delivery_name: &'a str,
}

#[derive(Serialize)]
struct Contact {
    phone_number: String,
}

impl<'a> Delivery<'a> {
    /// What the vendor would refuse is refused here: it costs no request, and its reasons are clearer.
    fn new(request: &'a SendRequest) -> Result<Self, (Meaning, &'static str)> {
        let SendContent::Text(text) = &request.content else {
            return Err(((Class::Config, Scope::Message), "carries texts only"));
        };
        if request.to.national_jp().is_none() {
            return Err(((Class::Config, Scope::Message), "reaches Japanese numbers only"));
        }
        let Some(phone_number) = mobile(&request.to) else {
            return Err(((Class::NotSmsCapable, Scope::Number), "reaches mobile numbers only"));
        };
        if !PREFIXES.iter().any(|prefix| phone_number.starts_with(prefix)) {
            return Err(((Class::Config, Scope::Message), "reaches 070, 080, 090 and 020 only"));
        }
        if text.contains(PLACEHOLDER) {
            return Err(((Class::Content, Scope::Message), "would take {{ for a placeholder"));
        }
        if has_4_byte_chars(text) {
            return Err(((Class::Content, Scope::Message), "takes no 4-byte characters"));
        }
        if text_chars(text) > TEXT_CHARS_MAX {
            return Err(((Class::Content, Scope::Message), "takes 660 characters at most"));
        }
        Ok(Self { contacts: [Contact { phone_number }], text_message: text, delivery_name: &request.our_reference })
    }
}

/// Mobile numbers, and 020 for data SIMs, have eleven digits in national form; so have 050 and 0800, which take no texts.
fn mobile(number: &PhoneNumber) -> Option<String> {
    let fixed = |national: &str| national.starts_with("050") || national.starts_with("0800");
    number.national_jp().filter(|national| national.len() == 11 && !fixed(national))
}

/// As the vendor counts: a line end of any kind becomes CR LF.
fn text_chars(text: &str) -> usize {
    text.replace("\r\n", "\n").chars().map(|letter| if matches!(letter, '\n' | '\r') { 2 } else { 1 }).sum()
}

#[derive(Deserialize)]
struct Accepted {
    delivery_id: Option<String>,
    contacts: Vec<AcceptedContact>,
}

#[derive(Deserialize)]
struct AcceptedContact {
    result_code: String,
}

/// A 200 says per contact whether it was registered; ours has exactly one.
fn read_answer(reply: &Reply) -> Answer {
    if !reply.status.is_success() {
        return reply.by_status();
    }
    let Some(accepted) = reply.json::<Accepted>() else {
        return reply.by_status();
    };
    let [contact] = accepted.contacts.as_slice() else {
        return Answer::Unknown { why: "an answer without our one contact".to_owned() };
    };
    if contact.result_code == "RST200001" {
        return Answer::Submitted { reference: accepted.delivery_id.as_deref().and_then(reference) };
    }
    match result_meaning(&contact.result_code) {
        Some(meaning) => refused(meaning, shown(&contact.result_code)),
        None => Answer::Unknown { why: format!("an unknown result code, {}", shown(&contact.result_code)) },
    }
}

/// `result_code` of `POST /api/v1/delivery`; RST200001 is "registered".
fn result_meaning(code: &str) -> Option<Meaning> {
    Some(match code {
        // The number is missing; it has not 11 or 14 digits; it has not the form of a mobile number. It was read as a
        // valid one before, so that speaks of what this vendor knows, and not against the number.
        "RST200002" | "RST200003" | "RST200005" => (Class::Config, Scope::Message),
        // Twice in one list; a field over 255; a bad character in an insertion; a body over 660.
        "RST200004" | "RST200006" | "RST200007" | "RST200008" => (Class::Content, Scope::Message),
        _ => return None,
    })
}

/// `detail` of `GET /api/v1/delivery_results`, where the status is 700 (excluded) or 900 (failed).
fn detail_meaning(detail: &str) -> Meaning {
    match detail {
        // The number is missing, has wrong digits or another form: excluded before it was sent, as RST200002 and its kin.
        "DTL000002" | "DTL000003" | "DTL000005" => (Class::Config, Scope::Message),
        // A failure on the carrier's side: this text is not out, and another route may be better off.
        "DTL000006" => (Class::NotSent, Scope::Message),
        // Out of range, or switched off.
        "DTL000007" => (Class::Absent, Scope::Number),
        // "Cannot receive SMS": a data-only SIM, or a person who refuses SMS; the vendor does not say which.
        "DTL000011" => (Class::Unreceivable, Scope::Number),
        // Twice in one list; the text or what was inserted into it.
        "DTL000004" | "DTL000012" | "DTL000013" | "DTL000014" => (Class::Content, Scope::Message),
        // On the opt-out list of the sender.
        "DTL000017" => (Class::OptedOut, Scope::Number),
        // The acquisition date for the misdelivery guard is wrong; the hour is forbidden by the contract.
        "DTL000018" | "DTL000025" => (Class::Config, Scope::Message),
        // The misdelivery guard: the number has another owner, or the check failed.
        "DTL000019" | "DTL000020" => (Class::OwnerChanged, Scope::Number),
        _ => (Class::Unknown, Scope::Message),
    }
}

/// Codes of the vendor's own form; anything else is not repeated, for it could be anything.
fn shown(code: &str) -> String {
    let known = code.starts_with("RST") || code.starts_with("DTL");
    let good = known && code.len() <= 12 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if good { code.to_owned() } else { "no code".to_owned() }
}

#[derive(Deserialize)]
struct Results {
    total: Option<usize>,
    contacts: Vec<ResultContact>,
}

#[derive(Deserialize)]
struct ResultContact {
    delivery_id: String,
    delivery_name: Option<String>,
    delivered_at: Option<String>,
    status: u32,
    detail: Option<String>,
}

impl Smslink {
    async fn results(&self, subject: (&str, &str), offset: usize) -> Result<Results, AskError> {
        let (limit, offset_words) = (RESULTS_MAX.to_string(), offset.to_string());
        let mut query = vec![subject, ("limit", limit.as_str())];
        if offset > 0 {
            query.push(("offset", offset_words.as_str()));
        }
        let request = self.api.get(&["api", "v1", "delivery_results"], &query);
        let reply = self.api.call(request).await.map_err(|lost| lost.asking(&self.id))?;
        reply.answer_to_asking(&self.id)
    }

    /// Only a complete list that was asked for by number proves that nothing was taken. A delivery id that we
    /// were once given and that is unknown now is a contradiction, not an absence: no news.
    fn read_absence(&self, question: &Question, complete: bool) -> Vec<Report> {
        let absent = question.reference.is_none() && complete;
        absent.then(|| asked(&self.id, question, ReportStatus::Absent, None)).into_iter().collect()
    }

    fn read_contact(&self, question: &Question, contact: &ResultContact) -> Vec<Report> {
        let underway = ReportStatus::Underway { reference: reference(&contact.delivery_id), at_operator: false };
        let Some(status) = contact.read() else {
            return Vec::new();
        };
        // The reference first, where it is news: later pokes name the leg by it alone.
        let news = question.reference.is_none() && !matches!(status, ReportStatus::Underway { .. });
        let happened = contact.delivered_at.as_deref().and_then(|raw| happened_at(raw, question.now));
        let first = news.then(|| asked(&self.id, question, underway, None));
        first.into_iter().chain([asked(&self.id, question, status, happened)]).collect()
    }
}

impl ResultContact {
    fn is_of(&self, question: &Question) -> bool {
        match &question.reference {
            Some(delivery_id) => self.delivery_id == *delivery_id,
            None => self.delivery_name.as_deref() == Some(question.our_reference.as_str()),
        }
    }

    /// `None`: a status that the vendor does not document, which is no news.
    fn read(&self) -> Option<ReportStatus> {
        Some(match self.status {
            50 | 100 => ReportStatus::Underway { reference: reference(&self.delivery_id), at_operator: false },
            200 => ReportStatus::Delivered,
            // Cancelled before it was sent; the vendor documents no detail for it.
            300 => failed((Class::NotSent, Scope::Message), "status 300"),
            700 | 900 => {
                let detail = self.detail.as_deref().unwrap_or_default();
                failed(detail_meaning(detail), shown(detail))
            }
            _ => return None,
        })
    }
}

/// The completion webhook. `contact_id` counts from 1; ours is always the first, so it says nothing more.
#[derive(Deserialize)]
struct Poke {
    delivery_id: String,
    #[serde(rename = "contact_id")]
    _contact_id: u64,
}

/// Exactly what the vendor wants to read; anything else makes it poke again, up to five times.
fn poke_reply() -> WebhookReply {
    WebhookReply { status: 200, content_type: "application/json", body: r#"{"result":true}"#.to_owned() }
}
