//! `topology check`: what at the broker is not as the programs would make it, and what rows and queues survive. A program
//! runs on what it finds, so somebody must look; this command makes and changes nothing.

mod members;
mod survival;

use anyhow::Context;
use otodoke_common::config::Source;
use otodoke_common::rabbit::{Drift, topology_check};
use serde::Serialize;

use self::survival::Survival;
use crate::cli::{Topology, TopologyVerb};
use crate::output::{Outcome, Output};

#[derive(Serialize)]
struct Verdict {
    ok: bool,
    drifts: Vec<Drift>,
    survives: Vec<Survival>,
}

pub(crate) async fn topology(command: &Topology, output: &Output) -> anyhow::Result<Outcome> {
    let TopologyVerb::Check { config, management } = &command.verb;
    let settings = Source::of_process(config.config.as_deref()).read()?;
    let amqp = settings.amqp.context("the settings have no [amqp]; without a broker there is nothing to check")?;
    let management = management.url()?;
    let drifts = topology_check(&amqp).await?;
    let mut survives = vec![survival::of_queues(&amqp, management.as_ref()).await];
    if let Some(postgres) = &settings.postgres {
        survives.push(survival::of_rows(postgres).await);
    }
    let verdict = Verdict { ok: drifts.is_empty(), drifts, survives };
    output.show(&verdict, || {
        let survives: String = verdict.survives.iter().map(Survival::sentence).collect();
        sentences(&verdict.drifts) + &survives
    })?;
    Ok(Outcome::of(verdict.ok))
}

fn sentences(drifts: &[Drift]) -> String {
    if drifts.is_empty() {
        return "Every queue and exchange is as the programs would make it.\n".to_owned();
    }
    drifts.iter().map(|drift| if drift.is_missing() { missing(drift) } else { format!("{drift}\n") }).collect()
}

fn missing(drift: &Drift) -> String {
    format!("{}: is missing; the next program that connects makes it\n", drift.queue)
}
