//! What stays behind in the servers and the logs: no code and no number, on whichever way a message went.
//!
//! Codes here have ten digits, as numbers have without `+81`: any ten digits in a row, in any file, are looked up.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::house::House;
use crate::load::{Accepted, CODE_LENGTH, ask, phone};
use crate::trial::until_settled;

const BY_ROW: usize = 200;
const BY_QUEUE: usize = 50;
/// People who type what they got, after something wrong.
const CHECKS: usize = 20;
const WRONG_CODE: &str = "5551212555";

type Secrets = HashSet<Vec<u8>>;

/// The files whose bytes are so. A server that runs takes files away.
fn files(directory: &Path, are_so: &dyn Fn(&[u8]) -> bool) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).expect("it can be read") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(self::files(&path, are_so));
        } else if std::fs::read(&path).is_ok_and(|bytes| are_so(&bytes)) {
            files.push(path);
        }
    }
    files
}

fn leaks(directory: &Path, secrets: &Secrets) -> Vec<PathBuf> {
    files(directory, &|bytes| holds(bytes, secrets))
}

fn holds(bytes: &[u8], secrets: &Secrets) -> bool {
    let runs = bytes.split(|byte| !byte.is_ascii_digit());
    let mut windows = runs.flat_map(|run| run.windows(CODE_LENGTH));
    windows.any(|window| secrets.contains(window))
}

fn assert_servers_clean(house: &House, secrets: &Secrets) {
    for directory in [house.rabbit.directory(), house.postgres.directory()] {
        let leaks = leaks(directory, secrets);
        assert!(leaks.is_empty(), "{leaks:#?}");
    }
}

async fn assert_processes_clean(house: &House, secrets: &Secrets) {
    for metrics in house.metrics().await {
        assert!(!holds(metrics.as_bytes(), secrets), "{metrics}");
    }
    for log in house.logs() {
        let bytes = std::fs::read(&log).expect("it can be read");
        assert!(!holds(&bytes, secrets), "{}", log.display());
        assert!(!bytes.is_empty(), "{} is empty", log.display());
    }
}

fn numbers(accepted: &Accepted) -> Secrets {
    let number = |person: &usize| phone(*person).trim_start_matches("+81").as_bytes().to_vec();
    accepted.ids.keys().map(number).collect()
}

/// Some people type a wrong code and then the right one; all codes, as they were received.
async fn codes(house: &House, accepted: &Accepted) -> Secrets {
    let mut codes = Secrets::from([WRONG_CODE.as_bytes().to_vec()]);
    for (person, id) in &accepted.ids {
        let code = house.phones.handset(&phone(*person)).await.texts[0].code();
        assert_eq!(code.len(), CODE_LENGTH);
        if *person < CHECKS {
            let caller = house.caller();
            caller.check(id, WRONG_CODE).await;
            assert_eq!(caller.check(id, &code).await, "verified");
        }
        codes.insert(code.into_bytes());
    }
    codes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_code_and_no_number_is_left_in_queues_rows_or_logs() {
    let mut house = House::open_with_log("trace").await;
    let mut accepted = ask(house.caller(), 0..BY_ROW).await;
    // Without the store the whole message goes into the queue.
    house.postgres.stop();
    accepted.add(ask(house.caller(), BY_ROW..BY_ROW + BY_QUEUE).await);
    assert_servers_clean(&house, &numbers(&accepted));
    let opening = accepted.ids[&BY_ROW].as_bytes();
    let holds_opening = |bytes: &[u8]| bytes.windows(opening.len()).any(|window| window == opening);
    assert!(!files(house.rabbit.directory(), &holds_opening).is_empty(), "the queue holds what the scan looks at");
    house.postgres.start().await;
    house.start_workers().await;
    until_settled(&house, accepted.ids.len()).await;

    let mut secrets = numbers(&accepted);
    secrets.extend(codes(&house, &accepted).await);
    house.caller().post("/v1/verifications", &json!({ "to": format!("{}99", phone(0)), "purpose": "login" })).await;
    house.query("CHECKPOINT");
    assert_servers_clean(&house, &secrets);
    assert_processes_clean(&house, &secrets).await;
    assert!(!leaks(&house.book(), &secrets).is_empty(), "the handsets hold what nobody else may");
    println!("| scan | {} accepted | {} secrets | none found |", accepted.ids.len(), secrets.len());
}
