//! The overview dashboard asks for metrics that the programs have, by labels that these metrics have.

use std::collections::BTreeSet;

use otodoke_common::metrics::{ALL, Family, Kind};
use serde_json::Value;

use crate::read;

const DASHBOARD: &str = "deploy/grafana/dashboards/otodoke-overview.json";
/// What an operator asks first; each has a panel.
const ASKED_FIRST: [&str; 21] = [
    "otp_requests_total",
    "otp_submitted_total",
    "otp_receipts_total",
    "otp_verified_total",
    "otp_accept_to_submit_seconds",
    "otp_failures_total",
    "otp_attempt_failures_total",
    "otp_attempts_total",
    "otp_circuit_state",
    "otp_receipts_overdue_total",
    "otp_duplicates_possible_total",
    "otp_ivr_calls_total",
    "otp_ivr_stages_total",
    "otp_queue_wait_seconds",
    "otp_consumer_last_delivery_timestamp_seconds",
    "otp_receipt_orphans",
    "otp_messages_due",
    "otp_sweep_lag_seconds",
    "otp_time_to_verify_seconds",
    "otp_dead_letters_total",
    "otp_messages_live",
];
/// Of the broker's own metrics, those that our Prometheus asks for.
const OF_THE_BROKER: [&str; 1] = ["rabbitmq_detailed_queue_messages"];

#[test]
fn every_metric_of_the_dashboard_exists() {
    for expression in expressions() {
        let named = metrics_of(&expression);
        assert!(!named.is_empty(), "this expression asks for nothing: {expression}");
        for name in named {
            assert!(OF_THE_BROKER.contains(&name) || family_of(name).is_some(), "{name} is no metric: {expression}");
        }
    }
}

#[test]
fn every_label_of_the_dashboard_belongs_to_its_metric() {
    for expression in expressions() {
        let families: Vec<&Family> = metrics_of(&expression).into_iter().filter_map(family_of).collect();
        if families.is_empty() {
            continue;
        }
        for label in labels_of(&expression) {
            let known = |family: &&Family| family.labels.contains(&label) || (label == "le" && is_histogram(family));
            assert!(families.iter().any(known), "no metric in it has the label {label}: {expression}");
        }
    }
}

#[test]
fn what_operators_ask_first_is_on_the_dashboard() {
    let asked: Vec<String> = expressions();
    let shown: BTreeSet<&str> = asked
        .iter()
        .flat_map(|expression| metrics_of(expression))
        .filter_map(family_of)
        .map(|each| each.name)
        .collect();
    for name in ASKED_FIRST {
        assert!(shown.contains(name), "no panel shows {name}");
    }
}

#[test]
fn percentiles_are_taken_of_buckets() {
    for expression in expressions().iter().filter(|expression| expression.contains("histogram_quantile")) {
        for name in metrics_of(expression) {
            assert!(name.ends_with("_bucket"), "{name} has no buckets to take a percentile of: {expression}");
        }
    }
}

/// The last value of a range may be an hour old: what a gauge says is shown as it is now, or as unknown.
#[test]
fn a_single_figure_of_a_gauge_is_of_now() {
    let stats: Vec<Value> = panels().into_iter().filter(|panel| panel["type"] == "stat").collect();
    let mut seen = 0;
    for target in stats.iter().filter_map(|panel| panel["targets"].as_array()).flatten() {
        let expression = target["expr"].as_str().expect("a target has an expression");
        if metrics_of(expression).into_iter().filter_map(family_of).any(|family| family.kind == Kind::Gauge) {
            assert_eq!((&target["instant"], &target["range"]), (&true.into(), &false.into()), "{expression}");
            seen += 1;
        }
    }
    assert!(seen >= 2, "only {seen} were looked at");
}

fn panels() -> Vec<Value> {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).expect("the dashboard is JSON");
    assert_eq!(dashboard["title"], "Otodoke overview");
    dashboard["panels"].as_array().expect("the dashboard has panels").clone()
}

fn expressions() -> Vec<String> {
    let panels = panels();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let found: Vec<String> =
        targets.map(|target| target["expr"].as_str().expect("a target has an expression").to_owned()).collect();
    assert!(found.len() > 30, "only {} expressions were looked at", found.len());
    found
}

/// Names that look like metrics, ours or the broker's.
fn metrics_of(expression: &str) -> Vec<&str> {
    let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("otp_") || word.starts_with("rabbitmq_")).collect()
}

/// Labels that are selected by (`{a="b", c!="d"}`) or kept (`by (a, b)`).
fn labels_of(expression: &str) -> Vec<&str> {
    let mut labels = Vec::new();
    for part in expression.split('{').skip(1) {
        let selectors = part.split('}').next().expect("a split has a first part");
        labels.extend(selectors.split(',').map(|each| each.split(['=', '!']).next().unwrap_or_default().trim()));
    }
    for part in expression.split("by (").skip(1) {
        let kept = part.split(')').next().expect("a split has a first part");
        labels.extend(kept.split(',').map(str::trim));
    }
    labels
}

/// A histogram is asked for by its parts, everything else by its name.
fn family_of(name: &str) -> Option<&'static Family> {
    let part = ["_bucket", "_sum", "_count"].into_iter().find_map(|suffix| name.strip_suffix(suffix));
    ALL.iter().copied().find(|family| match part {
        Some(base) if is_histogram(family) => family.name == base,
        Some(_) | None => family.name == name && !is_histogram(family),
    })
}

fn is_histogram(family: &Family) -> bool {
    match family.kind {
        Kind::Call | Kind::Wait => true,
        Kind::Counter | Kind::Amount | Kind::Gauge => false,
    }
}
