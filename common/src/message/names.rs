//! What messages, their senders, roots and rows are called: ids, names, and tags that find without telling.

use std::str::FromStr;
use std::sync::Arc;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use crate::time::Timestamp;
use crate::word;

/// Below the milliseconds of a UUIDv7.
const TIME_SHIFT: u32 = 80;

/// A UUIDv7: its first 48 bits are the accepting door's Unix milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(pub Uuid);

impl MessageId {
    /// `random` fills the 74 bits that are not time (RFC 9562, section 5.7).
    pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
        let ms = u64::try_from(now.unix_ms()).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(ms, &random).into_uuid())
    }

    pub fn parse(raw: &str) -> Option<Self> {
        Uuid::try_parse(raw).ok().map(Self)
    }

    /// When it was made; ids of other kinds than UUIDv7 do not tell.
    pub fn made_at(self) -> Option<Timestamp> {
        let ms = i64::try_from(self.0.as_u128() >> TIME_SHIFT).expect("an id holds 48 bits of milliseconds");
        (self.0.get_version_num() == 7).then(|| Timestamp::from_unix_ms(ms))
    }

    /// No id made at this time or later is below it. It is none itself.
    pub(crate) fn bound(at: Timestamp) -> Self {
        Self(Uuid::from_u128(u128::try_from(at.unix_ms()).unwrap_or(0) << TIME_SHIFT))
    }

    pub const fn bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl std::fmt::Display for MessageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Who sends: 1 to 32 of `a-z 0-9 _ -`, beginning with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(Arc<str>);

impl TenantId {
    pub fn parse(raw: &str) -> Result<Self, String> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
        let first = raw.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        if first && raw.len() <= 32 && raw.bytes().all(allowed) {
            return Ok(Self(raw.into()));
        }
        Err(format!("tenant {raw:?} must be 1 to 32 of a-z, 0-9, _ and -, beginning with a letter or digit"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TenantId {
    type Err = String;
    fn from_str(raw: &str) -> Result<Self, String> {
        Self::parse(raw)
    }
}

impl<'de> Deserialize<'de> for TenantId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        word::deserialize(deserializer)
    }
}

impl Serialize for TenantId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl std::fmt::Display for TenantId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names a root of code derivation: 1 to 16 of `a-z 0-9 -`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kid(Arc<str>);

impl Kid {
    pub fn parse(raw: &str) -> Result<Self, String> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if !raw.is_empty() && raw.len() <= 16 && raw.bytes().all(allowed) {
            return Ok(Self(raw.into()));
        }
        Err(format!("kid {raw:?} must be 1 to 16 of a-z, 0-9 and -"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Kid {
    type Err = String;
    fn from_str(raw: &str) -> Result<Self, String> {
        Self::parse(raw)
    }
}

impl<'de> Deserialize<'de> for Kid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        word::deserialize(deserializer)
    }
}

impl Serialize for Kid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Bytes that only a holder of the sealing root can read (`seal`).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(pub Arc<str>);

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

/// A keyed hash (`seal`): finds equal things without saying what they are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub [u8; 32]);

impl Tag {
    pub fn hex(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.0)
    }

    pub fn from_hex(raw: &str) -> Option<Self> {
        let bytes = data_encoding::HEXLOWER.decode(raw.as_bytes()).ok()?;
        bytes.try_into().ok().map(Self)
    }
}

impl FromStr for Tag {
    type Err = String;
    fn from_str(raw: &str) -> Result<Self, String> {
        Self::from_hex(raw).ok_or_else(|| "a tag is 64 lower-case hex digits".to_owned())
    }
}

impl std::fmt::Debug for Tag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tag({}..)", data_encoding::HEXLOWER.encode(&self.0[..4]))
    }
}

/// Hex for people, bytes in rows.
impl Serialize for Tag {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&self.hex())
        } else {
            serializer.serialize_bytes(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return word::deserialize(deserializer);
        }
        deserializer.deserialize_bytes(TagBytes)
    }
}

struct TagBytes;

impl Visitor<'_> for TagBytes {
    type Value = Tag;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the 32 bytes of a tag")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Tag, E> {
        bytes.try_into().map(Tag).map_err(|_| E::invalid_length(bytes.len(), &self))
    }
}
