//! What a group writes after the rules were applied: arrays, one statement each, sorted by key.

use std::collections::BTreeSet;

use deadpool_postgres::Transaction;
use tokio::join;
use tokio_postgres::Error;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::Ask;
use crate::message::MessageId;
use crate::postgres::draft::{Change, Draft, Kept, encode_entries};
use crate::postgres::statements::{
    BUCKETS_ADD, BUCKETS_DROP, BUCKETS_SET, CLAIMS_ADD, CLAIMS_MOVE, DUE_ADD, DUE_DROP, DUE_SET, JOURNAL_ADD,
    MESSAGES_ADD, MESSAGES_SAVE, REFERENCES_ADD, TALLY_ADD,
};
use crate::time::Timestamp;

pub(super) async fn claims(transaction: &Transaction<'_>, draft: &Draft<'_>) -> Result<(), Error> {
    for (change, statement) in [(Change::Add, &CLAIMS_ADD), (Change::Set, &CLAIMS_MOVE)] {
        let rows: Vec<_> = draft.claims.iter().filter(|(_, row)| row.change == change).collect();
        if rows.is_empty() {
            continue;
        }
        let kinds: Vec<i16> = rows.iter().map(|((kind, _), _)| *kind).collect();
        let tags: Vec<&[u8]> = rows.iter().map(|((_, tag), _)| tag.0.as_slice()).collect();
        let fingerprints: Vec<&[u8]> = rows.iter().map(|(_, row)| row.holder.fingerprint.0.as_slice()).collect();
        let ids: Vec<Uuid> = rows.iter().map(|(_, row)| row.holder.by.0).collect();
        let untils: Vec<i64> = rows.iter().map(|(_, row)| row.holder.until.unix_ms()).collect();
        let statement = transaction.prepare_cached(statement.sql).await?;
        transaction.execute(&statement, &[&kinds, &tags, &fingerprints, &ids, &untils]).await?;
    }
    Ok(())
}

pub(super) async fn buckets(transaction: &Transaction<'_>, draft: &Draft<'_>) -> Result<(), Error> {
    for (change, statement) in [(Change::Add, &BUCKETS_ADD), (Change::Set, &BUCKETS_SET)] {
        let rows: Vec<_> = draft.buckets.iter().filter(|(_, row)| row.change == change).collect();
        if rows.is_empty() {
            continue;
        }
        let tags: Vec<&[u8]> = rows.iter().map(|(tag, _)| tag.0.as_slice()).collect();
        let entries: Vec<Vec<u8>> = rows.iter().map(|(_, row)| encode_entries(&row.bucket)).collect();
        let untils: Vec<i64> = rows.iter().map(|(_, row)| row.until.unix_ms()).collect();
        let statement = transaction.prepare_cached(statement.sql).await?;
        transaction.execute(&statement, &[&tags, &entries, &untils]).await?;
    }
    let dropped = draft.buckets.iter().filter(|(_, row)| row.change == Change::Drop);
    let tags: Vec<&[u8]> = dropped.map(|(tag, _)| tag.0.as_slice()).collect();
    if !tags.is_empty() {
        let statement = transaction.prepare_cached(BUCKETS_DROP.sql).await?;
        transaction.execute(&statement, &[&tags]).await?;
    }
    Ok(())
}

pub(super) async fn openings(transaction: &Transaction<'_>, asks: &[Ask], draft: &Draft<'_>) -> Result<(), Error> {
    let opened: Vec<&Kept> = draft.kept.iter().filter(|kept| asks[kept.ask].is_opening()).collect();
    if opened.is_empty() {
        return Ok(());
    }
    let (messages, tally) =
        (transaction.prepare_cached(MESSAGES_ADD.sql).await?, transaction.prepare_cached(TALLY_ADD.sql).await?);
    let (columns, counted) = (Columns::of(asks, &opened), (opened.len() as u64).cast_signed());
    let values = columns.values();
    let told: [&(dyn ToSql + Sync); 1] = [&counted];
    let (added, tallied) = join!(transaction.execute(&messages, &values), transaction.execute(&tally, &told));
    added?;
    tallied?;
    Ok(())
}

/// The indexes of saves that lost.
pub(super) async fn saves(
    transaction: &Transaction<'_>,
    asks: &[Ask],
    draft: &Draft<'_>,
) -> Result<BTreeSet<usize>, Error> {
    let saved: Vec<&Kept> = draft.kept.iter().filter(|kept| !asks[kept.ask].is_opening()).collect();
    if saved.is_empty() {
        return Ok(BTreeSet::new());
    }
    let statement = transaction.prepare_cached(MESSAGES_SAVE.sql).await?;
    let rows = transaction.query(&statement, &Columns::of(asks, &saved).values()).await?;
    let won = rows.iter().map(|row| Ok(MessageId(row.try_get(0)?))).collect::<Result<BTreeSet<_>, Error>>()?;
    Ok(saved.iter().map(|kept| kept.ask).filter(|ask| !won.contains(&asks[*ask].message().id)).collect())
}

