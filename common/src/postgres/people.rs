//! What people, gauges and settings ask: one statement each, on connections of their own, under the statement timeout, and
//! waited for no longer than any other exchange.

use std::ops::Range;

use deadpool_postgres::Client;
use tokio_postgres::SimpleQueryMessage;

use super::days::{OTHER, day_at, days_of};
use super::exchange::{Effect, Exchanges};
use super::floor::Floors;
use super::statements::{COUNTS, HOT};
use super::trouble::Trouble;
use super::{Lasting, PEOPLE_POOL_SIZE, Plan};
use crate::message::{Message, MessageId, Tag};
use crate::store::{Counts, JournalEntry, StoreError};
use crate::time::Timestamp;
use crate::wire::{decode_notes, decode_row};

pub(super) async fn journal(people: &Exchanges, id: MessageId) -> Result<Vec<JournalEntry>, StoreError> {
    let sql = "SELECT notes FROM message WHERE day = ANY($1) AND id = $2";
    let row = people
        .ask(Effect::Reads, async |client| client.query_opt(sql, &[&days_of(id).collect::<Vec<_>>(), &id.0]).await)
        .await?;
    let entries = row.map_or(Ok(Vec::new()), |row| decode_notes(row.get(0)));
    entries.map_err(|error| StoreError::Refused { why: error.to_string() })
}

/// A tag lies in a row as it is; rows of version 1 have it in hex and are not found. Of the partitions only those of `made` are
/// looked into, by the index of their ids, and the one of ids that say a day of another time, beside which lie those that say none:
/// the fifteenth sign tells the kind of a UUID.
pub(super) async fn of_number(
    people: &Exchanges,
    number: Tag,
    made: Range<Timestamp>,
    limit: usize,
) -> Result<Vec<Message>, StoreError> {
    let sql = "SELECT body FROM message
               WHERE (day BETWEEN $1 AND $2 OR day = $7 AND substring(id::text FROM 15 FOR 1) = '7')
                     AND id >= $3 AND id < $4 AND position($5::bytea IN body) > 0
               ORDER BY id DESC LIMIT $6";
    let [first, last] = [made.start, made.end].map(|at| day_at(at).max(OTHER + 1));
    let [from, to] = [made.start, made.end].map(|at| MessageId::bound(at).0);
    let (tag, limit) = (number.0.as_slice(), i64::try_from(limit).unwrap_or(i64::MAX));
    let ask = async |client: &mut Client| client.query(sql, &[&first, &last, &from, &to, &tag, &limit, &OTHER]).await;
    let rows = people.ask(Effect::Reads, ask).await?;
    let readable = rows.iter().filter_map(|row| {
        // The others are found all the same.
        decode_row(row.get(0)).inspect_err(|error| tracing::error!(%error, "a message cannot be read")).ok()
    });
    Ok(readable.collect())
}

/// Ended messages are all that came and did not go, less those that live: nothing walks over the messages themselves.
pub(super) async fn counts(people: &Exchanges, now: Timestamp, floors: &Floors) -> Result<Counts, StoreError> {
    let [live, ended] = [&floors.live, &floors.ended].map(|floor| floor.known().unix_ms());
    let query = async |client: &mut Client| client.query_one(COUNTS.sql, &[&now.unix_ms(), &live, &ended]).await;
    let row = people.ask(Effect::Reads, query).await?;
    let count = |column: usize| row.get::<_, i64>(column).cast_unsigned();
    let waited_ms = |column: usize| {
        let oldest = row.get::<_, Option<i64>>(column);
        oldest.map_or(0, |at| now.since_ms(Timestamp::from_unix_ms(at)))
    };
    Ok(Counts {
        live: count(1),
        ended: count(0).saturating_sub(count(1)),
        due: count(2),
        inbox: count(4),
        oldest_due_ms: waited_ms(3),
        oldest_inbox_ms: waited_ms(5),
    })
}

