//! Which plots there are: latency by percentile, the spike, the spike's payments.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Report;
use crate::figures::float;
use crate::latency::Latency;
use crate::plot::{self, Series, Words};
use crate::spike::{Second, Spike};

pub(super) fn draw(report: &Report, out: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut drawn = Vec::new();
    let mut keep = |name: &str, svg: &str| {
        let path = plot::beside(out, name);
        drawn.push(path.clone());
        plot::write(&path, svg)
    };
    if let Some(latency) = &report.latency {
        keep("latency", &latencies(latency)?)?;
    }
    if let Some(spike) = &report.spike {
        keep("spike", &second_by_second(spike)?)?;
        keep("critical", &payments(spike)?)?;
    }
    Ok(drawn)
}

fn latencies(latency: &Latency) -> anyhow::Result<String> {
    let of = |what: &str, point: &crate::latency::Point, curve: &[(f64, f64)]| Series {
        name: format!("{what} at {:.0} % ({:.0}/s)", point.share * 100.0, point.per_s),
        points: curve.to_vec(),
    };
    let series: Vec<Series> = latency
        .points
        .iter()
        .flat_map(|point| [of("accept", point, &point.accept_curve), of("to submit", point, &point.submit_curve)])
        .collect();
    let words = Words {
        title: "Latency from the scheduled time",
        x: "nines: 1 is 90 %, 2 is 99 %, 3 is 99.9 %",
        y: "milliseconds",
    };
    plot::latencies(&words, &series)
}

fn second_by_second(spike: &Spike) -> anyhow::Result<String> {
    let of = |name: &str, value: fn(&Second) -> u64| {
        let points = (0_u32..).zip(&spike.seconds).map(|(at, second)| (f64::from(at), float(value(second)))).collect();
        Series { name: name.to_owned(), points }
    };
    let series = [
        of("pressed per second", |second| second.pressed),
        of("refused per second", |second| second.refused),
        of("with the carrier per second", |second| second.submitted),
        of("accepted and waiting", |second| second.waiting),
    ];
    let words =
        Words { title: "A login spike at ten times the provider's capacity", x: "seconds", y: "people, logarithmic" };
    plot::counts(&words, &series)
}

fn payments(spike: &Spike) -> anyhow::Result<String> {
    let mut seconds: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for (at_s, took_ms) in &spike.critical {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole seconds of some minutes")]
        seconds.entry(*at_s as u64).or_default().push(*took_ms);
    }
    seconds.values_mut().for_each(|took| took.sort_by(f64::total_cmp));
    let of = |name: &str, which: fn(&[f64]) -> f64| {
        let points = seconds.iter().map(|(at_s, took)| (float(*at_s), which(took))).collect();
        Series { name: name.to_owned(), points }
    };
    let series =
        [of("median of a second", |took| took[took.len() / 2]), of("slowest of a second", |took| took[took.len() - 1])];
    let words = Words { title: "Payments while logins spike: accept to submit", x: "seconds", y: "milliseconds" };
    plot::lines(&words, &series)
}
