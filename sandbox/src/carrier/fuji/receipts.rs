//! Receipts gathered into one request per webhook: up to 100, or what came within a moment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::courier::{Post, Reply};
use crate::exchange::{Exchange, pause};

const BATCH_MAX: usize = 100;

pub(super) struct Batches {
    exchange: Arc<Exchange>,
    waiting: Mutex<HashMap<String, Vec<Waiting>>>,
}

struct Waiting {
    report: Value,
    accepted: oneshot::Sender<bool>,
}

impl Batches {
    pub(super) fn new(exchange: Arc<Exchange>) -> Arc<Self> {
        Arc::new(Self { exchange, waiting: Mutex::new(HashMap::new()) })
    }

    /// Sends the report with others for the same webhook. True: the door accepted them.
    pub(super) async fn tell(self: &Arc<Self>, url: &str, report: Value) -> bool {
        let (accepted, answer) = oneshot::channel();
        let full = {
            let mut waiting = self.waiting.lock().expect("no code panics while it holds the batches");
            let batch = waiting.entry(url.to_owned()).or_default();
            batch.push(Waiting { report, accepted });
            if batch.len() == 1 {
                self.send_soon(url);
            }
            if batch.len() == BATCH_MAX { std::mem::take(batch) } else { Vec::new() }
        };
        self.send(url, full).await;
        answer.await.unwrap_or(false)
    }

    fn send_soon(self: &Arc<Self>, url: &str) {
        let (batches, url) = (Arc::clone(self), url.to_owned());
        self.exchange.courier.run(async move {
            pause(batches.exchange.waits.batch_ms).await;
            let batch = batches.waiting.lock().expect("no code panics while it holds the batches").remove(&url);
            batches.send(&url, batch.unwrap_or_default()).await;
        });
    }

    async fn send(&self, url: &str, batch: Vec<Waiting>) {
        if batch.is_empty() {
            return;
        }
        let (reports, callers): (Vec<Value>, Vec<_>) = batch.into_iter().map(|one| (one.report, one.accepted)).unzip();
        let post = Post {
            url: url.to_owned(),
            content_type: "application/json",
            body: json!({ "results": reports }).to_string(),
            signature: None,
        };
        let accepted = self.exchange.courier.deliver(&post, Reply::is_success).await;
        for caller in callers {
            let _gone = caller.send(accepted);
        }
    }
}
