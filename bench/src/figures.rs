//! What many measured values come to: percentiles of latencies, medians and ranges of rates. Pure.

use hdrhistogram::Histogram;
use serde::Serialize;

/// A latency longer than this counts as this: 10 minutes.
const LATENCY_US_MAX: u64 = 600_000_000;
/// Three digits: a percentile is right to a thousandth of itself.
const DIGITS: u8 = 3;
const MS: f64 = 1_000.0;

/// Latencies of one kind.
#[derive(Clone, Debug)]
pub(crate) struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, LATENCY_US_MAX, DIGITS).expect("these bounds are good"))
    }
}

/// In milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) count: u64,
    pub(crate) p50_ms: f64,
    pub(crate) p95_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
    pub(crate) max_ms: f64,
}

impl Latencies {
    pub(crate) fn add(&mut self, us: u64) {
        self.0.saturating_record(us.clamp(1, LATENCY_US_MAX));
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("all have the same bounds");
    }

    pub(crate) fn percentiles(&self) -> Percentiles {
        let at = |percent: f64| ms(self.0.value_at_percentile(percent));
        if self.0.is_empty() {
            return Percentiles::default();
        }
        Percentiles {
            count: self.0.len(),
            p50_ms: at(50.0),
            p95_ms: at(95.0),
            p99_ms: at(99.0),
            p999_ms: at(99.9),
            max_ms: ms(self.0.max()),
        }
    }

    /// Percent and milliseconds, for a plot: close together where it matters.
    pub(crate) fn curve(&self) -> Vec<(f64, f64)> {
        let nines = (0..=120).map(|step| 100.0 - 100.0 * 10_f64.powf(-f64::from(step) / 40.0));
        nines.filter(|_| !self.0.is_empty()).map(|percent| (percent, ms(self.0.value_at_percentile(percent)))).collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of minutes are exact")]
fn ms(us: u64) -> f64 {
    us as f64 / MS
}

/// The middle of repeated measurements, and how far apart they were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// All zero where nothing was measured.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let (Some(least), Some(most)) = (values.first(), values.last()) else { return Self::default() };
        let (below, above) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Self { median: f64::midpoint(below, above), least: *least, most: *most }
    }
}

/// 0 where there is nothing to divide by.
pub(crate) fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^52")]
pub(crate) const fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_value_that_so_many_do_not_exceed() {
        let mut latencies = Latencies::default();
        (1..=1_000).for_each(|ms| latencies.add(ms * 1_000));
        let found = latencies.percentiles();
        let near = |value: f64, wanted: f64| (value - wanted).abs() <= wanted / 500.0;
        assert!(near(found.p50_ms, 500.0) && near(found.p99_ms, 990.0) && near(found.p999_ms, 999.0), "{found:?}");
        assert_eq!(found.count, 1_000);
    }

    #[test]
    fn nothing_measured_is_nothing_and_no_infinity() {
        assert_eq!(Latencies::default().percentiles(), Percentiles::default());
        assert!(Latencies::default().curve().is_empty());
        assert_eq!(Spread::of([]), Spread::default());
        assert!(ratio(1.0, 0.0).abs() < f64::EPSILON);
    }

    #[test]
    fn what_is_too_long_counts_as_the_longest() {
        let mut latencies = Latencies::default();
        latencies.add(u64::MAX);
        assert!(latencies.percentiles().p50_ms >= 599_000.0);
    }

    #[test]
    fn a_curve_rises_to_the_rarest() {
        let mut latencies = Latencies::default();
        (1..=10_000).for_each(|us| latencies.add(us));
        let curve = latencies.curve();
        assert!(curve.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1));
        assert!(curve.last().is_some_and(|(percent, _)| *percent > 99.8));
    }

    #[test]
    fn a_median_is_the_middle_or_between_the_two() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Spread { median: 2.0, least: 1.0, most: 3.0 });
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]), Spread { median: 2.5, least: 1.0, most: 4.0 });
    }
}
