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
