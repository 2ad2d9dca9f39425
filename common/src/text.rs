//! The words of a text message: templates that make them, segments that count them, a linter that refuses bad ones.
//!
//! Pure. Which route carries an origin line, and how many segments it may cost, `route` and the settings say; what a
//! call says instead is `speech`.

mod lint;
mod segments;
mod templates;

pub use lint::{has_4_byte_chars, lint, lint_spoken, parse_domain};
pub use segments::{Counting, Encoding, Segments, segments};
pub(crate) use templates::unknown_template;
pub use templates::{PAYMENT_SUFFIX, RenderInput, TEMPLATE_DEFAULT, Templates};

use crate::message::Locale;
use crate::transaction::Transaction;

/// Why a text is refused. Never holds the text, a code or a name out of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    #[error("`template` {name:?} is not known in locale {locale:?}: name a known one, such as \"default\"")]
    UnknownTemplate { name: String, locale: &'static str },
    #[error("template {name:?} is not usable: {why}")]
    BadTemplate { name: String, why: BadTemplate },
    #[error(
        "`{field}` makes {count} segments of {encoding} text where {max} are allowed: shorten it by at least {over} units"
    )]
    TooLong { field: &'static str, encoding: &'static str, count: u32, max: u32, over: usize },
    #[error(
        "`{field}` has {count} characters where a call speaks {max} at most, and no text can reach this line: shorten it"
    )]
    TooLongToSpeak { field: &'static str, count: usize, max: usize },
    #[error("a payment text must hold the amount and the payee's name: add {{amount}} and {{payee}} to the template")]
    PaymentIncomplete,
    #[error("`{field}` is empty: give at least one visible character")]
    Empty { field: &'static str },
    #[error(
        "`{field}` holds U+{code_point:04X} at character {at}: remove it; of control characters only newlines pass"
    )]
    BadCharacter { field: &'static str, code_point: u32, at: usize },
    #[error(
        "`domain` must be a host name such as \"example.com\": no scheme, no port, no path, other scripts in punycode"
    )]
    Domain,
}

/// What is wrong with a template, for whoever wrote its file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTemplate {
    #[error("its name must be 1 to 40 of a-z, 0-9, - and _, for payments followed by \".payment\"")]
    Name,
    #[error("it is longer than {max} characters")]
    TooLong { max: usize },
    #[error("{{{name}}} is no placeholder: {{code}}, {{validity}}, {{minutes}}, {{amount}} and {{payee}} are")]
    UnknownPlaceholder { name: String },
    #[error("a brace is left open or closed without being opened")]
    Brace,
    #[error("it lacks {{{name}}}")]
    Lacks { name: &'static str },
    #[error("it holds a control character other than a newline")]
    Control,
}

impl TextError {
    /// The stable word of the API.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownTemplate { .. } => "unknown_template",
            Self::TooLong { .. } | Self::TooLongToSpeak { .. } => "template_too_long",
            Self::PaymentIncomplete => "payment_text_incomplete",
            Self::BadTemplate { .. } | Self::Empty { .. } | Self::BadCharacter { .. } => "invalid_text",
            Self::Domain => "invalid_domain",
        }
    }

    /// The field of the request to change.
    pub const fn field(&self) -> &'static str {
        match self {
            Self::UnknownTemplate { .. } | Self::BadTemplate { .. } | Self::PaymentIncomplete => "template",
            Self::TooLong { field, .. }
            | Self::TooLongToSpeak { field, .. }
            | Self::Empty { field }
            | Self::BadCharacter { field, .. } => field,
            Self::Domain => "domain",
        }
    }
}

/// `12,000円` in a Japanese text about yen, else `JPY 12,000` or `USD 120.00`.
pub fn amount_words(transaction: &Transaction, locale: Locale) -> String {
    let amount = transaction.decimal_words();
    match (locale, transaction.currency.as_str()) {
        (Locale::Ja, "JPY") => format!("{amount}円"),
        (Locale::Ja | Locale::En, currency) => format!("{currency} {amount}"),
    }
}

#[cfg(test)]
mod tests;
