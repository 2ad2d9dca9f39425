//! The lines of a file of requests, or of standard input, one at a time. What is in them is for `bodies` to say.
//!
//! A line that cannot be read is a line all the same: it is numbered and told, and the next one is read.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use anyhow::Context;

/// The door takes no more; a longer line is a mistake.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// One line that holds something.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Counted from 1, empty lines included.
    pub(super) number: usize,
    pub(super) text: Result<String, UnreadableLine>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnreadableLine {
    TooLong,
    NotUtf8,
}

impl UnreadableLine {
    pub(super) fn sentence(self) -> String {
        match self {
            Self::TooLong => format!("is longer than {LINE_BYTES_MAX} bytes: each line is the body of one POST"),
            Self::NotUtf8 => "is not UTF-8: save the file as UTF-8".to_owned(),
        }
    }
}

pub(super) struct Lines {
    reader: Box<dyn BufRead + Send>,
    /// Of the whole file; 0 where nobody can know.
    pub(super) bytes: u64,
    /// So far.
    pub(super) read: u64,
    number: usize,
}

impl Lines {
    /// `-` is standard input.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::of(BufReader::new(io::stdin()), 0));
        }
        let file = std::fs::File::open(path).with_context(|| format!("{} cannot be opened", path.display()))?;
        let bytes = file.metadata()?.len();
        Ok(Self::of(BufReader::new(file), bytes))
    }

    fn of(reader: impl BufRead + Send + 'static, bytes: u64) -> Self {
        Self { reader: Box::new(reader), bytes, read: 0, number: 0 }
    }

    /// The next line that is not empty; `None` at the end. An error means that the rest cannot be read.
    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let Some(text) = self.take()? else { return Ok(None) };
            self.number += 1;
            if text.as_ref().is_ok_and(|text| text.trim().is_empty()) {
                continue;
            }
            return Ok(Some(Line { number: self.number, text }));
        }
    }

    /// Never holds more of a line than one may have.
    fn take(&mut self) -> io::Result<Option<Result<String, UnreadableLine>>> {
        let mut line = Vec::new();
        let with_its_end = LINE_BYTES_MAX as u64 + 1;
        let mut read = self.reader.by_ref().take(with_its_end).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(None);
        }
        let too_long = line.len() > LINE_BYTES_MAX && !line.ends_with(b"\n");
        if too_long {
            read += self.reader.skip_until(b'\n')?;
        }
        self.read += u64::try_from(read).unwrap_or(0);
        if too_long {
            return Ok(Some(Err(UnreadableLine::TooLong)));
        }
        Ok(Some(String::from_utf8(line).map_err(|_| UnreadableLine::NotUtf8)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers and lengths of the lines, or what is wrong with them.
    fn read(file: &[u8]) -> Vec<(usize, Result<usize, UnreadableLine>)> {
        let mut lines = Lines::of(io::Cursor::new(file.to_vec()), 0);
        let mut found = Vec::new();
        while let Some(line) = lines.next().expect("memory can be read") {
            found.push((line.number, line.text.map(|text| text.trim().len())));
        }
        assert_eq!(lines.read, file.len() as u64, "the bar comes to its end");
        found
    }

    #[test]
    fn a_line_that_cannot_be_read_is_told_and_the_next_is_read() {
        let long = [b'a'; LINE_BYTES_MAX + 1];
        let file = [b"{}\n\n".as_slice(), &long, b"\n\xff\xfe\n{ }\n"].concat();
        let (long, bytes) = (UnreadableLine::TooLong, UnreadableLine::NotUtf8);
        assert_eq!(read(&file), [(1, Ok(2)), (3, Err(long)), (4, Err(bytes)), (5, Ok(3))]);
    }

    #[test]
    fn a_line_may_be_as_long_as_the_limit_with_or_without_an_end() {
        for (length, end, expected) in [
            (LINE_BYTES_MAX, "", Ok(LINE_BYTES_MAX)),
            (LINE_BYTES_MAX, "\n", Ok(LINE_BYTES_MAX)),
            (LINE_BYTES_MAX + 1, "", Err(UnreadableLine::TooLong)),
            (LINE_BYTES_MAX + 1, "\n", Err(UnreadableLine::TooLong)),
            (5 * LINE_BYTES_MAX, "\n", Err(UnreadableLine::TooLong)),
        ] {
            let file = [vec![b'a'; length], end.as_bytes().to_vec()].concat();
            assert_eq!(read(&file), [(1, expected)], "{length} {end:?}");
        }
        assert_eq!(read(b""), []);
    }
}
