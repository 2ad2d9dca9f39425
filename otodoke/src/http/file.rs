//! `send --file`: every line is a request of its own, so many in flight at a time, with a bar and a summary.
//!
//! A line is read, sent and told before the file is read on: a file of any length needs little memory.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use otodoke_common::retry::Delays;
use otodoke_producer::answer::Accepted;
use otodoke_producer::client::{Client, ClientError};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant};

use super::bodies::Body;
use super::lines::{Line, Lines};
use crate::output::{Outcome, Output};

/// The code of a line for which no door was there.
const NO_DOOR: &str = "no_door";
/// Between two tries to connect.
const PAUSE_FIRST_MS: u64 = 250;
const PAUSE_LAST_MS: u64 = 2_000;

/// What became of one line, counted from 1.
#[derive(Debug, Serialize)]
struct LineResult {
    line: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    joined: Option<bool>,
}

impl LineResult {
    const fn of(line: usize) -> Self {
        Self { line, id: None, error: None, code: None, field: None, joined: None }
    }
}

#[derive(Debug, Default, Serialize)]
struct Summary {
    lines: usize,
    accepted: usize,
    failed: usize,
    /// Failures by the door's code.
    failures: BTreeMap<String, usize>,
}

/// What to send, and how.
pub(super) struct File<'a> {
    pub(super) path: &'a Path,
    pub(super) key: Option<&'a str>,
    pub(super) in_flight: usize,
    /// For a door that takes no connection.
    pub(super) patience: Duration,
}

pub(super) async fn send(client: &Client, file: &File<'_>, output: &Output) -> anyhow::Result<Outcome> {
    let File { path, key, in_flight, patience } = *file;
    let mut lines = Lines::open(path)?;
    let bar = bar(output, lines.bytes);
    let mut summary = Summary::default();
    let mut sending = JoinSet::new();
    let post =
        Arc::new(Post { client: client.clone(), patience, bar: bar.clone(), is_waiting: AtomicBool::new(false) });
    let mut last = 0;
    // Where the rest cannot be read, or nobody takes the answers, what is on its way comes to its end all the same.
    let mut end = loop {
        if sending.len() >= in_flight
            && let Err(error) = tell(sending.join_next().await, &mut summary, &bar, output)
        {
            break Err(error);
        }
        let line = match lines.next() {
            Ok(Some(line)) => line,
            Ok(None) => break Ok(()),
            Err(error) => {
                break Err(anyhow::Error::from(error).context(format!("{} cannot be read on", path.display())));
            }
        };
        bar.set_position(lines.read);
        (summary.lines, last) = (summary.lines + 1, line.number);
        let key = key.map(|key| format!("{key}-{}", line.number));
        sending.spawn(send_line(post.clone(), key, line));
    };
    end = end.with_context(|| format!("the lines after line {last} were not sent"));
    while let Some(result) = sending.join_next().await {
        end = end.and(tell(Some(result), &mut summary, &bar, output));
    }
    bar.finish_and_clear();
    let told = output.answer(&summary, || sentences(&summary));
    end.and(told.map_err(anyhow::Error::from))?;
    Ok(Outcome::of(summary.failed == 0))
}

/// With a key a line may be repeated: the whole file can be sent again, and nobody gets a second code.
async fn send_line(post: Arc<Post>, key: Option<String>, line: Line) -> LineResult {
    let Line { number, text } = line;
    let of_line = LineResult::of(number);
    let failed = |code: &str, error: String| LineResult {
        error: Some(error),
        code: Some(code.to_owned()),
        ..LineResult::of(number)
    };
    let text = match text {
        Ok(text) => text,
        Err(error) => return failed("unreadable_line", format!("the line {}", error.sentence())),
    };
    let body = match Body::read(&text) {
        Ok(body) => body,
        Err(error) => return failed("unreadable_line", format!("the line is no request: {error}")),
    };
    match post.send(&body, key.as_deref()).await {
        Ok(accepted) => LineResult { id: Some(accepted.id), joined: Some(accepted.joined), ..of_line },
        Err(ClientError::Refused { body, .. }) => LineResult { field: body.field, ..failed(&body.code, body.detail) },
        Err(error) if error.is_not_connected() => failed(NO_DOOR, error.to_string()),
        Err(
            error @ (ClientError::Unreachable { .. }
            | ClientError::Unreadable { .. }
            | ClientError::Unmade { .. }
            | ClientError::NotAUrl { .. }
            | ClientError::NotAnId { .. }),
        ) => failed("no_answer", error.to_string()),
    }
}

/// What all lines share.
struct Post {
    client: Client,
    patience: Duration,
    bar: ProgressBar,
    /// Told once, until somebody gets through again.
    is_waiting: AtomicBool,
}

impl Post {
    /// A door that is started anew takes no connection for a moment, and what could not be connected was not sent.
    async fn send(&self, body: &Body, key: Option<&str>) -> Result<Accepted, ClientError> {
        let (begun, delays) = (Instant::now(), Delays::new(PAUSE_FIRST_MS, PAUSE_LAST_MS));
        let mut tries = 0;
        loop {
            match body.send(&self.client, key).await {
                Err(error) if error.is_not_connected() && begun.elapsed() < self.patience => {
                    tries += 1;
                    if !self.is_waiting.swap(true, Ordering::Relaxed) {
                        let patience_s = self.patience.as_secs();
                        let told = format!("{error}; it is tried again for up to {patience_s} s");
                        self.bar.suspend(|| Output::complain("otodoke", &told));
                    }
                }
                sent => {
                    self.is_waiting.store(false, Ordering::Relaxed);
                    return sent;
                }
            }
            tokio::time::sleep(Duration::from_millis(delays.delay_ms(tries, 0))).await;
        }
    }
}

fn tell(
    joined: Option<Result<LineResult, tokio::task::JoinError>>,
    summary: &mut Summary,
    bar: &ProgressBar,
    output: &Output,
) -> anyhow::Result<()> {
    let Some(joined) = joined else { return Ok(()) };
    let result = joined.context("a line was not sent")?;
    match &result.error {
        None => summary.accepted += 1,
        Some(error) => {
            summary.failed += 1;
            let code = result.code.clone().unwrap_or_default();
            *summary.failures.entry(code.clone()).or_default() += 1;
            if matches!(output, Output::People) {
                bar.suspend(|| Output::complain("otodoke", &anyhow::anyhow!("line {} ({code}): {error}", result.line)));
            }
        }
    }
    bar.set_message(format!("{} accepted, {} failed", summary.accepted, summary.failed));
    match output {
        Output::People => {}
        Output::Programs => output.answer(&result, String::new).context("nobody takes the answers")?,
    }
    // Every line after it would wait as long for nothing.
    let is_away = result.code.as_deref() == Some(NO_DOOR);
    anyhow::ensure!(!is_away, "nobody takes connections there; with --idempotency-key the file may be sent again");
    Ok(())
}

fn sentences(summary: &Summary) -> String {
    let Summary { lines, accepted, failed, failures } = summary;
    let reasons: String = failures.iter().map(|(code, count)| format!("\n  {count:>8}  {code}")).collect();
    format!("{lines} requests: {accepted} accepted, {failed} failed.{reasons}")
}

fn bar(output: &Output, bytes: u64) -> ProgressBar {
    let bar = match output {
        Output::People => ProgressBar::new(bytes),
        Output::Programs => ProgressBar::hidden(),
    };
    let style = ProgressStyle::with_template("{bar:40} {percent:>3}%  {msg}  {elapsed}");
    bar.with_style(style.expect("the template names known parts"))
}
