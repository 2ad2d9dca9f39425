//! The broker's seam over the same file: bodies are rows, their head is in memory (`window`), every publish is a commit.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::failure::Failure;
use super::place::Place;
use super::reader::Readers;
use super::window::{Entry, READY_MAX, Window};
use super::writer::Writer;
use crate::broker::{Backlog, Broker, BrokerError, Delivery, Origin, Parked, Queue, Settle, Settlement, Unpark};
use crate::clock::Clock;
use crate::time::Timestamp;
use crate::trace::{self, TraceContext};

pub(super) struct EmbeddedBroker {
    writer: Arc<Writer>,
    readers: Arc<Readers>,
    lines: BTreeMap<Queue, Arc<Line>>,
    queue_max: u64,
}

/// One queue: its window, and who waits for it.
pub(super) struct Line {
    queue: Queue,
    writer: Arc<Writer>,
    clock: Clock,
    window: Mutex<Window>,
    arrived: Notify,
    next_seq: Arc<AtomicU64>,
    /// Publishes that are not committed yet count towards the limit.
    coming: Arc<AtomicU64>,
    /// A note of what was handed out is on its way into the file.
    noting: AtomicBool,
    reading: tokio::sync::Mutex<()>,
}

/// What each queue holds when the file is opened. What was in hand when it was last open was taken once more than noted.
pub(super) fn load(db: &Connection) -> rusqlite::Result<Vec<(Queue, u64, u64)>> {
    if let Err(error) = count_takings(db) {
        // A full disk: what waits can still be handed out.
        tracing::warn!(%error, "what was in hand at the last stop could not be counted as taken");
    }
    let mut select = db.prepare("SELECT count(*), coalesce(max(seq), 0) FROM queue WHERE queue = ?1")?;
    Queue::ALL
        .into_iter()
        .map(|queue| select.query_row([queue.word()], |row| Ok((queue, row.get(0)?, row.get(1)?))))
        .collect()
}

fn count_takings(db: &Connection) -> rusqlite::Result<()> {
    let mut count = db.prepare(
        "UPDATE queue SET taken = taken + 1
         WHERE queue = ?1 AND seq <= (SELECT seq FROM handed_out WHERE handed_out.queue = ?1)",
    )?;
    for queue in Queue::ALL {
        count.execute([queue.word()])?;
    }
    db.execute("DELETE FROM handed_out", []).map(drop)
}

impl EmbeddedBroker {
    pub(super) fn new(
        writer: Arc<Writer>,
        readers: Arc<Readers>,
        queues: Vec<(Queue, u64, u64)>,
        queue_max: u64,
    ) -> Self {
        // One counter for all: a place is never given twice, whichever queue it is in.
        let last = queues.iter().map(|(_, _, last)| *last).max().unwrap_or_default();
        let next_seq = Arc::new(AtomicU64::new(last + 1));
        let lines = queues.into_iter().map(|(queue, waiting, committed)| {
            let line = Line {
                queue,
                writer: Arc::clone(&writer),
                clock: Clock::system(),
                window: Mutex::new(Window::new(waiting, committed)),
                arrived: Notify::new(),
                next_seq: Arc::clone(&next_seq),
                coming: Arc::default(),
                noting: AtomicBool::new(false),
                reading: tokio::sync::Mutex::new(()),
            };
            (queue, Arc::new(line))
        });
        Self { lines: lines.collect(), writer, readers, queue_max }
    }

    fn line(&self, queue: Queue) -> &Arc<Line> {
        self.lines.get(&queue).expect("there is a line for every queue")
    }

    /// Reads the next bodies into memory, one reader at a time.
    async fn refill(&self, line: &Arc<Line>) -> Result<(), BrokerError> {
        let _one = line.reading.lock().await;
        let Some(after) = line.lock().wants_more() else { return Ok(()) };
        let queue = line.queue;
        let found = self.readers.read(move |db| next_bodies(db, queue, after)).await?;
        line.lock().read(after, found);
        Ok(())
    }
}

