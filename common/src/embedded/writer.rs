//! The one writer: a thread that takes what callers brought meanwhile, writes it in one transaction, commits once.
//!
//! It never lingers: one caller alone is committed alone. A group that fails is repeated job by job, so that only the
//! caller whose data is at fault hears of it.

use std::sync::Mutex;
use std::thread::JoinHandle;

use rusqlite::{Connection, ErrorCode};
use tokio::sync::{mpsc, oneshot};

use super::directory::Directory;
use super::failure::Failure;

/// Jobs in one commit.
const GROUP_MAX: usize = 256;
/// Jobs waiting for the writer; past that callers wait.
const WAITING_MAX: usize = 8_192;

pub(super) struct Writer {
    jobs: Mutex<Option<mpsc::Sender<Box<dyn Job>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// One caller's writes, repeatable until committed.
trait Job: Send {
    fn run(&mut self, db: &Connection) -> Result<(), Failure>;
    fn finish(self: Box<Self>, committed: Result<(), Failure>);
}

struct Task<T, W, A> {
    work: W,
    after: A,
    made: Option<T>,
    reply: oneshot::Sender<Result<T, Failure>>,
}

impl<T, W, A> Job for Task<T, W, A>
where
    T: Send,
    W: FnMut(&Connection) -> Result<T, Failure> + Send,
    A: FnOnce(Result<&T, &Failure>) + Send,
{
    fn run(&mut self, db: &Connection) -> Result<(), Failure> {
        self.made = Some((self.work)(db)?);
        Ok(())
    }

    fn finish(self: Box<Self>, committed: Result<(), Failure>) {
        let Self { after, made, reply, .. } = *self;
        let result = committed.map(|()| made.expect("a committed job has run"));
        after(result.as_ref());
        // A caller that is gone needs no answer: what it asked for is written.
        let _ = reply.send(result);
    }
}

impl Writer {
    /// The thread holds the lock on the directory for as long as it may write.
    pub(super) fn start(db: Connection, directory: Directory) -> Self {
        let (sender, mut jobs) = mpsc::channel::<Box<dyn Job>>(WAITING_MAX);
        let write = move || {
            let mut group = Vec::with_capacity(GROUP_MAX);
            while jobs.blocking_recv_many(&mut group, GROUP_MAX) > 0 {
                commit_group(&db, &mut group);
            }
            fold(&db);
            drop((db, directory));
        };
        let thread = std::thread::Builder::new().name("otodoke-writer".to_owned()).spawn(write);
        let thread = thread.expect("a process that starts can start one more thread");
        Self { jobs: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)) }
    }

    /// Returns once `work` is committed. `work` may run more than once; only its last run counts.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        self.write_then(work, |_| ()).await
    }

    /// The same; `after` hears how it ended, in the order of commits, before anybody is answered.
    pub(super) async fn write_then<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> Result<T, Failure> + Send + 'static,
        after: impl FnOnce(Result<&T, &Failure>) + Send + 'static,
    ) -> Result<T, Failure> {
        let answer = self.enqueue(work, after).await?;
        answer.await.unwrap_or_else(|_| Err(Failure::Unknown { why: "the writer stopped".to_owned() }))
    }

    /// Hands `work` in without waiting for its commit: for what is harmless to lose in a crash.
    pub(super) async fn hand_in<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<(), Failure> {
        self.enqueue(work, |_| ()).await.map(drop)
    }

    /// The same without waiting at all; `after` hears how it ended. `false` when too much waits already, or the writer has
    /// stopped.
    pub(super) fn slip_in(
        &self,
        work: impl FnMut(&Connection) -> Result<(), Failure> + Send + 'static,
        after: impl FnOnce(Result<&(), &Failure>) + Send + 'static,
    ) -> bool {
        let jobs = self.jobs.lock().expect("no code panics while it holds the sender").clone();
        let task: Box<dyn Job> = Box::new(Task { work, after, made: None, reply: oneshot::channel().0 });
        jobs.is_some_and(|jobs| jobs.try_send(task).is_ok())
    }

    async fn enqueue<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> Result<T, Failure> + Send + 'static,
        after: impl FnOnce(Result<&T, &Failure>) + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<T, Failure>>, Failure> {
        let jobs = self.jobs.lock().expect("no code panics while it holds the sender").clone();
        let (reply, answer) = oneshot::channel();
        let task: Box<dyn Job> = Box::new(Task { work, after, made: None, reply });
        jobs.ok_or_else(Failure::closed)?.send(task).await.map_err(|_| Failure::closed())?;
        Ok(answer)
    }

    /// Commits what was handed in and ends the thread.
    pub(super) fn close(&self) {
        drop(self.jobs.lock().expect("no code panics while it holds the sender").take());
        let thread = self.thread.lock().expect("no code panics while it holds the thread").take();
        // The last job may be the last to know of the writer: its own thread cannot wait for itself.
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the writer of the data directory had stopped with a panic");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

/// Carries the log over into the file, so that the file alone is a whole copy. Left undone, the next start does it.
fn fold(db: &Connection) {
    if let Err(error) = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
        tracing::warn!(%error, "the log of the data file could not be carried over into it");
    }
}

