//! A house: door, workers and carriers as processes of their own on one bed, and what of them can be counted.

pub(crate) mod settings;

use std::net::SocketAddr;

use anyhow::Context;
use tokio::time::{Duration, sleep, timeout};

use crate::bed::Bed;
use crate::carrier::{Posted, Posting};
use crate::line::Line;
use crate::metrics::Metrics;
use crate::process::{Process, program};
use crate::usage::Watched;
use settings::{CARRIER_KEY, Layout, TENANT};

const READY_MS_MAX: u64 = 60_000;
const LOOK_MS: u64 = 20;

pub(crate) struct House<'a> {
    pub(crate) bed: &'a Bed,
    pub(crate) layout: Layout,
    pub(crate) door: Process,
    pub(crate) workers: Vec<Process>,
    pub(crate) carriers: Vec<Process>,
    pub(crate) api_key: String,
}

impl<'a> House<'a> {
    /// Returns when everything is ready.
    pub(crate) async fn open(bed: &'a Bed, layout: Layout) -> anyhow::Result<Self> {
        let log = |name: &str| bed.directory.path().join(format!("{name}.log"));
        let mut carriers = Vec::new();
        for carrier in &layout.carriers {
            let mut arguments = words(&["bench-carrier", "--listen", "127.0.0.1:0", "--key", CARRIER_KEY]);
            arguments.extend(["--delay-ms".to_owned(), carrier.delay_ms.to_string()]);
            if let Some(rate_per_s) = carrier.rate_per_s {
                arguments.extend(["--rate-per-s".to_owned(), rate_per_s.to_string()]);
            }
            carriers.push(Process::start("otodoke", &arguments, &log("carrier")).await?);
        }
        let carrier_addresses = carriers.iter().map(Process::address).collect::<anyhow::Result<Vec<_>>>()?;
        let write =
            |door| settings::write(bed, &layout, door, &carrier_addresses).map(|file| file.display().to_string());
        let file = write(([127, 0, 0, 1], 0).into())?;
        let serve = words(&["serve", "--config", &file]);
        let door = Process::start("otodoke-producer", &serve, &log("door")).await?;
        ready(door.address()?).await?;
        // Only who sends tells the carriers where receipts go, and the door has its port now.
        let file = write(door.address()?)?;
        let api_key = make_key(&file)?;
        let mut workers = Vec::new();
        for _ in 0..layout.workers {
            let run = words(&["run", "--config", &file, "--listen", "127.0.0.1:0"]);
            let worker = Process::start("otodoke-worker", &run, &log("worker")).await?;
            ready(worker.address()?).await?;
            workers.push(worker);
        }
        Ok(Self { bed, layout, door, workers, carriers, api_key })
    }

    pub(crate) fn watched(&self) -> Watched {
        let pids = |processes: &[Process]| processes.iter().map(Process::pid).collect();
        Watched {
            doors: vec![self.door.pid()],
            workers: pids(&self.workers),
            carriers: pids(&self.carriers),
            broker: self.bed.broker_pid,
            database: self.bed.database_pid,
        }
    }

    /// How carriers post receipts from now on. Returns what all of them posted so far.
    pub(crate) async fn post_receipts(&self, posting: Posting) -> anyhow::Result<Posted> {
        let mut all = Posted::default();
        for carrier in &self.carriers {
            let answer = Line::open(carrier.address()?, None).await?.post(posting.path(), "").await?;
            anyhow::ensure!(answer.status == 200, "{} answered {}", posting.path(), answer.status);
            let posted: Posted = serde_json::from_slice(&answer.body)?;
            all = Posted { requests: all.requests + posted.requests, receipts: all.receipts + posted.receipts };
        }
        Ok(all)
    }

    /// What the workers count, together.
    pub(crate) async fn worker_metrics(&self) -> anyhow::Result<Metrics> {
        let mut all = Metrics::default();
        for worker in &self.workers {
            all.add(&Metrics::of(worker.address()?).await?);
        }
        Ok(all)
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

async fn ready(address: SocketAddr) -> anyhow::Result<()> {
    let asking = async {
        loop {
            let answer = async { Line::open(address, None).await?.get("/readyz").await };
            if answer.await.is_ok_and(|answer| answer.status == 200) {
                return;
            }
            sleep(Duration::from_millis(LOOK_MS)).await;
        }
    };
    let waited = timeout(Duration::from_millis(READY_MS_MAX), asking).await;
    waited.with_context(|| format!("the program at {address} is not ready within {READY_MS_MAX} ms"))
}

fn make_key(file: &str) -> anyhow::Result<String> {
    let mut command = program("otodoke")?;
    command.args(["keys", "create", "--tenant", TENANT, "--json", "--config", file]);
    let output = command.output()?;
    anyhow::ensure!(output.status.success(), "no API key: {}", String::from_utf8_lossy(&output.stderr));
    let made: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    Ok(made["api_key"].as_str().context("an answer with a key")?.to_owned())
}
