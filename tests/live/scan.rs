//! What is left behind by a run with everything in it, on one machine: nothing that must be nowhere in the data file, the
//! log lines, the metrics or the traces.

use crate::remains::{Left, Run, assert_clean, collect, found, number};
use crate::up::{Place, Up};

/// Every file of the directory but those of the handsets.
fn files(place: &Place) -> Vec<Left> {
    let mut left = Vec::new();
    collect(&place.data(), &mut left);
    assert!(left.iter().any(|file| file.name.ends_with("otodoke.db")), "the data file was looked at");
    left.push(Left { name: "log".to_owned(), bytes: std::fs::read(place.log()).expect("the log") });
    left
}

/// The scan finds what is there: an id in the row, the log and the trace, a route in the metrics.
fn assert_scan_finds(left: &[Left], id: &str) {
    let raw = otodoke_common::message::MessageId::parse(id).expect("an id").bytes().to_vec();
    let named =
        |name: &str, needle: &[u8]| left.iter().any(|left| left.name.contains(name) && found(needle, &left.bytes));
    assert!(named("otodoke.db", &raw), "the row's id is in the data file");
    assert!(named("log", id.as_bytes()), "the id is in the log");
    assert!(named("the trace", id.as_bytes()), "the id is in its trace");
    assert!(named("/metrics", b"jp-sakura"), "a route is in the metrics");
}

#[tokio::test]
async fn after_a_run_with_everything_no_code_and_no_number_is_left_anywhere() {
    let up = Up::start();
    let mut run = Run::all(up.caller()).await;
    let mut left = run.shown().await;
    left.extend(files(up.place()));
    assert_clean(&left, &run.secrets);
    assert_scan_finds(&left, &run.ids[0]);
    assert!(run.secrets.len() > 100, "only {} secrets were looked for", run.secrets.len());
    let inboxes = std::fs::read_dir(up.place().data().join("sandbox")).expect("the handsets' journal");
    let journal: Vec<u8> =
        inboxes.flat_map(|file| std::fs::read(file.expect("a file").path()).expect("read")).collect();
    assert!(found(&number("+819012340001")[0].bytes, &journal), "the handsets hold what nobody else may");

    // Stopped, the journal of the file is folded into it.
    let place = up.stop().await;
    assert_clean(&files(&place), &run.secrets);
}
