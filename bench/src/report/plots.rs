//! Which plots there are: latency by percentile, the spike, the spike's payments.

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
    let mut points = spike.critical.clone();
    points.sort_by(|one, other| one.0.total_cmp(&other.0));
    let series = [Series { name: "accept to submit".to_owned(), points }];
    let words = Words { title: "Payments while logins spike", x: "seconds", y: "milliseconds" };
    plot::lines(&words, &series)
}
