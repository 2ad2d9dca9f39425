//! What people, gauges and settings ask: one statement each, on connections of their own, under the statement timeout.

use deadpool_postgres::{Client, Pool};
use tokio_postgres::{Error, SimpleQueryMessage};

use super::Plan;
use super::days::day_of;
use super::floor::Floors;
use super::session::unpooled;
use super::statements::HOT;
use super::trouble::Trouble;
use crate::message::MessageId;
use crate::store::{Counts, JournalEntry, StoreError};
use crate::time::Timestamp;
use crate::wire::decode_notes;

pub(super) async fn connection(pool: &Pool) -> Result<Client, StoreError> {
    pool.get().await.map_err(|error| StoreError::Unavailable { why: unpooled(&error) })
}

pub(super) async fn journal(pool: &Pool, id: MessageId) -> Result<Vec<JournalEntry>, StoreError> {
    let client = connection(pool).await?;
    let sql = "SELECT notes FROM message WHERE day = $1 AND id = $2";
    let row = client.query_opt(sql, &[&day_of(id), &id.0]).await.map_err(failed)?;
    let entries = row.map_or(Ok(Vec::new()), |row| decode_notes(row.get(0)));
    entries.map_err(|error| StoreError::Refused { why: error.to_string() })
}

/// Ended messages are all that came and did not go, less those that live: nothing walks over the messages themselves.
pub(super) async fn counts(pool: &Pool, now: Timestamp, floors: &Floors) -> Result<Counts, StoreError> {
    let client = connection(pool).await?;
    let sql = "SELECT (SELECT coalesce(sum(messages), 0)::bigint FROM tally), (SELECT count(*) FROM due WHERE live),
                      (SELECT count(*) FROM due WHERE live AND due_at >= $2 AND due_at <= $1)
                      + (SELECT count(*) FROM due WHERE NOT live AND due_at >= $3 AND due_at <= $1),
                      least((SELECT min(due_at) FROM due WHERE live AND due_at >= $2),
                            (SELECT min(due_at) FROM due WHERE NOT live AND due_at >= $3)),
                      (SELECT count(*) FROM inbox), (SELECT min(at) FROM inbox)";
    let [live, ended] = [&floors.live, &floors.ended].map(|floor| floor.known().unix_ms());
    let row = client.query_one(sql, &[&now.unix_ms(), &live, &ended]).await.map_err(failed)?;
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

pub(super) async fn setting_put(pool: &Pool, name: &str, value: Option<&str>) -> Result<(), StoreError> {
    let client = connection(pool).await?;
    let done = match value {
        Some(value) => {
            let sql = "INSERT INTO setting (name, value) VALUES ($1, $2)
                       ON CONFLICT (name) DO UPDATE SET value = excluded.value";
            client.execute(sql, &[&name.as_bytes(), &value.as_bytes()]).await
        }
        None => client.execute("DELETE FROM setting WHERE name = $1", &[&name.as_bytes()]).await,
    };
    done.map(drop).map_err(failed)
}

pub(super) async fn setting(pool: &Pool, name: &str) -> Result<Option<String>, StoreError> {
    let client = connection(pool).await?;
    let sql = "SELECT value FROM setting WHERE name = $1";
    let found = client.query_opt(sql, &[&name.as_bytes()]).await.map_err(failed)?;
    found.map(|row| utf8(row.get(0))).transpose()
}

pub(super) async fn settings(pool: &Pool, prefix: &str) -> Result<Vec<(String, String)>, StoreError> {
    let client = connection(pool).await?;
    let sql = "SELECT name, value FROM setting WHERE name >= $1 AND substring(name FOR length($1)) = $1 ORDER BY name";
    let found = client.query(sql, &[&prefix.as_bytes()]).await.map_err(failed)?;
    found.iter().map(|row| Ok((utf8(row.get(0))?, utf8(row.get(1))?))).collect()
}

fn utf8(bytes: Vec<u8>) -> Result<String, StoreError> {
    String::from_utf8(bytes).map_err(|error| StoreError::Refused { why: format!("a setting cannot be read: {error}") })
}

pub(super) async fn server_time(pool: &Pool) -> Result<Timestamp, StoreError> {
    let client = connection(pool).await?;
    let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
    let row = client.query_one(sql, &[]).await.map_err(failed)?;
    Ok(Timestamp::from_unix_ms(row.get(0)))
}

pub(super) async fn plans(pool: &Pool) -> Result<Vec<Plan>, StoreError> {
    let mut plans = Vec::with_capacity(HOT.len());
    for statement in HOT {
        let client = connection(pool).await?;
        let prepared = client.prepare_cached(statement.sql).await.map_err(failed)?;
        let nothing = vec!["NULL"; prepared.params().len()].join(", ");
        let sql = format!(
            "PREPARE explained AS {}; EXPLAIN EXECUTE explained ({nothing}); DEALLOCATE explained",
            statement.sql
        );
        let lines = client.simple_query(&sql).await.map_err(failed)?;
        let text: Vec<&str> = lines
            .iter()
            .filter_map(|line| if let SimpleQueryMessage::Row(row) = line { row.get(0) } else { None })
            .collect();
        plans.push(Plan { statement: statement.name, text: text.join("\n") });
    }
    Ok(plans)
}

/// Of one statement that commits by itself.
#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` takes")]
pub(super) fn failed(error: Error) -> StoreError {
    Trouble::at_commit(&error).into()
}
