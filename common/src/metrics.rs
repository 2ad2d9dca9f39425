//! What operators see at `/metrics`, and the log lines that go with it: one event, one method, both together.
//!
//! The names are in `catalogue`; what happens to a message in `notes`; what happens around it in `edges`. Labels are
//! bounded: a country without a plan is `other`, and no number, code, text or message id is ever a label.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use prometheus::process_collector::ProcessCollector;
use prometheus::{Registry, TextEncoder};

use crate::leg::RouteId;
use crate::phone::Country;
use crate::route::ReceiptProfile;

mod catalogue;
mod edges;
mod family;
mod journey;
mod notes;
mod seldom;
mod tenants;
mod words;
mod zeros;

pub use catalogue::{ALL, Family, Kind, documented};
pub use words::{Circuit, GUESSES_PER_NUMBER, ReceiptMatch, RequestResult};

/// A country without a plan.
const OTHER: &str = "other";

/// The counters of one process. Cheap to call from anywhere; nothing here waits.
pub struct Metrics {
    registry: Registry,
    /// The countries that have a label of their own.
    countries: BTreeSet<Country>,
    /// How far the receipts of each route see.
    levels: BTreeMap<RouteId, ReceiptProfile>,
    edges: edges::Edges,
    journey: journey::Journey,
}

/// Two families with one name, or a label that Prometheus does not allow: a mistake in the catalogue.
#[derive(Debug, thiserror::Error)]
#[error("the metrics could not be registered: {0}")]
pub struct MetricsError(#[from] prometheus::Error);

impl Metrics {
    /// Without countries of its own: every country is `other`.
    pub fn new() -> Result<Arc<Self>, MetricsError> {
        Self::for_countries([])
    }

    /// With a label for each country that has a plan.
    pub fn for_countries(countries: impl IntoIterator<Item = Country>) -> Result<Arc<Self>, MetricsError> {
        Self::for_routes(countries, [])
    }

    /// The same, with how far the receipts of each route see.
    pub fn for_routes(
        countries: impl IntoIterator<Item = Country>,
        levels: impl IntoIterator<Item = (RouteId, ReceiptProfile)>,
    ) -> Result<Arc<Self>, MetricsError> {
        let registry = Registry::new();
        registry.register(Box::new(ProcessCollector::for_self()))?;
        let metrics = Self {
            edges: edges::Edges::new(&registry)?,
            journey: journey::Journey::new(&registry)?,
            countries: countries.into_iter().collect(),
            levels: levels.into_iter().collect(),
            registry,
        };
        metrics.begin_at_zero();
        Ok(Arc::new(metrics))
    }

    /// Prometheus text format 0.0.4.
    pub fn text(&self) -> String {
        let encoded = TextEncoder::new().encode_to_string(&self.registry.gather());
        encoded.expect("families of the catalogue have names and values")
    }

    fn country(&self, country: Option<Country>) -> &str {
        country.and_then(|country| self.countries.get(&country)).map_or(OTHER, Country::as_str)
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of a message's life are exact up to 2^53")]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}

#[cfg(test)]
mod tests;
