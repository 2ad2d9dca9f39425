//! Phone numbers that are valid by construction, their country and line type, and their masked form.
//!
//! Whether a number is valid, and what kind of line it is, libphonenumber's tables say; which kinds we send to, we say.
//! Whether a country is planned is `policy` and the settings.

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, PhoneNumberType, Region};
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// Longer input is refused before anything looks at it.
const RAW_CHARS_MAX: usize = 40;
const E164_DIGITS_MIN: usize = 7;
const E164_DIGITS_MAX: usize = 15;
const MASKED_DIGITS_KEPT: usize = 3;

/// An ISO 3166-1 alpha-2 code as libphonenumber uses them: two capitals.
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

/// A valid number that may be sent to, and what its digits tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    pub number: PhoneNumber,
    pub country: Country,
    pub line: LineType,
}

/// Why a number is refused. Never holds the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhoneError {
    #[error(
        "`to` is not a valid phone number: check its digits; in E.164 form it is a +, the country code and the number, \
         usually without its first 0"
    )]
    Invalid,
    #[error("`to` is in national format: give it in E.164 form, beginning with +, or add `region`, such as \"JP\"")]
    RegionNeeded,
    #[error("`region` {:?} has no phone numbers of its own: give the country of `to`, such as \"JP\"", .region.as_str())]
    RegionUnknown { region: Country },
    #[error("`to` is a {kind} number, which takes no codes: give the number of a mobile phone or a landline")]
    Refused { kind: RefusedKind },
}

/// Kinds of numbers that cost the caller extra, or that no one person answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedKind {
    PremiumRate,
    SharedCost,
    TollFree,
    /// +870, +881, +882, +883 and the other codes that belong to no country.
    Satellite,
    Pager,
    /// Numbers that follow a person from line to line; several countries charge them like premium rate.
    Personal,
    UniversalAccess,
    Voicemail,
}

impl std::fmt::Display for RefusedKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::PremiumRate => "premium-rate",
            Self::SharedCost => "shared-cost",
            Self::TollFree => "toll-free",
            Self::Satellite => "satellite or international network",
            Self::Pager => "pager",
            Self::Personal => "personal (forwarding)",
            Self::UniversalAccess => "universal access",
            Self::Voicemail => "voicemail",
        })
    }
}

impl PhoneError {
    /// The stable word of API.md.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Invalid => "invalid_number",
            Self::RegionNeeded | Self::RegionUnknown { .. } => "region_needed",
            Self::Refused { .. } => "refused_number_type",
        }
    }

    /// The field of the request to change.
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Invalid | Self::RegionNeeded | Self::Refused { .. } => "to",
            Self::RegionUnknown { .. } => "region",
        }
    }
}

impl PhoneNumber {
    /// Reads E.164, or national format where `region` says whose; spaces, hyphens, dots, brackets and full-width
    /// digits are as good as plain ones. Only numbers that are valid in full, and of a kind a person answers, pass.
    pub fn parse(raw: &str, region: Option<Country>) -> Result<Parsed, PhoneError> {
        let dialled = dialled(raw).ok_or(PhoneError::Invalid)?;
        let region = if dialled.starts_with('+') { None } else { Some(known_region(region)?) };
        let parsed = PHONE_NUMBER_UTIL.parse(&dialled, region).map_err(|_| PhoneError::Invalid)?;
        if PHONE_NUMBER_UTIL.get_region_for_country_code(parsed.country_code) == Some(Region::World) {
            return Err(PhoneError::Refused { kind: RefusedKind::Satellite });
        }
        let country = PHONE_NUMBER_UTIL
            .get_region_for_number(&parsed)
            .and_then(|region| Country::parse(&region.to_string()))
            .ok_or(PhoneError::Invalid)?;
        let line = line_type(PHONE_NUMBER_UTIL.get_number_type(&parsed), country)?;
        let e164 = PHONE_NUMBER_UTIL.format(&parsed, PhoneNumberFormat::E164).into_owned();
        let number = Self::try_from(e164).map_err(|_| PhoneError::Invalid)?;
        Ok(Parsed { number, country, line })
    }

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

/// The characters that are dialled, or nothing where there are others: libphonenumber itself would skip over letters,
/// extensions and whatever stands before and after, and so turn two inputs into one number.
fn dialled(raw: &str) -> Option<String> {
    if raw.chars().count() > RAW_CHARS_MAX {
        return None;
    }
    let mut dialled = String::new();
    for c in raw.trim().nfkc() {
        match c {
            '0'..='9' => dialled.push(c),
            '+' if dialled.is_empty() => dialled.push(c),
            ' ' | '-' | '.' | '(' | ')' | '\u{2010}'..='\u{2015}' | '\u{2212}' => {}
            _ => return None,
        }
    }
    Some(dialled)
}

fn known_region(region: Option<Country>) -> Result<Region, PhoneError> {
    let country = region.ok_or(PhoneError::RegionNeeded)?;
    Region::from_code(country.as_str())
        .ok()
        .filter(|region| PHONE_NUMBER_UTIL.get_country_code_for_region(*region).is_some())
        .ok_or(PhoneError::RegionUnknown { region: country })
}

fn line_type(kind: PhoneNumberType, country: Country) -> Result<LineType, PhoneError> {
    let refused = match kind {
        PhoneNumberType::Mobile => return Ok(LineType::Mobile),
        PhoneNumberType::FixedLine => return Ok(LineType::Landline),
        PhoneNumberType::FixedLineOrMobile => return Ok(LineType::Unknown),
        PhoneNumberType::VoIP => return Ok(LineType::Voip),
        // Japan's 020: pagers are gone, what is left are machines and data SIMs, some with texts.
        PhoneNumberType::Pager if country == Country::JP => return Ok(LineType::DataOnly),
        // The library says so of digits that match no kind of line: such a number is not valid.
        PhoneNumberType::Unknown => return Err(PhoneError::Invalid),
        PhoneNumberType::Pager => RefusedKind::Pager,
        PhoneNumberType::TollFree => RefusedKind::TollFree,
        PhoneNumberType::PremiumRate => RefusedKind::PremiumRate,
        PhoneNumberType::SharedCost => RefusedKind::SharedCost,
        PhoneNumberType::PersonalNumber => RefusedKind::Personal,
        PhoneNumberType::UAN => RefusedKind::UniversalAccess,
        PhoneNumberType::VoiceMail => RefusedKind::Voicemail,
    };
    Err(PhoneError::Refused { kind: refused })
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

#[cfg(test)]
mod tests;
