//! Templates by name, locale and use, and how they become a text.
//!
//! A template is parsed once, when it is added; what a payee is called can therefore never act as a placeholder.

use std::collections::BTreeMap;

use super::{BadTemplate, TextError, amount_words};
use crate::message::{Locale, Purpose};
use crate::time::MINUTE_MS;
use crate::transaction::{Transaction, upsets_a_line};

const NAME_BYTES_MAX: usize = 40;
const BODY_CHARS_MAX: usize = 1_000;
/// Most texts are no longer: room for one from the start.
const TEXT_BYTES_USUAL: usize = 256;
/// The template of whoever names none.
pub const TEMPLATE_DEFAULT: &str = "default";
/// Ends the name of a template that is for payments, beside the one of the same name for everything else.
pub const PAYMENT_SUFFIX: &str = ".payment";

const BUILTIN: [(&str, Locale, &str); 4] = [
    (TEMPLATE_DEFAULT, Locale::Ja, "認証コード:{code}\n{validity}有効です。誰にも教えないでください。"),
    (TEMPLATE_DEFAULT, Locale::En, "Your code is {code}. Valid for {validity}. Do not share it with anyone."),
    (
        "default.payment",
        Locale::Ja,
        "お支払い先:{payee}\n金額:{amount}\n認証コード:{code}\n{validity}有効。覚えがなければ入力しないでください。",
    ),
    (
        "default.payment",
        Locale::En,
        "Pay {amount} to {payee}? Code: {code}. Valid for {validity}. If this is not yours, do not enter it.",
    ),
];

/// Every template that can be asked for.
#[derive(Clone, Debug, Default)]
pub struct Templates(BTreeMap<String, BTreeMap<Variant, Vec<Piece>>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Variant {
    locale: Locale,
    payment: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Words(String),
    Code,
    Validity,
    Minutes,
    Amount,
    Payee,
}

/// What fills a template.
pub struct RenderInput<'a> {
    pub template: &'a str,
    pub locale: Locale,
    pub purpose: Purpose,
    pub code: &'a str,
    /// How long the code is valid, milliseconds.
    pub useful_ms: u64,
    pub transaction: Option<&'a Transaction>,
    /// A domain: adds the last line that binds the code to it.
    pub origin: Option<&'a str>,
}

impl Templates {
    /// `default` in Japanese and English.
    pub fn builtin() -> Self {
        let mut templates = Self::default();
        for (name, locale, body) in BUILTIN {
            templates.add(name, locale, body).expect("the built-in templates are good");
        }
        templates
    }

    /// Adds a template, or replaces the one of that name. `NAME.payment` is what `NAME` says for payments.
    pub fn add(&mut self, name: &str, locale: Locale, body: &str) -> Result<(), TextError> {
        let bad = |why| TextError::BadTemplate { name: name.to_owned(), why };
        let (base, payment) = match name.strip_suffix(PAYMENT_SUFFIX) {
            Some(base) => (base, true),
            None => (name, false),
        };
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        if base.is_empty() || base.len() > NAME_BYTES_MAX || !base.bytes().all(allowed) {
            return Err(bad(BadTemplate::Name));
        }
        // A file usually ends in a newline that nobody means to send.
        let pieces = parse(body.trim_end_matches(['\n', '\r'])).map_err(bad)?;
        complete(&pieces, payment).map_err(bad)?;
        self.0.entry(base.to_owned()).or_default().insert(Variant { locale, payment }, pieces);
        Ok(())
    }

    /// Whether a request may name it.
    pub fn knows(&self, name: &str, locale: Locale) -> bool {
        self.find(name, locale, false).or_else(|| self.find(name, locale, true)).is_some()
    }

    /// The finished text. Lint it before it goes out: its length depends on what was filled in.
    pub fn render(&self, input: &RenderInput<'_>) -> Result<String, TextError> {
        let pieces = match input.purpose {
            Purpose::Payment => self.find(input.template, input.locale, true),
            Purpose::Login | Purpose::Signup | Purpose::Notice => None,
        };
        let pieces = pieces
            .or_else(|| self.find(input.template, input.locale, false))
            .ok_or_else(|| unknown_template(input.template, input.locale))?;
        let mut text = String::with_capacity(TEXT_BYTES_USUAL);
        for piece in pieces {
            fill(&mut text, piece, input)?;
        }
        if let Some(domain) = input.origin {
            text.extend(["\n@", domain, " #", input.code]);
        }
        Ok(text)
    }

