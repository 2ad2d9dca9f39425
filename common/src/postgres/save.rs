//! Saves that pay nothing, which are nearly all: a group of them is one statement that commits by itself.
//!
//! Its parts see what the first one updated, so that a save that lost writes nothing anywhere. Saves that pay or refund go
//! the longer way of `write`.

use std::collections::BTreeSet;

use deadpool_postgres::Client;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::days::day_of;
use super::due;
use super::group::Verb;
use super::statements::MESSAGES_SAVE_ALL;
use super::trouble::Trouble;
use crate::leg::ProviderId;
use crate::message::MessageId;
use crate::store::{Save, Saved, StoreError};
use crate::time::Timestamp;
use crate::wire::{encode_notes, encode_row};

/// One save as its rows say it, encoded in the caller's task.
pub(super) struct Row {
    id: MessageId,
    day: i32,
    version: u64,
    ended_at: Option<i64>,
    body: Vec<u8>,
    due_at: Option<i64>,
    live: bool,
    /// `due::stays`
    stays: Option<(i64, i64)>,
    notes: String,
    references: Vec<(ProviderId, String, i16)>,
}

impl Row {
    /// Of a save that `pays_nothing`.
    pub(super) fn new(save: &Save) -> Self {
        let message = &save.message;
        let live = message.is_live();
        let references = message.legs.iter().filter_map(|leg| {
            let reference = leg.reference.clone()?;
            Some((leg.provider.clone(), reference, i16::from(leg.number)))
        });
        Self {
            id: message.id,
            day: day_of(message),
            version: message.version,
            ended_at: (!live).then_some(save.at.unix_ms()),
            due_at: due::listed_at(message, save.at).map(Timestamp::unix_ms),
            live,
            stays: due::stays(message, save.at).map(|(after, until)| (after.unix_ms(), until.unix_ms())),
            notes: encode_notes(&save.notes, save.at),
            references: references.collect(),
            body: encode_row(message),
        }
    }
}

pub(super) const fn pays_nothing(save: &Save) -> bool {
    save.spends.is_empty() && save.refunds.is_empty()
}

pub(super) struct SaveAll;

impl Verb for SaveAll {
    type Ask = Row;
    type Answer = Saved;
    const WRITES: bool = true;

    fn id(row: &Row) -> Option<MessageId> {
        Some(row.id)
    }

    async fn run(&self, client: &mut Client, rows: &[Row]) -> Result<Vec<Result<Saved, StoreError>>, Trouble> {
        let statement = client.prepare_cached(MESSAGES_SAVE_ALL.sql).await;
        let statement = statement.map_err(|error| Trouble::before_commit(&error))?;
        let (messages, references) = (Messages::of(rows), References::of(rows));
        let values: Vec<&(dyn ToSql + Sync)> = messages.values().into_iter().chain(references.values()).collect();
        let won = client.query_one(&statement, &values).await.map_err(|error| Trouble::at_commit(&error))?;
        let won: Option<Vec<Uuid>> = won.get(0);
        let won: BTreeSet<Uuid> = won.into_iter().flatten().collect();
        let saved = |row: &Row| if won.contains(&row.id.0) { Saved::Won } else { Saved::Lost };
        Ok(rows.iter().map(|row| Ok(saved(row))).collect())
    }
}

/// Messages with their notes and due times, as arrays.
struct Messages<'a> {
    days: Vec<i32>,
    ids: Vec<Uuid>,
    versions: Vec<i64>,
    ended: Vec<Option<i64>>,
    bodies: Vec<&'a [u8]>,
    notes: Vec<&'a str>,
    dues: Vec<Option<i64>>,
    lives: Vec<bool>,
    stay_after: Vec<Option<i64>>,
    stay_until: Vec<Option<i64>>,
}

impl<'a> Messages<'a> {
    fn of(rows: &'a [Row]) -> Self {
        Self {
            days: rows.iter().map(|row| row.day).collect(),
            ids: rows.iter().map(|row| row.id.0).collect(),
            versions: rows.iter().map(|row| row.version.cast_signed()).collect(),
            ended: rows.iter().map(|row| row.ended_at).collect(),
            bodies: rows.iter().map(|row| row.body.as_slice()).collect(),
            notes: rows.iter().map(|row| row.notes.as_str()).collect(),
            dues: rows.iter().map(|row| row.due_at).collect(),
            lives: rows.iter().map(|row| row.live).collect(),
            stay_after: rows.iter().map(|row| Some(row.stays?.0)).collect(),
            stay_until: rows.iter().map(|row| Some(row.stays?.1)).collect(),
        }
    }

    fn values(&self) -> [&(dyn ToSql + Sync); 10] {
        let Self { days, ids, versions, ended, bodies, notes, dues, lives, stay_after, stay_until } = self;
        [days, ids, versions, ended, bodies, notes, dues, lives, stay_after, stay_until]
    }
}

/// Which legs their references belong to, as arrays.
struct References<'a> {
    days: Vec<i32>,
    ids: Vec<Uuid>,
    providers: Vec<&'a str>,
    references: Vec<&'a [u8]>,
    legs: Vec<i16>,
}

impl<'a> References<'a> {
    fn of(rows: &'a [Row]) -> Self {
        let of_row = |row: &'a Row| row.references.iter().map(|one| (one, row.day, row.id.0));
        let mut all: Vec<_> = rows.iter().flat_map(of_row).collect();
        // Sorted, so that groups with the same rows bring them in the same order.
        all.sort_unstable();
        Self {
            days: all.iter().map(|(_, day, _)| *day).collect(),
            ids: all.iter().map(|(_, _, id)| *id).collect(),
            providers: all.iter().map(|((provider, _, _), _, _)| provider.as_str()).collect(),
            references: all.iter().map(|((_, reference, _), _, _)| reference.as_bytes()).collect(),
            legs: all.iter().map(|((_, _, leg), _, _)| *leg).collect(),
        }
    }

    fn values(&self) -> [&(dyn ToSql + Sync); 5] {
        [&self.days, &self.ids, &self.providers, &self.references, &self.legs]
    }
}
