//! Reads what a person or a program typed as a phone number, and refuses what no code should go to.
//!
//! Whether a number is valid, and what kind of line it is, libphonenumber's tables say; which kinds we send to, we say.

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, PhoneNumberType, Region};
use unicode_normalization::UnicodeNormalization;

use super::{Country, LineType, PhoneNumber};

/// Longer input is refused before anything looks at it.
const RAW_CHARS_MAX: usize = 40;

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
    /// The stable word of the API.
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

/// The characters that are dialled, or nothing where there are others: libphonenumber itself would skip over letters,
/// extensions and whatever stands before and after, and so turn two inputs into one number.
fn dialled(raw: &str) -> Option<String> {
    if raw.chars().count() > RAW_CHARS_MAX {
        return None;
    }
    let raw = raw.trim();
    // Plain characters are their own normal form.
    if raw.is_ascii() { dialled_of(raw.chars()) } else { dialled_of(raw.nfkc()) }
}

fn dialled_of(normal: impl Iterator<Item = char>) -> Option<String> {
    let mut dialled = String::with_capacity(RAW_CHARS_MAX);
    for c in normal {
        match c {
            '0'..='9' => dialled.push(c),
            '+' if dialled.is_empty() => dialled.push(c),
            ' ' | '-' | '.' | '(' | ')' | '\u{2010}'..='\u{2015}' | '\u{2212}' => {}
            _ => return None,
        }
    }
    dialled.ends_with(|c: char| c.is_ascii_digit()).then_some(dialled)
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
