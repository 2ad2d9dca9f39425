//! A text a carrier took: what the journal keeps of it, and what only this run knows.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use serde::{Deserialize, Serialize};

use crate::number::HandsetNumber;
use crate::scenario::{Carrier, TextFate};

const CODE_DIGITS_MIN: usize = 6;
const CODE_DIGITS_MAX: usize = 10;

/// What a carrier read from the request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Draft {
    pub(crate) carrier: Carrier,
    /// The carrier's id of this one text; unique within the carrier.
    pub(crate) reference: String,
    pub(crate) number: HandsetNumber,
    pub(crate) text: String,
    pub(crate) sender: String,
    /// What the caller wants to see again: `delivery_name` at sakura, `bulkId` at fuji.
    pub(crate) label: String,
    /// Where receipts go, for the carriers that are told so per text.
    pub(crate) callback: Option<Callback>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Callback {
    pub(crate) url: String,
    /// Given back with each receipt.
    pub(crate) data: Option<String>,
}

/// A draft with its place in time and what becomes of it. Never changes; one line of the journal.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Text {
    #[serde(flatten)]
    pub(crate) draft: Draft,
    pub(crate) at_ms: i64,
    /// When the carrier knows the verdict; `None`: never.
    pub(crate) settles_at_ms: Option<i64>,
    pub(crate) fate: TextFate,
}

impl Text {
    /// Whether the carrier knows at `now_ms` what became of it.
    pub(crate) fn settled(&self, now_ms: i64) -> bool {
        self.settles_at_ms.is_some_and(|at| at <= now_ms)
    }

    /// Whether both carry the same words to the person. Carriers differ in how they frame a text, so what counts is the
    /// code in it; without one, the whole text.
    pub(crate) fn repeats(&self, draft: &Draft) -> bool {
        let (mine, other) = (codes(&self.draft.text), codes(&draft.text));
        if mine.is_empty() && other.is_empty() { self.draft.text == draft.text } else { mine == other }
    }
}

fn codes(text: &str) -> BTreeSet<&str> {
    text.split(|letter: char| !letter.is_ascii_digit())
        .filter(|run| (CODE_DIGITS_MIN..=CODE_DIGITS_MAX).contains(&run.len()))
        .collect()
}

/// A text in the book.
#[derive(Debug)]
pub(crate) struct TextEntry {
    pub(crate) text: Arc<Text>,
    /// Nobody sees it before it is on disk.
    pub(crate) committed: AtomicBool,
    /// Fuji gives each report once when asked.
    pub(crate) reported: AtomicBool,
    /// How often it was sent again under the same reference, and rejected for it. Forgotten with the run.
    pub(crate) rejected_repeats: AtomicUsize,
}

impl TextEntry {
    pub(crate) fn new(text: Text) -> Arc<Self> {
        Self::entered(Arc::new(text), false)
    }

    /// Read back from the journal, so on disk already.
    pub(crate) fn recalled(text: Arc<Text>) -> Arc<Self> {
        Self::entered(text, true)
    }

    fn entered(text: Arc<Text>, committed: bool) -> Arc<Self> {
        Arc::new(Self {
            text,
            committed: AtomicBool::new(committed),
            reported: AtomicBool::new(false),
            rejected_repeats: AtomicUsize::new(0),
        })
    }
}
