//! How rows and queued bodies look in bytes, apart from the words they carry: queued bodies are JSON, rows `MessagePack`,
//! also where one is queued, which takes less than half of the bytes and of the time for what is written four times a message.
//!
//! Every body says its version first. Another version is refused by name and never guessed at, so that a newer
//! program's rows survive a return to an older one. Rows of version 1 were JSON and are still read. The lines of a journal
//! (`notes`) say no version: what is noted has a name, and an unknown one is refused.

mod notes;

use std::fmt;

use serde::de::{DeserializeOwned, Error, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::message::{Message, MessageId};
use crate::outcome::Report;
use crate::store::Opening;
pub(crate) use notes::{decode_notes, encode_notes};

/// Of queued bodies: the version this program writes, and the only one it reads so far.
pub const VERSION: u32 = 1;
/// Of rows: what is written. A row is `[version, message]`, with structs as arrays: a field that comes to one later comes
/// last and has a default, and none is ever left out, moved or taken away under this version. Only the last one may be left out
/// where it says nothing (`Leg::operator`): it is always written once another comes after it.
pub const ROW_VERSION: u32 = 2;
/// How JSON begins, and no row of another version.
const JSON: u8 = b'{';
/// How a row begins, and no JSON: an array of two.
const PAIR: u8 = 0x92;
const ROW: &str = "a stored message";

/// What travels on a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaneMessage {
    /// The row carries the message: only its id travels.
    Wake { id: MessageId },
    /// The row as it was committed, so that whoever takes it need not read it first. It may have moved on since: a save by
    /// compare-and-set tells.
    Row(Box<Message>),
    /// The whole opening, so that it survives a store that is away.
    Send(Box<Opening>),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    #[error(
        "{what} has version {found}, this program reads version {known}: run a program at least as new as its writer"
    )]
    UnknownVersion { what: &'static str, found: u32, known: u32 },
    #[error("{what} cannot be read: {why}")]
    Malformed { what: &'static str, why: String },
}

pub fn encode_row(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ROW_BYTES_USUAL);
    let row = RowBody { v: Version::<ROW_VERSION>, message };
    rmp_serde::encode::write(&mut bytes, &row)
        .expect("wire types have no failing fields, and memory no failing writes");
    bytes
}

pub fn decode_row(bytes: &[u8]) -> Result<Message, WireError> {
    if bytes.first() == Some(&JSON) {
        return decode::<RowBody<Message, VERSION>>(ROW, bytes).map(|body| body.message);
    }
    let body = rmp_serde::from_slice::<RowBody<Message, ROW_VERSION>>(bytes);
    body.map(|body| body.message).map_err(|error| match rmp_serde::from_slice::<(u32, IgnoredAny)>(bytes) {
        Ok((found, _)) if found != ROW_VERSION => WireError::UnknownVersion { what: ROW, found, known: ROW_VERSION },
        Ok(_) | Err(_) => WireError::Malformed { what: ROW, why: error.to_string() },
    })
}

impl LaneMessage {
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Wake { id } => encode(&LaneBody::<&Opening> { v: Version::<VERSION>, what: Errand::Wake(*id) }),
            Self::Row(message) => encode_row(message),
            Self::Send(opening) => encode(&LaneBody { v: Version::<VERSION>, what: Errand::Send(opening.as_ref()) }),
        }
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        if is_row(bytes) {
            return decode_row(bytes).map(|message| Self::Row(Box::new(message)));
        }
        decode::<LaneBody<Box<Opening>>>("a lane message", bytes).map(|body| match body.what {
            Errand::Wake(id) => Self::Wake { id },
            Errand::Send(opening) => Self::Send(opening),
        })
    }
}

/// Whether these are bytes of a row, and not of any other body of ours.
pub(crate) fn is_row(bytes: &[u8]) -> bool {
    bytes.first() == Some(&PAIR)
}

/// Whose lane message this is, without reading all of it; `None` where it is none.
pub fn lane_message_id(bytes: &[u8]) -> Option<MessageId> {
    if is_row(bytes) {
        let (version, First(id)) = rmp_serde::from_slice::<(u32, First)>(bytes).ok()?;
        return (version == ROW_VERSION).then_some(id);
    }
    serde_json::from_slice::<LaneBody<JustOpening>>(bytes).ok().map(|body| match body.what {
        Errand::Wake(id) => id,
        Errand::Send(JustOpening { message: JustMessage { id } }) => id,
    })
}

pub fn encode_reports(reports: &[Report]) -> Vec<u8> {
    encode(&ReportsBody { v: Version::<VERSION>, reports })
}

pub fn decode_reports(bytes: &[u8]) -> Result<Vec<Report>, WireError> {
    decode::<ReportsBody<Vec<Report>>>("a body of reports", bytes).map(|body| body.reports)
}

/// What a row with one leg takes, rounded up.
const ROW_BYTES_USUAL: usize = 512;

#[derive(Serialize, Deserialize)]
struct RowBody<M, const V: u32> {
    v: Version<V>,
    message: M,
}

#[derive(Serialize, Deserialize)]
struct LaneBody<O> {
    v: Version<VERSION>,
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
    v: Version<VERSION>,
    reports: R,
}

/// A version field that reads as nothing but `V`.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
struct Version<const V: u32>;

impl<const V: u32> TryFrom<u32> for Version<V> {
    type Error = &'static str;
    fn try_from(found: u32) -> Result<Self, Self::Error> {
        if found == V { Ok(Self) } else { Err("another version") }
    }
}

impl<const V: u32> From<Version<V>> for u32 {
    fn from(_: Version<V>) -> Self {
        V
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

/// A message as a row says it, read for its id only: the first of its fields.
struct First(MessageId);

impl<'de> Deserialize<'de> for First {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(FirstOfAll)
    }
}

struct FirstOfAll;

impl<'de> Visitor<'de> for FirstOfAll {
    type Value = First;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message as an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<First, A::Error> {
        let first = fields.next_element()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
        while fields.next_element::<IgnoredAny>()?.is_some() {}
        Ok(First(first))
    }
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
        Ok(JustVersion { v }) if v != VERSION => WireError::UnknownVersion { what, found: v, known: VERSION },
        Ok(_) | Err(_) => WireError::Malformed { what, why: error.to_string() },
    })
}

#[cfg(test)]
mod tests;
