//! The embedded default: door, worker, carriers and store in one process that needs no server, as `otodoke up` starts it.

use std::sync::Arc;

use anyhow::Context;
use serde::Serialize;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::bed;
use crate::figures::{Percentiles, Spread};
use crate::line::Line;
use crate::load::Crowd;
use crate::load::closed::Closed;
use crate::plan::Plan;
use crate::process::Process;
use crate::usage::{Watched, most_resident_mib};
use crate::window::{Measured, Window};

const CONNECTIONS: usize = 64;
const CAP: usize = 2_048;
const TTL_S: u32 = 1_800;
const STARTS: usize = 5;
const REPEATS: usize = 3;
const REPEATS_QUICK: usize = 1;

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Embedded {
    /// From the start of the process to its first 202, seconds, in a new directory.
    pub(crate) first_accepted_s: Spread,
    pub(crate) windows: Vec<Measured>,
    pub(crate) per_s: Spread,
    pub(crate) accept: Percentiles,
    pub(crate) refused: u64,
    pub(crate) resident_mib: f64,
}

pub(crate) async fn measure(plan: &Plan) -> anyhow::Result<Embedded> {
    let mut starts = Vec::new();
    for _ in 0..if plan.quick { 1 } else { STARTS } {
        let directory = directory()?;
        let begun = Instant::now();
        let up = start(&directory).await?;
        let crowd = crowd(&up)?;
        let mut line = Line::open(crowd.door, Some(&crowd.api_key)).await?;
        let reply = line.post("/v1/verifications", &crowd.body(crowd.next_person())).await?;
        anyhow::ensure!(reply.status == 202, "the first request was answered {}", reply.status);
        starts.push(begun.elapsed().as_secs_f64());
    }
    let mut embedded = Embedded { first_accepted_s: Spread::of(starts), ..Embedded::default() };
    journey(plan, &mut embedded).await?;
    Ok(embedded)
}

async fn journey(plan: &Plan, embedded: &mut Embedded) -> anyhow::Result<()> {
    let directory = directory()?;
    let up = start(&directory).await?;
    let crowd = Arc::new(crowd(&up)?);
    let watched = Watched { doors: vec![up.pid()], ..Watched::default() };
    let window = Window { warm_up_ms: plan.warm_up_ms, measured_ms: plan.measured_ms, watched, client: None };
    for _ in 0..if plan.quick { REPEATS_QUICK } else { REPEATS } {
        let load = Closed::start(&crowd, CONNECTIONS, CAP, vec![crowd.door]).await?;
        window.warm_up().await;
        let measured = window.measure(async || load.recorded().await).await?;
        embedded.resident_mib = embedded.resident_mib.max(most_resident_mib(up.pid()));
        load.end().await.context("what was accepted was not recorded")?;
        embedded.windows.push(measured);
    }
    embedded.per_s = Spread::of(embedded.windows.iter().map(|each| each.per_s));
    embedded.accept = crowd.take_latencies().percentiles();
    embedded.refused = crowd.refused.load(std::sync::atomic::Ordering::Relaxed);
    Ok(())
}

/// Below where the benchmark was started: the usual place of what is temporary may be memory, and nothing there is durable.
pub(crate) fn directory() -> anyhow::Result<TempDir> {
    tempfile::Builder::new().prefix(bed::PREFIX).tempdir_in(".").context("no directory can be made here")
}

pub(crate) async fn start(directory: &TempDir) -> anyhow::Result<Process> {
    let data = directory.path().join("data").display().to_string();
    let arguments = ["up", "--listen", "127.0.0.1:0", "--data", &data].map(str::to_owned);
    Process::start("otodoke", &arguments, &directory.path().join("up.log")).await
}

fn crowd(up: &Process) -> anyhow::Result<Crowd> {
    let key = up.welcome["api_key"].as_str().context("`otodoke up` says its key")?;
    Ok(Crowd::new(up.address()?, key, TTL_S))
}
