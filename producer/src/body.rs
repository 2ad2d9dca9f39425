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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChannelWord>,
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
