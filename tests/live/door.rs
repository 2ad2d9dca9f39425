//! Bad input over real sockets: too big, too slow, no HTTP at all, too often. The door refuses and stays open.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::up::Up;

const HUGE_BYTES: usize = 10 * 1024 * 1024;
/// The door gives a body five seconds.
const SLOW_WAIT_MAX: Duration = Duration::from_secs(9);
const CONNECTION_WAIT_MAX: Duration = Duration::from_secs(20);
const CHECKS: usize = 1_000;
/// What a message bears.
const GUESSES: usize = 5;
const SILENT: usize = 400;
/// Connections that were answered once and stay open, after some that make the process take what it has for good.
const IDLE: usize = 400;
const IDLE_BEFORE: usize = 50;
/// So many at once, and then a pause in which HTTP is laid aside on them: it stays for a tenth of a second.
const AT_ONCE: usize = 50;
const LINGERED: Duration = Duration::from_millis(300);
/// What each of them may add to the memory of the process, which grows by two MiB at a time. With HTTP laid aside it is 2,
/// with HTTP's buffers 18, with a router of its own 42.
const IDLE_KIB_MAX: usize = 12;

/// Says these bytes on a connection of its own; returns what was answered until the other side had enough.
async fn say(up: &Up, bytes: Vec<u8>) -> String {
    let stream = TcpStream::connect(up.address()).await.expect("it listens");
    let (mut reading, mut writing) = stream.into_split();
    let saying = tokio::spawn(async move {
        // Whoever is refused may find the connection closed while it still speaks.
        let said = writing.write_all(&bytes).await;
        (said, writing)
    });
    let mut answer = Vec::new();
    let heard = async {
        // Kept as far as it came, for a connection may end without a goodbye.
        let mut part = [0; 4_096];
        while let Ok(count @ 1..) = reading.read(&mut part).await {
            answer.extend_from_slice(&part[..count]);
        }
    };
    drop(tokio::time::timeout(CONNECTION_WAIT_MAX, heard).await);
    saying.abort();
    String::from_utf8_lossy(&answer).into_owned()
}

fn post(up: &Up, headers: &str) -> String {
    let (address, key) = (up.address(), up.key());
    format!(
        "POST /v1/verifications HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nConnection: close\r\n{headers}\r\n"
    )
}

#[tokio::test]
async fn a_body_of_10_mb_is_refused_whether_its_length_is_told_or_not() {
    let up = Up::start();
    let mut told = post(&up, &format!("Content-Length: {HUGE_BYTES}\r\n")).into_bytes();
    told.resize(told.len() + HUGE_BYTES, b'x');
    let mut untold = post(&up, "Transfer-Encoding: chunked\r\n").into_bytes();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    for _ in 0..HUGE_BYTES / 0x10000 {
        untold.extend_from_slice(chunk.as_bytes());
    }
    untold.extend_from_slice(b"0\r\n\r\n");
    for (what, bytes) in [("told", told), ("untold", untold)] {
        let answer = say(&up, bytes).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{what}: {answer:?}");
        assert!(answer.contains("body_too_large"), "{what}: {answer:?}");
    }
    up.caller().send("+819012343301", json!({})).await;
}

#[tokio::test]
async fn a_body_that_comes_too_slowly_is_given_up() {
    let up = Up::start();
    let begun = Instant::now();
    let answer = say(&up, format!("{}{{\"to\":", post(&up, "Content-Length: 60\r\n")).into_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("body_too_slow"), "{answer:?}");
    assert!(begun.elapsed() < SLOW_WAIT_MAX, "after {:?}", begun.elapsed());
}