fn commit_group(db: &Connection, group: &mut Vec<Box<dyn Job>>) {
    match commit(db, group) {
        Err(Failure::Refused { .. } | Failure::Unavailable { .. }) if group.len() > 1 => {
            for job in group.drain(..) {
                let mut alone = [job];
                let committed = commit(db, &mut alone);
                let [job] = alone;
                job.finish(committed);
            }
        }
        committed => {
            for job in group.drain(..) {
                job.finish(committed.clone());
            }
        }
    }
}

fn commit(db: &Connection, jobs: &mut [Box<dyn Job>]) -> Result<(), Failure> {
    db.execute_batch("BEGIN IMMEDIATE")?;
    let written = jobs.iter_mut().try_for_each(|job| job.run(db));
    let committed = written.and_then(|()| db.execute_batch("COMMIT").map_err(|error| uncommitted(db, error)));
    if !db.is_autocommit() {
        db.execute_batch("ROLLBACK")?;
    }
    committed
}

/// A commit that failed and left its transaction open did not happen. With none left open nobody can say, nor when the
/// disk failed: the commit may have reached it.
fn uncommitted(db: &Connection, error: rusqlite::Error) -> Failure {
    let disk_failed = error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure);
    if disk_failed || db.is_autocommit() { Failure::Unknown { why: error.to_string() } } else { Failure::from(error) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const JOBS: i64 = 50;
    const GUILTY: i64 = 25;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_row_that_cannot_be_written_harms_nobody_who_is_committed_with_it() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let db = Connection::open(dir.path().join("data")).expect("a new file");
        db.execute_batch("CREATE TABLE row (number INTEGER NOT NULL CHECK (number != 25))").expect("a table");
        let writer = Arc::new(Writer::start(db, Directory::lock(dir.path()).expect("nobody else is here")));
        // The writer is held until all are handed in, so that they are committed together.
        let (all_there, wait) = std::sync::mpsc::channel::<()>();
        let hold = move |_: &Connection| Ok(wait.recv().is_err());
        writer.hand_in(hold).await.expect("the writer runs");
        // The guilty one has written something when it fails: that must go, too.
        let insert = |number: i64| {
            move |db: &Connection| {
                db.execute("INSERT INTO row VALUES (?1)", [number + JOBS])?;
                Ok(db.execute("INSERT INTO row VALUES (?1)", [number])?)
            }
        };
        let mut answers = Vec::new();
        for number in 0..JOBS {
            answers.push(writer.enqueue(insert(number), |_| ()).await.expect("the writer runs"));
        }
        drop(all_there);
        for (number, answer) in (0..).zip(answers) {
            let answer = answer.await.expect("the writer answers");
            if number == GUILTY {
                assert!(matches!(answer, Err(Failure::Refused { .. })), "{answer:?}");
            } else {
                assert_eq!(answer, Ok(1), "{number}");
            }
        }
        let count = |db: &Connection| Ok(db.query_row("SELECT count(*) FROM row", [], |row| row.get::<_, i64>(0))?);
        assert_eq!(writer.write(count).await, Ok(2 * (JOBS - 1)));
    }
}
