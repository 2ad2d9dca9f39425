//! What must be reached, and what is aimed at, on the machine that the goals were set on: two processors that servers, programs, load
//! and carrier share. Ratios, because absolute rates move with the machine.

use serde::Serialize;

/// Whether more is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Better {
    More,
    Less,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Goal {
    pub(crate) figure: &'static str,
    pub(crate) better: Better,
    pub(crate) reach: f64,
    pub(crate) aim: f64,
}

const fn goal(figure: &'static str, better: Better, reach: f64, aim: f64) -> Goal {
    Goal { figure, better, reach, aim }
}

pub(crate) const PIPELINE: Goal = goal("pipeline / raw chain", Better::More, 0.40, 0.55);
pub(crate) const PIPELINE_ROWS: Goal = goal("pipeline / raw chain with bare rows", Better::More, 0.60, 0.75);
pub(crate) const INTAKE: Goal = goal("intake / raw publish and confirm", Better::More, 0.55, 0.75);
pub(crate) const DATABASE: Goal = goal("database CPU / of bare grouped writes", Better::Less, 2.0, 1.3);
pub(crate) const PROGRAM: Goal = goal("program CPU / client CPU of the raw chain", Better::Less, 3.0, 2.3);
pub(crate) const ACCEPT: Goal = goal("accept p99 at 30 %, ms", Better::Less, 25.0, 10.0);
pub(crate) const SUBMIT: Goal = goal("accept to submit p99 at 30 %, ms", Better::Less, 100.0, 40.0);
pub(crate) const GOODPUT: Goal = goal("spike: permits spent on codes in time", Better::More, 0.85, 0.95);
pub(crate) const CRITICAL: Goal = goal("spike: critical accept to submit p99, ms", Better::Less, 2_000.0, 2_000.0);
pub(crate) const CRITICAL_CALM: Goal = goal("spike: critical p99 / calm", Better::Less, 3.0, 1.5);
pub(crate) const STORED: Goal = goal("rate with 5 million stored / with none", Better::More, 0.85, 0.95);
/// Fewer say nothing about five million.
pub(crate) const STORED_MIN: u64 = 5_000_000;
pub(crate) const SLOW: Goal = goal("fast provider beside a slow one / alone", Better::More, 0.90, 0.97);
pub(crate) const MEMORY: Goal = goal("resident memory of door and worker at most, MiB", Better::Less, 200.0, 100.0);
pub(crate) const EMBEDDED: Goal = goal("embedded: messages per second", Better::More, 1_500.0, 4_000.0);
pub(crate) const START: Goal = goal("embedded: start to first 202, s", Better::Less, 1.0, 0.3);
pub(crate) const QUEUED: Goal = goal("resident memory with a million queued, MiB", Better::Less, 200.0, 100.0);

/// A figure held against its goal.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Verdict {
    #[serde(flatten)]
    pub(crate) goal: Goal,
    pub(crate) value: f64,
    pub(crate) reached: bool,
    pub(crate) aim_reached: bool,
}

impl Goal {
    pub(crate) fn judge(self, value: f64) -> Verdict {
        let meets = |limit: f64| match self.better {
            Better::More => value >= limit,
            Better::Less => value > 0.0 && value <= limit,
        };
        Verdict { goal: self, value, reached: meets(self.reach), aim_reached: meets(self.aim) }
    }
}

impl Verdict {
    pub(crate) fn row(&self) -> String {
        let Goal { figure, better, reach, aim } = self.goal;
        let sign = match better {
            Better::More => ">=",
            Better::Less => "<=",
        };
        let verdict = match (self.reached, self.aim_reached) {
            (_, true) => "reached, and what was aimed at",
            (true, false) => "reached",
            (false, false) => "NOT reached",
        };
        format!("{figure:<50} {:>9.2}   {sign} {reach:<7} {sign} {aim:<7} {verdict}\n", self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_judged_in_its_own_direction() {
        let judged = |goal: Goal, value| (goal.judge(value).reached, goal.judge(value).aim_reached);
        assert_eq!(judged(PIPELINE, 0.39), (false, false));
        assert_eq!(judged(PIPELINE, 0.40), (true, false));
        assert_eq!(judged(PIPELINE, 0.60), (true, true));
        assert_eq!(judged(DATABASE, 2.1), (false, false));
        assert_eq!(judged(DATABASE, 1.2), (true, true));
    }

    #[test]
    fn what_was_not_measured_is_not_reached() {
        assert!(!DATABASE.judge(0.0).reached && !PIPELINE.judge(0.0).reached);
        assert!(DATABASE.judge(0.0).row().contains("NOT reached"));
    }
}
