//! The store's seam over the writer and the readers.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use rusqlite::Connection;

use super::failure::Failure;
use super::place::Place;
use super::reader::Readers;
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
    /// Reports in the inbox: while there are none, nobody needs to look.
    inbox: Arc<AtomicU64>,
}

impl EmbeddedStore {
    pub(super) fn new(writer: Arc<Writer>, readers: Arc<Readers>, inbox: u64, limits: EmbeddedLimits) -> Self {
        Self { writer, readers, limits, inbox: Arc::new(AtomicU64::new(inbox)) }
    }

    fn inbox_shrinks(&self, by: usize) {
        let by = by as u64;
        // Only ever counted down by what was counted up.
        let _ = self.inbox.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| Some(count.saturating_sub(by)));
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

    /// The count goes up before the report is findable, so that who saves a reference later never misses it.
    async fn inbox_put(&self, report: &Report) -> Result<(), StoreError> {
        let (report, reference) = (report.clone(), inbox::waits_for(report));
        let Some(place) = Place::take_below(&self.inbox, self.limits.inbox_max) else {
            let waits = self.readers.read(move |db| inbox::holds(db, &report, &reference)).await?;
            let full = StoreError::Full { what: "the inbox", limit: self.limits.inbox_max };
            return if waits { Ok(()) } else { Err(full) };
        };
        let keep = move |new: Result<&bool, &Failure>| {
            if new == Ok(&true) {
                place.keep();
            }
        };
        Ok(self.writer.write_then(move |db| inbox::put(db, &report, &reference), keep).await.map(drop)?)
    }

    async fn inbox_read(&self, provider: &ProviderId, reference: &str) -> Result<Vec<Report>, StoreError> {
        if self.inbox.load(Ordering::SeqCst) == 0 {
            return Ok(Vec::new());
        }
        let (provider, reference) = (provider.clone(), reference.to_owned());
        Ok(self.readers.read(move |db| inbox::read(db, &provider, &reference)).await?)
    }

    async fn inbox_drop(&self, report: &Report) -> Result<(), StoreError> {
        let report = report.clone();
        let dropped = self.writer.write(move |db| inbox::drop_one(db, &report)).await?;
        self.inbox_shrinks(dropped);
        Ok(())
    }

    async fn prune(
        &self,
        now: Timestamp,
        ended_before: Timestamp,
        inbox_before: Timestamp,
        limit: usize,
    ) -> Result<usize, StoreError> {
        let parked_max = self.limits.parked_max;
        let prune = move |db: &Connection| {
            let pruned = rows::prune(db, now, ended_before, inbox_before, limit)?;
            // As long as a report that matches nothing: both wait for somebody who knows more.
            Ok((pruned, parked::prune(db, inbox_before, parked_max, limit)?))
        };
        let (pruned, parked) = self.writer.write(prune).await?;
        self.inbox_shrinks(pruned.inbox);
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
