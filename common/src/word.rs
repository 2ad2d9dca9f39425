//! Types that are parsed from a string, read without a copy of it: rows are full of them.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::Deserializer;
use serde::de::{Error, Visitor};

/// Reads one as it is parsed; why it cannot be becomes the reader's error.
pub(crate) fn deserialize<'de, T: FromStr<Err = String>, D: Deserializer<'de>>(reader: D) -> Result<T, D::Error> {
    reader.deserialize_str(Word(PhantomData))
}

struct Word<T>(PhantomData<T>);

impl<T: FromStr<Err = String>> Visitor<'_> for Word<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string")
    }

    fn visit_str<E: Error>(self, raw: &str) -> Result<T, E> {
        raw.parse().map_err(E::custom)
    }
}
