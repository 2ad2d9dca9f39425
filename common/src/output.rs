//! What a program says on its terminal: sentences for people, one JSON value for programs, never both. Complaints go to
//! standard error. Log lines are `startup`'s.

use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;

#[derive(Clone, Copy, Debug)]
pub enum Output {
    People,
    Programs,
}

impl Output {
    pub const fn new(json: bool) -> Self {
        if json { Self::Programs } else { Self::People }
    }

    /// `sentences` for people, else `value` on one line.
    pub fn answer(&self, value: &impl Serialize, sentences: impl FnOnce() -> String) -> io::Result<()> {
        let text = match self {
            Self::People => visible(&sentences()),
            Self::Programs => serde_json::to_string(value)?,
        };
        let mut out = io::stdout().lock();
        writeln!(out, "{}", text.trim_end())?;
        out.flush()
    }

    /// The same for what was only looked at: whoever has read enough, as in `otodoke explain NUMBER | head`, misses nothing.
    pub fn show(&self, value: &impl Serialize, sentences: impl FnOnce() -> String) -> io::Result<()> {
        let shown = self.answer(value, sentences);
        shown.or_else(|error| if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
    }

    /// The error and what led to it. Nobody is left to tell when standard error is closed.
    pub fn complain(program: &str, error: &impl Display) {
        drop(writeln!(io::stderr().lock(), "{program}: {}", visible(&format!("{error:#}"))));
    }
}

/// Nothing that a terminal would act on: some of it came from outside, as the header of a body that was parked.
fn visible(text: &str) -> String {
    let acts = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\t');
    text.chars().map(|letter| if acts(letter) { char::REPLACEMENT_CHARACTER } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_from_outside_moves_no_terminal() {
        assert_eq!(visible("taken\tお届け\n\u{1b}[2J\u{9b}8m\r"), "taken\tお届け\n\u{fffd}[2J\u{fffd}8m\u{fffd}");
    }
}
