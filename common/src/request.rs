//! A request that cannot be wrong: the fields of `body`, checked, with their defaults. Nothing of the world is asked
//! yet: whether the number can be reached is `reach`; the row it becomes is `opening`.
//!
//! The door and the worker both run it: what comes by HTTP and what another program publishes is judged alike.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::code::{CODE_DIGITS_MAX, CODE_DIGITS_MIN};
use crate::message::{Locale, Person, Purpose, Voice};
use crate::phone::{Country, LineType, Parsed, PhoneNumber};
use crate::text::{self, TEMPLATE_DEFAULT};
use crate::transaction::Transaction;

pub mod body;
mod error;
pub mod opening;
pub mod publication;
pub mod reach;
pub mod strict;

use body::{NewText, NewVerification, TransactionBody, VoiceWhen};
pub use error::{FieldFault, RequestError};

/// Largest body, bytes, by whichever way it comes.
pub const BODY_BYTES_MAX: usize = 16 * 1024;
pub const CODE_TTL_S_MIN: u64 = 30;
pub const CODE_TTL_S_MAX: u64 = 1_800;
pub const TEXT_TTL_S_MIN: u64 = 60;
pub const TEXT_TTL_S_MAX: u64 = 36_000;
pub const VOICE_AFTER_S_MIN: u64 = 30;
pub const METADATA_KEYS_MAX: usize = 16;
pub const METADATA_BYTES_MAX: usize = 255;
pub const TEMPLATE_NAME_BYTES_MAX: usize = 64;

const CODE_DIGITS_DEFAULT: u64 = 6;
const CODE_TTL_S_DEFAULT: u64 = 300;
const TEXT_TTL_S_DEFAULT: u64 = 3_600;
const VOICE_AFTER_S_DEFAULT: u64 = 60;

/// What shall be sent, to whom. Two requests are the same when these are equal.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Request {
    pub person: Person,
    pub country: Country,
    pub line: LineType,
    pub purpose: Purpose,
    pub locale: Locale,
    pub content: Content,
    pub useful_ms: u64,
    pub voice: Voice,
    /// Whether an equal living verification is joined.
    pub joins: bool,
}

#[derive(Clone, PartialEq, Eq, Serialize)]
pub enum Content {
    Code { length: u8, template: String, domain: Option<String> },
    Text,
}

impl Request {
    pub fn of_code(body: NewVerification) -> Result<Self, RequestError> {
        let Parsed { number, country, line } = number(&body.to, body.region.as_deref())?;
        let purpose = body.purpose.into();
        let transaction = transaction(purpose, body.transaction.as_ref())?;
        let digits = (CODE_DIGITS_MIN.into(), CODE_DIGITS_MAX.into(), CODE_DIGITS_DEFAULT);
        let length = within("code_length", body.code_length, digits)?;
        let ttl = (CODE_TTL_S_MIN, CODE_TTL_S_MAX, CODE_TTL_S_DEFAULT);
        let useful_ms = within("ttl_seconds", body.ttl_seconds, ttl)? * 1_000;
        let domain = body.domain.as_deref().map(text::parse_domain).transpose()?;
        Ok(Self {
            person: Person { to: number, transaction, text: None, metadata: metadata(body.metadata)? },
            country,
            line,
            purpose,
            locale: body.locale.unwrap_or_else(|| locale_of(country)),
            content: Content::Code {
                length: u8::try_from(length).expect("a code has at most 10 digits"),
                template: template(body.template)?,
                domain,
            },
            useful_ms,
            voice: voice(body.voice, body.voice_after_seconds, useful_ms)?,
            joins: !body.separate.unwrap_or(false),
        })
    }

    pub fn of_text(body: NewText) -> Result<Self, RequestError> {
        let Parsed { number, country, line } = number(&body.to, body.region.as_deref())?;
        if body.text.trim().is_empty() {
            return Err(RequestError::invalid("text", "`text` must hold the words to send"));
        }
        if body.voice == Some(VoiceWhen::OnUnverified) {
            let detail = "`voice` must be `on_failure` or `never` here: a text is not verified";
            return Err(RequestError::invalid("voice", detail));
        }
        let ttl = (TEXT_TTL_S_MIN, TEXT_TTL_S_MAX, TEXT_TTL_S_DEFAULT);
        let useful_ms = within("ttl_seconds", body.ttl_seconds, ttl)? * 1_000;
        let metadata = metadata(body.metadata)?;
        Ok(Self {
            person: Person { to: number, transaction: None, text: Some(body.text), metadata },
            country,
            line,
            purpose: Purpose::Notice,
            locale: body.locale.unwrap_or_else(|| locale_of(country)),
            content: Content::Text,
            useful_ms,
            voice: voice(body.voice, None, useful_ms)?,
            joins: false,
        })
    }
}

