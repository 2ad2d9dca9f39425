//! The rows that the pipeline writes for one message, written bare: the same tables by definition, the same columns and
//! sizes, grouped into the same number of transactions, and nothing else. No row is looked at before it is written, nothing is
//! decided, nobody waits for an answer. What the pipeline needs above this is the price of its promises.

use anyhow::Context;
use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::bed::{self, Bed};
use crate::sample::Sample;

/// As the sessions of the pipeline are told, so that plans are the same kind.
const SESSION: &str = "SET plan_cache_mode = force_generic_plan; SET jit = off; SET enable_seqscan = off;
     SET enable_bitmapscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_memoize = off";

/// The pipeline's own definitions with its own room for updates; not partitioned, which costs less.
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS floor_message (LIKE message INCLUDING ALL)
        WITH (fillfactor = 45, toast_tuple_target = 8160, autovacuum_vacuum_scale_factor = 0.02);
    CREATE TABLE IF NOT EXISTS floor_due (LIKE due INCLUDING ALL)
        WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
              autovacuum_vacuum_cost_delay = 0);
    CREATE TABLE IF NOT EXISTS floor_reference (LIKE reference INCLUDING ALL);
    CREATE TABLE IF NOT EXISTS floor_claim (LIKE claim INCLUDING ALL) WITH (autovacuum_vacuum_scale_factor = 0.02);
    CREATE TABLE IF NOT EXISTS floor_bucket (LIKE bucket INCLUDING ALL)
        WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);";

const ADD_MESSAGE: &str = "INSERT INTO floor_message (day, id, version, ended_at, body, notes)
     SELECT $2::integer, id, 1, NULL, $3::bytea, $4::text FROM unnest($1::uuid[]) AS u (id)";
const ADD_CLAIM: &str = "INSERT INTO floor_claim (kind, tag, fingerprint, id, until)
     SELECT 2, sha256(uuid_send(id)), $2::bytea, id, $3::bigint FROM unnest($1::uuid[]) AS u (id)";
const ADD_BUCKET: &str = "INSERT INTO floor_bucket (tag, entries, over_at)
     SELECT sha256(uuid_send(id)), $2::bytea, $3::bigint FROM unnest($1::uuid[]) AS u (id)";
const ADD_DUE: &str = "INSERT INTO floor_due (id, day, due_at, live)
     SELECT id, $2::integer, $3::bigint, true FROM unnest($1::uuid[]) AS u (id)";
/// Days travel beside ids, as the pipeline's do: one day for all would be looked up first on an empty table, and joined then.
const SAVE_MESSAGE: &str =
    "UPDATE floor_message m SET version = $3::bigint, body = $4::bytea, notes = m.notes || $5::text
     FROM unnest($1::uuid[], $2::integer[]) AS u (id, day) WHERE m.id = u.id AND m.day = u.day";
const MOVE_DUE: &str = "UPDATE floor_due d SET due_at = $2::bigint FROM unnest($1::uuid[]) AS u (id) WHERE d.id = u.id";
const ADD_REFERENCE: &str = "INSERT INTO floor_reference (provider, reference, day, id, leg)
     SELECT 'fast', convert_to(id::text || ':1', 'UTF8'), $2::integer, id, 1 FROM unnest($1::uuid[]) AS u (id)";

/// Which of a message's writes a hop does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Row, claim, bucket.
    Open,
    /// Two saves: before the call, and its answer with the provider's reference.
    Send,
    /// The save of the receipt.
    Receipt,
    None,
}

/// Of a message whose receipt is saved.
const VERSION_AT_REST: i64 = 4;

pub(crate) struct Rows {
    client: tokio_postgres::Client,
    stage: Stage,
    sample: Sample,
    statements: Statements,
}

struct Statements {
    add_message: Statement,
    add_claim: Statement,
    add_bucket: Statement,
    add_due: Statement,
    save_message: Statement,
    move_due: Statement,
    add_reference: Statement,
}

impl Rows {
    pub(crate) async fn open(bed: &Bed, stage: Stage) -> anyhow::Result<Self> {
        let client = bed::connect(&bed.postgres_url).await?;
        client.batch_execute(SESSION).await?;
        client.batch_execute(TABLES).await.context("the tables of the floor")?;
        let sample = Sample::read(&bed.client).await?;
        let statements = Statements {
            add_message: client.prepare(ADD_MESSAGE).await?,
            add_claim: client.prepare(ADD_CLAIM).await?,
            add_bucket: client.prepare(ADD_BUCKET).await?,
            add_due: client.prepare(ADD_DUE).await?,
            save_message: client.prepare(SAVE_MESSAGE).await?,
            move_due: client.prepare(MOVE_DUE).await?,
            add_reference: client.prepare(ADD_REFERENCE).await?,
        };
        Ok(Self { client, stage, sample, statements })
    }

    /// The ids are sorted.
    pub(crate) async fn write(&self, ids: &[Uuid]) -> anyhow::Result<()> {
        match self.stage {
            Stage::Open => self.open_all(ids).await,
            Stage::Send => {
                self.save(ids, 2, false).await?;
                self.save(ids, 3, true).await
            }
            Stage::Receipt => self.save(ids, VERSION_AT_REST, false).await,
            Stage::None => Ok(()),
        }
    }

    async fn open_all(&self, ids: &[Uuid]) -> anyhow::Result<()> {
        let (Self { client, sample, .. }, all) = (self, &self.statements);
        let (day, until) = (sample.day, sample.until);
        client.batch_execute("BEGIN").await?;
        self.run(&all.add_claim, &[&ids, &sample.tag, &until]).await?;
        self.run(&all.add_bucket, &[&ids, &sample.bucket, &until]).await?;
        self.run(&all.add_message, &[&ids, &day, &sample.body(1), &sample.notes(1)]).await?;
        self.run(&all.add_due, &[&ids, &day, &until]).await?;
        client.batch_execute("COMMIT").await?;
        Ok(())
    }

    async fn save(&self, ids: &[Uuid], version: i64, with_reference: bool) -> anyhow::Result<()> {
        let (Self { client, sample, .. }, all) = (self, &self.statements);
        let (day, until) = (sample.day, sample.until + version);
        client.batch_execute("BEGIN").await?;
        let (days, body, notes) = (vec![day; ids.len()], sample.body(version), sample.notes(version));
        self.run(&all.save_message, &[&ids, &days, &version, &body, &notes]).await?;
        // The saves before leave its entry of the due list where it is.
        if version == VERSION_AT_REST {
            self.run(&all.move_due, &[&ids, &until]).await?;
        }
        if with_reference {
            self.run(&all.add_reference, &[&ids, &day]).await?;
        }
        client.batch_execute("COMMIT").await?;
        Ok(())
    }

    async fn run(&self, statement: &Statement, values: &[&(dyn ToSql + Sync)]) -> anyhow::Result<()> {
        self.client.execute(statement, values).await?;
        Ok(())
    }
}
