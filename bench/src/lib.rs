//! The benchmark: the pipeline as processes of its own on real servers, beside what those servers can do at best.
//!
//! `plan` says what is measured and how long; `bed` and `house` are what it is measured on; `chain` and `rows` are the
//! floor; `load` asks, `carrier` answers; `pairs` and the other parts are one figure each; `report` holds them against
//! what must be reached, and writes the table, the JSON and the plots.

mod bed;
mod carrier;
mod chain;
mod figures;
mod goals;
mod house;
mod intake;
mod line;
mod load;
mod metrics;
mod pairs;
mod plan;
mod process;
mod report;
mod rows;
mod sample;
mod stopwatch;
mod terms;
mod usage;
mod window;

use tokio_util::sync::CancellationToken;

pub use bed::Servers;
pub use carrier::{Carrier, CarrierSettings};
pub use plan::{Part, Plan};
pub use report::Report;

use bed::Beds;

/// Measures every part of the plan, one after the other; what is measured already is lost when one fails. Databases and
/// queues that were made are gone when this returns, also when `stop` came.
pub async fn run(servers: Servers, plan: &Plan, stop: &CancellationToken) -> anyhow::Result<Report> {
    let beds = Beds::new(servers);
    let measured = stop.run_until_cancelled(measure(&beds, plan)).await;
    let removed = beds.remove().await;
    let report = measured.ok_or_else(|| anyhow::anyhow!("stopped before everything was measured"))??;
    removed?;
    Ok(report)
}

async fn measure(beds: &Beds, plan: &Plan) -> anyhow::Result<Report> {
    let mut report = Report::new(plan.clone());
    for part in &plan.parts {
        tracing::info!(part = part.word(), "measuring");
        match part {
            Part::Pairs => {
                let bed = beds.make().await?;
                report.pairs = Some(pairs::measure(&bed, plan, &mut report.terms).await?);
            }
            Part::Intake => {
                let bed = beds.make().await?;
                report.intake = Some(intake::measure(&bed, plan).await?);
            }
        }
        beds.remove().await?;
    }
    Ok(report)
}