#[async_trait]
impl Broker for EmbeddedBroker {
    async fn publish(&self, queue: Queue, body: Vec<u8>) -> Result<(), BrokerError> {
        let line = Arc::clone(self.line(queue));
        let place = line.place(self.queue_max)?;
        let next_seq = Arc::clone(&line.next_seq);
        let (kept, trace) = (body.clone(), trace::current());
        let line_of_trace = trace.as_ref().map(|trace| trace.to_line().into_owned());
        let arrived = Arc::clone(&line);
        let insert = move |db: &Connection| {
            let seq = next_seq.fetch_add(1, Ordering::SeqCst);
            db.prepare_cached("INSERT INTO queue (queue, seq, body, trace) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![queue.word(), seq, body, line_of_trace])?;
            Ok(seq)
        };
        let written = self
            .writer
            .write_then(insert, move |written| {
                if let Ok(seq) = written {
                    arrived.lock().committed(*seq, (kept, trace), Instant::now());
                    arrived.arrived.notify_one();
                }
                drop(place);
            })
            .await;
        Ok(written.map(drop)?)
    }

    async fn take(&self, queue: Queue) -> Result<Delivery, BrokerError> {
        let line = self.line(queue);
        loop {
            let arrived = line.arrived.notified();
            let more = line.lock().wants_more().is_some();
            if more {
                self.refill(line).await?;
            }
            let taken = line.lock().take(Instant::now());
            if let Some(entry) = taken {
                // One notification may stand for several bodies: whoever waits next looks too.
                line.arrived.notify_one();
                line.note_handed_out();
                let backend: Arc<dyn Settle> = line.clone();
                let delivery = Delivery::new(entry.body, entry.taken_before, backend, entry.seq);
                return Ok(delivery.from(Origin::Ours, entry.trace));
            }
            arrived.await;
        }
    }

    fn backlog(&self, queue: Queue) -> Backlog {
        let mut window = self.line(queue).lock();
        Backlog { waiting: window.waiting(), ahead: 0, drained_per_s: window.drained_per_s(Instant::now()) }
    }

    fn outlives_the_store(&self) -> bool {
        false
    }

    async fn parked(&self, limit: usize) -> Result<Vec<Parked>, BrokerError> {
        Ok(self.readers.read(move |db| parked(db, limit)).await?)
    }

    async fn unpark(&self, parked_id: i64, how: Unpark) -> Result<bool, BrokerError> {
        let found = self.readers.read(move |db| one_parked(db, parked_id)).await?;
        let Some(Parked { queue, body, trace, .. }) = found else { return Ok(false) };
        match how {
            Unpark::Drop => {}
            // Killed between the two commits it is replayed once more, which its id makes harmless.
            Unpark::Replay => trace::within(trace, self.publish(queue, body)).await?,
        }
        let delete = move |db: &Connection| {
            Ok(db.prepare_cached("DELETE FROM parked WHERE parked_id = ?1")?.execute([parked_id])? > 0)
        };
        Ok(self.writer.write(delete).await?)
    }
}

#[async_trait]
impl Settle for Line {
    /// Not waited for when it is done: lost in a crash, the body only comes again.
    async fn settle(&self, ticket: u64, how: Settlement) -> Result<(), BrokerError> {
        match how {
            Settlement::Done => {
                let queue = self.queue;
                self.lock().settled(ticket, Instant::now());
                self.writer.hand_in(move |db| delete_body(db, queue, ticket)).await?;
            }
            // Never full: of too many, the oldest go.
            Settlement::Park { reason, where_full: _ } => self.park(ticket, reason).await?,
        }
        Ok(())
    }

    fn give_back(&self, ticket: u64) {
        if self.lock().give_back(ticket) {
            self.arrived.notify_one();
        }
    }
}

impl Line {
    /// A place among `queue_max`, held until its body is committed and counted as waiting.
    fn place(&self, queue_max: u64) -> Result<Place, BrokerError> {
        let window = self.lock();
        let room = queue_max.saturating_sub(window.waiting());
        Place::take_below(&self.coming, room).ok_or(BrokerError::Full { queue: self.queue, limit: queue_max })
    }

    /// What could not be parked comes again.
    async fn park(&self, ticket: u64, reason: String) -> Result<(), Failure> {
        // Apart, so that whoever settles twice does not harm the window for all.
        let in_hand = self.lock().in_hand(ticket).cloned();
        let Entry { body, trace, .. } = in_hand.expect("a ticket is settled once");
        let (queue, at, trace) = (self.queue, self.clock.now(), trace.map(|trace| trace.to_line().into_owned()));
        let park = move |db: &Connection| {
            delete_body(db, queue, ticket)?;
            db.prepare_cached("INSERT INTO parked (queue, at, reason, body, trace) VALUES (?1, ?2, ?3, ?4, ?5)")?
                .execute(params![queue.word(), at.unix_ms(), reason, body, trace])?;
            Ok(())
        };
        let parked = self.writer.write(park).await;
        if parked.is_ok() {
            self.lock().settled(ticket, Instant::now());
        } else {
            self.give_back(ticket);
        }
        parked
    }

