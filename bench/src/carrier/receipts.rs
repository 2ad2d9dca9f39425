//! Receipts on their way to the door: a few connections that are kept alive, each with one request under way. Each receipt
//! goes alone, or whatever waits goes together, as the vendor may send them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc};
use tokio::time::{Duration, sleep};

use super::words::{Taken, report};
use crate::line::Line;

/// Requests under way at once, of one receipt each.
const LINES: usize = 64;
/// The same of many: with more of them free, each would find fewer receipts waiting.
const GATHERING_LINES: usize = 4;
/// Receipts of one request at most, as the vendor's are.
const GATHERED_MAX: usize = 100;
const RETRY_MS: u64 = 200;
/// A door that is away for longer has lost the receipt, as with a real carrier.
const TRIES_MAX: u32 = 150;

/// How receipts that wait are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Posting {
    /// Each in a request of its own.
    Alone,
    /// What waits in one, and nobody waits for more.
    Together,
}

impl Posting {
    /// Where the carrier is told.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Alone => "/receipts/alone",
            Self::Together => "/receipts/together",
        }
    }
}

/// What was posted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Posted {
    pub(crate) requests: u64,
    pub(crate) receipts: u64,
}

pub(super) struct Receipts {
    alone: mpsc::UnboundedSender<Taken>,
    together: mpsc::UnboundedSender<Taken>,
    gathers: AtomicBool,
    counted: Arc<Counted>,
}

#[derive(Default)]
struct Counted {
    requests: AtomicU64,
    receipts: AtomicU64,
}

impl Receipts {
    /// Each alone, until told otherwise. Call within a tokio runtime. The tasks end when this is dropped.
    pub(super) fn start() -> Self {
        let counted = Arc::<Counted>::default();
        let (alone, together) = (lines(LINES, 1, &counted), lines(GATHERING_LINES, GATHERED_MAX, &counted));
        Self { alone, together, gathers: AtomicBool::new(false), counted }
    }

    /// Of those that are told from now on.
    pub(super) fn post(&self, posting: Posting) {
        self.gathers.store(posting == Posting::Together, Ordering::Relaxed);
    }

    pub(super) fn tell(&self, messages: Vec<Taken>) {
        let lines = if self.gathers.load(Ordering::Relaxed) { &self.together } else { &self.alone };
        for message in messages {
            // The receiver lives as long as the process.
            drop(lines.send(message));
        }
    }

    pub(super) fn posted(&self) -> Posted {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Posted { requests: of(&self.counted.requests), receipts: of(&self.counted.receipts) }
    }
}

fn lines(count: usize, per_post: usize, counted: &Arc<Counted>) -> mpsc::UnboundedSender<Taken> {
    let (tell, told) = mpsc::unbounded_channel();
    let told = Arc::new(Mutex::new(told));
    for _ in 0..count {
        tokio::spawn(post_all(Arc::clone(&told), per_post, Arc::clone(counted)));
    }
    tell
}

/// All that are told have one webhook, the door's: the first one's is that of all.
async fn post_all(told: Arc<Mutex<mpsc::UnboundedReceiver<Taken>>>, per_post: usize, counted: Arc<Counted>) {
    let mut line: Option<Line> = None;
    loop {
        let mut messages = Vec::with_capacity(per_post);
        if told.lock().await.recv_many(&mut messages, per_post).await == 0 {
            return;
        }
        let body = serde_json::to_string(&report(&messages)).expect("plain strings and numbers");
        let Some((address, path)) = messages[0].webhook.as_ref().and_then(|(url, _)| place(url)) else { continue };
        for _ in 0..TRIES_MAX {
            if post(&mut line, address, &path, &body).await {
                counted.requests.fetch_add(1, Ordering::Relaxed);
                counted.receipts.fetch_add(messages.len() as u64, Ordering::Relaxed);
                break;
            }
            line = None;
            sleep(Duration::from_millis(RETRY_MS)).await;
        }
    }
}

async fn post(line: &mut Option<Line>, address: SocketAddr, path: &str, body: &str) -> bool {
    if line.is_none() {
        *line = Line::open(address, None).await.ok();
    }
    let Some(line) = line else { return false };
    line.post(path, body).await.is_ok_and(|reply| (200..300).contains(&reply.status))
}

fn place(url: &str) -> Option<(SocketAddr, String)> {
    let (host, path) = url.strip_prefix("http://")?.split_once('/')?;
    Some((host.parse().ok()?, format!("/{path}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_is_a_place_on_this_machine() {
        let (address, path) = place("http://127.0.0.1:8080/receipts/fast").expect("a good URL");
        assert_eq!((address.port(), path.as_str()), (8_080, "/receipts/fast"));
        assert!(place("https://example.com/x").is_none());
    }
}
