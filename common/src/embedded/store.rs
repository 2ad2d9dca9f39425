//! The store's seam over the writer and the readers.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::Connection;

use super::failure::Failure;
use super::reader::Readers;
use super::rows::Pruned;
use super::tally::Tally;
use super::writer::Writer;
use super::{EmbeddedLimits, inbox, parked, rows, search};
use crate::leg::{LegNumber, ProviderId};
use crate::message::{Message, MessageId, Tag};
use crate::outcome::Report;
use crate::store::{ClaimKind, Counts, Holder, JournalEntry, Opened, Opening, Save, Saved, Store, StoreError};
use crate::time::Timestamp;

pub(super) struct EmbeddedStore {
    writer: Arc<Writer>,
    readers: Arc<Readers>,
    limits: EmbeddedLimits,
    inbox: Arc<Tally>,
}

impl EmbeddedStore {
    pub(super) fn new(writer: Arc<Writer>, readers: Arc<Readers>, inbox: u64, limits: EmbeddedLimits) -> Self {
        Self { writer, readers, limits, inbox: Arc::new(Tally::new(inbox)) }
    }

    /// Counts the inbox anew where its number is in doubt.
    async fn count_inbox(&self) -> Result<(), StoreError> {
        if self.inbox.is_in_doubt() {
            let tally = Arc::clone(&self.inbox);
            let counted = move |counted: Result<&u64, &Failure>| {
                if let Ok(held) = counted {
                    tally.counted(*held);
                }
            };
            self.writer.write_then(|db| Ok(inbox::count(db)?), counted).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn open(&self, opening: Opening) -> Result<Opened, StoreError> {
        Ok(self.writer.write(move |db| rows::open(db, &opening)).await?)
    }

    async fn load(&self, id: MessageId) -> Result<Option<Message>, StoreError> {
        Ok(self.readers.read(move |db| rows::load(db, id)).await?)
    }

    async fn holder(&self, kind: ClaimKind, tag: Tag, now: Timestamp) -> Result<Option<Holder>, StoreError> {
        Ok(self.readers.read(move |db| rows::holder(db, kind, tag, now)).await?)
    }

    async fn save(&self, save: &Save) -> Result<Saved, StoreError> {
        let save = save.clone();
        Ok(self.writer.write(move |db| rows::save(db, &save)).await?)
    }

    async fn by_reference(
        &self,
        provider: &ProviderId,
        reference: &str,
    ) -> Result<Option<(MessageId, LegNumber)>, StoreError> {
        let (provider, reference) = (provider.clone(), reference.to_owned());
        Ok(self.readers.read(move |db| rows::by_reference(db, &provider, &reference)).await?)
    }

    async fn of_number(&self, number: Tag, made: Range<Timestamp>, limit: usize) -> Result<Vec<Message>, StoreError> {
        Ok(self.readers.read(move |db| search::of_number(db, number, &made, limit)).await?)
    }

    async fn due(&self, now: Timestamp, limit: usize, lease_ms: u64) -> Result<Vec<Message>, StoreError> {
        Ok(self.writer.write(move |db| rows::lease(db, now, limit, lease_ms)).await?)
    }

    /// The report is counted before it can be found, so that who saves a reference later never misses it.
    async fn inbox_put(&self, report: &Report) -> Result<(), StoreError> {
        self.count_inbox().await?;
        let (report, reference) = (report.clone(), inbox::waits_for(report));
        let Some(place) = self.inbox.place(self.limits.inbox_max) else {
            let waits = self.readers.read(move |db| inbox::holds(db, &report, &reference)).await?;
            let full = StoreError::Full { what: "the inbox", limit: self.limits.inbox_max };
            return if waits { Ok(()) } else { Err(full) };
        };
        let tally = Arc::clone(&self.inbox);
        let put = move |new: Result<&bool, &Failure>| {
            tally.put(new.copied());
            drop(place);
        };
        Ok(self.writer.write_then(move |db| inbox::put(db, &report, &reference), put).await.map(drop)?)
    }

    async fn inbox_read(&self, provider: &ProviderId, reference: &str) -> Result<Vec<Report>, StoreError> {
        if self.inbox.is_empty() {
            return Ok(Vec::new());
        }
        let (provider, reference) = (provider.clone(), reference.to_owned());
        Ok(self.readers.read(move |db| inbox::read(db, &provider, &reference)).await?)
    }

    async fn inbox_drop(&self, report: &Report) -> Result<(), StoreError> {
        let (report, tally) = (report.clone(), Arc::clone(&self.inbox));
        let dropped = move |gone: Result<&usize, &Failure>| tally.deleted(gone.copied());
        Ok(self.writer.write_then(move |db| inbox::drop_one(db, &report), dropped).await.map(drop)?)
    }

    async fn prune(
        &self,
        now: Timestamp,
        ended_before: Timestamp,
        inbox_before: Timestamp,
        limit: usize,
    ) -> Result<usize, StoreError> {
        self.count_inbox().await?;
        let (parked_max, tally) = (self.limits.parked_max, Arc::clone(&self.inbox));
        let prune = move |db: &Connection| {
            let pruned = rows::prune(db, now, ended_before, inbox_before, limit)?;
            // As long as a report that matches nothing: both wait for somebody who knows more.
            Ok((pruned, parked::prune(db, inbox_before, parked_max, limit)?))
        };
        let deleted = move |gone: Result<&(Pruned, usize), &Failure>| {
            tally.deleted(gone.map(|(pruned, _)| pruned.inbox));
        };
        let (pruned, parked) = self.writer.write_then(prune, deleted).await?;
        Ok(pruned.rows + parked)
    }

    async fn journal(&self, id: MessageId) -> Result<Vec<JournalEntry>, StoreError> {
        Ok(self.readers.read(move |db| rows::journal(db, id)).await?)
    }

    async fn counts(&self, now: Timestamp) -> Result<Counts, StoreError> {
        Ok(self.readers.read(move |db| rows::counts(db, now)).await?)
    }

    async fn setting_put(&self, name: &str, value: Option<&str>) -> Result<(), StoreError> {
        let (name, value) = (name.to_owned(), value.map(str::to_owned));
        Ok(self.writer.write(move |db| rows::setting_put(db, &name, value.as_deref())).await?)
    }

    async fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        let name = name.to_owned();
        Ok(self.readers.read(move |db| rows::setting(db, &name)).await?)
    }

    async fn settings(&self, prefix: &str) -> Result<Vec<(String, String)>, StoreError> {
        let prefix = prefix.to_owned();
        Ok(self.readers.read(move |db| rows::settings(db, &prefix)).await?)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::mpsc;

    use super::super::directory::Directory;
    use super::super::schema;
    use super::*;
    use crate::outcome::{About, Proof, ReportStatus};

    const NOW: Timestamp = Timestamp::from_unix_ms(1_790_000_000_000);

    /// With room for one report, and its writer apart.
    fn open(dir: &Path) -> (Arc<Writer>, EmbeddedStore) {
        let directory = Directory::lock(dir).expect("nobody else is here");
        let path = directory.database().expect("a file");
        let db = schema::open_for_writing(&path, None).expect("it opens");
        let readers = Arc::new(Readers::open(&path, 1).expect("it is there"));
        let writer = Arc::new(Writer::start(db, directory));
        let limits = EmbeddedLimits { inbox_max: 1, ..EmbeddedLimits::default() };
        (Arc::clone(&writer), EmbeddedStore::new(writer, readers, 0, limits))
    }

    fn report(reference: &str) -> Report {
        let provider = ProviderId::parse("sakura").expect("a provider");
        let about = About::Reference(reference.to_owned());
        Report { provider, about, status: ReportStatus::Delivered, proof: Proof::Tag, at: NOW, happened_at: None }
    }

    async fn waits(store: &EmbeddedStore, report: &Report) -> bool {
        let found = store.inbox_read(&report.provider, &inbox::waits_for(report)).await.expect("the store answers");
        found.contains(report)
    }

    /// What a transaction may come to when its commit tells nothing.
    const ENDS: [(&str, bool); 2] = [("COMMIT", true), ("ROLLBACK", false)];

    /// Writes what `beside` brings, and ends its transaction so that nobody can say how.
    async fn untold<T>(writer: &Writer, end: &'static str, beside: impl Future<Output = Result<T, StoreError>>) {
        // The writer is held until both are handed in, so that they are committed together.
        let (held, is_held) = mpsc::channel();
        let (both_there, wait) = mpsc::channel::<()>();
        let hold = move |_: &Connection| Ok((held.send(()).is_ok(), wait.recv().is_err()));
        writer.hand_in(hold).await.expect("the writer runs");
        is_held.recv().expect("the writer runs");
        let fail = move |db: &Connection| -> Result<(), Failure> {
            db.execute_batch(end)?;
            Err(Failure::Unknown { why: "the disk failed".to_owned() })
        };
        let let_go = async { drop(both_there) };
        let (written, failed, ()) = tokio::join!(biased; beside, writer.write(fail), let_go);
        assert!(matches!(written, Err(StoreError::UnknownOutcome { .. })), "they were written together");
        assert!(matches!(failed, Err(Failure::Unknown { .. })), "{failed:?}");
    }

    #[tokio::test]
    async fn a_report_whose_commit_told_nothing_is_found_if_it_is_there_and_counted_once() {
        for (end, is_there) in ENDS {
            let dir = tempfile::tempdir().expect("a temporary directory");
            let (writer, store) = open(dir.path());
            let (one, two) = (report("ref-1"), report("ref-2"));
            untold(&writer, end, store.inbox_put(&one)).await;
            assert_eq!(waits(&store, &one).await, is_there, "after {end}");
            assert_eq!(store.inbox_put(&one).await, Ok(()), "its provider repeats it");
            assert!(waits(&store, &one).await, "after {end}");
            let full = store.inbox_put(&two).await;
            assert!(matches!(full, Err(StoreError::Full { limit: 1, .. })), "after {end}: {full:?}");
            assert_eq!(store.inbox_drop(&one).await, Ok(()));
            assert!(store.inbox.is_empty(), "after {end} nobody needs to look any more");
            assert_eq!(store.inbox_put(&two).await, Ok(()), "after {end}");
            writer.close();
        }
    }

    #[tokio::test]
    async fn a_report_whose_deletion_told_nothing_takes_no_room_once_it_is_gone() {
        for (end, _) in ENDS {
            let dir = tempfile::tempdir().expect("a temporary directory");
            let (writer, store) = open(dir.path());
            let (one, two) = (report("ref-1"), report("ref-2"));
            store.inbox_put(&one).await.expect("there is room");
            untold(&writer, end, store.inbox_drop(&one)).await;
            assert_eq!(store.inbox_drop(&one).await, Ok(()), "it is asked for again");
            assert_eq!(store.inbox_put(&two).await, Ok(()), "after {end} there is room");
            untold(&writer, end, store.prune(NOW, NOW, NOW.plus_ms(1), 10)).await;
            assert!(store.prune(NOW, NOW, NOW.plus_ms(1), 10).await.is_ok());
            assert!(store.inbox.is_empty(), "after {end} nobody needs to look any more");
            writer.close();
        }
    }
}
