//! How rows and queued bodies look in bytes: versioned JSON, apart from the words it carries.
//!
//! Every body says its version first. Another version is refused by name and never guessed at, so that a newer
//! program's rows survive a return to an older one.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::message::{Message, MessageId};
use crate::outcome::Report;
use crate::store::Opening;

/// The version this program writes, and the only one it reads so far.
pub const VERSION: u32 = 1;

/// What travels on a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaneMessage {
    /// The row carries the message: only its id travels.
    Wake { id: MessageId },
    /// The whole opening, so that it survives a store that is away.
    Send(Box<Opening>),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    #[error(
        "{what} has version {found}, this program reads version {VERSION}: run a program at least as new as its writer"
    )]
    UnknownVersion { what: &'static str, found: u32 },
    #[error("{what} cannot be read: {why}")]
    Malformed { what: &'static str, why: String },
}

pub fn encode_row(message: &Message) -> Vec<u8> {
    encode(&RowBody { v: Version1, message })
}

pub fn decode_row(bytes: &[u8]) -> Result<Message, WireError> {
    decode::<RowBody<Message>>("a stored message", bytes).map(|body| body.message)
}

impl LaneMessage {
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Wake { id } => encode(&LaneBody::<&Opening> { v: Version1, what: Errand::Wake(*id) }),
            Self::Send(opening) => encode(&LaneBody { v: Version1, what: Errand::Send(opening.as_ref()) }),
        }
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        decode::<LaneBody<Box<Opening>>>("a lane message", bytes).map(|body| match body.what {
            Errand::Wake(id) => Self::Wake { id },
            Errand::Send(opening) => Self::Send(opening),
        })
    }
}

/// Whose lane message this is, without reading all of it; `None` where it is none.
pub fn lane_message_id(bytes: &[u8]) -> Option<MessageId> {
    serde_json::from_slice::<LaneBody<JustOpening>>(bytes).ok().map(|body| match body.what {
        Errand::Wake(id) => id,
        Errand::Send(JustOpening { message: JustMessage { id } }) => id,
    })
}

pub fn encode_reports(reports: &[Report]) -> Vec<u8> {
    encode(&ReportsBody { v: Version1, reports })
}

pub fn decode_reports(bytes: &[u8]) -> Result<Vec<Report>, WireError> {
    decode::<ReportsBody<Vec<Report>>>("a body of reports", bytes).map(|body| body.reports)
}

#[derive(Serialize, Deserialize)]
struct RowBody<M> {
    v: Version1,
    message: M,
}

#[derive(Serialize, Deserialize)]
struct LaneBody<O> {
    v: Version1,
    what: Errand<O>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Errand<O> {
    Wake(MessageId),
    Send(O),
}

#[derive(Serialize, Deserialize)]
struct ReportsBody<R> {
    v: Version1,
    reports: R,
}

/// A version field that reads as nothing but `VERSION`.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
struct Version1;

impl TryFrom<u32> for Version1 {
    type Error = &'static str;
    fn try_from(found: u32) -> Result<Self, Self::Error> {
        if found == VERSION { Ok(Self) } else { Err("another version") }
    }
}

impl From<Version1> for u32 {
    fn from(_: Version1) -> Self {
        VERSION
    }
}

/// An opening, read for its id only.
#[derive(Deserialize)]
struct JustOpening {
    message: JustMessage,
}

#[derive(Deserialize)]
struct JustMessage {
    id: MessageId,
}

/// Any body, read for its version only.
#[derive(Deserialize)]
struct JustVersion {
    v: u32,
}

fn encode<B: Serialize>(body: &B) -> Vec<u8> {
    serde_json::to_vec(body).expect("wire types have string keys and no failing fields")
}

fn decode<B: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<B, WireError> {
    serde_json::from_slice(bytes).map_err(|error| match serde_json::from_slice::<JustVersion>(bytes) {
        Ok(JustVersion { v }) if v != VERSION => WireError::UnknownVersion { what, found: v },
        Ok(_) | Err(_) => WireError::Malformed { what, why: error.to_string() },
    })
}

#[cfg(test)]
mod tests;
