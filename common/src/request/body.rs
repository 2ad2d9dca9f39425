//! What callers ask for, as it stands on the wire of every face: HTTP, AMQP, the client library, the OpenAPI document.
//!
//! These types only say which fields there are. What the values may be is `request`.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::message::{Locale, Purpose};

/// Every field of a request, at whatever depth: no other name in a body is ours.
pub(super) const FIELDS: [&str; 19] = [
    "to",
    "region",
    "purpose",
    "locale",
    "code_length",
    "ttl_seconds",
    "transaction",
    "amount",
    "currency",
    "payee",
    "name",
    "account",
    "template",
    "domain",
    "voice",
    "voice_after_seconds",
    "separate",
    "metadata",
    "text",
];

/// `POST /v1/verifications`
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewVerification {
    /// E.164, or national format together with `region`.
    #[schema(example = "+819012345678")]
    pub to: String,
    /// ISO 3166-1 alpha-2, for numbers in national format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "JP")]
    pub region: Option<String>,
    pub purpose: CodePurpose,
    /// `ja` or `en`; else by the country of the number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^(ja|en)$")]
    pub locale: Option<Locale>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 6, maximum = 10, default = 6)]
    pub code_length: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 30, maximum = 1800, default = 300)]
    pub ttl_seconds: Option<u64>,
    /// Needed for `payment`, refused otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<TransactionBody>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(default = "default")]
    pub template: Option<String>,
    /// Host name for the origin-bound last line of the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "example.com")]
    pub domain: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voice: Option<VoiceWhen>,
    /// For `voice: on_unverified`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 30, maximum = 1800, default = 60)]
    pub voice_after_seconds: Option<u64>,
    /// Whether this is a verification of its own even where an equal one is still alive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(default = false)]
    pub separate: Option<bool>,
    /// Up to 16 keys; keys and values up to 255 bytes each.
    #[serde(default, deserialize_with = "or_none", skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

impl NewVerification {
    /// Everything else left to its default.
    pub fn new(to: impl Into<String>, purpose: CodePurpose) -> Self {
        Self {
            to: to.into(),
            region: None,
            purpose,
            locale: None,
            code_length: None,
            ttl_seconds: None,
            transaction: None,
            template: None,
            domain: None,
            voice: None,
            voice_after_seconds: None,
            separate: None,
            metadata: BTreeMap::new(),
        }
    }
}

/// `POST /v1/messages`
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewText {
    /// E.164, or national format together with `region`.
    #[schema(example = "+819012345678")]
    pub to: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<TextPurpose>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^(ja|en)$")]
    pub locale: Option<Locale>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 60, maximum = 36000, default = 3600)]
    pub ttl_seconds: Option<u64>,
    /// `on_failure` (the default) or `never`: a text is not verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voice: Option<VoiceWhen>,
    #[serde(default, deserialize_with = "or_none", skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Transaction)]
pub struct TransactionBody {
    /// Whole minor units of the currency, as text.
    #[schema(example = "12000")]
    pub amount: String,
    /// A code that ISO 4217 lists, with minor units.
    #[schema(example = "JPY")]
    pub currency: String,
    pub payee: PayeeBody,
}

#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Payee)]
pub struct PayeeBody {
    #[schema(example = "YAMADA TARO")]
    pub name: String,
    #[schema(example = "1234567")]
    pub account: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CodePurpose {
    Login,
    Signup,
    Payment,
}

impl From<CodePurpose> for Purpose {
    fn from(purpose: CodePurpose) -> Self {
        match purpose {
            CodePurpose::Login => Self::Login,
            CodePurpose::Signup => Self::Signup,
            CodePurpose::Payment => Self::Payment,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TextPurpose {
    Notice,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VoiceWhen {
    OnFailure,
    OnUnverified,
    Never,
}

/// `null` is as good as leaving it out, as for every other field that may be.
fn or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
