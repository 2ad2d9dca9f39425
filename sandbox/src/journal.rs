//! The book on disk: append-only JSON lines, synced before whoever appended goes on. One thread writes; what arrives while
//! it syncs shares the next sync, so that the number of syncs does not grow with the load.
//!
//! Two files bound the space: when the current one is full it becomes the older one, and the older one before it goes.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::SandboxError;
use crate::call::{Call, Progress};
use crate::scenario::Carrier;
use crate::text::Text;

const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
const WAITING_LINES_MAX: usize = 4_096;
const GROUP_BYTES_MAX: usize = 1024 * 1024;
/// Inboxes hold codes, as inboxes do.
const OWNER_ONLY: u32 = 0o600;
const CURRENT: &str = "handsets.jsonl";
const OLDER: &str = "handsets.older.jsonl";

/// One line. Its words are read again by later releases: add, never rename.
#[derive(Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub(crate) enum Line {
    Text(Arc<Text>),
    /// The receipts of a text were accepted.
    Told {
        carrier: Carrier,
        reference: String,
    },
    Call(Arc<Call>),
    CallEnded {
        reference: String,
        progress: Progress,
    },
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    #[error("the handsets' journal could not be written: {0}")]
    Write(String),
    #[error("the handsets' journal is closed")]
    Closed,
}

struct Append {
    bytes: Vec<u8>,
    done: Option<oneshot::Sender<Result<(), JournalError>>>,
}

pub(crate) struct Journal {
    appends: mpsc::Sender<Append>,
}

impl Journal {
    /// Reads what is kept and opens the file for more. A last line that was torn by a crash was never answered for: it goes.
    pub(crate) fn open(dir: &Path) -> Result<(Self, Vec<Line>), SandboxError> {
        let book = |source| SandboxError::Book { path: dir.to_owned(), source };
        std::fs::create_dir_all(dir).map_err(book)?;
        let mut lines = read(&dir.join(OLDER))?;
        lines.extend(read(&dir.join(CURRENT))?);
        let writer = Writer::open(dir).map_err(book)?;
        let (appends, waiting) = mpsc::channel(WAITING_LINES_MAX);
        std::thread::Builder::new()
            .name("sandbox-journal".to_owned())
            .spawn(move || writer.run(waiting))
            .map_err(book)?;
        Ok((Self { appends }, lines))
    }

    /// Returns once the line is on disk.
    pub(crate) async fn append(&self, line: &Line) -> Result<(), JournalError> {
        let (done, written) = oneshot::channel();
        self.appends
            .send(Append { bytes: encode(line), done: Some(done) })
            .await
            .map_err(|_closed| JournalError::Closed)?;
        written.await.unwrap_or(Err(JournalError::Closed))
    }

    /// Writes the line with whatever comes next; losing it in a crash costs a receipt sent twice.
    pub(crate) fn note(&self, line: &Line) {
        if self.appends.try_send(Append { bytes: encode(line), done: None }).is_err() {
            tracing::debug!("the handsets' journal is busy: a receipt may be sent again after a restart");
        }
    }

    /// Everything appended before is on disk when this returns.
    pub(crate) async fn close(&self) {
        let (done, written) = oneshot::channel();
        if self.appends.send(Append { bytes: Vec::new(), done: Some(done) }).await.is_ok() {
            let _result = written.await;
        }
    }
}

fn encode(line: &Line) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(line).expect("lines hold nothing that JSON cannot write");
    bytes.push(b'\n');
    bytes
}

fn read(path: &Path) -> Result<Vec<Line>, SandboxError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(SandboxError::Book { path: path.to_owned(), source }),
    };
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    let lines = bytes[..whole].split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
    lines
        .map(|(index, line)| {
            serde_json::from_slice(line).map_err(|error| SandboxError::Damaged {
                path: path.to_owned(),
                line: index + 1,
                reason: format!("{:?} at column {}", error.classify(), error.column()),
            })
        })
        .collect()
}

struct Writer {
    dir: PathBuf,
    file: File,
    /// Up to here every byte is a whole line on disk.
    length: u64,
}

