//! The benchmark: the pipeline as processes of its own on real servers, beside what those servers can do at best.
//!
//! `plan` says what is measured and how long; `bed` and `house` are what it is measured on; `chain` and `rows` are the
//! floor; `load` asks, `carrier` answers; `pairs` and the other parts are one figure each; `report` holds them against
//! what must be reached, and writes the table, the JSON and the plots.

mod arrivals;
mod bed;
mod carrier;
mod chain;
mod embedded;
mod figures;
mod goals;
mod growth;
mod house;
mod intake;
mod latency;
mod line;
mod load;
mod metrics;
mod pairs;
mod plan;
mod plot;
mod process;
mod queued;
mod report;
mod rows;
mod sample;
mod slow;
mod spike;
mod stopwatch;
mod terms;
mod usage;
mod window;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

pub use bed::Servers;
pub use carrier::{Carrier, CarrierSettings};
pub use plan::{Part, Plan};
pub use report::Report;

use bed::Beds;
use house::House;
use house::settings::Layout;
use terms::Terms;

/// Measures every part of the plan, one after the other. Where one fails, or `stop` comes, the report has those before it and
/// says why it ends there; without any it is an error. Databases and queues that were made are gone when this returns.
pub async fn run(servers: Servers, plan: &Plan, stop: &CancellationToken) -> anyhow::Result<Report> {
    let beds = Beds::new(servers);
    let mut report = Report::new(plan.clone());
    let measured = stop.run_until_cancelled(measure(&beds, plan, &mut report)).await;
    let measured = measured.unwrap_or_else(|| Err(anyhow::anyhow!("stopped before everything was measured")));
    // What is left behind is told with what else went wrong.
    let ended = match (measured, beds.remove().await) {
        (Err(error), Err(left)) => Err(error.context(format!("{left:#}"))),
        (measured, removed) => measured.and(removed),
    };
    report.beds = beds.gone();
    match ended {
        Err(error) if report.is_empty() => Err(error),
        ended => {
            report.ended_early = ended.err().map(|error| format!("{error:#}"));
            Ok(report)
        }
    }
}

async fn measure(beds: &Beds, plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    report.terms = terms(beds, plan).await.context("on what terms it is measured")?;
    for part in &plan.parts {
        tracing::info!(part = part.word(), "measuring");
        one(*part, beds, plan, report).await.with_context(|| format!("part {}", part.word()))?;
        beds.remove().await?;
    }
    Ok(())
}

/// Asked before anything is measured. What needs no server is told nothing about servers.
async fn terms(beds: &Beds, plan: &Plan) -> anyhow::Result<Terms> {
    if plan.parts.iter().all(|part| matches!(part, Part::Embedded | Part::Queued)) {
        return Ok(Terms::default());
    }
    let bed = beds.make().await?;
    let house = House::open(&bed, Layout { workers: 0, ..Layout::default() }).await?;
    let terms = Terms::read(&bed, house.layout.shards).await;
    drop(house);
    beds.remove().await?;
    terms
}

async fn one(part: Part, beds: &Beds, plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    match part {
        Part::Pairs => report.pairs = Some(pairs::measure(&beds.make().await?, plan).await?),
        Part::Intake => report.intake = Some(intake::measure(&beds.make().await?, plan).await?),
        Part::Latency => {
            let per_s = pipeline_per_s(beds, plan, report).await?;
            report.latency = Some(latency::measure(&beds.make().await?, plan, per_s).await?);
        }
        Part::Spike => report.spike = Some(spike::measure(&beds.make().await?).await?),
        Part::Growth => report.growth = Some(growth::measure(beds, plan).await?),
        Part::Slow => report.slow = Some(slow::measure(&beds.make().await?, plan).await?),
        Part::Embedded => report.embedded = Some(embedded::measure(plan).await?),
        Part::Queued => report.queued = Some(queued::measure().await?),
    }
    Ok(())
}

/// What all of it can do: the median of the pairs, or, where those are left out, of one window.
async fn pipeline_per_s(beds: &Beds, plan: &Plan, report: &Report) -> anyhow::Result<f64> {
    match &report.pairs {
        Some(pairs) => Ok(pairs.pipeline_per_s.median),
        None => pairs::one_window(&beds.make().await?, plan).await,
    }
}
