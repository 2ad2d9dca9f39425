//! Receipts on their way to the door: a few connections that are kept alive, each with one request under way.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{Mutex, mpsc};
use tokio::time::{Duration, sleep};

use super::words::{Taken, report};
use crate::line::Line;

/// Requests under way at once.
const LINES: usize = 64;
const RETRY_MS: u64 = 200;
/// A door that is away for longer has lost the receipt, as with a real carrier.
const TRIES_MAX: u32 = 150;

pub(super) struct Receipts(mpsc::UnboundedSender<Taken>);

impl Receipts {
    /// Call within a tokio runtime. The tasks end when this is dropped.
    pub(super) fn start(per_post: usize) -> Self {
        let (tell, told) = mpsc::unbounded_channel();
        let told = Arc::new(Mutex::new(told));
        for _ in 0..LINES {
            tokio::spawn(post_all(Arc::clone(&told), per_post));
        }
        Self(tell)
    }

    pub(super) fn tell(&self, messages: Vec<Taken>) {
        for message in messages {
            // The receiver lives as long as the process.
            drop(self.0.send(message));
        }
    }
}

async fn post_all(told: Arc<Mutex<mpsc::UnboundedReceiver<Taken>>>, per_post: usize) {
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