pub(super) async fn setting_put(people: &Exchanges, name: &str, value: Option<&str>) -> Result<(), StoreError> {
    let set = async |client: &mut Client| match value {
        Some(value) => {
            let sql = "INSERT INTO setting (name, value) VALUES ($1, $2)
                       ON CONFLICT (name) DO UPDATE SET value = excluded.value";
            client.execute(sql, &[&name.as_bytes(), &value.as_bytes()]).await
        }
        None => client.execute("DELETE FROM setting WHERE name = $1", &[&name.as_bytes()]).await,
    };
    people.ask(Effect::Writes, set).await.map(drop)
}

pub(super) async fn setting(people: &Exchanges, name: &str) -> Result<Option<String>, StoreError> {
    let sql = "SELECT value FROM setting WHERE name = $1";
    let look = async |client: &mut Client| {
        client.query_opt(sql, &[&name.as_bytes()]).await.map_err(|error| Trouble::at_commit(&error))
    };
    let found = people.once(Effect::Reads, look).await.map_err(|trouble| match trouble {
        Trouble::Crowded { .. } => StoreError::Full { what: "the pool for people", limit: PEOPLE_POOL_SIZE as u64 },
        known @ (Trouble::Lost { .. }
        | Trouble::Raced { .. }
        | Trouble::Row { .. }
        | Trouble::Unavailable { .. }
        | Trouble::ReadOnly { .. }
        | Trouble::Unknown { .. }) => known.into(),
    })?;
    found.map(|row| utf8(row.get(0))).transpose()
}

pub(super) async fn settings(people: &Exchanges, prefix: &str) -> Result<Vec<(String, String)>, StoreError> {
    let sql = "SELECT name, value FROM setting WHERE name >= $1 AND substring(name FOR length($1)) = $1 ORDER BY name";
    let found = people.ask(Effect::Reads, async |client| client.query(sql, &[&prefix.as_bytes()]).await).await?;
    found.iter().map(|row| Ok((utf8(row.get(0))?, utf8(row.get(1))?))).collect()
}

fn utf8(bytes: Vec<u8>) -> Result<String, StoreError> {
    String::from_utf8(bytes).map_err(|error| StoreError::Refused { why: format!("a setting cannot be read: {error}") })
}

pub(super) async fn server_time(people: &Exchanges) -> Result<Timestamp, StoreError> {
    let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
    let row = people.ask(Effect::Reads, async |client| client.query_one(sql, &[]).await).await?;
    Ok(Timestamp::from_unix_ms(row.get(0)))
}

pub(super) async fn lasting(people: &Exchanges) -> Result<Lasting, StoreError> {
    let sql = "SELECT current_setting('fsync') = 'on', current_setting('full_page_writes') = 'on',
                      current_setting('synchronous_standby_names') <> ''";
    let row = people.ask(Effect::Reads, async |client| client.query_one(sql, &[]).await).await?;
    let [fsync, full_page_writes, synchronous_standby] = [0, 1, 2].map(|column| row.get(column));
    Ok(Lasting { fsync, full_page_writes, synchronous_standby })
}

pub(super) async fn plans(hot: &Exchanges) -> Result<Vec<Plan>, StoreError> {
    let mut plans = Vec::with_capacity(HOT.len() + 1);
    for statement in HOT.into_iter().chain([&COUNTS]) {
        let explain = async |client: &mut Client| {
            let prepared = client.prepare_cached(statement.sql).await?;
            let nothing = vec!["NULL"; prepared.params().len()].join(", ");
            let sql = format!(
                "PREPARE explained AS {}; EXPLAIN EXECUTE explained ({nothing}); DEALLOCATE explained",
                statement.sql
            );
            client.simple_query(&sql).await
        };
        let lines = hot.ask(Effect::Reads, explain).await?;
        let text: Vec<&str> = lines
            .iter()
            .filter_map(|line| if let SimpleQueryMessage::Row(row) = line { row.get(0) } else { None })
            .collect();
        plans.push(Plan { statement: statement.name, text: text.join("\n") });
    }
    Ok(plans)
}
