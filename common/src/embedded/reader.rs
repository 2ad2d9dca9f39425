//! Threads that read beside the writer, each with a connection of its own. How many is a limit.
//!
//! They are not the runtime's blocking threads: that pool starts one more whenever none has come to rest yet, each keeps
//! memory of the allocator's, and names that cannot be looked up would hold up the file.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::failure::Failure;
use super::schema;

/// Reads that wait for a reader; past that callers wait.
const WAITING_MAX: usize = 1_024;

type Read = Box<dyn FnOnce(&Connection) + Send>;

/// The threads end when it is dropped, after what they were asked for.
pub(super) struct Readers(mpsc::Sender<Read>);

impl Readers {
    pub(super) fn open(path: &Path, count: usize) -> rusqlite::Result<Self> {
        let (sender, reads) = mpsc::channel(WAITING_MAX);
        let reads = Arc::new(Mutex::new(reads));
        for _ in 0..count.max(1) {
            let (db, reads) = (schema::open_for_reading(path)?, Arc::clone(&reads));
            let read_all = move || {
                while let Some(read) = next(&reads) {
                    // One that panics harms its caller alone, who hears that no answer came.
                    drop(catch_unwind(AssertUnwindSafe(|| read(&db))));
                }
            };
            let thread = std::thread::Builder::new().name("otodoke-reader".to_owned()).spawn(read_all);
            drop(thread.expect("a process that starts can start one more thread"));
        }
        Ok(Self(sender))
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let (reply, answer) = oneshot::channel();
        // A caller that is gone needs no answer.
        let read: Read = Box::new(move |db| drop(reply.send(work(db))));
        self.0.send(read).await.map_err(|_| Failure::closed())?;
        answer.await.unwrap_or_else(|_| Err(Failure::closed()))
    }
}

/// Waits for it; `None` when no caller can come any more.
fn next(reads: &Mutex<mpsc::Receiver<Read>>) -> Option<Read> {
    reads.lock().expect("no code panics while it waits for a read").blocking_recv()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_read_that_panics_harms_its_caller_alone() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("data");
        drop(schema::open_for_writing(&path, None).expect("a new file"));
        let readers = Readers::open(&path, 1).expect("it is there");
        let broken = readers.read(|_| -> Result<i64, Failure> { panic!("this read is broken") }).await;
        assert_eq!(broken, Err(Failure::closed()));
        let whole = readers.read(|db| Ok(db.query_row("SELECT 7", [], |row| row.get::<_, i64>(0))?)).await;
        assert_eq!(whole, Ok(7));
    }
}
