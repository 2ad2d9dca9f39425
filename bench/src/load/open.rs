//! Requests at times that were fixed beforehand, whatever became of the earlier ones. A request that had to wait for a
//! connection waited all the same: its latency counts from when it was to be sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use anyhow::Context;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::{Duration, MissedTickBehavior, interval};

use crate::line::Line;
use crate::stopwatch::micros;

const TICK_MS: u64 = 1;
const SECOND_US: f64 = 1e6;

/// One request.
pub(crate) struct Ask {
    /// Whom the code is for.
    pub(crate) number: u64,
    pub(crate) scheduled_us: u64,
    pub(crate) body: String,
}

/// What the door said to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) number: u64,
    pub(crate) scheduled_us: u64,
    pub(crate) answered_us: u64,
    pub(crate) status: u16,
    /// A message was under way already.
    pub(crate) joined: bool,
}

impl Answer {
    pub(crate) const fn accepted(&self) -> bool {
        self.status == 202
    }
}

/// Connections that send what they are given as soon as one of them is free.
pub(crate) struct Callers {
    asks: UnboundedSender<Ask>,
    answers: Arc<Mutex<Vec<Answer>>>,
    tasks: JoinSet<anyhow::Result<()>>,
}

impl Callers {
    pub(crate) async fn start(door: SocketAddr, api_key: &str, connections: usize) -> anyhow::Result<Self> {
        let (asks, given) = unbounded_channel();
        let given = Arc::new(tokio::sync::Mutex::new(given));
        let answers = Arc::<Mutex<Vec<Answer>>>::default();
        let mut tasks = JoinSet::new();
        for _ in 0..connections {
            let line = Line::open(door, Some(api_key)).await?;
            tasks.spawn(send_all(line, Arc::clone(&given), Arc::clone(&answers)));
        }
        Ok(Self { asks, answers, tasks })
    }

    pub(crate) fn send(&self, ask: Ask) {
        // Without a connection left, `end` says why.
        drop(self.asks.send(ask));
    }

    /// Every answer, once the last one came.
    pub(crate) async fn end(mut self) -> anyhow::Result<Vec<Answer>> {
        drop(self.asks);
        while let Some(ended) = self.tasks.join_next().await {
            ended.context("a connection panicked")??;
        }
        Ok(std::mem::take(&mut *self.answers.lock().expect("no code panics while it holds the answers")))
    }
}

async fn send_all(
    mut line: Line,
    given: Arc<tokio::sync::Mutex<UnboundedReceiver<Ask>>>,
    answers: Arc<Mutex<Vec<Answer>>>,
) -> anyhow::Result<()> {
    loop {
        let ask = given.lock().await.recv().await;
        let Some(Ask { number, scheduled_us, body }) = ask else { return Ok(()) };
        let reply = line.post("/v1/verifications", &body).await.context("the door hung up")?;
        let said = String::from_utf8_lossy(&reply.body);
        anyhow::ensure!([202, 429, 503].contains(&reply.status), "the door answered {}: {said}", reply.status);
        let joined = said.contains("\"joined\":true");
        let answer = Answer { number, scheduled_us, answered_us: micros(), status: reply.status, joined };
        answers.lock().expect("no code panics while it holds the answers").push(answer);
    }
}

/// Evenly spaced times, each handed out when it has come: so many per second, over so many seconds.
pub(crate) async fn at_rate(per_s: f64, seconds: f64, mut each: impl FnMut(u64)) {
    let begun_us = micros();
    let mut ticks = interval(Duration::from_millis(TICK_MS));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut done = 0_u64;
    loop {
        ticks.tick().await;
        let passed_s = crate::figures::float(micros().saturating_sub(begun_us)) / SECOND_US;
        let due = whole(passed_s.min(seconds) * per_s);
        while done < due {
            each(begun_us + whole(crate::figures::float(done) / per_s * SECOND_US));
            done += 1;
        }
        if passed_s >= seconds {
            return;
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "times and counts of a benchmark")]
const fn whole(value: f64) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn times_are_evenly_spaced_and_as_many_as_asked_for() {
        let mut times = Vec::new();
        at_rate(1_000.0, 0.05, |at_us| times.push(at_us)).await;
        assert_eq!(times.len(), 50);
        assert!(times.windows(2).all(|pair| (999..=1_001).contains(&(pair[1] - pair[0]))), "{times:?}");
    }
}
