//! What a group reads before the rules are applied: everything they may want to see, locked where it may change.

use std::collections::BTreeSet;

use deadpool_postgres::Transaction;
use tokio_postgres::Error;
use uuid::Uuid;

use super::Ask;
use crate::message::{MessageId, Tag};
use crate::postgres::days::day_of;
use crate::postgres::draft::{BucketRow, Change, ClaimRow, Draft, Holder, decode_entries, tag};
use crate::postgres::statements::{BUCKETS_LOCK, CLAIMS_LOCK, MESSAGES_LOAD, MESSAGES_LOCK};
use crate::time::Timestamp;

pub(super) async fn look(transaction: &Transaction<'_>, asks: &[Ask], draft: &mut Draft<'_>) -> Result<(), Error> {
    claims(transaction, asks, draft).await?;
    buckets(transaction, asks, draft).await?;
    bodies(transaction, asks, draft).await?;
    versions(transaction, asks, draft).await
}

async fn claims(transaction: &Transaction<'_>, asks: &[Ask], draft: &mut Draft<'_>) -> Result<(), Error> {
    let keys: BTreeSet<(i16, Tag)> = asks.iter().flat_map(Ask::claim_keys).collect();
    if keys.is_empty() {
        return Ok(());
    }
    let (kinds, tags): (Vec<i16>, Vec<&[u8]>) = keys.iter().map(|(kind, tag)| (*kind, tag.0.as_slice())).unzip();
    let statement = transaction.prepare_cached(CLAIMS_LOCK.sql).await?;
    for row in transaction.query(&statement, &[&kinds, &tags]).await? {
        let (by, until) = (MessageId(row.try_get(3)?), Timestamp::from_unix_ms(row.try_get(4)?));
        let holder = Holder { by, fingerprint: tag(row.try_get(2)?), until };
        draft.claims.insert((row.try_get(0)?, tag(row.try_get(1)?)), ClaimRow { holder, change: Change::Nothing });
    }
    Ok(())
}

async fn buckets(transaction: &Transaction<'_>, asks: &[Ask], draft: &mut Draft<'_>) -> Result<(), Error> {
    let keys: BTreeSet<Tag> = asks.iter().flat_map(Ask::bucket_tags).collect();
    if keys.is_empty() {
        return Ok(());
    }
    let tags: Vec<&[u8]> = keys.iter().map(|tag| tag.0.as_slice()).collect();
    let statement = transaction.prepare_cached(BUCKETS_LOCK.sql).await?;
    for row in transaction.query(&statement, &[&tags]).await? {
        let (bucket, until) = (decode_entries(row.try_get(1)?), Timestamp::from_unix_ms(0));
        draft.buckets.insert(tag(row.try_get(0)?), BucketRow { bucket, until, change: Change::Nothing });
    }
    Ok(())
}

/// Repeats, and holders of claims: read after the claims are locked, so that a holder that has ended is seen as ended.
async fn bodies(transaction: &Transaction<'_>, asks: &[Ask], draft: &mut Draft<'_>) -> Result<(), Error> {
    let openings = asks.iter().filter(|ask| ask.is_opening()).map(|ask| ask.message().id);
    let wanted: BTreeSet<MessageId> = openings.chain(draft.claims.values().map(|row| row.holder.by)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let (days, ids) = places(wanted.into_iter());
    let statement = transaction.prepare_cached(MESSAGES_LOAD.sql).await?;
    for row in transaction.query(&statement, &[&days, &ids]).await? {
        draft.bodies.insert(MessageId(row.try_get(0)?), row.try_get(1)?);
    }
    Ok(())
}

async fn versions(transaction: &Transaction<'_>, asks: &[Ask], draft: &mut Draft<'_>) -> Result<(), Error> {
    let paying = asks.iter().filter(|ask| !ask.is_opening() && ask.touches_buckets());
    let (days, ids) = places(paying.map(|ask| ask.message().id));
    if ids.is_empty() {
        return Ok(());
    }
    let statement = transaction.prepare_cached(MESSAGES_LOCK.sql).await?;
    for row in transaction.query(&statement, &[&days, &ids]).await? {
        draft.locked.insert(MessageId(row.try_get(0)?), row.try_get::<_, i64>(1)?.cast_unsigned());
    }
    Ok(())
}

fn places(ids: impl Iterator<Item = MessageId>) -> (Vec<i32>, Vec<Uuid>) {
    ids.map(|id| (day_of(id), id.0)).unzip()
}
