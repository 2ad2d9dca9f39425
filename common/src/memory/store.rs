//! The store in memory: maps under one lock. Rows go through the wire format, so that what cannot be stored fails here too.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;

use super::faults::{Faults, Write};
use crate::bucket::{Buckets, Refund, Spend, pay};
use crate::leg::{LegNumber, ProviderId};
use crate::message::{Message, MessageId, Tag};
use crate::outcome::{About, Report};
use crate::store::{Claim, ClaimKind, Counts, Holder, JournalEntry, Opened, Opening, Save, Saved, Store, StoreError};
use crate::time::Timestamp;
use crate::wire::{decode_row, encode_row};

pub(super) struct MemoryStore {
    faults: Arc<Faults>,
    inbox_max: u64,
    tables: Mutex<Tables>,
}

#[derive(Clone, Default)]
struct Tables {
    rows: BTreeMap<MessageId, Row>,
    due: BTreeSet<(Timestamp, MessageId)>,
    claims: BTreeMap<(ClaimKind, Tag), (MessageId, Claim)>,
    references: BTreeMap<(ProviderId, String), (MessageId, LegNumber)>,
    buckets: Buckets,
    journal: BTreeMap<MessageId, Vec<JournalEntry>>,
    inbox: Vec<Report>,
    settings: BTreeMap<String, String>,
}

#[derive(Clone)]
struct Row {
    body: Vec<u8>,
    version: u64,
    due: Option<Timestamp>,
    ended_at: Option<Timestamp>,
}

impl MemoryStore {
    pub(super) fn new(faults: Arc<Faults>, inbox_max: u64) -> Self {
        Self { faults, inbox_max, tables: Mutex::default() }
    }

