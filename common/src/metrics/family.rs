//! Turns a line of the catalogue into the collector that the registry shows.

use prometheus::core::Collector;
use prometheus::{CounterVec, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

use super::catalogue::Family;

pub(super) fn counter(registry: &Registry, family: &Family) -> Result<IntCounterVec, prometheus::Error> {
    register(registry, IntCounterVec::new(Opts::new(family.name, family.help), family.labels)?)
}

pub(super) fn amount(registry: &Registry, family: &Family) -> Result<CounterVec, prometheus::Error> {
    register(registry, CounterVec::new(Opts::new(family.name, family.help), family.labels)?)
}

pub(super) fn gauge(registry: &Registry, family: &Family) -> Result<GaugeVec, prometheus::Error> {
    register(registry, GaugeVec::new(Opts::new(family.name, family.help), family.labels)?)
}

pub(super) fn histogram(registry: &Registry, family: &Family) -> Result<HistogramVec, prometheus::Error> {
    let options = HistogramOpts::new(family.name, family.help).buckets(family.kind.buckets().to_vec());
    register(registry, HistogramVec::new(options, family.labels)?)
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> Result<C, prometheus::Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}