impl Writer {
    fn open(dir: &Path) -> io::Result<Self> {
        let path = dir.join(CURRENT);
        let file = OpenOptions::new().create(true).append(true).read(true).mode(OWNER_ONLY).open(&path)?;
        let bytes = std::fs::read(&path)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1) as u64;
        if whole < bytes.len() as u64 {
            file.set_len(whole)?;
        }
        file.sync_all()?;
        File::open(dir)?.sync_all()?;
        Ok(Self { dir: dir.to_owned(), file, length: whole })
    }

    fn run(mut self, mut waiting: mpsc::Receiver<Append>) {
        while let Some(first) = waiting.blocking_recv() {
            let mut bytes = first.bytes;
            let mut callers: Vec<_> = first.done.into_iter().collect();
            while bytes.len() < GROUP_BYTES_MAX
                && let Ok(next) = waiting.try_recv()
            {
                bytes.extend_from_slice(&next.bytes);
                callers.extend(next.done);
            }
            let result = self.write(&bytes);
            if let Err(error) = &result {
                tracing::error!(%error, "the handsets' journal could not be written; carriers answer 500 until it can");
            }
            for caller in callers {
                let told = result.as_ref().map_err(|error| JournalError::Write(error.to_string()));
                // A caller that went away has nothing left to learn.
                let _gone = caller.send(told.copied());
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.length >= FILE_BYTES_MAX {
            self.turn_over()?;
        }
        let written = self.file.write_all(bytes).and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => {
                self.length += bytes.len() as u64;
                Ok(())
            }
            Err(error) => {
                // What was half written was not answered for; the next line must not be glued to it.
                self.file.set_len(self.length)?;
                Err(error)
            }
        }
    }

    fn turn_over(&mut self) -> io::Result<()> {
        std::fs::rename(self.dir.join(CURRENT), self.dir.join(OLDER))?;
        *self = Self::open(&self.dir)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(reference: &str) -> Line {
        Line::Told { carrier: Carrier::Atlas, reference: reference.to_owned() }
    }

    fn references(lines: &[Line]) -> Vec<String> {
        let reference = |line: &Line| match line {
            Line::Told { reference, .. } => Some(reference.clone()),
            Line::Text(_) | Line::Call(_) | Line::CallEnded { .. } => None,
        };
        lines.iter().filter_map(reference).collect()
    }

    #[tokio::test]
    async fn lines_survive_and_a_torn_last_line_goes() {
        let dir = tempfile::tempdir().unwrap();
        let (journal, lines) = Journal::open(dir.path()).unwrap();
        assert!(lines.is_empty());
        journal.append(&told("a")).await.unwrap();
        journal.append(&told("b")).await.unwrap();
        drop(journal);
        let path = dir.path().join(CURRENT);
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"line\":\"to").unwrap();
        let (journal, lines) = Journal::open(dir.path()).unwrap();
        assert_eq!(references(&lines), ["a", "b"]);
        journal.append(&told("c")).await.unwrap();
        assert_eq!(references(&read(&path).unwrap()), ["a", "b", "c"]);
    }

    #[test]
    fn a_damaged_line_is_named_and_nothing_is_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(CURRENT);
        std::fs::write(&path, "{\"line\":\"told\",\"carrier\":\"atlas\",\"reference\":\"a\"}\nnot json\n").unwrap();
        let refused = Journal::open(dir.path()).err().unwrap().to_string();
        assert!(refused.contains("line 2"), "{refused}");
        assert!(std::fs::read_to_string(&path).unwrap().ends_with("not json\n"));
    }

    #[test]
    fn a_full_file_becomes_the_older_one() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(dir.path()).unwrap();
        writer.write(&encode(&told("a"))).unwrap();
        writer.length = FILE_BYTES_MAX;
        writer.write(&encode(&told("b"))).unwrap();
        assert_eq!(references(&read(&dir.path().join(OLDER)).unwrap()), ["a"]);
        assert_eq!(references(&read(&dir.path().join(CURRENT)).unwrap()), ["b"]);
    }
}