    fn read(&self) -> Result<MutexGuard<'_, Tables>, StoreError> {
        self.faults.store()?;
        Ok(self.tables.lock().expect("no code panics while it holds the tables"))
    }

    /// One commit, with the fault that is due for it.
    fn commit<T>(&self, write: impl FnOnce(&mut Tables) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut tables = self.read()?;
        let unknown = || StoreError::UnknownOutcome { why: "it was switched so".to_owned() };
        match self.faults.write() {
            Write::Clear => write(&mut tables),
            Write::AppliedUnknown => write(&mut tables).and_then(|_| Err(unknown())),
            Write::LostUnknown => Err(unknown()),
        }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn open(&self, opening: Opening) -> Result<Opened, StoreError> {
        self.commit(|tables| tables.open(&opening))
    }

    async fn load(&self, id: MessageId) -> Result<Option<Message>, StoreError> {
        self.read()?.rows.get(&id).map(Row::message).transpose()
    }

    async fn holder(&self, kind: ClaimKind, tag: Tag, now: Timestamp) -> Result<Option<Holder>, StoreError> {
        let tables = self.read()?;
        let held = tables.claims.get(&(kind, tag)).filter(|(_, claim)| claim.until > now);
        Ok(held.map(|(by, claim)| Holder { by: *by, fingerprint: claim.fingerprint }))
    }

    async fn save(&self, save: &Save) -> Result<Saved, StoreError> {
        self.commit(|tables| Ok(tables.save(save)))
    }

    async fn by_reference(
        &self,
        provider: &ProviderId,
        reference: &str,
    ) -> Result<Option<(MessageId, LegNumber)>, StoreError> {
        Ok(self.read()?.references.get(&(provider.clone(), reference.to_owned())).copied())
    }

    async fn of_number(&self, number: Tag, made: Range<Timestamp>, limit: usize) -> Result<Vec<Message>, StoreError> {
        let tables = self.read()?;
        let [from, to] = [made.start, made.end].map(MessageId::bound);
        let rows = tables.rows.range(from..to).rev().filter(|(id, _)| id.made_at().is_some());
        let messages = rows.map(|(_, row)| row.message());
        let is_to_it =
            |message: &Result<Message, _>| message.as_ref().is_ok_and(|message| message.number_tag == number);
        messages.filter(is_to_it).take(limit).collect()
    }

    async fn due(&self, now: Timestamp, limit: usize, lease_ms: u64) -> Result<Vec<Message>, StoreError> {
        let mut tables = self.read()?;
        let has_ended = |id: &MessageId| tables.rows.get(id).is_some_and(|row| row.ended_at.is_some());
        let all: Vec<MessageId> = tables.due.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| *id).collect();
        let (ended, live): (Vec<MessageId>, Vec<MessageId>) = all.into_iter().partition(has_ended);
        let due: Vec<MessageId> = live.into_iter().chain(ended).take(limit).collect();
        for id in &due {
            tables.set_due(*id, Some(now.plus_ms(lease_ms)));
        }
        due.iter().filter_map(|id| tables.rows.get(id)).map(Row::message).collect()
    }

    async fn inbox_put(&self, report: &Report) -> Result<(), StoreError> {
        let mut tables = self.read()?;
        if tables.inbox.contains(report) {
            return Ok(());
        }
        if tables.inbox.len() as u64 >= self.inbox_max {
            return Err(StoreError::Full { what: "the inbox", limit: self.inbox_max });
        }
        tables.inbox.push(report.clone());
        Ok(())
    }

    async fn inbox_read(&self, provider: &ProviderId, reference: &str) -> Result<Vec<Report>, StoreError> {
        let waits = |report: &&Report| {
            report.provider == *provider && matches!(&report.about, About::Reference(found) if found == reference)
        };
        Ok(self.read()?.inbox.iter().filter(waits).cloned().collect())
    }

    async fn inbox_drop(&self, report: &Report) -> Result<(), StoreError> {
        self.read()?.inbox.retain(|waiting| waiting != report);
        Ok(())
    }

    async fn prune(
        &self,
        now: Timestamp,
        ended_before: Timestamp,
        inbox_before: Timestamp,
        limit: usize,
    ) -> Result<usize, StoreError> {
        Ok(self.read()?.prune(now, ended_before, inbox_before, limit))
    }

    async fn journal(&self, id: MessageId) -> Result<Vec<JournalEntry>, StoreError> {
        Ok(self.read()?.journal.get(&id).cloned().unwrap_or_default())
    }

    async fn counts(&self, now: Timestamp) -> Result<Counts, StoreError> {
        let tables = self.read()?;
        let ended = tables.rows.values().filter(|row| row.ended_at.is_some()).count() as u64;
        let oldest_due_ms = tables.due.first().map_or(0, |(at, _)| now.since_ms(*at));
        Ok(Counts {
            live: tables.rows.len() as u64 - ended,
            ended,
            due: tables.due.iter().take_while(|(at, _)| *at <= now).count() as u64,
            inbox: tables.inbox.len() as u64,
            oldest_due_ms,
            oldest_inbox_ms: tables.inbox.iter().map(|report| now.since_ms(report.at)).max().unwrap_or(0),
        })
    }

    async fn setting_put(&self, name: &str, value: Option<&str>) -> Result<(), StoreError> {
        let mut tables = self.read()?;
        match value {
            Some(value) => tables.settings.insert(name.to_owned(), value.to_owned()),
            None => tables.settings.remove(name),
        };
        Ok(())
    }

    async fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.faults.setting()?;
        Ok(self.read()?.settings.get(name).cloned())
    }

    async fn settings(&self, prefix: &str) -> Result<Vec<(String, String)>, StoreError> {
        let tables = self.read()?;
        let found = tables.settings.iter().filter(|(name, _)| name.starts_with(prefix));
        Ok(found.map(|(name, value)| (name.clone(), value.clone())).collect())
    }
}

impl Row {
    fn message(&self) -> Result<Message, StoreError> {
        let message = decode_row(&self.body).map_err(|error| StoreError::Refused { why: error.to_string() })?;
        Ok(Message { version: self.version, ..message })
    }
}

impl Tables {
    fn open(&mut self, opening: &Opening) -> Result<Opened, StoreError> {
        if let Some(row) = self.rows.get(&opening.message.id) {
            return Ok(Opened::Repeat(Box::new(row.message()?)));
        }
        if let Some(held) = self.held(&opening.claims, opening.at)? {
            for (claim, by) in held.joining(&opening.claims) {
                self.claims.insert((claim.kind, claim.tag), (by, claim.clone()));
            }
            return Ok(held);
        }
        if let Err((index, free_at)) = self.spend(&opening.spends, &[], opening.at) {
            return Ok(Opened::OverLimit { index, free_at });
        }
        let id = opening.message.id;
        for claim in &opening.claims {
            self.claims.insert((claim.kind, claim.tag), (id, claim.clone()));
        }
        self.write(&opening.message, 1, opening.at);
        self.tell(id, &opening.notes, opening.at);
        Ok(Opened::New)
    }