/// A message that lives, or that the sweep must look at again, has a row here. What was due before its writer's time of day
/// is due from then on: sweeps count on it (`floor`).
pub(super) async fn due(transaction: &Transaction<'_>, asks: &[Ask], draft: &Draft<'_>) -> Result<(), Error> {
    let kept = draft.kept.iter().map(|kept| &asks[kept.ask]);
    let (listed, dropped): (Vec<&Ask>, Vec<&Ask>) =
        kept.partition(|ask| ask.message().is_live() || ask.message().due.is_some());
    let (opened, saved): (Vec<&Ask>, Vec<&Ask>) = listed.into_iter().partition(|ask| ask.is_opening());
    let ids = |asks: &[&Ask]| -> Vec<Uuid> { asks.iter().map(|ask| ask.message().id.0).collect() };
    for (listed, statement) in [(opened, &DUE_ADD), (saved, &DUE_SET)] {
        if listed.is_empty() {
            continue;
        }
        let days: Vec<i32> = listed.iter().map(|ask| ask.day).collect();
        let dues: Vec<Option<i64>> = listed.iter().map(|ask| ask.due().map(Timestamp::unix_ms)).collect();
        let lives: Vec<bool> = listed.iter().map(|ask| ask.message().is_live()).collect();
        let statement = transaction.prepare_cached(statement.sql).await?;
        transaction.execute(&statement, &[&ids(&listed), &days, &dues, &lives]).await?;
    }
    if !dropped.is_empty() {
        let statement = transaction.prepare_cached(DUE_DROP.sql).await?;
        transaction.execute(&statement, &[&ids(&dropped)]).await?;
    }
    Ok(())
}

pub(super) async fn references(transaction: &Transaction<'_>, asks: &[Ask], draft: &Draft<'_>) -> Result<(), Error> {
    let mut rows: Vec<_> = draft.references.iter().collect();
    if rows.is_empty() {
        return Ok(());
    }
    rows.sort_by(|a, b| (&a.provider, &a.reference).cmp(&(&b.provider, &b.reference)));
    let providers: Vec<&str> = rows.iter().map(|row| row.provider.as_str()).collect();
    let references: Vec<&[u8]> = rows.iter().map(|row| row.reference.as_bytes()).collect();
    let days: Vec<i32> = rows.iter().map(|row| asks[row.ask].day).collect();
    let ids: Vec<Uuid> = rows.iter().map(|row| asks[row.ask].message().id.0).collect();
    let legs: Vec<i16> = rows.iter().map(|row| i16::from(row.leg)).collect();
    let statement = transaction.prepare_cached(REFERENCES_ADD.sql).await?;
    transaction.execute(&statement, &[&providers, &references, &days, &ids, &legs]).await?;
    Ok(())
}

pub(super) async fn journal(transaction: &Transaction<'_>, asks: &[Ask], draft: &Draft<'_>) -> Result<(), Error> {
    if draft.notes.is_empty() {
        return Ok(());
    }
    let asked = || draft.notes.iter().map(|notes| &asks[notes.ask]);
    let days: Vec<i32> = asked().map(|ask| ask.day).collect();
    let ids: Vec<Uuid> = asked().map(|ask| ask.message().id.0).collect();
    let versions: Vec<i64> = asked().map(|ask| ask.message().version.cast_signed()).collect();
    let ats: Vec<i64> = draft.notes.iter().map(|notes| notes.at).collect();
    let texts: Vec<&str> = draft.notes.iter().map(|notes| notes.text.as_str()).collect();
    let statement = transaction.prepare_cached(JOURNAL_ADD.sql).await?;
    transaction.execute(&statement, &[&days, &ids, &versions, &ats, &texts]).await?;
    Ok(())
}

/// Messages as arrays.
struct Columns<'a> {
    days: Vec<i32>,
    ids: Vec<Uuid>,
    versions: Vec<i64>,
    ended: Vec<Option<i64>>,
    bodies: Vec<&'a [u8]>,
}

impl<'a> Columns<'a> {
    fn of(asks: &'a [Ask], kept: &[&Kept]) -> Self {
        let asked = || kept.iter().map(|kept| &asks[kept.ask]);
        Self {
            days: asked().map(|ask| ask.day).collect(),
            ids: asked().map(|ask| ask.message().id.0).collect(),
            versions: asked().map(|ask| ask.message().version.cast_signed()).collect(),
            ended: kept.iter().map(|kept| kept.ended_at).collect(),
            bodies: asked().map(|ask| ask.body.as_slice()).collect(),
        }
    }

    fn values(&self) -> [&(dyn ToSql + Sync); 5] {
        [&self.days, &self.ids, &self.versions, &self.ended, &self.bodies]
    }
}
