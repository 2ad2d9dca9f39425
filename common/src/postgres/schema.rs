//! The schema and its history: plain SQL files, applied in their order, once, whoever comes first.
//!
//! The table `schema` says for each version the oldest program that may still run on it, so that programs can be replaced
//! one by one while the newer schema is in place already.

use tokio_postgres::Client;

use super::error::PostgresError;
use super::trouble::{passes, said};

struct Migration {
    version: i32,
    /// Programs that know this version of the schema, or a newer one, may run on it.
    oldest_program: i32,
    name: &'static str,
    sql: &'static str,
}

const MIGRATIONS: [Migration; 4] = [
    Migration { version: 1, oldest_program: 1, name: "rows", sql: include_str!("../../../migrations/0001_rows.sql") },
    // With it came rows that older programs cannot read.
    Migration {
        version: 2,
        oldest_program: 2,
        name: "references",
        sql: include_str!("../../../migrations/0002_references.sql"),
    },
    // The journal's table is gone.
    Migration { version: 3, oldest_program: 3, name: "notes", sql: include_str!("../../../migrations/0003_notes.sql") },
    Migration {
        version: 4,
        oldest_program: 3,
        name: "live first",
        sql: include_str!("../../../migrations/0004_live_first.sql"),
    },
];

/// The schema this program is written for.
const KNOWN: i32 = MIGRATIONS[MIGRATIONS.len() - 1].version;
/// One number for every program of Otodoke: who holds it, migrates.
const MIGRATION_LOCK: i64 = 0x6f74_6f64_6f6b_6501;
/// For the tables that a migration changes: whoever uses them lets them go sooner.
const TABLE_LOCK_WAIT_MS: u64 = 60_000;
/// For whoever migrates before us, and for each statement of our own: some rewrite all rows that there are.
const MIGRATION_MS_MAX: u64 = 6 * 3_600_000;

struct Found {
    version: i32,
    oldest_program: i32,
}

/// Whether this program may run on what is there.
pub(super) async fn check(client: &Client) -> Result<(), PostgresError> {
    let found = found(client).await?.ok_or(PostgresError::NoSchema)?;
    newer(&found)?;
    if found.version < KNOWN {
        return Err(PostgresError::SchemaOlder { found: found.version, needed: KNOWN });
    }
    Ok(())
}

/// Of a database that has no schema yet. One that is there stays as it is, whatever its version.
pub(super) async fn begin(client: &mut Client) -> Result<(), PostgresError> {
    match found(client).await? {
        Some(_) => Ok(()),
        None => migrate(client).await,
    }
}

/// The lock ends with the session, so that a program that dies in between leaves nothing locked. Each version is one
/// transaction: after a failure the next try goes on where this one stopped.
pub(super) async fn migrate(client: &mut Client) -> Result<(), PostgresError> {
    let wait = format!("SET lock_timeout = {MIGRATION_MS_MAX}; SET statement_timeout = {MIGRATION_MS_MAX}");
    client.batch_execute(&wait).await.map_err(|error| broken(&error))?;
    client.query_one("SELECT pg_advisory_lock($1)", &[&MIGRATION_LOCK]).await.map_err(|error| broken(&error))?;
    let version = match found(client).await? {
        Some(found) => {
            newer(&found)?;
            found.version
        }
        None => 0,
    };
    for migration in MIGRATIONS.iter().filter(|migration| migration.version > version) {
        apply(client, migration).await.map_err(|error| broken(&error))?;
        tracing::info!(version = migration.version, name = migration.name, "the schema was migrated");
    }
    Ok(())
}

async fn apply(client: &mut Client, migration: &Migration) -> Result<(), tokio_postgres::Error> {
    let transaction = client.transaction().await?;
    transaction.batch_execute(&format!("SET LOCAL lock_timeout = {TABLE_LOCK_WAIT_MS}")).await?;
    transaction
        .batch_execute(
            "CREATE TABLE IF NOT EXISTS schema (
                 version        integer PRIMARY KEY,
                 oldest_program integer NOT NULL,
                 name           text    NOT NULL
             )",
        )
        .await?;
    transaction.batch_execute(migration.sql).await?;
    transaction
        .execute(
            "INSERT INTO schema (version, oldest_program, name) VALUES ($1, $2, $3)",
            &[&migration.version, &migration.oldest_program, &migration.name],
        )
        .await?;
    transaction.commit().await
}

async fn found(client: &Client) -> Result<Option<Found>, PostgresError> {
    let there = client.query_one("SELECT to_regclass('schema') IS NOT NULL", &[]).await;
    if !there.map_err(|error| broken(&error))?.get::<_, bool>(0) {
        return Ok(None);
    }
    let sql = "SELECT version, oldest_program FROM schema ORDER BY version DESC LIMIT 1";
    let row = client.query_opt(sql, &[]).await.map_err(|error| broken(&error))?;
    Ok(row.map(|row| Found { version: row.get(0), oldest_program: row.get(1) }))
}

fn newer(found: &Found) -> Result<(), PostgresError> {
    if found.oldest_program > KNOWN {
        let Found { version, oldest_program } = *found;
        return Err(PostgresError::SchemaNewer { found: version, oldest_program, known: KNOWN });
    }
    Ok(())
}

/// The next try goes on where this one stopped, where what broke it passes.
fn broken(error: &tokio_postgres::Error) -> PostgresError {
    let why = said(error);
    if passes(error) { PostgresError::Interrupted { why } } else { PostgresError::Migration { why } }
}
