//! `GET /api/v1/delivery_results`: what the carrier knows by now, by delivery, by number or by time.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use serde_json::{Value, json};

use super::{CONTACTS_MAX, Refusal, Sakura};
use crate::carrier::{json as answer, query, segments};
use crate::clock;
use crate::exchange::Exchange;
use crate::number::HandsetNumber;
use crate::scenario::{Carrier, Verdict};
use crate::text::{Text, TextEntry};

const ASKED_IDS_MAX: usize = 50;
const RESULTS_MAX: usize = 10_000;
/// The network the handset is on: docomo.
const NETWORK: u8 = 10;

pub(super) async fn delivery_results(
    State(sakura): State<Sakura>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Refusal> {
    sakura.authorise(&headers)?;
    let filter = Filter::read(&uri).map_err(Refusal::bad)?;
    let now_ms = clock::now_ms();
    let found: Vec<Value> = filter
        .candidates(&sakura.0)
        .iter()
        .filter(|entry| filter.covers(entry.text.at_ms))
        .map(|entry| result(&entry.text, now_ms))
        .filter(|contact| filter.statuses.is_empty() || filter.statuses.contains(&contact["status"].to_string()))
        .collect();
    let page: Vec<&Value> = found.iter().skip(filter.offset).take(filter.limit).collect();
    Ok(answer(StatusCode::OK, json!({ "total": found.len(), "contacts": page })))
}

/// What `delivery_results` is asked for.
struct Filter {
    delivery_ids: Vec<String>,
    numbers: Vec<String>,
    statuses: Vec<String>,
    from_ms: Option<i64>,
    to_ms: Option<i64>,
    offset: usize,
    limit: usize,
}

impl Filter {
    fn read(uri: &Uri) -> Result<Self, String> {
        let (delivery_ids, numbers, statuses) = (Vec::new(), Vec::new(), Vec::new());
        let mut filter =
            Self { delivery_ids, numbers, statuses, from_ms: None, to_ms: None, offset: 0, limit: RESULTS_MAX };
        for (name, value) in query(uri) {
            let at =
                |raw: &str| clock::parse_ms(raw).ok_or(format!("`{name}` must be an ISO 8601 time with an offset"));
            let count = |raw: &str| raw.parse().map_err(|_invalid| format!("`{name}` must be a number"));
            match name.as_str() {
                "delivery_id[]" => filter.delivery_ids.push(value),
                "phone_number[]" => filter.numbers.push(value),
                "status[]" => filter.statuses.push(value),
                "reserved_from" => filter.from_ms = Some(at(&value)?),
                "reserved_to" => filter.to_ms = Some(at(&value)?),
                "offset" => filter.offset = count(&value)?,
                "limit" => filter.limit = count(&value)?,
                _ => return Err(format!("`{name}` is no parameter of delivery_results")),
            }
        }
        if filter.delivery_ids.len() > ASKED_IDS_MAX {
            return Err(format!("`delivery_id[]` may be given {ASKED_IDS_MAX} times"));
        }
        filter.limit = filter.limit.min(RESULTS_MAX);
        Ok(filter)
    }

    /// The texts the ids and numbers name, found without looking at all others.
    fn candidates(&self, exchange: &Exchange) -> Vec<Arc<TextEntry>> {
        let numbers: Vec<_> = self.numbers.iter().filter_map(|raw| HandsetNumber::parse(raw)).collect();
        let texts: Vec<Arc<TextEntry>> = if !self.delivery_ids.is_empty() {
            let contact = |id: &str, n: usize| exchange.book.text(Carrier::Sakura, &format!("{id}/{n}"));
            self.delivery_ids.iter().flat_map(|id| (1..=CONTACTS_MAX).map_while(move |n| contact(id, n))).collect()
        } else if !self.numbers.is_empty() {
            let texts = numbers.iter().flat_map(|number| exchange.book.handset(number).texts);
            texts.filter(|entry| entry.text.draft.carrier == Carrier::Sakura).collect()
        } else {
            exchange.book.texts_of(Carrier::Sakura)
        };
        let wanted = |entry: &Arc<TextEntry>| self.numbers.is_empty() || numbers.contains(&entry.text.draft.number);
        texts.into_iter().filter(wanted).collect()
    }

    fn covers(&self, at_ms: i64) -> bool {
        self.from_ms.is_none_or(|from| from <= at_ms) && self.to_ms.is_none_or(|to| at_ms <= to)
    }
}

fn result(text: &Text, now_ms: i64) -> Value {
    let (delivery_id, contact_id) = text.draft.reference.split_once('/').unwrap_or((&text.draft.reference, "1"));
    let mut contact = json!({
        "delivery_id": delivery_id, "contact_id": contact_id.parse().unwrap_or(1), "carrier": NETWORK,
        "delivery_name": text.draft.label, "phone_number": text.draft.number.national_jp(),
        "reserved_at": clock::japan(text.at_ms), "canceled_at": null, "delivered_at": null,
        "status": 100, "message": "sending", "detail": null, "detail_message": null,
        "opted_out": false, "transmission_count": segments(&text.draft.text),
    });
    if text.settled(now_ms) {
        let (status, message, detail, detail_message) = words(text.fate.verdict);
        contact["status"] = status.into();
        contact["message"] = message.into();
        contact["detail"] = detail.into();
        contact["detail_message"] = detail_message.into();
        if text.fate.verdict == Verdict::Delivered {
            contact["delivered_at"] = text.settles_at_ms.map(clock::japan).into();
        }
    }
    contact
}

/// A person who refuses texts and a SIM without them look the same from here.
const fn words(verdict: Verdict) -> (u16, &'static str, &'static str, &'static str) {
    match verdict {
        Verdict::Delivered => (200, "delivered", "DTL000001", "delivered to the handset"),
        Verdict::RefusedByPerson | Verdict::CannotReceive => {
            (900, "failed", "DTL000011", "the number cannot receive SMS")
        }
        Verdict::SwitchedOff => (900, "failed", "DTL000007", "out of range or switched off"),
        Verdict::FilteredAbroad => (900, "failed", "DTL000006", "failure on the carrier's side"),
        Verdict::Landline => (700, "excluded", "DTL000005", "the number cannot be delivered to"),
    }
}
