//! What the door answers, as it stands on the wire; shared with the client library and the OpenAPI document.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// 202 of `POST /v1/verifications` and `POST /v1/messages`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Accepted {
    pub id: String,
    pub status: String,
    /// Masked.
    #[schema(example = "+81*******678")]
    pub to: String,
    pub useful_until: String,
    /// How long what waits before it is expected to take, milliseconds.
    pub expected_wait_ms: u64,
    /// Whether an equal verification was alive and this request became a resend of it.
    pub joined: bool,
    /// From when a resend may start a new leg; absent where none will.
    pub next_resend_at: Option<String>,
}

/// `GET /v1/verifications/{id}` and `GET /v1/messages/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Message)]
pub struct MessageView {
    pub id: String,
    #[schema(pattern = "^(accepted|sending|submitted|delivered|verified|failed|expired|cancelled)$")]
    pub status: String,
    /// Masked; `erased` once the number was erased.
    pub to: String,
    pub purpose: String,
    pub useful_until: String,
    /// Codes only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guesses_left: Option<u8>,
    /// Codes only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_resend_at: Option<String>,
    pub legs: Vec<LegView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureView>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Leg)]
pub struct LegView {
    pub leg: u8,
    pub channel: String,
    pub provider: String,
    /// `domestic` or `international`.
    pub route: String,
    pub route_id: String,
    /// `submitted`, `delivered`, `refused`, `not_sent`, `unknown`, `overdue` or `cancelled`; null while in hand.
    pub outcome: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub started_at: String,
    pub ended_at: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Failure)]
pub struct FailureView {
    pub reason: String,
    /// What the person can change, in the message's language.
    pub guidance: String,
}

/// 200 of `POST /v1/verifications/{id}/check`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Checked {
    pub status: CheckStatus,
    /// True only in the answer to the request that verified.
    pub verified: bool,
    pub guesses_left: u8,
    /// With `too_many_guesses` where it is the number that had too many in a day, over all its messages: before then no code
    /// for it is looked at, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_guess_at: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    Verified,
    WrongCode,
    TransactionChanged,
    TooManyGuesses,
    Expired,
    Cancelled,
    NotSentYet,
    AlreadyVerified,
}

/// 202 of `POST /v1/verifications/{id}/resend`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Resent {
    /// Whether a new leg follows; false while the last one may still be on its way, and where nothing is left that could reach
    /// the person.
    pub leg: bool,
    pub next_resend_at: Option<String>,
}

/// 200 of `.../cancel`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cancelled {
    pub id: String,
    /// `cancelled`, or the end it had before.
    pub status: String,
}

/// `GET /v1/trace/{id}`: the message and everything that happened to it, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Trace {
    pub message: MessageView,
    pub journal: Vec<TraceLine>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TraceLine {
    pub at: String,
    /// Since acceptance, milliseconds.
    pub after_ms: u64,
    /// For people.
    pub sentence: String,
    /// The same for programs: `event` and its fields.
    #[schema(value_type = Object)]
    pub fields: serde_json::Value,
}

/// 200 of `POST /v1/trace`: what went to a number, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Found {
    /// At most 50.
    pub messages: Vec<FoundMessage>,
    /// From this moment on these are all, by the time in their ids; ids of other kinds than UUIDv7 have none and are left out.
    pub looked_back_to: String,
    /// Whether that is as far as was asked for. Where there is more, or looking takes longer than a person waits, ask again
    /// with `looked_back_to` as `before`.
    pub complete: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FoundMessage {
    pub accepted_at: String,
    pub message: MessageView,
}

/// `GET /healthz`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Alive {
    pub alive: bool,
}

/// `GET /readyz`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Readiness {
    /// Whether anything can be accepted.
    pub ready: bool,
    /// What is in the way, one sentence each; a ready process tells here what it does without.
    pub reasons: Vec<String>,
    pub codes: Kids,
}

/// The roots of codes that a process holds. Every one, door or worker, must know a kid before it is made active in any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Kids {
    /// Of messages that open at this process.
    pub active: String,
    /// Whose roots this process has, revoked ones among them.
    pub known: Vec<String>,
}
