//! A request that cannot be wrong: the fields of `body`, checked, with their defaults. Nothing of the world is asked
//! yet: whether the number can be reached is `reach`.

use std::collections::BTreeMap;

use otodoke_common::message::{Locale, Person, Purpose, Voice};
use otodoke_common::phone::{Country, LineType, Parsed, PhoneNumber};
use otodoke_common::text;
use otodoke_common::transaction::Transaction;
use serde::Serialize;

use crate::body::{CodePurpose, NewText, NewVerification, TransactionBody, VoiceWhen};
use crate::problem::Problem;

pub const CODE_DIGITS_MIN: u64 = 6;
pub const CODE_DIGITS_MAX: u64 = 10;
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
const TEMPLATE_DEFAULT: &str = "default";

/// What shall be sent, to whom. Two requests are the same when these are equal.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Request {
    pub(crate) person: Person,
    pub(crate) country: Country,
    pub(crate) line: LineType,
    pub(crate) purpose: Purpose,
    pub(crate) locale: Locale,
    pub(crate) content: Content,
    pub(crate) useful_ms: u64,
    pub(crate) voice: Voice,
    /// Whether an equal living verification is joined.
    pub(crate) joins: bool,
}

#[derive(Clone, PartialEq, Eq, Serialize)]
pub(crate) enum Content {
    Code { length: u8, template: String, domain: Option<String> },
    Text,
}

impl Request {
    pub(crate) fn of_code(body: NewVerification) -> Result<Self, Problem> {
        let Parsed { number, country, line } = number(&body.to, body.region.as_deref())?;
        let purpose = match body.purpose {
            CodePurpose::Login => Purpose::Login,
            CodePurpose::Signup => Purpose::Signup,
            CodePurpose::Payment => Purpose::Payment,
        };
        let transaction = transaction(purpose, body.transaction.as_ref())?;
        let digits = (CODE_DIGITS_MIN, CODE_DIGITS_MAX, CODE_DIGITS_DEFAULT);
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
            voice: voice(body.voice, body.voice_after_seconds)?,
            joins: !body.separate.unwrap_or(false),
        })
    }

    pub(crate) fn of_text(body: NewText) -> Result<Self, Problem> {
        let Parsed { number, country, line } = number(&body.to, body.region.as_deref())?;
        if body.text.trim().is_empty() {
            return Err(Problem::input("invalid_field", "text", "`text` must hold the words to send"));
        }
        if body.voice == Some(VoiceWhen::OnUnverified) {
            let detail = "`voice` must be `on_failure` or `never` here: a text is not verified";
            return Err(Problem::input("invalid_field", "voice", detail));
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
            voice: voice(body.voice, None)?,
            joins: false,
        })
    }
}

fn number(to: &str, region: Option<&str>) -> Result<Parsed, Problem> {
    let region = region
        .map(|raw| {
            let detail = "`region` must be two capital letters of ISO 3166-1, such as \"JP\"";
            Country::parse(raw).ok_or_else(|| Problem::input("invalid_field", "region", detail))
        })
        .transpose()?;
    Ok(PhoneNumber::parse(to, region)?)
}

/// Needed for a payment, refused otherwise.
pub(crate) fn transaction(purpose: Purpose, body: Option<&TransactionBody>) -> Result<Option<Transaction>, Problem> {
    match (purpose, body) {
        (Purpose::Payment, Some(body)) => parsed(body).map(Some),
        (Purpose::Payment, None) => {
            let detail = "`transaction` is needed for a payment: its code is bound to amount and payee";
            Err(Problem::input("missing_field", "transaction", detail))
        }
        (Purpose::Login | Purpose::Signup | Purpose::Notice, None) => Ok(None),
        (Purpose::Login | Purpose::Signup | Purpose::Notice, Some(_)) => {
            let detail = "`transaction` belongs to purpose `payment` only: leave it out, or change the purpose";
            Err(Problem::input("field_not_allowed", "transaction", detail))
        }
    }
}

fn parsed(body: &TransactionBody) -> Result<Transaction, Problem> {
    Ok(Transaction::parse(&body.amount, &body.currency, &body.payee.name, &body.payee.account)?)
}

fn voice(when: Option<VoiceWhen>, after_seconds: Option<u64>) -> Result<Voice, Problem> {
    let range = (VOICE_AFTER_S_MIN, CODE_TTL_S_MAX, VOICE_AFTER_S_DEFAULT);
    let after_ms = within("voice_after_seconds", after_seconds, range)? * 1_000;
    Ok(match when.unwrap_or(VoiceWhen::OnFailure) {
        VoiceWhen::OnFailure => Voice::OnFailure,
        VoiceWhen::OnUnverified => Voice::OnUnverified { after_ms },
        VoiceWhen::Never => Voice::Never,
    })
}

/// `range` is least, most and default.
fn within(field: &'static str, value: Option<u64>, range: (u64, u64, u64)) -> Result<u64, Problem> {
    let (least, most, default) = range;
    let value = value.unwrap_or(default);
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(Problem::input("invalid_field", field, format!("`{field}` is {value}: it must be from {least} to {most}")))
}

fn template(name: Option<String>) -> Result<String, Problem> {
    let name = name.unwrap_or_else(|| TEMPLATE_DEFAULT.to_owned());
    if (1..=TEMPLATE_NAME_BYTES_MAX).contains(&name.len()) && !name.contains('\n') {
        return Ok(name);
    }
    let detail = format!("`template` must be a name of 1 to {TEMPLATE_NAME_BYTES_MAX} bytes on one line");
    Err(Problem::input("invalid_field", "template", detail))
}

fn metadata(metadata: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Problem> {
    if metadata.len() > METADATA_KEYS_MAX {
        let detail = format!("`metadata` holds {} keys: it may hold {METADATA_KEYS_MAX}", metadata.len());
        return Err(Problem::input("invalid_field", "metadata", detail));
    }
    let fits = |text: &str| text.len() <= METADATA_BYTES_MAX && !text.contains('\n');
    if metadata.iter().all(|(key, value)| !key.is_empty() && fits(key) && fits(value)) {
        return Ok(metadata);
    }
    let detail =
        format!("keys and values of `metadata` hold up to {METADATA_BYTES_MAX} bytes on one line; a key at least 1");
    Err(Problem::input("invalid_field", "metadata", detail))
}

fn locale_of(country: Country) -> Locale {
    if country == Country::JP { Locale::Ja } else { Locale::En }
}
