//! Retention by whole days: a partition that holds nothing to keep is detached and dropped, without stopping anybody.
//!
//! Detaching concurrently waits for who reads the table, and only so long; one that was given up half-way is finished the
//! next time. A table that is detached and not yet dropped is found by its name.

use tokio::time::timeout;
use tokio_postgres::{Client, Error};

use crate::postgres::PostgresSettings;
use crate::postgres::days::{DAY_MS, Days, OTHER, table};
use crate::postgres::exchange::{patience, silence};
use crate::postgres::session::{UPKEEP_TIMEOUT_MS, probe};
use crate::postgres::trouble::Trouble;
use crate::store::StoreError;
use crate::time::Timestamp;

/// Days between the one that is dropped and the last to keep: messages may end long after they came.
const SLACK_DAYS: i64 = 1;
/// Who holds it drops partitions; making new ones does not wait for it.
const DROP_LOCK: i64 = 0x6f74_6f64_6f6b_6503;

pub(super) struct AttachedDay {
    pub(super) number: i32,
    pub(super) bytes: i64,
}

/// The days that have a partition of messages, oldest first.
pub(super) async fn attached_days(client: &Client) -> Result<Vec<AttachedDay>, Error> {
    let sql = "SELECT substring(pg_get_expr(c.relpartbound, c.oid) FROM '\\((\\d+)\\)')::integer AS day,
                      pg_relation_size(c.oid)
               FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
               WHERE i.inhparent = 'message'::regclass AND NOT i.inhdetachpending ORDER BY day";
    let rows = client.query(sql, &[]).await?;
    Ok(rows.iter().map(|row| AttachedDay { number: row.get(0), bytes: row.get(1) }).collect())
}

/// How many messages went. On a connection of its own: it may take long, and holds a lock of its session.
pub(super) async fn drop_days(
    settings: &PostgresSettings,
    days: &Days,
    ended_before: Timestamp,
) -> Result<u64, StoreError> {
    let client = probe(settings).await.map_err(|error| StoreError::Unavailable { why: error.to_string() })?;
    let patience = patience(UPKEEP_TIMEOUT_MS);
    let silent = |_| StoreError::UnknownOutcome { why: silence(patience) };
    let dropped = timeout(patience, drop_over(client, days, ended_before)).await.map_err(silent)?;
    dropped.map_err(|error| Trouble::at_commit(&error).into())
}

async fn drop_over(mut client: Client, days: &Days, ended_before: Timestamp) -> Result<u64, Error> {
    let locked = client.query_one("SELECT pg_try_advisory_lock($1)", &[&DROP_LOCK]).await?;
    if !locked.get::<_, bool>(0) {
        return Ok(0);
    }
    finish_detaching(&client).await?;
    for day in attached_days(&client).await? {
        let over_at = (i64::from(day.number) + 1 + SLACK_DAYS) * DAY_MS;
        if day.number == OTHER || over_at > ended_before.unix_ms() {
            continue;
        }
        if !holds_something(&client, day.number, ended_before).await? {
            detach(&client, day.number).await?;
            days.forget([day.number]);
        }
    }
    drop_detached(&mut client).await
}

async fn holds_something(client: &Client, day: i32, ended_before: Timestamp) -> Result<bool, Error> {
    let table = table(day);
    let sql = format!("SELECT EXISTS (SELECT FROM {table} WHERE ended_at IS NULL OR ended_at >= $1)");
    Ok(client.query_one(&sql, &[&ended_before.unix_ms()]).await?.get(0))
}

async fn detach(client: &Client, day: i32) -> Result<(), Error> {
    client.execute("DELETE FROM due WHERE day = $1", &[&day]).await?;
    client.batch_execute(&format!("ALTER TABLE message DETACH PARTITION {} CONCURRENTLY", table(day))).await
}

async fn finish_detaching(client: &Client) -> Result<(), Error> {
    let sql = "SELECT inhrelid::regclass::text FROM pg_inherits
               WHERE inhparent = 'message'::regclass AND inhdetachpending";
    for row in client.query(sql, &[]).await? {
        let table: String = row.get(0);
        client.batch_execute(&format!("ALTER TABLE message DETACH PARTITION {table} FINALIZE")).await?;
    }
    Ok(())
}

/// The tally changes with the drop, so that a program that dies in between has counted nothing twice.
async fn drop_detached(client: &mut Client) -> Result<u64, Error> {
    let sql = "SELECT c.oid::regclass::text FROM pg_class c
               WHERE c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'message'::regclass)
                 AND c.relkind = 'r' AND c.relname ~ '^message_[0-9]{4}_[0-9]{2}_[0-9]{2}$'
                 AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid)";
    let mut gone = 0;
    for row in client.query(sql, &[]).await? {
        let table: String = row.get(0);
        let transaction = client.transaction().await?;
        let count: i64 = transaction.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await?.get(0);
        transaction.execute("INSERT INTO tally (messages) VALUES ($1)", &[&-count]).await?;
        gone += count.cast_unsigned();
        transaction.batch_execute(&format!("DROP TABLE {table}")).await?;
        transaction.commit().await?;
        tracing::info!(table, "a day was dropped");
    }
    Ok(gone)
}
