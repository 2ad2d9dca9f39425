//! What was measured: held against what must be reached, as a table for people, as JSON for programs, and as plots.

mod plots;
mod table;

use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};

use crate::embedded::Embedded;
use crate::figures::{Percentiles, Spread};
use crate::goals::{self, Verdict};
use crate::growth::Growth;
use crate::intake::{IDLE_CONNECTIONS, Intake};
use crate::latency::Latency;
use crate::pairs::Pairs;
use crate::plan::Plan;
use crate::queued::Queued;
use crate::slow::Slow;
use crate::spike::Spike;
use crate::terms::Terms;

#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub(crate) plan: Plan,
    pub(crate) terms: Terms,
    /// Databases that were made and taken away, as were the queues whose names begin with one of these and a dot.
    pub(crate) beds: Vec<String>,
    pub(crate) pairs: Option<Pairs>,
    pub(crate) intake: Option<Intake>,
    pub(crate) latency: Option<Latency>,
    pub(crate) spike: Option<Spike>,
    pub(crate) growth: Option<Growth>,
    pub(crate) slow: Option<Slow>,
    pub(crate) embedded: Option<Embedded>,
    pub(crate) queued: Option<Queued>,
    /// Why not all of the plan was measured.
    pub(crate) ended_early: Option<String>,
}

impl Report {
    pub(crate) fn new(plan: Plan) -> Self {
        Self {
            plan,
            terms: Terms::default(),
            beds: Vec::new(),
            pairs: None,
            intake: None,
            latency: None,
            spike: None,
            growth: None,
            slow: None,
            embedded: None,
            queued: None,
            ended_early: None,
        }
    }

    /// The figures that others read stand at the top; everything else is below, as it was measured.
    pub fn json(&self) -> Value {
        let pairs = self.pairs.clone().unwrap_or_default();
        let (accept, submit, from) = self.percentiles();
        json!({
            "floor_per_s": pairs.floor_per_s.median,
            "floor_rows_per_s": pairs.floor_rows_per_s.median,
            "pipeline_per_s": pairs.pipeline_per_s.median,
            "ratio": pairs.ratio.median,
            "ratio_rows": pairs.ratio_rows.median,
            "accept_p50_ms": accept.p50_ms,
            "accept_p99_ms": accept.p99_ms,
            "submit_p50_ms": submit.p50_ms,
            "submit_p99_ms": submit.p99_ms,
            "submit_p999_ms": submit.p999_ms,
            "percentiles_at": from,
            "durable": self.terms.durable,
            "goals": self.verdicts(),
            "measured": self,
        })
    }

    /// Whether nothing was measured at all.
    pub(crate) const fn is_empty(&self) -> bool {
        let servers = self.pairs.is_none() && self.intake.is_none() && self.latency.is_none() && self.spike.is_none();
        let none = servers && self.growth.is_none() && self.slow.is_none();
        none && self.embedded.is_none() && self.queued.is_none()
    }

    /// Why not all of the plan was measured; what was is in the report all the same.
    pub fn ended_early(&self) -> Option<&str> {
        self.ended_early.as_deref()
    }

    pub fn table(&self) -> String {
        table::of(self)
    }

    /// Writes the plots of what was measured; returns where.
    pub fn draw(&self, out: &Path) -> anyhow::Result<Vec<std::path::PathBuf>> {
        plots::draw(self, out)
    }

