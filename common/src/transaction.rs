//! What a payment code is bound to: amount, currency and payee. The code is derived from these very bytes.

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

pub const PAYEE_NAME_CHARS_MAX: usize = 70;
pub const PAYEE_ACCOUNT_CHARS_MAX: usize = 34;

/// An amount in minor units of its currency, with the payee it goes to. Personal data: sealed at rest.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    /// Integer minor units: 12000 is 12,000 yen, or 120.00 dollars.
    pub amount: u64,
    pub currency: Currency,
    pub payee: Payee,
}

/// Name and account as the caller gave them, in Unicode normalisation form C, never folded.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payee {
    pub name: String,
    pub account: String,
}

/// A currency that ISO 4217 lists and gives minor units: not a metal, not a test code, not one that is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency(iso_currency::Currency);

/// What was given for a currency, in short.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no currency that ISO 4217 lists with minor units: give its three capital letters, such as \"JPY\"")]
pub struct CurrencyError(String);

/// Of a wrong currency, an error repeats this many characters.
const WRONG_CURRENCY_CHARS_MAX: usize = 16;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransactionError {
    #[error(
        "`transaction.amount` must be an integer above 0 of minor units as text, such as \"12000\", of 18 digits at most"
    )]
    Amount,
    #[error("`transaction.currency`: {0}")]
    Currency(#[from] CurrencyError),
    #[error(
        "`transaction.payee.{field}` must hold 1 to {max} characters, one of them visible, and no control characters or marks that override the direction of writing"
    )]
    Payee { field: &'static str, max: usize },
}

impl TransactionError {
    pub fn field(&self) -> &'static str {
        match self {
            Self::Amount => "transaction.amount",
            Self::Currency(_) => "transaction.currency",
            Self::Payee { field: "name", .. } => "transaction.payee.name",
            Self::Payee { .. } => "transaction.payee.account",
        }
    }
}

impl Transaction {
    pub fn parse(amount: &str, currency: &str, name: &str, account: &str) -> Result<Self, TransactionError> {
        let digits = !amount.is_empty() && amount.len() <= 18 && amount.bytes().all(|b| b.is_ascii_digit());
        let amount = if digits { amount.parse().ok() } else { None };
        Ok(Self {
            amount: amount.filter(|value| *value > 0).ok_or(TransactionError::Amount)?,
            currency: Currency::parse(currency)?,
            payee: Payee {
                name: payee_text("name", name, PAYEE_NAME_CHARS_MAX)?,
                account: payee_text("account", account, PAYEE_ACCOUNT_CHARS_MAX)?,
            },
        })
    }

    /// The amount in its currency's own digits, grouped by thousands, without the currency: `12,000` or `120.00`.
    pub fn decimal_words(&self) -> String {
        let minor_digits = self.currency.minor_digits() as usize;
        let digits = format!("{:0width$}", self.amount, width = minor_digits + 1);
        let (whole, minor) = digits.split_at(digits.len() - minor_digits);
        let mut words = String::new();
        for (index, digit) in whole.chars().enumerate() {
            if index > 0 && (whole.len() - index).is_multiple_of(3) {
                words.push(',');
            }
            words.push(digit);
        }
        if minor_digits > 0 {
            words.push('.');
            words.push_str(minor);
        }
        words
    }
}

fn payee_text(field: &'static str, raw: &str, max: usize) -> Result<String, TransactionError> {
    let text: String = raw.nfc().collect();
    let fits = !is_blank(&text) && text.chars().count() <= max;
    if fits && !text.chars().any(upsets_a_line) { Ok(text) } else { Err(TransactionError::Payee { field, max }) }
}

/// Whether a character breaks a line, or turns round how it is read: a payee named with one could make a text seem to
/// say another amount. Controls, line and paragraph separators, and the marks that override the direction of writing.
pub fn upsets_a_line(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether a person would see nothing: spaces, the blank pattern of Braille, and what Unicode leaves unshown where it has no
/// use (`Default_Ignorable_Code_Point` of `DerivedCoreProperties.txt`, version 16).
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || c == '\u{2800}' || is_ignorable(c))
}

const fn is_ignorable(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
    )
}

impl Currency {
    pub fn parse(raw: &str) -> Result<Self, CurrencyError> {
        let listed = iso_currency::Currency::from_code(raw);
        let good = listed.filter(|currency| currency.exponent().is_some() && is_in_use(*currency));
        good.map(Self).ok_or_else(|| CurrencyError(raw.chars().take(WRONG_CURRENCY_CHARS_MAX).collect()))
    }

