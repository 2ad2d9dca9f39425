//! A message's journal as it lies in its row: one line per commit, its time in milliseconds and its notes as JSON, which
//! never holds a line's end itself. A save adds its line behind what is there.

use super::people::read_json;
use crate::lifecycle::Note;
use crate::store::{JournalEntry, StoreError};
use crate::time::Timestamp;

/// Empty where there is nothing to tell.
pub(super) fn line(notes: &[Note], at: Timestamp) -> String {
    if notes.is_empty() {
        return String::new();
    }
    let notes = serde_json::to_string(notes).expect("the words of a journal are plain JSON");
    format!("{} {notes}\n", at.unix_ms())
}

pub(super) fn read(lines: &str) -> Result<Vec<JournalEntry>, StoreError> {
    let mut entries = Vec::new();
    for line in lines.lines() {
        let (at, notes) = line.split_once(' ').unwrap_or_default();
        let at = Timestamp::from_unix_ms(read_json("the time in a journal", at)?);
        let notes: Vec<Note> = read_json("a journal", notes)?;
        entries.extend(notes.into_iter().map(|note| JournalEntry { at, note }));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_unix_ms(1_763_805_900_123);

    #[test]
    fn lines_come_back_in_their_order_whatever_is_in_them() {
        let late = |what: &str| Note::Late { what: what.to_owned() };
        let (first, second) = ([late("two\nlines, a \u{2028} and a \u{0}"), Note::Erased], [late("")]);
        let lines = [line(&first, AT), line(&[], AT), line(&second, AT.plus_ms(5))].concat();
        assert_eq!(lines.matches('\n').count(), 2);
        let [one, two] = first;
        let [three] = second;
        let told = [(AT, one), (AT, two), (AT.plus_ms(5), three)];
        assert_eq!(read(&lines), Ok(told.map(|(at, note)| JournalEntry { at, note }).to_vec()));
    }

    #[test]
    fn a_line_that_is_none_is_told() {
        for broken in ["\n", "now []\n", "5\n", "5 {}\n"] {
            let Err(StoreError::Refused { why }) = read(broken) else { panic!("{broken:?} was read") };
            assert!(why.contains("a journal cannot be read"), "{why}");
        }
    }
}
