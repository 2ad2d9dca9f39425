//! One measured stretch of time: a warm-up, then counts and CPU time at its begin and at its end.

use std::sync::Arc;

use serde::Serialize;
use tokio::time::{Duration, Instant, sleep};

use tokio_postgres::Client;

use crate::figures::{float, ratio};
use crate::usage::{CpuPerMessage, Watched, percent_of_machine};

#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub(crate) warm_up_ms: u64,
    pub(crate) measured_ms: u64,
    pub(crate) watched: Watched,
    /// On the database whose work is counted.
    pub(crate) client: Option<Arc<Client>>,
}

/// What happened in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Measured {
    pub(crate) count: u64,
    pub(crate) seconds: f64,
    pub(crate) per_s: f64,
    pub(crate) cpu: CpuPerMessage,
    /// Of the database, for each message. The server tells once a second.
    pub(crate) transactions: f64,
    pub(crate) wal_bytes: f64,
    /// Of the processors' time: in use, and taken by the host for others.
    pub(crate) busy_percent: f64,
    pub(crate) stolen_percent: f64,
}

impl Window {
    pub(crate) async fn warm_up(&self) {
        sleep(Duration::from_millis(self.warm_up_ms)).await;
    }

    /// `count` tells how many were finished since the beginning of time.
    pub(crate) async fn measure(&self, count: impl AsyncFn() -> anyhow::Result<u64>) -> anyhow::Result<Measured> {
        let work_before = self.work().await?;
        let (count_before, cpu_before, begun) = (count().await?, self.watched.look(), Instant::now());
        sleep(Duration::from_millis(self.measured_ms)).await;
        let (count_after, cpu_after, seconds) = (count().await?, self.watched.look(), begun.elapsed().as_secs_f64());
        let work_after = self.work().await?;
        let (count, cpu) = (count_after.saturating_sub(count_before), cpu_after.since(cpu_before));
        let work = |after: i64, before: i64| float(u64::try_from(after - before).unwrap_or(0));
        Ok(Measured {
            count,
            seconds,
            per_s: ratio(float(count), seconds),
            cpu: cpu.per(count),
            transactions: ratio(work(work_after.0, work_before.0), float(count)),
            wal_bytes: ratio(work(work_after.1, work_before.1), float(count)),
            busy_percent: percent_of_machine(cpu.busy, seconds),
            stolen_percent: percent_of_machine(cpu.stolen, seconds),
        })
    }

    /// Committed transactions and bytes of write-ahead log, since the beginning of time.
    async fn work(&self) -> anyhow::Result<(i64, i64)> {
        const WORK: &str = "SELECT xact_commit, (pg_current_wal_lsn() - '0/0')::bigint
             FROM pg_stat_database WHERE datname = current_database()";
        let Some(client) = &self.client else { return Ok((0, 0)) };
        let row = client.query_one(WORK, &[]).await?;
        Ok((row.get(0), row.get(1)))
    }
}
