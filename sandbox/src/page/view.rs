//! The book as JSON for people: handsets with their texts and calls, and the table of numbers.

use serde_json::{Value, json};

use crate::book::Book;
use crate::call::CallEntry;
use crate::clock;
use crate::number::HandsetNumber;
use crate::scenario::{AnsweredBy, ROWS};
use crate::text::TextEntry;

/// Phones the page shows at once.
const HANDSETS_MAX: usize = 12;

pub(super) fn numbers() -> Value {
    ROWS.iter().map(|row| json!({ "number": row.number, "title": row.title, "will": row.will })).collect()
}

pub(super) fn latest(book: &Book) -> Value {
    book.latest(HANDSETS_MAX).iter().map(|number| handset(book, number)).collect()
}

/// What this phone received, oldest first. A text that never arrived is not in its inbox.
pub(super) fn handset(book: &Book, number: &HandsetNumber) -> Value {
    let handset = book.handset(number);
    let arrived = handset.texts.iter().filter(|entry| entry.text.fate.arrives);
    json!({
        "number": number.as_e164(),
        "messages": arrived.map(|entry| message(entry)).collect::<Vec<_>>(),
        "calls": handset.calls.iter().map(|entry| call(entry)).collect::<Vec<_>>(),
    })
}

fn message(entry: &TextEntry) -> Value {
    let (text, draft) = (&entry.text, &entry.text.draft);
    json!({ "at": clock::rfc3339(text.at_ms), "provider": draft.carrier.name(), "sender": draft.sender, "text": draft.text })
}

/// `answered_by` is null while it rings, and for a call nobody answered.
fn call(entry: &CallEntry) -> Value {
    let progress = entry.progress();
    let answered_by = progress.answered_by.map(|answered_by| match answered_by {
        AnsweredBy::Person => "person",
        AnsweredBy::Voicemail => "voicemail",
    });
    json!({
        "at": clock::rfc3339(entry.call.at_ms), "provider": entry.call.carrier.name(), "status": progress.status.word(),
        "answered_by": answered_by, "transcript": progress.transcript,
    })
}
