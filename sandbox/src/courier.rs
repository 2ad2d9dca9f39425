//! Posts what carriers have to say to the door: receipts, pokes, call events. Bounded in flight, in tries and in time; what
//! is not accepted by then is given up, as carriers do, and can still be asked for.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

const POST_WAIT_MS_MAX: u64 = 10_000;
const POST_TRIES_MAX: u32 = 6;
/// Receipts and calls that wait or are under way at one time.
const ERRANDS_MAX: u32 = 20_000;
const POSTS_IN_FLIGHT_MAX: usize = 64;
const REPLY_BYTES_MAX: usize = 64 * 1024;

/// One request to the door.
pub(crate) struct Post {
    pub(crate) url: String,
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
    /// `X-Twilio-Signature`, from the carriers that sign.
    pub(crate) signature: Option<String>,
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

pub(crate) struct Courier {
    client: reqwest::Client,
    retry_ms: u64,
    errands: Arc<Semaphore>,
    posts: Semaphore,
    shutdown: CancellationToken,
}

impl Courier {
    pub(crate) fn new(client: reqwest::Client, retry_ms: u64, shutdown: CancellationToken) -> Self {
        let errands = Arc::new(Semaphore::new(ERRANDS_MAX as usize));
        Self { client, retry_ms, errands, posts: Semaphore::new(POSTS_IN_FLIGHT_MAX), shutdown }
    }

    /// Runs `errand` beside the caller, until it ends or the sandbox stops. False: too many are under way already.
    pub(crate) fn run(&self, errand: impl Future<Output = ()> + Send + 'static) -> bool {
        let Ok(permit) = Arc::clone(&self.errands).try_acquire_owned() else {
            tracing::warn!(
                limit = ERRANDS_MAX,
                "too many receipts are under way: one is dropped and can only be asked for"
            );
            return false;
        };
        let shutdown = self.shutdown.clone();
        tokio::spawn(async move {
            shutdown.run_until_cancelled(errand).await;
            drop(permit);
        });
        true
    }

    /// Posts until `accepted` says so, with doubling pauses. False: given up.
    pub(crate) async fn deliver(&self, post: &Post, accepted: impl Fn(&Reply) -> bool) -> bool {
        let mut pause_ms = self.retry_ms;
        for attempt in 1..=POST_TRIES_MAX {
            // Thousands of receipts wait for their time: a request takes room only while it is under way.
            if Box::pin(self.post(post)).await.is_some_and(|reply| accepted(&reply)) {
                return true;
            }
            if attempt < POST_TRIES_MAX {
                tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                pause_ms = pause_ms.saturating_mul(2);
            }
        }
        tracing::warn!(tries = POST_TRIES_MAX, "a receipt was not accepted and is given up; it can still be asked for");
        false
    }

    /// Posts once. `None`: no answer came.
    pub(crate) async fn post(&self, post: &Post) -> Option<Reply> {
        let _permit = self.posts.acquire().await.ok()?;
        let mut request = self.client.post(&post.url).header(CONTENT_TYPE, post.content_type).body(post.body.clone());
        if let Some(signature) = &post.signature {
            request = request.header("X-Twilio-Signature", signature);
        }
        let mut response = request.timeout(Duration::from_millis(POST_WAIT_MS_MAX)).send().await.ok()?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.ok()? {
            if body.len() + chunk.len() > REPLY_BYTES_MAX {
                return None;
            }
            body.extend_from_slice(&chunk);
        }
        Some(Reply { status, body })
    }

    /// Waits until every errand ended; they do once the sandbox is told to stop.
    pub(crate) async fn finish(&self) {
        let _all = self.errands.acquire_many(ERRANDS_MAX).await;
    }
}
