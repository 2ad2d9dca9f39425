//! A store for scripted workers, over the one of the world.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use otodoke_common::leg::{LegNumber, ProviderId};
use otodoke_common::message::{Message, MessageId, Tag};
use otodoke_common::outcome::Report;
use otodoke_common::store::{ClaimKind, Counts, Holder, JournalEntry, Opened, Opening, Save, Saved, Store, StoreError};
use otodoke_common::time::Timestamp;

/// A store that counts how often a row or the inbox is read, takes its time to save, and breaks whoever loads or saves one that
/// is cursed.
pub(crate) struct Watched {
    cursed: Option<MessageId>,
    pub(crate) save_ms: u64,
    pub(crate) loads: AtomicUsize,
    pub(crate) looks: AtomicUsize,
    inner: Arc<dyn Store>,
}

impl Watched {
    pub(crate) fn over(inner: &Arc<dyn Store>, cursed: Option<MessageId>) -> Self {
        Self { cursed, save_ms: 0, loads: AtomicUsize::new(0), looks: AtomicUsize::new(0), inner: Arc::clone(inner) }
    }
}

#[async_trait]
impl Store for Watched {
    async fn load(&self, id: MessageId) -> Result<Option<Message>, StoreError> {
        assert_ne!(Some(id), self.cursed, "the scripted end of a task");
        self.loads.fetch_add(1, Ordering::Relaxed);
        self.inner.load(id).await
    }
    async fn open(&self, opening: Opening) -> Result<Opened, StoreError> {
        self.inner.open(opening).await
    }
    async fn holder(&self, kind: ClaimKind, tag: Tag, now: Timestamp) -> Result<Option<Holder>, StoreError> {
        self.inner.holder(kind, tag, now).await
    }
    async fn save(&self, save: &Save) -> Result<Saved, StoreError> {
        assert_ne!(Some(save.message.id), self.cursed, "the scripted end of a task");
        tokio::time::sleep(Duration::from_millis(self.save_ms)).await;
        self.inner.save(save).await
    }
    async fn by_reference(
        &self,
        provider: &ProviderId,
        reference: &str,
    ) -> Result<Option<(MessageId, LegNumber)>, StoreError> {
        self.inner.by_reference(provider, reference).await
    }
    async fn due(&self, now: Timestamp, limit: usize, lease_ms: u64) -> Result<Vec<Message>, StoreError> {
        self.inner.due(now, limit, lease_ms).await
    }
    async fn inbox_put(&self, report: &Report) -> Result<(), StoreError> {
        self.inner.inbox_put(report).await
    }
    async fn inbox_read(&self, provider: &ProviderId, reference: &str) -> Result<Vec<Report>, StoreError> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        self.inner.inbox_read(provider, reference).await
    }
    async fn inbox_drop(&self, report: &Report) -> Result<(), StoreError> {
        self.inner.inbox_drop(report).await
    }
    async fn prune(
        &self,
        now: Timestamp,
        ended_before: Timestamp,
        inbox_before: Timestamp,
        limit: usize,
    ) -> Result<usize, StoreError> {
        self.inner.prune(now, ended_before, inbox_before, limit).await
    }
    async fn of_number(&self, number: Tag, made: Range<Timestamp>, limit: usize) -> Result<Vec<Message>, StoreError> {
        self.inner.of_number(number, made, limit).await
    }
    async fn journal(&self, id: MessageId) -> Result<Vec<JournalEntry>, StoreError> {
        self.inner.journal(id).await
    }
    async fn counts(&self, now: Timestamp) -> Result<Counts, StoreError> {
        self.inner.counts(now).await
    }
    async fn setting_put(&self, name: &str, value: Option<&str>) -> Result<(), StoreError> {
        self.inner.setting_put(name, value).await
    }
    async fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.inner.setting(name).await
    }
    async fn settings(&self, prefix: &str) -> Result<Vec<(String, String)>, StoreError> {
        self.inner.settings(prefix).await
    }
}