    /// At the lowest rate that was tried; else, of accepting only, with everything as full as it may be.
    fn percentiles(&self) -> (Percentiles, Percentiles, &'static str) {
        let calm = self.latency.as_ref().and_then(|latency| latency.points.first());
        match (calm, &self.pairs) {
            (Some(point), _) => (point.accept, point.submit, "30 % of the pipeline's rate"),
            (None, Some(pairs)) => (pairs.accept, Percentiles::default(), "the pipeline's full rate"),
            (None, None) => (Percentiles::default(), Percentiles::default(), "not measured"),
        }
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
            let ratios = Spread::of(intake.points.iter().map(|point| point.ratio));
            verdicts.push(goals::INTAKE.judge(ratios.least));
        }
        if let Some(point) = self.latency.as_ref().and_then(|latency| latency.points.first()) {
            verdicts.extend([goals::ACCEPT.judge(point.accept_p99_ms()), goals::SUBMIT.judge(point.submit_p99_ms())]);
        }
        if let Some(spike) = &self.spike {
            verdicts.extend([
                goals::GOODPUT.judge(spike.goodput),
                goals::CRITICAL.judge(spike.critical_p99_ms),
                goals::CRITICAL_CALM.judge(spike.critical_ratio),
            ]);
        }
        let enough = |growth: &&Growth| growth.stored.last().is_some_and(|point| point.size >= goals::STORED_MIN);
        verdicts
            .extend(self.growth.as_ref().filter(enough).map(|growth| goals::STORED.judge(growth.stored_ratio.median)));
        verdicts.extend(self.slow.as_ref().map(|slow| goals::SLOW.judge(slow.ratio.median)));
        verdicts.extend(self.memory_mib().map(|mib| goals::MEMORY.judge(mib)));
        if let Some(embedded) = &self.embedded {
            verdicts.push(goals::EMBEDDED.judge(embedded.per_s.median));
            verdicts.push(goals::START.judge(embedded.first_accepted_s.median));
        }
        verdicts.extend(self.queued.as_ref().map(|queued| goals::QUEUED.judge(queued.resident_mib)));
        verdicts
    }

    /// The most that any door or worker held; nothing where the door did not get as many connections as the goal is for.
    fn memory_mib(&self) -> Option<f64> {
        self.intake.as_ref().filter(|intake| intake.idle_connections >= IDLE_CONNECTIONS)?;
        let pairs = self.pairs.iter().flat_map(|pairs| [pairs.door_mib, pairs.worker_mib]);
        let intake = self.intake.iter().map(|intake| intake.door_mib);
        let growth = self.growth.iter().flat_map(|growth| &growth.stored);
        let growth = growth.flat_map(|point| [point.door_mib, point.worker_mib]);
        pairs.chain(intake).chain(growth).reduce(f64::max).filter(|mib| *mib > 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Latencies;

    fn report() -> Report {
        let spread = |median| Spread { median, least: median, most: median };
        let pairs = Pairs {
            floor_per_s: spread(8_000.0),
            floor_rows_per_s: spread(6_000.0),
            pipeline_per_s: spread(4_000.0),
            ratio: spread(0.5),
            ratio_rows: spread(0.66),
            ..Pairs::default()
        };
        Report { pairs: Some(pairs), ..Report::new(Plan::quick()) }
    }

    #[test]
    fn what_others_read_stands_at_the_top() {
        let json = report().json();
        for field in ["floor_per_s", "pipeline_per_s", "ratio", "accept_p50_ms", "accept_p99_ms", "submit_p99_ms"] {
            assert!(json[field].is_number(), "{field}: {json}");
        }
        assert_eq!(json["ratio"], 0.5);
        assert_eq!(json["percentiles_at"], "the pipeline's full rate");
    }

    #[test]
    fn latencies_at_a_calm_rate_are_those_that_count() {
        let mut accept = Latencies::default();
        accept.add(7_000);
        let point = crate::latency::Point { accept: accept.percentiles(), ..Default::default() };
        let latency = Some(Latency { points: vec![point] });
        let json = Report { latency, ..report() }.json();
        assert!(json["accept_p99_ms"].as_f64().is_some_and(|ms| (ms - 7.0).abs() < 0.1), "{json}");
        assert_eq!(json["percentiles_at"], "30 % of the pipeline's rate");
    }

    #[test]
    fn the_table_says_of_each_figure_whether_it_is_reached() {
        let table = report().table();
        let line = |figure| table.lines().find(|line| line.starts_with(figure)).unwrap_or_default().to_owned();
        assert!(line("pipeline / raw chain ").contains("0.50") && line("pipeline / raw chain ").ends_with("reached"));
        assert!(line("database CPU").ends_with("NOT reached"), "{table}");
    }

    #[test]
    fn plots_are_drawn_of_what_was_measured_only() {
        let directory = tempfile::tempdir().expect("a directory");
        let out = directory.path().join("x.json");
        assert!(report().draw(&out).expect("nothing to draw").is_empty());
        let spike =
            Some(Spike { seconds: vec![Default::default(); 3], critical: vec![(0.0, 5.0)], ..Default::default() });
        let drawn = Report { spike, ..report() }.draw(&out).expect("plots");
        assert_eq!(drawn.len(), 2);
        assert!(drawn.iter().all(|path| std::fs::read_to_string(path).is_ok_and(|svg| svg.contains("</svg>"))));
    }
}
