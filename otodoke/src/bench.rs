//! `bench`: measures the pipeline on this machine and writes what came out. The measuring is in a crate of its own.

use anyhow::Context;
use otodoke_bench::{Carrier, CarrierSettings, Plan, Servers};
use otodoke_common::config::Secret;
use otodoke_common::startup;
use serde::Serialize;

use crate::cli::{Bench, BenchCarrier};
use crate::output::{Outcome, Output};

const SECOND_MS: u64 = 1_000;

#[derive(Serialize)]
struct Welcome {
    url: String,
}

pub(crate) async fn run(command: Bench, output: &Output) -> anyhow::Result<Outcome> {
    // Found out now, and not after half an hour; what is in it stays until there is something new.
    let writable = std::fs::OpenOptions::new().append(true).create(true).open(&command.out);
    drop(writable.with_context(|| format!("{} cannot be written", command.out.display()))?);
    let stop = startup::stop_on_signal()?;
    let plan = plan(&command);
    let servers = Servers { amqp_url: Secret::new(command.amqp_url), postgres_url: Secret::new(command.postgres_url) };
    let report = otodoke_bench::run(servers, &plan, &stop).await?;
    let json = report.json();
    std::fs::write(&command.out, format!("{json:#}\n"))?;
    let plots = report.draw(&command.out)?;
    output.answer(&json, || {
        let plots: String = plots.iter().map(|plot| format!("{}\n", plot.display())).collect();
        format!("{}\n{}\n{plots}", report.table(), command.out.display())
    })?;
    report.ended_early().map_or(Ok(Outcome::Done), |why| Err(anyhow::anyhow!("not all was measured: {why}")))
}

fn plan(command: &Bench) -> Plan {
    let mut plan = if command.quick { Plan::quick() } else { Plan::full() };
    if !command.only.is_empty() {
        plan.parts.clone_from(&command.only);
    }
    if !command.stored.is_empty() {
        plan.stored.clone_from(&command.stored);
        plan.stored.sort_unstable();
    }
    if let Some(pairs) = command.pairs {
        plan.pairs = pairs.into();
    }
    if let Some(seconds) = command.seconds {
        plan.measured_ms = seconds * SECOND_MS;
        plan.warm_up_ms = plan.warm_up_ms.min(plan.measured_ms);
    }
    plan
}

pub(crate) async fn carry(command: BenchCarrier, output: &Output) -> anyhow::Result<Outcome> {
    let stop = startup::stop_on_signal()?;
    let BenchCarrier { listen, key, rate_per_s, delay_ms } = command;
    let carrier = Carrier::bind(&CarrierSettings { listen, key, rate_per_s, delay_ms }).await?;
    let welcome = Welcome { url: carrier.url()? };
    output.answer(&welcome, || format!("A carrier that does not exist listens at {}.", welcome.url))?;
    carrier.serve(stop).await;
    Ok(Outcome::Done)
}
