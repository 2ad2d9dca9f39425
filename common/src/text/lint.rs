//! What a finished text may not be: too long, unreadable, or a payment text that hides what is paid.

use super::{Counting, TextError, amount_words, segments};
use crate::message::{Locale, Purpose};
use crate::text::segments::capacity;
use crate::transaction::{Transaction, is_blank, upsets_a_line};

const DOMAIN_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;
/// What is as long as the longest text (660 characters at SMSLINK) takes some two minutes to speak, and is spoken twice.
const SPOKEN_CHARS_MAX: usize = 660;

/// Refuses what must not go out. How segments are counted, and how many there may be, is the route's business.
pub fn lint(
    text: &str,
    purpose: Purpose,
    transaction: Option<&Transaction>,
    counting: Counting,
    segments_max: u32,
) -> Result<(), TextError> {
    let field = match purpose {
        Purpose::Notice => "text",
        Purpose::Login | Purpose::Signup | Purpose::Payment => "template",
    };
    characters(text, field)?;
    if purpose == Purpose::Payment && !transaction.is_some_and(|transaction| tells(text, transaction)) {
        return Err(TextError::PaymentIncomplete);
    }
    let cost = segments(text, counting);
    if cost.count <= segments_max {
        return Ok(());
    }
    // A pair that did not fit into its part may push one unit further: at least one unit is always too many.
    let over = cost.units.saturating_sub(capacity(cost.encoding, counting, segments_max)).max(1);
    let encoding = cost.encoding.word();
    Err(TextError::TooLong { field, encoding, count: cost.count, max: segments_max, over })
}

/// What only a call can say: a text for a line that takes none.
pub fn lint_spoken(text: &str) -> Result<(), TextError> {
    let field = "text";
    characters(text, field)?;
    let count = text.chars().count();
    match count > SPOKEN_CHARS_MAX {
        true => Err(TextError::TooLongToSpeak { field, count, max: SPOKEN_CHARS_MAX }),
        false => Ok(()),
    }
}

fn characters(text: &str, field: &'static str) -> Result<(), TextError> {
    if is_blank(text) {
        return Err(TextError::Empty { field });
    }
    match text.chars().enumerate().find(|(_, c)| *c != '\n' && upsets_a_line(*c)) {
        Some((at, c)) => Err(TextError::BadCharacter { field, code_point: u32::from(c), at: at + 1 }),
        None => Ok(()),
    }
}

fn tells(text: &str, transaction: &Transaction) -> bool {
    let amount = [Locale::Ja, Locale::En].iter().any(|locale| text.contains(&amount_words(transaction, *locale)));
    amount && text.contains(&transaction.payee.name)
}

/// Whether a text holds what UTF-8 writes in four bytes, such as emoji and rare kanji: SMSLINK refuses those.
pub fn has_4_byte_chars(text: &str) -> bool {
    text.chars().any(|c| c.len_utf8() == 4)
}

/// A host name for the origin line, in small letters.
pub fn parse_domain(raw: &str) -> Result<String, TextError> {
    let labels: Vec<&str> = raw.split('.').collect();
    let good = raw.len() <= DOMAIN_BYTES_MAX && labels.len() >= 2 && labels.iter().all(|label| is_label(label));
    // An address of four numbers is no domain that a browser would fill a code in for.
    let named = labels.last().is_some_and(|label| label.bytes().any(|b| b.is_ascii_alphabetic()));
    if good && named { Ok(raw.to_ascii_lowercase()) } else { Err(TextError::Domain) }
}

fn is_label(label: &str) -> bool {
    (1..=LABEL_BYTES_MAX).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}
