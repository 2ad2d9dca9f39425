//! The store of a process that started before it: every call is refused with the reason, until PostgreSQL is there and
//! its schema is one that this program may run on. From then on it is PostgreSQL, and its absence is its own to tell.

use std::future::ready;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock};

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::{Duration, timeout};

use crate::leg::{LegNumber, ProviderId};
use crate::message::{Message, MessageId, Tag};
use crate::outcome::Report;
use crate::postgres::Postgres;
use crate::store::{ClaimKind, Counts, Holder, JournalEntry, Opened, Opening, Save, Saved, Store, StoreError};
use crate::time::Timestamp;

/// What an `async fn` of the trait returns.
type Asked<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

pub struct LateStore {
    store: OnceLock<Arc<dyn Store>>,
    why: Mutex<String>,
    /// It arrived, or the first try to reach it failed.
    looked: watch::Sender<bool>,
}

/// Longest wait for the first look at a server.
const FIRST_LOOK_MS_MAX: u64 = 2_000;

impl LateStore {
    pub(super) fn new() -> Self {
        let why = Mutex::new("it was not reached yet".to_owned());
        Self { store: OnceLock::new(), why, looked: watch::Sender::new(false) }
    }

    /// For work that would only find it away a moment before it arrives.
    pub async fn looked_for(&self) {
        let mut looked = self.looked.subscribe();
        let looking = looked.wait_for(|looked| *looked);
        // Nobody hangs up who would be waited for: it lives as long as this.
        drop(timeout(Duration::from_millis(FIRST_LOOK_MS_MAX), looking).await);
    }

    pub(super) fn waits_for(&self, why: String) {
        *self.why.lock().expect("no code panics while it holds the reason") = why;
        self.looked.send_replace(true);
    }

    /// Called once.
    pub(super) fn arrive(&self, store: Arc<Postgres>) {
        assert!(self.store.set(store).is_ok(), "a store arrives once");
        self.looked.send_replace(true);
    }

    fn here(&self) -> Result<&dyn Store, StoreError> {
        self.store.get().map(AsRef::as_ref).ok_or_else(|| {
            let why = self.why.lock().expect("no code panics while it holds the reason").clone();
            StoreError::Unavailable { why }
        })
    }

    /// The store's own future, for what every message asks: one around it would be allocated and moved for nothing.
    fn ask<'a, T: Send + 'a>(&'a self, ask: impl FnOnce(&'a dyn Store) -> Asked<'a, T>) -> Asked<'a, T> {
        self.here().map_or_else(|error| Box::pin(ready(Err(error))) as Asked<'a, T>, ask)
    }
}

#[async_trait]
impl Store for LateStore {
    fn open<'a, 'b>(&'a self, opening: Opening) -> Asked<'b, Opened>
    where
        'a: 'b,
        Self: 'b,
    {
        self.ask(move |store| store.open(opening))
    }

    fn load<'a, 'b>(&'a self, id: MessageId) -> Asked<'b, Option<Message>>
    where
        'a: 'b,
        Self: 'b,
    {
        self.ask(move |store| store.load(id))
    }

    async fn holder(&self, kind: ClaimKind, tag: Tag, now: Timestamp) -> Result<Option<Holder>, StoreError> {
        self.here()?.holder(kind, tag, now).await
    }

    fn save<'a, 's, 'b>(&'a self, save: &'s Save) -> Asked<'b, Saved>
    where
        'a: 'b,
        's: 'b,
        Self: 'b,
    {
        self.ask(move |store| store.save(save))
    }

    async fn by_reference(
        &self,
        provider: &ProviderId,
        reference: &str,
    ) -> Result<Option<(MessageId, LegNumber)>, StoreError> {
        self.here()?.by_reference(provider, reference).await
    }

    async fn of_number(&self, number: Tag, made: Range<Timestamp>, limit: usize) -> Result<Vec<Message>, StoreError> {
        self.here()?.of_number(number, made, limit).await
    }

    async fn due(&self, now: Timestamp, limit: usize, lease_ms: u64) -> Result<Vec<Message>, StoreError> {
        self.here()?.due(now, limit, lease_ms).await
    }

    async fn inbox_put(&self, report: &Report) -> Result<(), StoreError> {
        self.here()?.inbox_put(report).await
    }

    async fn inbox_read(&self, provider: &ProviderId, reference: &str) -> Result<Vec<Report>, StoreError> {
        self.here()?.inbox_read(provider, reference).await
    }

    async fn inbox_drop(&self, report: &Report) -> Result<(), StoreError> {
        self.here()?.inbox_drop(report).await
    }

    async fn prune(
        &self,
        now: Timestamp,
        ended_before: Timestamp,
        inbox_before: Timestamp,
        limit: usize,
    ) -> Result<usize, StoreError> {
        self.here()?.prune(now, ended_before, inbox_before, limit).await
    }

    async fn journal(&self, id: MessageId) -> Result<Vec<JournalEntry>, StoreError> {
        self.here()?.journal(id).await
    }

    async fn counts(&self, now: Timestamp) -> Result<Counts, StoreError> {
        self.here()?.counts(now).await
    }

    async fn setting_put(&self, name: &str, value: Option<&str>) -> Result<(), StoreError> {
        self.here()?.setting_put(name, value).await
    }

    async fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.here()?.setting(name).await
    }

    async fn settings(&self, prefix: &str) -> Result<Vec<(String, String)>, StoreError> {
        self.here()?.settings(prefix).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn until_the_store_is_there_every_call_says_why_not() {
        let late = LateStore::new();
        late.waits_for("PostgreSQL at db:5432 cannot be reached".to_owned());
        let id = MessageId::new(Timestamp::from_unix_ms(0), [7; 10]);
        for refused in [late.setting("a").await.map(drop), late.load(id).await.map(drop)] {
            let said = refused.expect_err("nothing is there").to_string();
            assert!(said.contains("db:5432"), "{said}");
        }
    }
}
