//! What was measured, as a table for people and as JSON for programs.

use std::fmt::Write;

use serde::Serialize;
use serde_json::{Value, json};

use crate::goals::{self, Verdict};
use crate::intake::Intake;
use crate::pairs::Pairs;
use crate::plan::Plan;
use crate::terms::Terms;
use crate::window::Measured;

#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub(crate) plan: Plan,
    pub(crate) terms: Terms,
    pub(crate) pairs: Option<Pairs>,
    pub(crate) intake: Option<Intake>,
}

impl Report {
    pub(crate) fn new(plan: Plan) -> Self {
        Self { plan, terms: Terms::default(), pairs: None, intake: None }
    }

    fn verdicts(&self) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        if let Some(pairs) = &self.pairs {
            verdicts.extend([
                goals::PIPELINE.judge(pairs.ratio.median),
                goals::PIPELINE_ROWS.judge(pairs.ratio_rows.median),
                goals::DATABASE.judge(pairs.database_ratio.median),
                goals::PROGRAM.judge(pairs.program_ratio.median),
            ]);
        }
        if let Some(intake) = &self.intake {
            let worst = intake.points.iter().map(|point| point.ratio).fold(f64::INFINITY, f64::min);
            verdicts.push(goals::INTAKE.judge(if worst.is_finite() { worst } else { 0.0 }));
        }
        verdicts
    }

    /// The figures that others read stand at the top; everything else is below, as it was measured.
    pub fn json(&self) -> Value {
        let pairs = self.pairs.clone().unwrap_or_default();
        let accept = pairs.accept;
        json!({
            "floor_per_s": pairs.floor_per_s.median,
            "floor_rows_per_s": pairs.floor_rows_per_s.median,
            "pipeline_per_s": pairs.pipeline_per_s.median,
            "ratio": pairs.ratio.median,
            "ratio_rows": pairs.ratio_rows.median,
            "accept_p50_ms": accept.p50_ms,
            "accept_p99_ms": accept.p99_ms,
            "durable": self.terms.durable,
            "goals": self.verdicts(),
            "measured": self,
        })
    }

    pub fn table(&self) -> String {
        let mut text = format!("Otodoke on this machine, {}", self.terms.sentences());
        self.write(&mut text).expect("a string takes text");
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        if let Some(pairs) = &self.pairs {
            writeln!(
                text,
                "\n{:<34} {:>8} {:>17}   CPU, microseconds per message\n{:<34} {:>8} {:>17} {:>9} {:>8} {:>9} {:>9} {:>8} {:>6}",
                "", "per s", "range", "", "median", "", "program", "broker", "database", "load", "carrier", "busy"
            )?;
            row(text, "(a)  raw chain of three hops", &pairs.floor)?;
            row(text, "(a') the same, with our rows, bare", &pairs.floor_rows)?;
            row(text, "(b)  the whole pipeline", &pairs.pipeline)?;
            writeln!(
                text,
                "(b)/(a) {:.2} ({:.2}-{:.2})   (b)/(a') {:.2} ({:.2}-{:.2})   {} accepted, {} refused, {} rows delivered",
                pairs.ratio.median,
                pairs.ratio.least,
                pairs.ratio.most,
                pairs.ratio_rows.median,
                pairs.ratio_rows.least,
                pairs.ratio_rows.most,
                pairs.accepted,
                pairs.refused,
                pairs.delivered_rows
            )?;
            let cpu = pairs.pipeline.iter().map(|each| (each.cpu.door_us, each.cpu.workers_us));
            let (door, worker) = cpu.fold((0.0, 0.0), |sum, each| (sum.0 + each.0, sum.1 + each.1));
            let count = crate::figures::float(pairs.pipeline.len() as u64).max(1.0);
            writeln!(
                text,
                "door {:.0} us, worker {:.0} us per message; {:.0} and {:.0} MiB; row {} bytes, bodies of the floor {} bytes",
                door / count,
                worker / count,
                pairs.door_mib,
                pairs.worker_mib,
                pairs.row_bytes,
                pairs.body_bytes
            )?;
        }
        for point in self.intake.iter().flat_map(|intake| &intake.points) {
            writeln!(
                text,
                "intake, {} connections: {:.0} per s, bare {:.0} per s, ratio {:.2}; accept p50 {:.1} p99 {:.1} ms; \
                 program {:.0}, broker {:.0}, database {:.0} us; {} refused",
                point.connections,
                point.door.per_s,
                point.raw.per_s,
                point.ratio,
                point.accept.p50_ms,
                point.accept.p99_ms,
                point.door.cpu.program_us,
                point.door.cpu.broker_us,
                point.door.cpu.database_us,
                point.refused
            )?;
        }
        writeln!(text, "\n{:<58} {:>9}   {:<10} {:<10}", "figure", "measured", "reach", "aim")?;
        for verdict in self.verdicts() {
            text.push_str(&verdict.row());
        }
        Ok(())
    }
}

fn row(text: &mut String, name: &str, all: &[Measured]) -> std::fmt::Result {
    use crate::figures::Spread;
    let of = |value: fn(&Measured) -> f64| Spread::of(all.iter().map(value));
    let (rate, median) = (of(|each| each.per_s), |value| of(value).median);
    writeln!(
        text,
        "{name:<34} {:>8.0} {:>17} {:>9.0} {:>8.0} {:>9.0} {:>9.0} {:>8.0} {:>5.0}%",
        rate.median,
        format!("{:.0}-{:.0}", rate.least, rate.most),
        median(|each| each.cpu.program_us),
        median(|each| each.cpu.broker_us),
        median(|each| each.cpu.database_us),
        median(|each| each.cpu.load_us),
        median(|each| each.cpu.carrier_us),
        median(|each| each.busy_percent),
    )
}
