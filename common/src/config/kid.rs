//! The kid that is active, which may look like a number: a variable that holds one is read as one.

use std::fmt;

use serde::Deserializer;
use serde::de::{Error, Visitor};

use crate::message::Kid;

pub(super) fn read<'de, D: Deserializer<'de>>(reader: D) -> Result<Kid, D::Error> {
    reader.deserialize_any(Written)
}

struct Written;

impl Visitor<'_> for Written {
    type Value = Kid;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string")
    }

    fn visit_str<E: Error>(self, raw: &str) -> Result<Kid, E> {
        raw.parse().map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, raw: u64) -> Result<Kid, E> {
        self.visit_str(&raw.to_string())
    }

    fn visit_i64<E: Error>(self, raw: i64) -> Result<Kid, E> {
        self.visit_str(&raw.to_string())
    }
}
