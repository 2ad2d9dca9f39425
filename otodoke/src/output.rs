//! What a command says: sentences for people, one JSON value for programs, never both. Complaints go to standard error.

use std::io::Write;

use serde::Serialize;

/// How a command ended when nothing was in its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// It did its work, and the answer is no: a wrong code, a setting that is wrong.
    Failed,
}

impl Outcome {
    pub(crate) const fn of(good: bool) -> Self {
        if good { Self::Done } else { Self::Failed }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Output {
    People,
    Programs,
}

impl Output {
    pub(crate) const fn new(json: bool) -> Self {
        if json { Self::Programs } else { Self::People }
    }

    /// `sentences` for people, else `value` on one line.
    pub(crate) fn answer(&self, value: &impl Serialize, sentences: impl FnOnce() -> String) -> anyhow::Result<()> {
        let text = match self {
            Self::People => sentences(),
            Self::Programs => serde_json::to_string(value)?,
        };
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", text.trim_end())?;
        Ok(out.flush()?)
    }

    /// The error and what led to it, on standard error. Nobody is left to tell when that is closed.
    pub(crate) fn complain(error: &anyhow::Error) {
        drop(writeln!(std::io::stderr().lock(), "otodoke: {error:#}"));
    }
}
