//! So many connections, each with one request under way, and a cap on messages that are accepted and not yet recorded.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{Answered, Crowd};
use crate::line::Line;
use crate::metrics::Metrics;

/// How often it is looked what was recorded.
const LOOK_MS: u64 = 200;
/// Whoever was refused asks again after this.
const REFUSED_PAUSE_MS: u64 = 100;
/// For what is under way when the load ends.
const DRAIN_MS_MAX: u64 = 60_000;

pub(crate) struct Closed {
    gate: Arc<Gate>,
    lookers: Vec<SocketAddr>,
    tasks: JoinSet<anyhow::Result<()>>,
    stop: CancellationToken,
}

/// Lets in as many as are recorded, beyond the cap.
struct Gate {
    cap: u64,
    asked: AtomicU64,
    recorded: AtomicU64,
    moved: Notify,
}

impl Gate {
    async fn pass(&self) {
        loop {
            let moved = self.moved.notified();
            let asked = self.asked.load(Ordering::Relaxed);
            if asked.saturating_sub(self.recorded.load(Ordering::Relaxed)) < self.cap {
                self.asked.fetch_add(1, Ordering::Relaxed);
                return;
            }
            moved.await;
        }
    }

    /// Somebody who passed was refused.
    fn back(&self) {
        self.asked.fetch_sub(1, Ordering::Relaxed);
        self.moved.notify_one();
    }
}

impl Closed {
    /// `counting` are the processes that count what was recorded; without any, nothing holds the load back.
    pub(crate) async fn start(
        crowd: &Arc<Crowd>,
        connections: usize,
        cap: usize,
        counting: Vec<SocketAddr>,
    ) -> anyhow::Result<Self> {
        let cap = if counting.is_empty() { u64::MAX } else { cap as u64 };
        let recorded = AtomicU64::new(recorded(&mut lines(&counting).await?).await?);
        let asked = AtomicU64::new(recorded.load(Ordering::Relaxed));
        let gate = Arc::new(Gate { cap, asked, recorded, moved: Notify::new() });
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        if !counting.is_empty() {
            tasks.spawn(follow(Arc::clone(&gate), lines(&counting).await?, stop.clone()));
        }
        for _ in 0..connections {
            let line = Line::open(crowd.door, Some(&crowd.api_key)).await?;
            tasks.spawn(ask(line, Arc::clone(crowd), Arc::clone(&gate), stop.clone()));
        }
        Ok(Self { gate, lookers: counting, tasks, stop })
    }

    /// The newest count, looked up now.
    pub(crate) async fn recorded(&self) -> anyhow::Result<u64> {
        recorded(&mut lines(&self.lookers).await?).await
    }

    /// Ends the load and waits until all that was accepted is recorded. An error of any connection comes out here.
    pub(crate) async fn end(mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.context("a connection panicked")??;
        }
        if self.lookers.is_empty() {
            return Ok(());
        }
        let asked = self.gate.asked.load(Ordering::Relaxed);
        let drained = async {
            while self.recorded().await? < asked {
                sleep(Duration::from_millis(LOOK_MS)).await;
            }
            anyhow::Ok(())
        };
        let waited = timeout(Duration::from_millis(DRAIN_MS_MAX), drained).await;
        let left = async || asked.saturating_sub(self.recorded().await.unwrap_or(0));
        match waited {
            Ok(drained) => drained,
            Err(_) => anyhow::bail!("{} messages were not recorded within {DRAIN_MS_MAX} ms", left().await),
        }
    }
}

async fn lines(addresses: &[SocketAddr]) -> anyhow::Result<Vec<Line>> {
    let mut lines = Vec::with_capacity(addresses.len());
    for address in addresses {
        lines.push(Line::open(*address, None).await?);
    }
    Ok(lines)
}

async fn recorded(lines: &mut [Line]) -> anyhow::Result<u64> {
    let mut recorded = 0;
    for line in lines {
        recorded += Metrics::over(line).await?.recorded();
    }
    Ok(recorded)
}

async fn follow(gate: Arc<Gate>, mut lines: Vec<Line>, stop: CancellationToken) -> anyhow::Result<()> {
    while stop.run_until_cancelled(sleep(Duration::from_millis(LOOK_MS))).await.is_some() {
        gate.recorded.store(recorded(&mut lines).await?, Ordering::Relaxed);
        gate.moved.notify_waiters();
    }
    // Nobody shall wait for a place that is not given any more.
    gate.moved.notify_waiters();
    Ok(())
}

async fn ask(mut line: Line, crowd: Arc<Crowd>, gate: Arc<Gate>, stop: CancellationToken) -> anyhow::Result<()> {
    while stop.run_until_cancelled(gate.pass()).await.is_some() {
        let body = crowd.body(crowd.next_person());
        let begun = Instant::now();
        let reply = line.post("/v1/verifications", &body).await.context("the door hung up")?;
        let took_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        if crowd.answered(reply.status, &reply.body, took_us)? == Answered::Refused {
            gate.back();
            stop.run_until_cancelled(sleep(Duration::from_millis(REFUSED_PAUSE_MS))).await;
        }
        if stop.is_cancelled() {
            break;
        }
    }
    Ok(())
}
