//! Keeping the tables small: rows whose time is over, in batches that wait for nobody.
//!
//! Messages go by whole days where there are many (`retention`), and one by one where there are few: in small partitions,
//! and among ids that say no day or one of another time.

mod retention;

use deadpool_postgres::Client;
use tokio_postgres::Error;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::PostgresSettings;
use super::days::{Days, OTHER, day_at};
use super::exchange::{Effect, Exchanges};
use crate::store::StoreError;
use crate::time::Timestamp;
use retention::attached_days;

/// A day's table that is larger goes as a whole, and so up to two days later.
const SMALL_DAY_BYTES_MAX: i64 = 64 * 1024 * 1024;

#[derive(Clone, Copy, Debug)]
pub(super) struct Pruning {
    pub(super) now: Timestamp,
    pub(super) ended_before: Timestamp,
    pub(super) inbox_before: Timestamp,
    pub(super) limit: usize,
}

/// Safe to run twice and by many at once: everybody passes over what another has locked.
pub(super) async fn prune(
    people: &Exchanges,
    settings: &PostgresSettings,
    days: &Days,
    pruning: &Pruning,
) -> Result<usize, StoreError> {
    people.ask(Effect::Writes, async |client| days.ensure_ahead(client, pruning.now).await).await?;
    let mut gone = 0;
    if days.is_time_to_look(pruning.now) {
        gone += retention::drop_days(settings, days, pruning.ended_before).await?;
    }
    gone += messages(people, pruning).await?;
    gone += rows(people, pruning).await?;
    Ok(usize::try_from(gone).unwrap_or(usize::MAX))
}

async fn messages(people: &Exchanges, pruning: &Pruning) -> Result<u64, StoreError> {
    let last_day = day_at(pruning.ended_before);
    let mut left = limit(pruning);
    let mut gone = 0;
    for day in people.ask(Effect::Reads, async |client| attached_days(client).await).await? {
        let small = day.number == OTHER || day.bytes <= SMALL_DAY_BYTES_MAX;
        if small && day.number <= last_day && left > 0 {
            let delete =
                async |client: &mut Client| messages_of_day(client, day.number, pruning.ended_before, left).await;
            let deleted = people.ask(Effect::Writes, delete).await?;
            left -= deleted;
            gone += deleted.cast_unsigned();
        }
    }
    Ok(gone)
}

/// The messages with all that belongs to them, in one transaction.
async fn messages_of_day(client: &mut Client, day: i32, ended_before: Timestamp, limit: i64) -> Result<i64, Error> {
    let transaction = client.transaction().await?;
    let sql = "WITH over AS (
                   SELECT id FROM message WHERE day = $1 AND ended_at < $2 LIMIT $3 FOR UPDATE SKIP LOCKED
               )
               DELETE FROM message WHERE day = $1 AND id IN (SELECT id FROM over) RETURNING id";
    let rows = transaction.query(sql, &[&day, &ended_before.unix_ms(), &limit]).await?;
    let ids: Vec<Uuid> = rows.iter().map(|row| row.get(0)).collect();
    let count = i64::try_from(ids.len()).unwrap_or(i64::MAX);
    if count > 0 {
        transaction.execute("DELETE FROM due WHERE id = ANY($1)", &[&ids]).await?;
        transaction.execute("DELETE FROM reference WHERE day = $1 AND id = ANY($2)", &[&day, &ids]).await?;
        transaction.execute("INSERT INTO tally (messages) VALUES ($1)", &[&-count]).await?;
    }
    transaction.commit().await?;
    Ok(count)
}

async fn rows(people: &Exchanges, pruning: &Pruning) -> Result<u64, StoreError> {
    let (now, limit) = (pruning.now.unix_ms(), limit(pruning));
    let claims = "DELETE FROM claim WHERE ctid = ANY(ARRAY(
                      SELECT ctid FROM claim WHERE until <= $1 ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED))";
    let buckets = "DELETE FROM bucket WHERE ctid = ANY(ARRAY(
                       SELECT ctid FROM bucket WHERE over_hour <= $1::bigint / 3600000 AND over_at <= $1 LIMIT $2
                       FOR UPDATE SKIP LOCKED))";
    let inbox = "DELETE FROM inbox WHERE ctid = ANY(ARRAY(
                     SELECT ctid FROM inbox WHERE at < $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED))";
    let mut gone = run(people, claims, &[&now, &limit]).await?;
    gone += run(people, buckets, &[&now, &limit]).await?;
    gone += run(people, inbox, &[&pruning.inbox_before.unix_ms(), &limit]).await?;
    // What is left of days that went as a whole, and sums of sums: nobody misses these rows.
    let references = "DELETE FROM reference WHERE ctid = ANY(ARRAY(
                          SELECT ctid FROM reference WHERE day > $1 AND day < $2 LIMIT $3 FOR UPDATE SKIP LOCKED))";
    let days = people.ask(Effect::Reads, async |client| attached_days(client).await).await?;
    if let Some(oldest) = days.iter().map(|day| day.number).find(|day| *day != OTHER) {
        run(people, references, &[&OTHER, &oldest, &limit]).await?;
    }
    let tally = "WITH gone AS (DELETE FROM tally RETURNING messages)
                 INSERT INTO tally (messages) SELECT sum(messages)::bigint FROM gone HAVING count(*) > 0";
    run(people, tally, &[]).await?;
    Ok(gone)
}

async fn run(people: &Exchanges, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<u64, StoreError> {
    people.ask(Effect::Writes, async |client| client.execute(sql, values).await).await
}

fn limit(pruning: &Pruning) -> i64 {
    i64::try_from(pruning.limit).unwrap_or(i64::MAX)
}
