//! The number of a handset, in E.164. Masked wherever it could reach a log; only the journal and the page show it whole.

use std::fmt;

use serde::{Deserialize, Serialize};

const DIGITS_MIN: usize = 8;
const DIGITS_MAX: usize = 15;

#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct HandsetNumber(String);

impl HandsetNumber {
    /// Reads `+819012345678` or the Japanese national form `090-1234-5678`, full-width digits included.
    pub(crate) fn parse(raw: &str) -> Option<Self> {
        let plain = half_width(raw);
        match plain.strip_prefix('+') {
            Some(digits) => Self::international(digits),
            None => Self::international(&format!("81{}", plain.strip_prefix('0')?)),
        }
    }

    /// Reads country code and number without a sign, as Infobip's `to` is written.
    pub(crate) fn international(digits: &str) -> Option<Self> {
        let whole = (DIGITS_MIN..=DIGITS_MAX).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        (whole && !digits.starts_with('0')).then(|| Self(format!("+{digits}")))
    }

    pub(crate) fn as_e164(&self) -> &str {
        &self.0
    }

    /// `09012345678` for a number in Japan.
    pub(crate) fn national_jp(&self) -> Option<String> {
        self.0.strip_prefix("+81").map(|rest| format!("0{rest}"))
    }
}

impl fmt::Debug for HandsetNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tail = self.0.len().saturating_sub(3);
        write!(f, "{}*******{}", self.0.get(..3).unwrap_or("+"), self.0.get(tail..).unwrap_or_default())
    }
}

/// Digits and signs of the full-width block become plain ones; what people put between digits goes away.
pub(crate) fn half_width(raw: &str) -> String {
    let plain = |letter: char| match letter {
        '０'..='９' => char::from_u32(u32::from(letter) - u32::from('０') + u32::from('0')).unwrap_or(letter),
        '＋' => '+',
        '－' | '‐' | 'ー' => '-',
        other => other,
    };
    raw.chars().map(plain).filter(|letter| !matches!(letter, '-' | ' ' | '(' | ')')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_handset_has_one_number_however_it_is_written() {
        let number = HandsetNumber::parse("+819012340001").unwrap();
        for raw in ["090-1234-0001", "09012340001", "０９０１２３４０００１", "+81 90 1234 0001"] {
            assert_eq!(HandsetNumber::parse(raw).unwrap(), number, "{raw}");
        }
        assert_eq!(HandsetNumber::international("819012340001").unwrap(), number);
        assert_eq!(number.national_jp().unwrap(), "09012340001");
    }

    #[test]
    fn what_is_no_number_is_none() {
        for raw in ["", "+", "abc", "+81", "9012340001", "+0812345678", "+81901234000112345"] {
            assert!(HandsetNumber::parse(raw).is_none(), "{raw}");
        }
    }

    #[test]
    fn debug_shows_no_number() {
        assert_eq!(format!("{:?}", HandsetNumber::parse("+819012340678").unwrap()), "+81*******678");
    }
}