    pub fn as_str(&self) -> &'static str {
        self.0.code()
    }

    /// Digits after the decimal point (ISO 4217 minor unit): 0 for yen, 2 for dollars, 3 for dinars.
    pub fn minor_digits(&self) -> u32 {
        self.0.exponent().expect("a currency has minor units by construction").into()
    }
}

/// ISO 4217 list one of 2026-01-01 holds both bolivars; the crate has the one as followed by the other.
fn is_in_use(currency: iso_currency::Currency) -> bool {
    currency == iso_currency::Currency::VES || currency.is_superseded().is_none()
}

impl TryFrom<String> for Currency {
    type Error = CurrencyError;
    fn try_from(raw: String) -> Result<Self, Self::Error> {
        Self::parse(&raw)
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.as_str().to_owned()
    }
}

impl std::fmt::Debug for Transaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Transaction(sealed)")
    }
}

impl std::fmt::Debug for Payee {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Payee(sealed)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_whole_minor_units() {
        for (amount, good) in [("12000", true), ("0", false), ("-1", false), ("1.5", false), ("", false), ("+7", false)]
        {
            assert_eq!(Transaction::parse(amount, "JPY", "A", "1").is_ok(), good, "{amount}");
        }
    }

    #[test]
    fn amounts_are_written_in_the_digits_of_their_currency() {
        for (amount, currency, words) in [
            ("1", "JPY", "1"),
            ("999", "JPY", "999"),
            ("12000", "JPY", "12,000"),
            ("999999999999999999", "JPY", "999,999,999,999,999,999"),
            ("5", "USD", "0.05"),
            ("12000", "USD", "120.00"),
            ("1234567890", "KWD", "1,234,567.890"),
            ("1", "CLF", "0.0001"),
        ] {
            assert_eq!(Transaction::parse(amount, currency, "A", "1").expect("valid").decimal_words(), words);
        }
    }

    #[test]
    fn decimals_are_those_of_iso_4217() {
        for (currencies, digits) in [
            ("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF", 0),
            ("AUD BRL CHF CNY EUR GBP HKD INR MGA MRU SLE TWD USD VED VES XAD XCG ZWG", 2),
            ("BHD IQD JOD KWD LYD OMR TND", 3),
            ("CLF UYW", 4),
        ] {
            for currency in currencies.split(' ') {
                assert_eq!(Currency::parse(currency).map(|known| known.minor_digits()), Ok(digits), "{currency}");
            }
        }
    }

    #[test]
    fn a_currency_that_does_not_exist_is_refused() {
        let unknown = ["JYP", "AAA", "ZZZ", "jpy", "yen", "JP", "JPYN", "", "\u{ff2a}PY"];
        let gone = ["HRK", "BGN", "ZWL", "DEM"];
        let without_minor_units = ["XAU", "XDR", "XTS", "XXX"];
        for currency in unknown.iter().chain(&gone).chain(&without_minor_units) {
            assert!(Currency::parse(currency).is_err(), "{currency}");
        }
        let refused = Transaction::parse("12000", "JYP", "A", "1").expect_err("no such currency");
        assert_eq!(
            refused.to_string(),
            "`transaction.currency`: \"JYP\" is no currency that ISO 4217 lists with minor units: give its three capital \
             letters, such as \"JPY\""
        );
        let long = Currency::parse(&"J".repeat(1_000)).expect_err("no such currency").to_string();
        assert!(long.len() < 200, "{long}");
    }

    #[test]
    fn a_payee_is_the_same_however_its_accents_were_typed() {
        let composed = Transaction::parse("1", "EUR", "Ren\u{e9}", "1").expect("valid");
        let decomposed = Transaction::parse("1", "EUR", "Rene\u{301}", "1").expect("valid");
        assert!(composed == decomposed);
    }

    #[test]
    fn a_refusal_names_its_field() {
        for name in ["A\0", "A\nB", "A\u{2028}B", "A\u{202e}B", "A\u{2066}B", " ", ""] {
            let error = Transaction::parse("1", "JPY", name, "1").expect_err(name);
            assert_eq!(error.field(), "transaction.payee.name");
        }
        assert_eq!(Transaction::parse("1", "yen", "A", "1").expect_err("lower case").field(), "transaction.currency");
    }
}