    /// Notes in the file how far bodies were handed out, for the count of takings after a crash. Nobody waits for it, and
    /// one note on its way speaks for all takings until it is written. The next taking makes up for one that failed.
    fn note_handed_out(self: &Arc<Self>) {
        if self.noting.swap(true, Ordering::SeqCst) {
            return;
        }
        let (line, noted) = (Arc::clone(self), Arc::clone(self));
        let note = move |db: &Connection| {
            line.noting.store(false, Ordering::SeqCst);
            let handed_to = line.lock().handed_to();
            db.prepare_cached("INSERT OR REPLACE INTO handed_out (queue, seq) VALUES (?1, ?2)")?
                .execute(params![line.queue.word(), handed_to])?;
            Ok(())
        };
        let after = move |written: Result<&(), &Failure>| {
            if written.is_err() {
                noted.noting.store(false, Ordering::SeqCst);
            }
        };
        if !self.writer.slip_in(note, after) {
            self.noting.store(false, Ordering::SeqCst);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Window> {
        self.window.lock().expect("no code panics while it holds the window")
    }
}

fn next_bodies(db: &Connection, queue: Queue, after: u64) -> Result<Vec<Entry>, Failure> {
    let mut select = db.prepare_cached(
        "SELECT seq, body, taken, trace FROM queue WHERE queue = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
    )?;
    let entry = |row: &Row<'_>| {
        Ok(Entry { seq: row.get(0)?, body: row.get(1)?, taken_before: row.get(2)?, trace: read_trace(row, 3)? })
    };
    let found = select.query_map(params![queue.word(), after, READY_MAX / 2], entry)?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

fn delete_body(db: &Connection, queue: Queue, seq: u64) -> Result<(), Failure> {
    db.prepare_cached("DELETE FROM queue WHERE queue = ?1 AND seq = ?2")?.execute(params![queue.word(), seq])?;
    Ok(())
}

fn parked(db: &Connection, limit: usize) -> Result<Vec<Parked>, Failure> {
    let mut select =
        db.prepare_cached("SELECT parked_id, queue, at, reason, body, trace FROM parked ORDER BY parked_id LIMIT ?1")?;
    let mut rows = select.query([limit])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read_parked(row)?);
    }
    Ok(found)
}

fn one_parked(db: &Connection, parked_id: i64) -> Result<Option<Parked>, Failure> {
    let mut select =
        db.prepare_cached("SELECT parked_id, queue, at, reason, body, trace FROM parked WHERE parked_id = ?1")?;
    select.query([parked_id])?.next()?.map(read_parked).transpose()
}

fn read_parked(row: &Row<'_>) -> Result<Parked, Failure> {
    Ok(Parked {
        parked_id: row.get(0)?,
        queue: named(&row.get::<_, String>(1)?)?,
        at: Timestamp::from_unix_ms(row.get(2)?),
        reason: row.get(3)?,
        // Nobody else publishes here.
        user: None,
        body: row.get(4)?,
        trace: read_trace(row, 5)?,
    })
}

fn read_trace(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<TraceContext>> {
    Ok(row.get::<_, Option<String>>(column)?.and_then(|line| TraceContext::of_line(&line)))
}

fn named(word: &str) -> Result<Queue, Failure> {
    let found = Queue::ALL.into_iter().find(|queue| queue.word() == word);
    found.ok_or_else(|| Failure::Refused { why: format!("there is no queue {word:?}") })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::super::directory::Directory;
    use super::super::schema;
    use super::*;
    use crate::message::Lane;

    const NORMAL: Queue = Queue::Lane(Lane::Normal);

    /// On a file that nobody waits for while another program has its lock.
    fn open(dir: &Path) -> (Arc<Writer>, EmbeddedBroker) {
        let directory = Directory::lock(dir).expect("nobody else is here");
        let path = directory.database().expect("a file");
        let db = schema::open_for_writing(&path, None).expect("it opens");
        db.busy_timeout(Duration::ZERO).expect("a setting of the connection");
        let queues = load(&db).expect("it is whole");
        let readers = Arc::new(Readers::open(&path, 1).expect("it is there"));
        let writer = Arc::new(Writer::start(db, directory));
        (Arc::clone(&writer), EmbeddedBroker::new(writer, readers, queues, 10))
    }

    /// Another program had the file's lock when the first taking was to be noted.
    #[tokio::test]
    async fn a_note_that_could_not_be_written_is_made_up_for_by_the_next_taking() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (writer, broker) = open(dir.path());
        for body in [b"one", b"two"] {
            broker.publish(NORMAL, body.to_vec()).await.expect("there is room");
        }
        let other = Connection::open(dir.path().join(super::super::FILE_NAME)).expect("the file is there");
        other.execute_batch("BEGIN IMMEDIATE").expect("nobody writes");
        let _first = broker.take(NORMAL).await.expect("there is one");
        let refused = writer.write(|_| Ok(())).await;
        assert!(
            matches!(refused, Err(Failure::Unavailable { .. })),
            "the note before it was refused, too: {refused:?}"
        );
        other.execute_batch("ROLLBACK").expect("it has the lock");
        let _second = broker.take(NORMAL).await.expect("there is one");
        writer.close();

        let (writer, broker) = open(dir.path());
        let first = broker.take(NORMAL).await.expect("it was not settled");
        let second = broker.take(NORMAL).await.expect("it was not settled");
        let taken = [first, second].map(|delivery| (delivery.body.clone(), delivery.taken_before));
        assert_eq!(taken, [(b"one".to_vec(), 1), (b"two".to_vec(), 1)]);
        writer.close();
    }
}
