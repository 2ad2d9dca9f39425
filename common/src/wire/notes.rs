//! A message's journal as it lies in its row: one line per commit, its time in milliseconds and its notes as JSON, which
//! never holds a line's end itself. A save adds its line behind what is there.

use std::io::Write;

use serde::de::DeserializeOwned;

use super::WireError;
use crate::lifecycle::Note;
use crate::store::JournalEntry;
use crate::time::Timestamp;

/// Most lines are no longer: room for one from the start.
const LINE_BYTES_USUAL: usize = 256;

/// Empty where there is nothing to tell.
pub(crate) fn encode_notes(notes: &[Note], at: Timestamp) -> String {
    if notes.is_empty() {
        return String::new();
    }
    let mut line = Vec::with_capacity(LINE_BYTES_USUAL);
    write!(line, "{} ", at.unix_ms()).expect("memory has no failing writes");
    serde_json::to_writer(&mut line, notes).expect("a note has string keys and no failing fields");
    line.push(b'\n');
    String::from_utf8(line).expect("JSON is UTF-8")
}

pub(crate) fn decode_notes(lines: &str) -> Result<Vec<JournalEntry>, WireError> {
    let mut entries = Vec::new();
    for line in lines.lines() {
        let (at, notes) = line.split_once(' ').unwrap_or_default();
        let (at, notes): (i64, Vec<Note>) = (json(at)?, json(notes)?);
        entries.extend(notes.into_iter().map(|note| JournalEntry { at: Timestamp::from_unix_ms(at), note }));
    }
    Ok(entries)
}

fn json<T: DeserializeOwned>(text: &str) -> Result<T, WireError> {
    serde_json::from_str(text).map_err(|error| WireError::Malformed { what: "a journal", why: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_unix_ms(1_763_805_900_123);

    #[test]
    fn lines_come_back_in_their_order_whatever_is_in_them() {
        let late = |what: &str| Note::Late { what: what.to_owned() };
        let (first, second) = ([late("two\nlines, a \u{2028} and a \u{0}"), Note::Erased], [late("")]);
        let lines = [encode_notes(&first, AT), encode_notes(&[], AT), encode_notes(&second, AT.plus_ms(5))].concat();
        assert_eq!(lines.matches('\n').count(), 2);
        let [one, two] = first;
        let [three] = second;
        let told = [(AT, one), (AT, two), (AT.plus_ms(5), three)];
        assert_eq!(decode_notes(&lines), Ok(told.map(|(at, note)| JournalEntry { at, note }).to_vec()));
    }

    #[test]
    fn a_line_that_is_none_is_told() {
        for broken in ["\n", "now []\n", "5\n", "5 {}\n"] {
            let read = decode_notes(broken);
            assert!(matches!(read, Err(WireError::Malformed { what: "a journal", .. })), "{broken:?}: {read:?}");
        }
    }
}
