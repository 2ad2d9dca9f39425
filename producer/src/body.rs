//! What callers send to the door, as it stands on the wire; shared with the client library and the OpenAPI document.
//!
//! What every face takes, a message to send, is `otodoke_common::request`; here is what only HTTP has.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use otodoke_common::request::body::{
    CodePurpose, NewText, NewVerification, PayeeBody, TextPurpose, TransactionBody, VoiceWhen,
};

/// `POST /v1/verifications/{id}/check`
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckBody {
    /// The digits the person typed.
    #[schema(example = "123456")]
    pub code: String,
    /// Needed for `payment`, and where the tenant's settings say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Needed for `payment`, refused otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<TransactionBody>,
}

/// `POST /v1/verifications/{id}/resend`
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResendBody {
    /// Left out: `sms`, or `voice` where no text can reach the phone and the request allows calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChannelWord>,
}

/// `POST /v1/trace`
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchBody {
    /// E.164, or national format together with `region`.
    #[schema(example = "+819012345678")]
    pub to: String,
    /// ISO 3166-1 alpha-2, for numbers in national format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "JP")]
    pub region: Option<String>,
    /// How far to look back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 168, default = 24)]
    pub hours: Option<u64>,
    /// Look back from here instead of from now, RFC 3339: `looked_back_to` of an answer goes on where that one ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "2026-11-22T10:05:00.123Z")]
    pub before: Option<String>,
}

/// A request without fields: `{}`, or no body at all.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NoFields {}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Channel)]
pub enum ChannelWord {
    Sms,
    Voice,
}