    fn find(&self, name: &str, locale: Locale, payment: bool) -> Option<&[Piece]> {
        self.0.get(name)?.get(&Variant { locale, payment }).map(Vec::as_slice)
    }
}

/// Repeats of a name only what could be one: the caller chose its length.
pub(crate) fn unknown_template(name: &str, locale: Locale) -> TextError {
    TextError::UnknownTemplate { name: name.chars().take(NAME_BYTES_MAX).collect(), locale: locale.word() }
}

fn fill(text: &mut String, piece: &Piece, input: &RenderInput<'_>) -> Result<(), TextError> {
    let transaction = input.transaction.ok_or(TextError::PaymentIncomplete);
    match piece {
        Piece::Words(words) => text.push_str(words),
        Piece::Code => text.push_str(input.code),
        Piece::Validity => text.push_str(&validity(input.useful_ms, input.locale)),
        Piece::Minutes => text.push_str(&minutes(input.useful_ms).to_string()),
        Piece::Amount => text.push_str(&amount_words(transaction?, input.locale)),
        Piece::Payee => text.push_str(&transaction?.payee.name),
    }
    Ok(())
}

/// In whole minutes, or seconds where it is less than one: rather too short than too long.
fn validity(useful_ms: u64, locale: Locale) -> String {
    match (useful_ms / MINUTE_MS, locale) {
        (0, Locale::Ja) => format!("{}秒間", useful_ms / 1_000),
        (0, Locale::En) => format!("{} s", useful_ms / 1_000),
        (minutes, Locale::Ja) => format!("{minutes}分間"),
        (minutes, Locale::En) => format!("{minutes} min"),
    }
}

/// For templates with words of their own for it; less than one cannot be said so.
fn minutes(useful_ms: u64) -> u64 {
    (useful_ms / MINUTE_MS).max(1)
}

fn parse(body: &str) -> Result<Vec<Piece>, BadTemplate> {
    if body.chars().count() > BODY_CHARS_MAX {
        return Err(BadTemplate::TooLong { max: BODY_CHARS_MAX });
    }
    if body.chars().any(|c| c != '\n' && upsets_a_line(c)) {
        return Err(BadTemplate::Control);
    }
    let mut pieces = Vec::new();
    let mut rest = body;
    while let Some((words, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or(BadTemplate::Brace)?;
        push_words(&mut pieces, words)?;
        pieces.push(placeholder(name)?);
        rest = after;
    }
    push_words(&mut pieces, rest)?;
    Ok(pieces)
}

fn push_words(pieces: &mut Vec<Piece>, words: &str) -> Result<(), BadTemplate> {
    if words.contains('}') {
        return Err(BadTemplate::Brace);
    }
    if !words.is_empty() {
        pieces.push(Piece::Words(words.to_owned()));
    }
    Ok(())
}

fn placeholder(name: &str) -> Result<Piece, BadTemplate> {
    match name {
        "code" => Ok(Piece::Code),
        "validity" => Ok(Piece::Validity),
        "minutes" => Ok(Piece::Minutes),
        "amount" => Ok(Piece::Amount),
        "payee" => Ok(Piece::Payee),
        _ => Err(BadTemplate::UnknownPlaceholder { name: name.to_owned() }),
    }
}

fn complete(pieces: &[Piece], payment: bool) -> Result<(), BadTemplate> {
    let needed = [(Piece::Code, "code", true), (Piece::Amount, "amount", payment), (Piece::Payee, "payee", payment)];
    match needed.iter().find(|(piece, _, needed)| *needed && !pieces.contains(piece)) {
        Some((_, name, _)) => Err(BadTemplate::Lacks { name }),
        None => Ok(()),
    }
}