    fn held(&self, claims: &[Claim], now: Timestamp) -> Result<Option<Opened>, StoreError> {
        for claim in claims {
            let holder = self.claims.get(&(claim.kind, claim.tag)).filter(|(_, held)| held.until > now);
            let Some((by, held)) = holder else { continue };
            if held.fingerprint != claim.fingerprint {
                return Ok(Some(Opened::Conflict { kind: claim.kind, by: *by }));
            }
            if let Some(row) = self.rows.get(by) {
                return Ok(Some(Opened::Held { kind: claim.kind, by: Box::new(row.message()?) }));
            }
        }
        Ok(None)
    }

    fn save(&mut self, save: &Save) -> Saved {
        let message = &save.message;
        if self.rows.get(&message.id).is_none_or(|row| row.version + 1 != message.version) {
            return Saved::Lost;
        }
        if let Err((index, free_at)) = self.spend(&save.spends, &save.refunds, save.at) {
            return Saved::OverLimit { index, free_at };
        }
        if !message.is_live() {
            self.claims.retain(|(kind, _), (id, _)| *kind != ClaimKind::Living || *id != message.id);
        }
        self.write(message, message.version, save.at);
        self.tell(message.id, &save.notes, save.at);
        Saved::Won
    }

    /// All of them, or none.
    fn spend(&mut self, spends: &[Spend], refunds: &[Refund], now: Timestamp) -> Result<(), (usize, Timestamp)> {
        self.buckets.extend(pay(spends, refunds, self.buckets.clone(), now)?);
        self.buckets.retain(|_, (bucket, _)| !bucket.0.is_empty());
        Ok(())
    }

    fn write(&mut self, message: &Message, version: u64, at: Timestamp) {
        let ended_before = self.rows.get(&message.id).and_then(|row| row.ended_at);
        let ended_at = ended_before.or_else(|| (!message.is_live()).then_some(at));
        for leg in &message.legs {
            if let Some(reference) = &leg.reference {
                self.references.insert((leg.provider.clone(), reference.clone()), (message.id, leg.number));
            }
        }
        let old_due = self.rows.get(&message.id).and_then(|row| row.due);
        let row = Row { body: encode_row(message), version, due: old_due, ended_at };
        self.rows.insert(message.id, row);
        self.set_due(message.id, message.due);
    }

    fn set_due(&mut self, id: MessageId, due: Option<Timestamp>) {
        let Some(row) = self.rows.get_mut(&id) else { return };
        if let Some(old) = std::mem::replace(&mut row.due, due) {
            self.due.remove(&(old, id));
        }
        if let Some(due) = due {
            self.due.insert((due, id));
        }
    }

    fn tell(&mut self, id: MessageId, notes: &[crate::lifecycle::Note], at: Timestamp) {
        let entries = notes.iter().map(|note| JournalEntry { at, note: note.clone() });
        self.journal.entry(id).or_default().extend(entries);
    }

    fn prune(&mut self, now: Timestamp, ended_before: Timestamp, inbox_before: Timestamp, limit: usize) -> usize {
        let over = |row: &Row| row.ended_at.is_some_and(|at| at < ended_before);
        let gone: Vec<MessageId> =
            self.rows.iter().filter(|(_, row)| over(row)).take(limit).map(|(id, _)| *id).collect();
        for id in &gone {
            self.set_due(*id, None);
            self.rows.remove(id);
            self.journal.remove(id);
            self.references.retain(|_, (of, _)| of != id);
        }
        let before = self.claims.len() + self.buckets.len() + self.inbox.len();
        let mut left = [limit; 3];
        let mut goes = |kind: usize, over: bool| {
            let goes = over && left[kind] > 0;
            left[kind] -= usize::from(goes);
            goes
        };
        self.claims.retain(|_, (id, claim)| !gone.contains(id) && !goes(0, claim.until <= now));
        self.buckets.retain(|_, (_, until)| !goes(1, *until <= now));
        self.inbox.retain(|report| !goes(2, report.at < inbox_before));
        gone.len() + before - (self.claims.len() + self.buckets.len() + self.inbox.len())
    }
}
