//! A call a carrier took: what was asked, and how far it came.

use std::sync::{Arc, Mutex, MutexGuard};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::number::HandsetNumber;
use crate::scenario::{AnsweredBy, CallFate, Carrier};

/// The longest transcript kept; a document that speaks more is cut here.
pub(crate) const TRANSCRIPT_BYTES_MAX: usize = 16 * 1024;

/// What was asked. Never changes; one line of the journal.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Call {
    pub(crate) carrier: Carrier,
    pub(crate) reference: String,
    pub(crate) number: HandsetNumber,
    pub(crate) from: String,
    pub(crate) at_ms: i64,
    pub(crate) fate: CallFate,
    pub(crate) instructions: Instructions,
    pub(crate) status_callback: Option<String>,
    /// Twilio's names: `initiated`, `ringing`, `answered`, `completed`.
    pub(crate) status_events: Vec<String>,
    pub(crate) ring_ms_max: u64,
    /// Whether the caller asked who answered.
    pub(crate) detects_machines: bool,
}

/// Where what is to be said comes from once somebody answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Instructions {
    Url(String),
    Twiml(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CallStatus {
    Queued,
    Ringing,
    InProgress,
    Completed,
    NoAnswer,
    Failed,
    Canceled,
}

impl CallStatus {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Ringing => "ringing",
            Self::InProgress => "in-progress",
            Self::Completed => "completed",
            Self::NoAnswer => "no-answer",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    pub(crate) const fn is_over(self) -> bool {
        match self {
            Self::Queued | Self::Ringing | Self::InProgress => false,
            Self::Completed | Self::NoAnswer | Self::Failed | Self::Canceled => true,
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Progress {
    pub(crate) status: CallStatus,
    pub(crate) answered_by: Option<AnsweredBy>,
    pub(crate) answered_at_ms: Option<i64>,
    pub(crate) ended_at_ms: Option<i64>,
    /// What was heard and pressed, one line each.
    pub(crate) transcript: String,
    /// How many status posts were made.
    pub(crate) sequence: u32,
}

/// A call in the book.
#[derive(Debug)]
pub(crate) struct CallEntry {
    pub(crate) call: Arc<Call>,
    progress: Mutex<Progress>,
    /// The caller ends it.
    pub(crate) hangup: CancellationToken,
}

impl CallEntry {
    pub(crate) fn new(call: Call) -> Arc<Self> {
        Self::recalled(Arc::new(call))
    }

    /// Read back from the journal; how far it came follows in a line of its own.
    pub(crate) fn recalled(call: Arc<Call>) -> Arc<Self> {
        let progress = Progress {
            status: CallStatus::Queued,
            answered_by: None,
            answered_at_ms: None,
            ended_at_ms: None,
            transcript: String::new(),
            sequence: 0,
        };
        Arc::new(Self { call, progress: Mutex::new(progress), hangup: CancellationToken::new() })
    }

    pub(crate) fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().expect("no code panics while it holds a call's progress")
    }

    /// Adds what was heard to the transcript, up to its limit. Digits said one by one stand in one line, as people note them.
    pub(crate) fn hear(&self, words: &str) {
        let mut progress = self.progress();
        let transcript = &mut progress.transcript;
        if transcript.len() + words.len() >= TRANSCRIPT_BYTES_MAX {
            return;
        }
        let last = transcript.lines().next_back().unwrap_or_default();
        let follows_digits = last.ends_with(is_digit) && last.chars().all(|letter| is_digit(letter) || letter == ' ');
        if follows_digits && words.len() == 1 && words.starts_with(is_digit) {
            transcript.push(' ');
        } else if !transcript.is_empty() {
            transcript.push('\n');
        }
        transcript.push_str(words);
    }
}

const fn is_digit(letter: char) -> bool {
    letter.is_ascii_digit()
}
