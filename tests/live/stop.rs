//! How the process starts, is told to stop, and keeps a second one out.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::handset::Handset;
use crate::up::{Place, Up, up_command};

const MESSAGES: usize = 200;
/// The promise is a second; a machine under tests is given more.
const START_WAIT_MAX: Duration = Duration::from_secs(5);
/// Finishing what is in hand takes as long as a provider may, and no longer.
const STOP_WAIT_MAX: Duration = Duration::from_secs(10);

#[tokio::test]
async fn it_accepts_within_a_moment_of_its_start() {
    let begun = Instant::now();
    let up = Up::start();
    up.caller().send("+819012343101", json!({})).await;
    let accepted_after = begun.elapsed();
    println!("start: ready after {:?}, first 202 after {accepted_after:?}", up.ready_after);
    assert!(accepted_after < START_WAIT_MAX, "the first 202 took {accepted_after:?}");
}

#[tokio::test]
async fn sigterm_finishes_what_is_in_hand_and_the_next_run_the_rest() {
    let place = Place::new();
    let up = Up::start_in(&place);
    let caller = up.caller();
    let numbers: Vec<String> = (0..MESSAGES).map(|index| format!("+819012344{index:03}")).collect();
    let sends = numbers.iter().map(|number| {
        let (caller, number) = (caller.clone(), number.clone());
        tokio::spawn(async move { caller.send(&number, json!({})).await })
    });
    let sends: Vec<_> = sends.collect();
    let mut ids = Vec::new();
    for send in sends {
        ids.push(send.await.expect("every one is accepted"));
    }
    let told = Instant::now();
    up.tell_to_stop();
    let (status, _) = up.ended().await;
    let stopped_after = told.elapsed();
    println!("stop: exit after {stopped_after:?} with {MESSAGES} messages accepted a moment before");
    assert_eq!(status.code(), Some(0));
    assert!(stopped_after < STOP_WAIT_MAX, "it took {stopped_after:?}");

    let again = Up::start_in(&place);
    let caller = again.caller();
    for (number, id) in numbers.iter().zip(&ids) {
        caller.until_status(id, "delivered").await;
        let phone = caller.handset(number).await;
        assert_eq!(phone.texts.len(), 1, "nothing was cut off, so nothing is sent twice: {}", caller.story(id).await);
    }
}

#[tokio::test]
async fn a_call_that_was_cut_off_rings_again_in_the_next_run() {
    const NUMBER: &str = "+819012340002";
    let place = Place::new();
    let up = Up::start_in(&place);
    let address = up.address().to_owned();
    let id = up.caller().send(NUMBER, json!({})).await;
    up.caller().until_phone((NUMBER, &id), "it rings", |phone| !phone.calls.is_empty()).await;
    // On a machine that is slow enough it is over by now; that one is cut off for sure is the sandbox's own test.
    up.kill();

    let again = Up::start_at(&place, &address);
    let caller = again.caller();
    caller.until_status(&id, "delivered").await;
    let over = |phone: &Handset| phone.calls[0].status == "completed";
    let phone = caller.until_phone((NUMBER, &id), "the call is over", over).await;
    assert_eq!(phone.calls.len(), 1, "{phone:?}");
    let code = phone.calls[0].code().expect("the call spoke the code");
    assert_eq!(caller.check(&id, &code).await, "verified");
}

#[tokio::test]
async fn a_second_process_on_the_same_directory_is_refused_by_name() {
    let up = Up::start();
    let second = up_command(up.place()).output().expect("the program runs");
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains(&format!("in use by process {}", up.pid())), "{said}");
    assert!(second.stdout.is_empty(), "it never said that it can accept");
    up.caller().send("+819012343102", json!({})).await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let up = Up::start();
    let mut command = up_command(&Place::new());
    let second = command.args(["--listen", up.address()]).output().expect("the program runs");
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_ne!(second.status.code(), Some(0));
    assert!(said.contains("--listen"), "{said}");
}
