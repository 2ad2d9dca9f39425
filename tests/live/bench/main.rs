//! The benchmark in its shortest form, on real servers: that it measures what it says, and leaves nothing behind. How fast
//! anything is is not asserted here; the programs are debug builds and share the machine with other tests.

use std::process::Command;

use otodoke_common::rabbit::{RabbitSettings, topology_check};
use otodoke_tests::servers::postgres::{postgres, psql};
use otodoke_tests::servers::rabbit::rabbit;
use serde_json::Value;

const NUMBERS: [&str; 5] = ["floor_per_s", "floor_rows_per_s", "pipeline_per_s", "ratio", "ratio_rows"];
const MILLISECONDS: [&str; 5] = ["accept_p50_ms", "accept_p99_ms", "submit_p50_ms", "submit_p99_ms", "submit_p999_ms"];

/// A program of this workspace, built beside the running test.
fn otodoke() -> Command {
    let test = std::env::current_exe().expect("the test knows where it is");
    let folder = test.parent().and_then(std::path::Path::parent).expect("tests are built below the programs");
    let mut command = Command::new(folder.join("otodoke"));
    for (variable, _) in std::env::vars().filter(|(variable, _)| variable.starts_with("OTODOKE_")) {
        command.env_remove(variable);
    }
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_benchmark_measures_the_floor_and_the_pipeline_and_takes_away_what_it_made() {
    let (postgres, rabbit) = (postgres().await, rabbit().await);
    let database = postgres.database();
    let broker = rabbit.settings().urls[0].clone();
    let directory = tempfile::tempdir().expect("a directory");
    let out = directory.path().join("bench.json");
    let mut command = otodoke();
    command.args(["bench", "--quick", "--only", "pairs,intake,latency", "--pairs", "1", "--seconds", "1", "--json"]);
    command.args(["--postgres-url", &database, "--amqp-url", broker.expose()]).arg("--out").arg(&out);
    let run = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("it runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));

    let written: Value = serde_json::from_str(&std::fs::read_to_string(&out).expect("the file")).expect("JSON");
    let said: Value = serde_json::from_slice(&run.stdout).expect("JSON");
    assert_eq!(said, written, "what is said is what is written");
    let number = |field: &str| written[field].as_f64().unwrap_or_else(|| panic!("{field} is no number: {written}"));
    for field in NUMBERS.into_iter().chain(MILLISECONDS) {
        assert!(number(field) > 0.0, "{field}: {written}");
    }
    let by_hand = number("pipeline_per_s") / number("floor_per_s");
    assert!((number("ratio") - by_hand).abs() < 0.001, "of one pair the ratio is the ratio: {written}");
    assert!(number("accept_p50_ms") <= number("accept_p99_ms") && number("submit_p50_ms") <= number("submit_p99_ms"));
    assert_eq!(written["durable"], true, "{}", written["measured"]["terms"]);
    let pairs = &written["measured"]["pairs"];
    assert_eq!(pairs["accepted"], pairs["delivered_rows"], "every accepted message has a row that says delivered");
    assert!(pairs["pipeline"][0]["cpu"]["program_us"].as_f64().is_some_and(|us| us > 0.0), "{pairs}");
    assert!(written["measured"]["intake"]["points"][0]["ratio"].as_f64().is_some_and(|ratio| ratio > 0.0));
    let plot = std::fs::read_to_string(directory.path().join("bench-latency.svg")).expect("a plot");
    assert!(plot.contains("accept at 30 %") && plot.contains("</svg>"));

    let beds: Vec<&str> =
        written["measured"]["beds"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert_eq!(beds.len(), 4, "one for the terms, and one for each part");
    for bed in beds {
        assert_eq!(psql(&database, &format!("SELECT count(*) FROM pg_database WHERE datname = '{bed}'")), "0");
        let settings = RabbitSettings { namespace: format!("{bed}."), ..RabbitSettings::new(vec![broker.clone()]) };
        let drifts = topology_check(&settings).await.expect("the broker answers");
        assert!(drifts.len() == 7 && drifts.iter().all(otodoke_common::rabbit::Drift::is_missing), "{drifts:?}");
    }
}