/// A number as every face takes it.
pub fn number(to: &str, region: Option<&str>) -> Result<Parsed, RequestError> {
    let region = region
        .map(|raw| {
            let detail = "`region` must be two capital letters of ISO 3166-1, such as \"JP\"";
            Country::parse(raw).ok_or_else(|| RequestError::invalid("region", detail))
        })
        .transpose()?;
    Ok(PhoneNumber::parse(to, region)?)
}

/// Needed for a payment, refused otherwise.
pub fn transaction(purpose: Purpose, body: Option<&TransactionBody>) -> Result<Option<Transaction>, RequestError> {
    match (purpose, body) {
        (Purpose::Payment, Some(body)) => parsed(body).map(Some),
        (Purpose::Payment, None) => {
            let detail = "`transaction` is needed for a payment: its code is bound to amount and payee";
            Err(RequestError::missing("transaction", detail))
        }
        (Purpose::Login | Purpose::Signup | Purpose::Notice, None) => Ok(None),
        (Purpose::Login | Purpose::Signup | Purpose::Notice, Some(_)) => {
            let detail = "`transaction` belongs to purpose `payment` only: leave it out, or change the purpose";
            Err(RequestError::not_allowed("transaction", detail))
        }
    }
}

fn parsed(body: &TransactionBody) -> Result<Transaction, RequestError> {
    Ok(Transaction::parse(&body.amount, &body.currency, &body.payee.name, &body.payee.account)?)
}

fn voice(when: Option<VoiceWhen>, after_seconds: Option<u64>, useful_ms: u64) -> Result<Voice, RequestError> {
    let range = (VOICE_AFTER_S_MIN, CODE_TTL_S_MAX, VOICE_AFTER_S_DEFAULT);
    let after_ms = within("voice_after_seconds", after_seconds, range)? * 1_000;
    if when == Some(VoiceWhen::OnUnverified) && after_seconds.is_some() && after_ms >= useful_ms {
        let detail = format!(
            "`voice_after_seconds` is {}, and the code is useful for {} seconds: no call would come; shorten the one or \
             lengthen `ttl_seconds`",
            after_ms / 1_000,
            useful_ms / 1_000
        );
        return Err(RequestError::invalid("voice_after_seconds", detail));
    }
    Ok(match when.unwrap_or(VoiceWhen::OnFailure) {
        VoiceWhen::OnFailure => Voice::OnFailure,
        VoiceWhen::OnUnverified => Voice::OnUnverified { after_ms },
        VoiceWhen::Never => Voice::Never,
    })
}

/// `range` is least, most and default.
fn within(field: &'static str, value: Option<u64>, range: (u64, u64, u64)) -> Result<u64, RequestError> {
    let (least, most, default) = range;
    let value = value.unwrap_or(default);
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(RequestError::invalid(field, format!("`{field}` is {value}: it must be from {least} to {most}")))
}

fn template(name: Option<String>) -> Result<String, RequestError> {
    let name = name.unwrap_or_else(|| TEMPLATE_DEFAULT.to_owned());
    if (1..=TEMPLATE_NAME_BYTES_MAX).contains(&name.len()) && !name.contains('\n') {
        return Ok(name);
    }
    let detail = format!("`template` must be a name of 1 to {TEMPLATE_NAME_BYTES_MAX} bytes on one line");
    Err(RequestError::invalid("template", detail))
}

fn metadata(metadata: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, RequestError> {
    if metadata.len() > METADATA_KEYS_MAX {
        let detail = format!("`metadata` holds {} keys: it may hold {METADATA_KEYS_MAX}", metadata.len());
        return Err(RequestError::invalid("metadata", detail));
    }
    let fits = |text: &str| text.len() <= METADATA_BYTES_MAX && !text.contains('\n');
    if metadata.iter().all(|(key, value)| !key.is_empty() && fits(key) && fits(value)) {
        return Ok(metadata);
    }
    let detail =
        format!("keys and values of `metadata` hold up to {METADATA_BYTES_MAX} bytes on one line; a key at least 1");
    Err(RequestError::invalid("metadata", detail))
}

fn locale_of(country: Country) -> Locale {
    if country == Country::JP { Locale::Ja } else { Locale::En }
}
