//! The words of a text message: templates, segments, and the linter.

use crate::message::{Locale, Purpose};
use crate::transaction::Transaction;

#[derive(Clone, Debug, Default)]
pub struct Templates {}

pub struct RenderInput<'a> {
    pub template: &'a str,
    pub locale: Locale,
    pub purpose: Purpose,
    pub code: &'a str,
    pub minutes: u64,
    pub transaction: Option<&'a Transaction>,
    pub origin: Option<&'a str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Gsm7,
    Ucs2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segments {
    pub encoding: Encoding,
    pub units: usize,
    pub count: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    #[error("`template` is not known")]
    UnknownTemplate { template: String },
}

impl TextError {
    pub fn code(&self) -> &'static str {
        todo!()
    }
    pub fn field(&self) -> &'static str {
        todo!()
    }
}

impl Templates {
    pub fn builtin() -> Self {
        todo!()
    }
    pub fn add(&mut self, _name: &str, _locale: Locale, _body: &str) -> Result<(), TextError> {
        todo!()
    }
    pub fn knows(&self, _name: &str, _locale: Locale) -> bool {
        todo!()
    }
    pub fn render(&self, _input: &RenderInput<'_>) -> Result<String, TextError> {
        todo!()
    }
}

pub fn segments(_text: &str) -> Segments {
    todo!()
}
pub fn lint(
    _text: &str,
    _purpose: Purpose,
    _transaction: Option<&Transaction>,
    _segments_max: u32,
) -> Result<(), TextError> {
    todo!()
}
pub fn amount_words(_transaction: &Transaction, _locale: Locale) -> String {
    todo!()
}
pub fn parse_domain(_raw: &str) -> Result<String, TextError> {
    todo!()
}
pub fn has_4_byte_chars(text: &str) -> bool {
    text.chars().any(|c| c.len_utf8() == 4)
}
