//! The commands against a running process: answers for people and for programs, exit status, and errors one can act on.

use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::up::{BINARY, Up};

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn complained(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs to this exit status with these words on standard error, and nothing that looks like a stack of debug output.
fn assert_fails(output: &Output, status: i32, words: &str) {
    let complaint = complained(output);
    assert_eq!(output.status.code(), Some(status), "{complaint}");
    assert!(complaint.contains(words), "{words:?} is not in {complaint:?}");
    for noise in ["panicked", "Error {", "Err(", "stack backtrace"] {
        assert!(!complaint.contains(noise), "{complaint}");
    }
}

#[tokio::test]
async fn a_payment_is_sent_checked_and_traced() {
    let up = Up::start();
    let payment =
        ["--amount", "12000", "--currency", "JPY", "--payee-name", "YAMADA TARO", "--payee-account", "1234567"];
    let send = [&["send", "+819012343201", "--purpose", "payment", "--json"], &payment[..]].concat();
    let sent: Value = serde_json::from_str(&said(&up.type_in(&send))).expect("JSON");
    let id = sent["id"].as_str().expect("an id").to_owned();
    let caller = up.caller();
    let arrived = |phone: &crate::handset::Handset| !phone.texts.is_empty();
    let phone = caller.until_phone(("+819012343201", &id), "the text arrives", arrived).await;
    let text = &phone.texts[0].text;
    assert!(text.contains("12,000") && text.contains("YAMADA TARO"), "{text}");
    caller.until_status(&id, "delivered").await;

    let code = text.split(|letter: char| !letter.is_ascii_digit()).find(|run| run.len() == 6).expect("a code");
    let check = [&["check", &*id, code, "--to", "+819012343201"], &payment[..]].concat();
    assert_fails(&up.type_in(&["check", &id, code]), 1, "to");
    let checked = up.type_in(&check);
    assert_eq!((checked.status.code(), said(&checked).trim()), (Some(0), "Verified."));
    let traced = up.type_in(&["trace", &id]);
    assert_eq!(traced.status.code(), Some(0));
    assert!(said(&traced).contains("Ended: verified."), "{}", said(&traced));
    let traced: Value = serde_json::from_str(&said(&up.type_in(&["trace", &id, "--json"]))).expect("JSON");
    assert_eq!(traced["message"]["status"], "verified");
}

#[tokio::test]
async fn what_went_to_a_number_is_found_with_how_it_ended() {
    let up = Up::start();
    // It refuses texts, which this carrier tells as one word for all that a phone cannot take.
    let number = "+819012340002";
    assert_eq!(up.type_in(&["find", number]).status.code(), Some(1));
    let id = up.caller().send(number, json!({})).await;
    up.caller().until_status(&id, "delivered").await;
    let found = up.type_in(&["find", "090-1234-0002", "--region", "JP"]);
    assert_eq!(found.status.code(), Some(0), "{}", complained(&found));
    let told = said(&found);
    let line = told.lines().next().unwrap_or_default();
    assert!(line.contains(&id) && line.contains("login: delivered; sms by jp-"), "{told}");
    assert!(line.contains("refused, unreceivable; voice by jp-kodama delivered"), "{told}");
    let found: Value = serde_json::from_str(&said(&up.type_in(&["find", number, "--json"]))).expect("JSON");
    let back = found["looked_back_to"].as_str().expect("a time");
    assert_eq!(found["messages"][0]["message"]["id"], json!(id));
    let before = up.type_in(&["find", number, "--before", back]);
    assert_eq!((before.status.code(), said(&before).contains("sent nothing to this number")), (Some(1), true));
    assert_fails(&up.type_in(&["find", number, "--hours", "169"]), 2, "--hours");
    assert_fails(&up.type_in(&["find", number, "--before", "noon"]), 1, "`before` must be a time");
    assert_fails(&up.type_in(&["find", "090"]), 1, "region");
}

#[tokio::test]
async fn a_file_sent_twice_with_one_key_sends_nobody_a_second_text() {
    let up = Up::start();
    let file = up.place().file("requests.jsonl");
    let numbers: Vec<String> = (0..20).map(|index| format!("+8190123433{index:02}")).collect();
    let lines: Vec<String> =
        numbers.iter().map(|number| json!({ "to": number, "purpose": "login" }).to_string()).collect();
    std::fs::write(&file, lines.join("\n")).expect("written");
    let send = ["send", "--json", "--idempotency-key", "once", "--file", file.to_str().expect("Unicode")];
    let ids = || {
        let output = up.type_in(&send);
        assert_eq!(output.status.code(), Some(0), "{}", complained(&output));
        let values: Vec<Value> = said(&output).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(values.last().expect("a summary")["accepted"], 20);
        let mut ids: Vec<String> = values.iter().filter_map(|line| line["id"].as_str().map(str::to_owned)).collect();
        ids.sort();
        ids
    };
    let first = ids();
    assert_eq!(first.len(), 20);
    assert_eq!(ids(), first);
    let caller = up.caller();
    for id in &first {
        caller.until_status(id, "delivered").await;
    }
    for number in &numbers {
        assert_eq!(caller.handset(number).await.texts.len(), 1, "{number}");
    }
}

#[tokio::test]
async fn resend_and_cancel_answer_in_sentences() {
    let up = Up::start();
    let id = up.caller().send("+819012343202", json!({})).await;
    assert_fails(&up.type_in(&["resend", &id]), 1, "too_soon");
    let cancelled = up.type_in(&["cancel", &id]);
    assert_eq!((cancelled.status.code(), said(&cancelled)), (Some(0), format!("{id} is cancelled.\n")));
    assert_fails(&up.type_in(&["resend", &id]), 1, "too_late");
}

#[tokio::test]
async fn what_goes_wrong_is_said_so_that_one_can_act() {
    let up = Up::start();
    let id = "01a206a2-56f8-793b-b5c5-391a59109ca8";
    assert_fails(&up.type_in(&["send", "090", "--purpose", "login"]), 1, "region");
    assert_fails(&up.type_in(&["send", "+33612345678", "--purpose", "login"]), 1, "unsupported_country");
    assert_fails(&up.type_in(&["send", "+819012343203"]), 2, "--purpose");
    assert_fails(&up.type_in(&["send", "--file", "/nonexistent/requests.jsonl"]), 1, "/nonexistent/requests.jsonl");
    assert_fails(&up.type_in(&["trace", id]), 1, "not_found");
    assert_fails(&up.type_in(&["trace", "../../metrics"]), 1, "no message id");
    assert_fails(&up.type_in(&["check", id, "12ab56"]), 1, "not_found");
    assert_fails(&up.type_in(&["trace", id, "--api-key", "otk_wrong"]), 1, "unauthorized");
    assert_fails(&up.type_in(&["trace", id, "--url", "http://127.0.0.1:9"]), 1, "http://127.0.0.1:9 did not answer");
    assert_fails(&up.type_in(&["keys", "list"]), 1, &format!("in use by process {}", up.pid()));
    assert_fails(&up.type_in(&["codes", "revoke", "k1"]), 1, "name them with --config");
    assert_fails(&up.type_in(&["config", "check", "--config", "/nonexistent.toml"]), 1, "");
}

#[test]
fn whoever_has_read_enough_hears_no_complaint() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let explained = Command::new(BINARY).args(["explain", "090-1234-3204", "--region", "JP"]).stdout(writer).output();
    let explained = explained.expect("the program runs");
    assert_eq!((explained.status.code(), &*complained(&explained)), (Some(0), ""));
}

#[tokio::test]
async fn explain_needs_no_server_and_tells_nothing_of_the_number() {
    let explained = Command::new(BINARY).args(["explain", "090-1234-3204", "--region", "JP"]).output();
    let explained = explained.expect("the program runs");
    let words = said(&explained);
    assert_eq!(explained.status.code(), Some(0), "{}", complained(&explained));
    let places: Vec<_> = ["jp-sakura", "jp-fuji", "jp-atlas"].iter().map(|route| words.rfind(route)).collect();
    assert!(places.is_sorted() && places[0].is_some(), "{words}");
    assert!(!words.contains("3204"), "{words}");
}

#[tokio::test]
async fn wrong_settings_are_all_named_at_once() {
    let up = Up::start();
    let file = up.place().file("otodoke.toml");
    std::fs::write(&file, "public_url = \"nowhere\"\n[plan.JP]\ninternational = \"sometimes\"\n").expect("written");
    let checked = up.type_in(&["config", "check", "--config", file.to_str().expect("Unicode")]);
    assert_eq!(checked.status.code(), Some(1));
    let words = format!("{}{}", said(&checked), complained(&checked));
    assert!(words.contains("international") && words.contains("sometimes"), "{words}");
}
