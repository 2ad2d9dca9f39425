//! Phone numbers that are valid by construction, their country and line type, and their masked form.

use serde::{Deserialize, Serialize};

/// An ISO 3166-1 alpha-2 code, or `001` regions as libphonenumber names them: two capitals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
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

impl TryFrom<String> for Country {
    type Error = String;
    fn try_from(raw: String) -> Result<Self, String> {
        Self::parse(&raw).ok_or_else(|| format!("country {raw:?} must be two capital letters, such as JP"))
    }
}

impl From<Country> for String {
    fn from(country: Country) -> Self {
        country.as_str().to_owned()
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

/// E.164, such as `+819012345678`. `Debug` and `Display` are masked.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PhoneNumber(String);

/// A number with what its digits tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    pub number: PhoneNumber,
    pub country: Country,
    pub line: LineType,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhoneError {
    #[error("`to` is not a valid phone number: give it in E.164 form, such as +81 followed by the number without its first 0")]
    Invalid,
    #[error("`to` is in national format: give it in E.164 form, beginning with +, or add `region`, such as \"JP\"")]
    RegionNeeded,
}

impl PhoneError {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid => "invalid_number",
            Self::RegionNeeded => "region_needed",
        }
    }
    pub fn field(&self) -> &'static str {
        "to"
    }
}

impl PhoneNumber {
    pub fn parse(_raw: &str, _region: Option<Country>) -> Result<Parsed, PhoneError> {
        todo!()
    }
    pub fn national_jp(&self) -> Option<String> {
        self.0.strip_prefix("+81").map(|rest| format!("0{rest}"))
    }
    pub fn as_e164(&self) -> &str {
        &self.0
    }

    /// `+81*******678`: country code and the last three digits.
    pub fn masked(&self) -> String {
        let kept = self.0.len().saturating_sub(3);
        format!("{}*******{}", &self.0[..3.min(kept)], &self.0[kept..])
    }
}

impl TryFrom<String> for PhoneNumber {
    type Error = String;
    fn try_from(raw: String) -> Result<Self, String> {
        let digits = raw.strip_prefix('+').unwrap_or_default();
        let good = (8..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        if good { Ok(Self(raw)) } else { Err("a phone number in E.164 form was expected".to_owned()) }
    }
}

impl From<PhoneNumber> for String {
    fn from(number: PhoneNumber) -> Self {
        number.0
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
