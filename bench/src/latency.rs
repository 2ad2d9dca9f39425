//! How long it takes while there is room: requests at a fixed part of what the pipeline can do, each measured from when it
//! was to be sent to its 202, and to the moment when the carrier was called.

use anyhow::Context;
use serde::Serialize;
use tokio::time::{Duration, sleep};

use crate::arrivals::Arrivals;
use crate::bed::Bed;
use crate::figures::{Latencies, Percentiles};
use crate::house::House;
use crate::house::settings::Layout;
use crate::load::open::{Answer, Ask, Callers, at_rate};
use crate::load::{Crowd, number};
use crate::plan::Plan;
use crate::usage::{Watched, percent_of_machine};

/// Of the pipeline's rate.
const SHARES: [f64; 2] = [0.3, 0.7];
const CONNECTIONS: usize = 128;
/// For the last ones to reach the carrier.
const AFTER_MS: u64 = 1_500;
const MS_PER_S: f64 = 1_000.0;

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Latency {
    pub(crate) points: Vec<Point>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Point {
    /// Of the median of the pairs.
    pub(crate) share: f64,
    pub(crate) per_s: f64,
    pub(crate) accept: Percentiles,
    pub(crate) submit: Percentiles,
    pub(crate) refused: u64,
    /// Accepted, and not with the carrier when it was looked up.
    pub(crate) missing: u64,
    /// Of the processors' time, whoever used it.
    pub(crate) busy_percent: f64,
    /// Percent and milliseconds, for the plot.
    pub(crate) accept_curve: Vec<(f64, f64)>,
    pub(crate) submit_curve: Vec<(f64, f64)>,
}

impl Point {
    /// Without end where anybody was refused: whoever is left out of a percentile waited for ever.
    pub(crate) fn accept_p99_ms(&self) -> f64 {
        if self.refused > 0 { f64::INFINITY } else { self.accept.p99_ms }
    }

    pub(crate) fn submit_p99_ms(&self) -> f64 {
        if self.refused + self.missing > 0 { f64::INFINITY } else { self.submit.p99_ms }
    }
}

/// `pipeline_per_s` is what all of it can do.
pub(crate) async fn measure(bed: &Bed, plan: &Plan, pipeline_per_s: f64) -> anyhow::Result<Latency> {
    let house = House::open(bed, Layout::default()).await?;
    let crowd = Crowd::new(house.door.address()?, &house.api_key, house.layout.ttl_s);
    let mut latency = Latency::default();
    let shares = if plan.quick { &SHARES[..1] } else { &SHARES[..] };
    for share in shares.iter().copied() {
        let per_s = (pipeline_per_s * share).max(1.0);
        latency.points.push(point(&house, &crowd, plan, (share, per_s)).await.with_context(|| format!("{share}"))?);
    }
    Ok(latency)
}

async fn point(house: &House<'_>, crowd: &Crowd, plan: &Plan, (share, per_s): (f64, f64)) -> anyhow::Result<Point> {
    let callers = Callers::start(crowd.door, &crowd.api_key, CONNECTIONS).await?;
    let ask = |scheduled_us| {
        let person = crowd.next_person();
        callers.send(Ask { number: number(person), scheduled_us, body: crowd.body(person) });
    };
    at_rate(per_s, seconds(plan.warm_up_ms), ask).await;
    let (from_us, cpu) = (crate::stopwatch::micros(), Watched::default().look());
    at_rate(per_s, seconds(plan.measured_ms), ask).await;
    let busy_us = Watched::default().look().since(cpu).busy;
    let answers = callers.end().await?;
    sleep(Duration::from_millis(AFTER_MS)).await;
    let mut arrivals = Arrivals::default();
    arrivals.ask(house.carriers[0].address()?).await?;
    let measured: Vec<Answer> = answers.into_iter().filter(|answer| answer.scheduled_us >= from_us).collect();
    let busy_percent = percent_of_machine(busy_us, seconds(plan.measured_ms));
    Ok(conclude((share, per_s, busy_percent), &measured, &arrivals))
}

fn conclude((share, per_s, busy_percent): (f64, f64, f64), answers: &[Answer], arrivals: &Arrivals) -> Point {
    let (mut accept, mut submit) = (Latencies::default(), Latencies::default());
    let mut missing = 0;
    for answer in answers.iter().filter(|answer| answer.accepted()) {
        accept.add(answer.answered_us.saturating_sub(answer.scheduled_us));
        match arrivals.first_us.get(&answer.number) {
            Some(at_us) => submit.add(at_us.saturating_sub(answer.scheduled_us)),
            None => missing += 1,
        }
    }
    Point {
        share,
        per_s,
        accept: accept.percentiles(),
        submit: submit.percentiles(),
        refused: answers.iter().filter(|answer| !answer.accepted()).count() as u64,
        missing,
        busy_percent,
        accept_curve: accept.curve(),
        submit_curve: submit.curve(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a measurement")]
const fn seconds(ms: u64) -> f64 {
    ms as f64 / MS_PER_S
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_latencies_count_from_the_scheduled_time_and_what_never_came_is_named() {
        let answer = |number, status| Answer { number, scheduled_us: 1_000, answered_us: 6_000, status, joined: false };
        let mut arrivals = Arrivals::default();
        arrivals.first_us.insert(1, 21_000);
        let point = conclude((0.3, 100.0, 50.0), &[answer(1, 202), answer(2, 202), answer(3, 503)], &arrivals);
        assert!((point.accept.p50_ms - 5.0).abs() < 0.01 && (point.submit.p50_ms - 20.0).abs() < 0.02, "{point:?}");
        assert_eq!((point.refused, point.missing, point.submit.count), (1, 1, 1));
        assert!(point.accept_p99_ms().is_infinite() && point.submit_p99_ms().is_infinite(), "somebody got nothing");
        let all = conclude((0.3, 100.0, 50.0), &[answer(1, 202)], &arrivals);
        assert!((all.accept_p99_ms() - 5.0).abs() < 0.01 && (all.submit_p99_ms() - 20.0).abs() < 0.02, "{all:?}");
        assert!((point.share, point.per_s, point.busy_percent) == (0.3, 100.0, 50.0), "{point:?}");
    }
}
