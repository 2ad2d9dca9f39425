//! What a group reads before the rules are applied: everything they may want to see, locked where it may change.
//!
//! The statements go to the server in one go, and it works them off in their order: claims are locked before buckets, and
//! both before messages. Only the first group of a connection, which prepares them, may come in another order.

use std::collections::{BTreeMap, BTreeSet};

use deadpool_postgres::Transaction;
use tokio::join;
use tokio_postgres::Error;
use uuid::Uuid;

use super::{Ask, Repeats};
use crate::message::{MessageId, Tag};
use crate::postgres::draft::{BucketRow, Change, ClaimRow, Draft, Holder, decode_entries, tag};
use crate::postgres::read::places;
use crate::postgres::statements::{BUCKETS_LOCK, BUCKETS_LOOK, CLAIMS_LOCK, MESSAGES_LOAD, MESSAGES_LOCK, Statement};
use crate::time::Timestamp;

type Bodies = BTreeMap<MessageId, Vec<u8>>;

pub(super) async fn look(
    transaction: &Transaction<'_>,
    asks: &[Ask],
    repeats: Repeats,
    draft: &mut Draft<'_>,
) -> Result<(), Error> {
    let looked_for = |ask: &&Ask| ask.is_opening() && repeats == Repeats::LookedFor;
    let openings = asks.iter().filter(looked_for).map(|ask| ask.message().id).collect();
    let paid: BTreeSet<Tag> = asks.iter().flat_map(Ask::paid_buckets).collect();
    let looked_into = asks.iter().flat_map(Ask::looked_buckets).filter(|tag| !paid.contains(tag)).collect();
    let (claims, buckets, only_seen, repeats, versions) = join!(
        biased;
        claims(transaction, asks),
        buckets(transaction, &BUCKETS_LOCK, &paid),
        buckets(transaction, &BUCKETS_LOOK, &looked_into),
        bodies(transaction, openings),
        versions(transaction, asks),
    );
    (draft.claims, draft.buckets, draft.bodies, draft.locked) = (claims?, buckets?, repeats?, versions?);
    draft.buckets.extend(only_seen?);
    // Read after the claims are locked, so that a holder that has ended is seen as ended.
    let holders = draft.claims.values().map(|row| row.holder.by).filter(|by| !draft.bodies.contains_key(by)).collect();
    draft.bodies.extend(bodies(transaction, holders).await?);
    Ok(())
}

async fn claims(transaction: &Transaction<'_>, asks: &[Ask]) -> Result<BTreeMap<(i16, Tag), ClaimRow>, Error> {
    let keys: BTreeSet<(i16, Tag)> = asks.iter().flat_map(Ask::claim_keys).collect();
    let mut found = BTreeMap::new();
    if keys.is_empty() {
        return Ok(found);
    }
    let (kinds, tags): (Vec<i16>, Vec<&[u8]>) = keys.iter().map(|(kind, tag)| (*kind, tag.0.as_slice())).unzip();
    let statement = transaction.prepare_cached(CLAIMS_LOCK.sql).await?;
    for row in transaction.query(&statement, &[&kinds, &tags]).await? {
        let (by, until) = (MessageId(row.try_get(3)?), Timestamp::from_unix_ms(row.try_get(4)?));
        let holder = Holder { by, fingerprint: tag(row.try_get(2)?), until };
        found.insert((row.try_get(0)?, tag(row.try_get(1)?)), ClaimRow { holder, change: Change::Nothing });
    }
    Ok(found)
}

async fn buckets(
    transaction: &Transaction<'_>,
    statement: &Statement,
    keys: &BTreeSet<Tag>,
) -> Result<BTreeMap<Tag, BucketRow>, Error> {
    let mut found = BTreeMap::new();
    if keys.is_empty() {
        return Ok(found);
    }
    let tags: Vec<&[u8]> = keys.iter().map(|tag| tag.0.as_slice()).collect();
    let statement = transaction.prepare_cached(statement.sql).await?;
    for row in transaction.query(&statement, &[&tags]).await? {
        let (bucket, until) = (decode_entries(row.try_get(1)?), Timestamp::from_unix_ms(0));
        found.insert(tag(row.try_get(0)?), BucketRow { bucket, until, change: Change::Nothing });
    }
    Ok(found)
}

/// Repeats, and holders of claims.
pub(super) async fn bodies(transaction: &Transaction<'_>, wanted: BTreeSet<MessageId>) -> Result<Bodies, Error> {
    if wanted.is_empty() {
        return Ok(Bodies::new());
    }
    let (days, ids) = places(wanted.into_iter());
    let statement = transaction.prepare_cached(MESSAGES_LOAD.sql).await?;
    let rows = transaction.query(&statement, &[&days, &ids]).await?;
    rows.iter().map(|row| Ok((MessageId(row.try_get(0)?), row.try_get(1)?))).collect()
}

async fn versions(transaction: &Transaction<'_>, asks: &[Ask]) -> Result<BTreeMap<MessageId, u64>, Error> {
    let saves = asks.iter().filter(|ask| !ask.is_opening());
    let (days, ids): (Vec<i32>, Vec<Uuid>) = saves.map(|ask| (ask.day, ask.message().id.0)).unzip();
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let statement = transaction.prepare_cached(MESSAGES_LOCK.sql).await?;
    let rows = transaction.query(&statement, &[&days, &ids]).await?;
    rows.iter().map(|row| Ok((MessageId(row.try_get(0)?), row.try_get::<_, i64>(1)?.cast_unsigned()))).collect()
}
