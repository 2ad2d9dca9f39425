//! Phone numbers that are valid by construction, their country and line type, and their masked form.
//!
//! How a number is read and which are refused is `parse`; whether a country is planned is `policy` and the settings.

mod parse;

use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::word;

pub use parse::{Parsed, PhoneError, RefusedKind};

const E164_DIGITS_MIN: usize = 7;
const E164_DIGITS_MAX: usize = 15;
const MASKED_DIGITS_KEPT: usize = 3;

/// An ISO 3166-1 alpha-2 code as libphonenumber uses them: two capitals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Country([u8; 2]);

impl Country {
    pub const JP: Self = Self(*b"JP");

    pub fn parse(raw: &str) -> Option<Self> {
        let bytes: [u8; 2] = raw.as_bytes().try_into().ok()?;
        bytes.iter().all(u8::is_ascii_uppercase).then_some(Self(bytes))
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a country holds ASCII capitals by construction")
    }
}

impl FromStr for Country {
    type Err = String;
    fn from_str(raw: &str) -> Result<Self, String> {
        Self::parse(raw).ok_or_else(|| format!("country {raw:?} must be two capital letters, such as JP"))
    }
}

impl<'de> Deserialize<'de> for Country {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        word::deserialize(deserializer)
    }
}

impl Serialize for Country {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What kind of line a number is, as far as its digits tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineType {
    /// Takes texts and calls.
    Mobile,
    /// No texts; a call may reach it.
    Landline,
    /// 050 and the like: no texts by domestic routes; a call may reach it.
    Voip,
    /// 020: machines and data SIMs; neither texts that a person reads nor calls.
    DataOnly,
    /// The digits do not tell (as in the USA): treated as a mobile.
    Unknown,
}

impl LineType {
    /// Whether a text is worth trying.
    pub const fn takes_texts(self) -> bool {
        match self {
            Self::Mobile | Self::Unknown => true,
            Self::Landline | Self::Voip | Self::DataOnly => false,
        }
    }
}

/// E.164, such as `+819012345678`. `Debug` and `Display` are masked.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct PhoneNumber(String);

impl PhoneNumber {
    pub fn as_e164(&self) -> &str {
        &self.0
    }

    /// `+81*******678`: country code and the last three digits; the stars do not tell the length.
    pub fn masked(&self) -> String {
        let digits = &self.0[1..];
        let code = &digits[..calling_code_len(digits)];
        let last = &digits[digits.len() - MASKED_DIGITS_KEPT..];
        format!("+{code}*******{last}")
    }

    /// `09012345678`: as a Japanese vendor wants it; `None` for numbers of other countries.
    pub fn national_jp(&self) -> Option<String> {
        self.0.strip_prefix("+81").map(|rest| format!("0{rest}"))
    }
}

/// How many digits the country code takes (ITU-T E.164: zones 1 and 7 have one, the listed ones two, the rest three).
fn calling_code_len(digits: &str) -> usize {
    match digits.as_bytes() {
        [b'1' | b'7', ..] => 1,
        [b'2', b'0' | b'7', ..]
        | [b'3', b'0'..=b'4' | b'6' | b'9', ..]
        | [b'4', b'0' | b'1' | b'3'..=b'9', ..]
        | [b'5', b'1'..=b'8', ..]
        | [b'6', b'0'..=b'6', ..]
        | [b'8', b'1' | b'2' | b'4' | b'6', ..]
        | [b'9', b'0'..=b'5' | b'8', ..] => 2,
        _ => 3,
    }
}

impl TryFrom<String> for PhoneNumber {
    type Error = String;
    /// The shape only: what was valid when it was parsed stays readable when the numbering plan changes.
    fn try_from(raw: String) -> Result<Self, String> {
        let digits = raw.strip_prefix('+').unwrap_or_default();
        let fits = (E164_DIGITS_MIN..=E164_DIGITS_MAX).contains(&digits.len());
        let good = fits && !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
        if good { Ok(Self(raw)) } else { Err("a phone number in E.164 form was expected".to_owned()) }
    }
}

impl Serialize for PhoneNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl std::fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.masked())
    }
}

impl std::fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.masked())
    }
}

#[cfg(test)]
mod tests;