#[tokio::test]
async fn what_is_no_http_is_refused_and_the_door_stays_open() {
    let up = Up::start();
    let noise: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let mut sayings: Vec<(&str, Vec<u8>)> = vec![
        ("noise", noise),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(100)),
        ("another version", b"GET /healthz HTTP/9.9\r\n\r\n".to_vec()),
        ("a NUL in the path", b"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("two lengths", post(&up, "Content-Length: 2\r\nContent-Length: 3\r\n").into_bytes()),
        ("a negative length", post(&up, "Content-Length: -1\r\n").into_bytes()),
        (
            "a length and chunks",
            format!("{}0\r\n\r\n", post(&up, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")).into(),
        ),
    ];
    let many: String = (0..1_000).map(|index| format!("X-{index}: y\r\n")).collect();
    sayings.push(("a thousand headers", post(&up, &many).into_bytes()));
    sayings.push(("a huge header", post(&up, &format!("X-Huge: {}\r\n", "y".repeat(1024 * 1024))).into_bytes()));
    sayings.push(("a huge path", format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(200_000)).into_bytes()));
    for (what, bytes) in sayings {
        let answer = say(&up, bytes).await;
        let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
        assert!(refused, "{what}: {}", &answer[..answer.len().min(300)]);
    }
    up.caller().send("+819012343302", json!({})).await;
}

#[tokio::test]
async fn bodies_that_are_no_request_are_refused_by_name() {
    let up = Up::start();
    let caller = up.caller();
    let deep = format!("{}{}", "[".repeat(8_000), "]".repeat(8_000));
    let long = format!("{{\"to\": \"{}\", \"purpose\": \"login\"}}", "9".repeat(10_000));
    let cases: [(&str, &str, u16, &str); 12] = [
        ("nothing", "", 422, "invalid_json"),
        ("no JSON", "{to: 5}", 422, "invalid_json"),
        ("no object", "[]", 422, "invalid_field"),
        ("deep", &deep, 422, "invalid_json"),
        ("no number", "{\"purpose\": \"login\"}", 422, "missing_field"),
        ("a number of no type", "{\"to\": 819012345678, \"purpose\": \"login\"}", 422, "invalid_field"),
        ("a long number", &long, 422, "invalid_number"),
        (
            "twice",
            "{\"to\": \"+819012343303\", \"to\": \"+819012343304\", \"purpose\": \"login\"}",
            422,
            "duplicate_field",
        ),
        ("a typo", "{\"to\": \"+819012343303\", \"purpose\": \"login\", \"tll_seconds\": 5}", 422, "unknown_field"),
        (
            "a wild number",
            "{\"to\": \"+819012343303\", \"purpose\": \"login\", \"ttl_seconds\": 1e999}",
            422,
            "invalid_json",
        ),
        ("a payment of nothing", "{\"to\": \"+819012343303\", \"purpose\": \"payment\"}", 422, "missing_field"),
        ("a NUL", "{\"to\": \"+8190\\u000012343303\", \"purpose\": \"login\"}", 422, "invalid_field"),
    ];
    for (what, body, status, code) in cases {
        let answer = caller.ask(Method::POST, "/v1/verifications", body, &[]).await;
        assert_eq!((answer.status, answer.json()["code"].as_str()), (status, Some(code)), "{what}: {answer:?}");
        assert!(answer.json()["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{what}: {answer:?}");
        assert!(!answer.text.contains("12343303"), "{what}: the refusal repeats the number: {answer:?}");
    }
    for key in ["", "Bearer", "Bearer otk_wrong", "Basic eDp5", &format!("Bearer {}", "x".repeat(5_000))] {
        let body = json!({ "to": "+819012343303", "purpose": "login" }).to_string();
        let answer = caller.ask(Method::POST, "/v1/verifications", &body, &[("authorization", key)]).await;
        assert_eq!((answer.status, answer.json()["code"].as_str()), (401, Some("unauthorized")), "{answer:?}");
    }
    assert!(caller.handset("+819012343303").await.texts.is_empty(), "nothing was sent for any of it");
}

#[tokio::test]
async fn a_thousand_wrong_guesses_at_once_are_worth_five() {
    let up = Up::start();
    let caller = up.caller();
    let number = "+819012343305";
    let id = caller.send(number, json!({})).await;
    caller.until_status(&id, "delivered").await;
    let right = caller.handset(number).await.texts[0].code();
    let wrong = (0..=CHECKS).map(|guess| format!("{guess:06}")).filter(|guess| *guess != right).take(CHECKS);
    let checks: Vec<_> = wrong
        .map(|guess| {
            let (caller, id) = (caller.clone(), id.clone());
            tokio::spawn(async move { caller.check(&id, &guess).await })
        })
        .collect();
    let mut answers: BTreeMap<String, usize> = BTreeMap::new();
    for check in checks {
        *answers.entry(check.await.expect("every check is answered")).or_default() += 1;
    }
    // One that was paid for, but not judged before the last one ended the message, is told so too.
    let compared = answers.get("wrong_code").copied().unwrap_or_default();
    let refused = answers.get("too_many_guesses").copied().unwrap_or_default();
    assert!((1..=GUESSES).contains(&compared) && compared + refused == CHECKS, "{answers:?}");
    let story = caller.story(&id).await;
    assert_eq!(story.matches("\"guess_paid\"").count(), GUESSES, "{story}");
    assert_eq!(caller.check(&id, &right).await, "too_many_guesses");
    let message = caller.message(&id).await;
    assert_eq!((&message["status"], &message["failure"]["reason"]), (&json!("failed"), &json!("guessed_out")));
}

#[tokio::test]
async fn connections_that_say_nothing_shut_nobody_out() {
    let up = Up::start();
    let mut silent = Vec::new();
    for index in 0..SILENT {
        let mut stream = TcpStream::connect(up.address()).await.expect("it listens");
        if index % 2 == 0 {
            stream.write_all(b"POST /v1/verifi").await.expect("half a request line");
        }
        silent.push(stream);
    }
    let caller = up.caller();
    let id = caller.send("+819012343306", json!({})).await;
    caller.until_status(&id, "delivered").await;
    drop(silent);
    up.stop().await;
}

/// Asks for the probe that looks at nothing.
async fn is_alive(stream: &mut TcpStream) -> bool {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: door\r\n\r\n").await.expect("an open connection");
    let mut answer = [0; 1_024];
    let read = stream.read(&mut answer).await.expect("an open connection");
    answer[..read].starts_with(b"HTTP/1.1 200")
}

fn resident_kib(up: &Up) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", up.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux tells it");
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).expect("a number")
}

#[tokio::test]
async fn a_connection_that_nothing_is_on_costs_little_and_is_answered_again() {
    let up = Up::start();
    let mut idle = Vec::new();
    let mut before = 0;
    for index in 0..IDLE_BEFORE + IDLE {
        if index % AT_ONCE == 0 {
            // What HTTP took is free by then, and used again for the next ones.
            tokio::time::sleep(LINGERED).await;
        }
        if index == IDLE_BEFORE {
            before = resident_kib(&up);
        }
        let mut stream = TcpStream::connect(up.address()).await.expect("it listens");
        assert!(is_alive(&mut stream).await);
        idle.push(stream);
    }
    let grown = resident_kib(&up).saturating_sub(before);
    assert!(grown <= IDLE * IDLE_KIB_MAX, "{IDLE} connections take {grown} KiB");
    for stream in &mut idle {
        assert!(is_alive(stream).await);
    }
}
