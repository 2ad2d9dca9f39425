//! A program of another kind that publishes: pika, logged in at the broker as a user of its own.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

pub(crate) const EXCHANGE: &str = "otodoke.send";

/// One message as the contract wants it; a test changes what it is about.
#[derive(Clone)]
pub(crate) struct Letter {
    pub(crate) exchange: &'static str,
    pub(crate) key: String,
    pub(crate) body: String,
    pub(crate) properties: Value,
    pub(crate) headers: Value,
}

impl Letter {
    pub(crate) fn new(id: &str, lane: &str, body: &Value) -> Self {
        Self {
            exchange: EXCHANGE,
            key: lane.to_owned(),
            body: body.to_string(),
            properties: json!({"content_type": "application/json", "delivery_mode": 2, "message_id": id}),
            headers: json!({"otodoke-version": 1}),
        }
    }

    pub(crate) fn property(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.properties[name] = value.into();
        self
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.headers[name] = value.into();
        self
    }
}

/// A user of the broker.
pub(crate) struct Publisher {
    pub(crate) python: PathBuf,
    pub(crate) user: &'static str,
    pub(crate) url: String,
}

impl Publisher {
    /// Publishes all of them; each must be confirmed.
    pub(crate) fn publish(&self, letters: &[Letter]) {
        for answer in self.try_publish(letters) {
            assert_eq!(answer, json!({"ok": true}), "{}", self.user);
        }
    }

    /// What the broker said to each. Sent now and by this user, where the letter says nothing else.
    pub(crate) fn try_publish(&self, letters: &[Letter]) -> Vec<Value> {
        let mut python = Command::new(&self.python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/live/amqp/publish.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python runs");
        let mut asks = python.stdin.take().expect("a pipe");
        for letter in letters {
            let mut properties = letter.properties.clone();
            for (name, usual) in [("user_id", json!(self.user)), ("timestamp", json!(now_s()))] {
                if properties.get(name).is_none() {
                    properties[name] = usual;
                }
            }
            let line = json!({
                "url": self.url, "exchange": letter.exchange, "key": letter.key, "body": letter.body,
                "properties": properties, "headers": letter.headers,
            });
            writeln!(asks, "{line}").expect("python reads");
        }
        drop(asks);
        let output = python.wait_with_output().expect("python ends");
        let answers = String::from_utf8(output.stdout).expect("answers are text");
        let answers: Vec<Value> =
            answers.lines().map(|line| serde_json::from_str(line).expect("an answer in JSON")).collect();
        assert_eq!(answers.len(), letters.len(), "each is answered");
        answers
    }
}

/// As AMQP's timestamps count: seconds since the Unix epoch.
pub(crate) fn now_s() -> i64 {
    otodoke_common::clock::Clock::system().now().unix_ms() / 1_000
}
