//! What a call says, as parts that any voice vendor can speak. Words only; the vendor's form is in `providers`.

use crate::message::Locale;

#[derive(Clone, PartialEq, Eq)]
pub struct Speech {
    pub locale: Locale,
    pub parts: Vec<Part>,
    pub then: Then,
}

#[derive(Clone, PartialEq, Eq)]
pub enum Part {
    Say(String),
    PauseMs(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Wait for one digit this long, then ask us again (with no digit when none was pressed).
    Listen { timeout_s: u8 },
    HangUp,
}

use crate::transaction::Transaction;

pub fn announce(_locale: Locale, _digit: u8, _payment: Option<&Transaction>) -> Speech {
    todo!()
}
pub fn speak_code(_locale: Locale, _code: &str, _payment: Option<&Transaction>) -> Speech {
    todo!()
}
pub fn speak_text(_locale: Locale, _text: &str) -> Speech {
    todo!()
}
pub fn goodbye(_locale: Locale) -> Speech {
    todo!()
}
