//! What HTTP reads and writes on one connection, from a request's first byte until its answer has left. It tells how far
//! that is, and gives up a caller who is too slow.
//!
//! Whoever stops in the middle of a request, sends it byte by byte, or does not read the answer, cannot hold a connection
//! for ever. Silence between requests is `connection`'s business.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Longest time from a request's first byte to its answer's, and from there on for each part of the answer; with much room:
/// bodies and answers have limits of their own.
const ANSWER_MS_MAX: u64 = 60_000;

pub(crate) struct Line<S> {
    stream: S,
    /// What was read before HTTP was taken up.
    begun: Bytes,
    stage: Arc<Stage>,
    patience: Pin<Box<Sleep>>,
}

/// How far an exchange is. HTTP holds what changes it, so that it is shared.
#[derive(Default)]
pub(crate) struct Stage {
    requests: AtomicU64,
    heard: AtomicBool,
    answered: AtomicBool,
    sent: AtomicBool,
}

impl Stage {
    /// Something came: what follows is not over with the last answer.
    fn comes(&self) {
        self.answered.store(false, Ordering::Relaxed);
        self.sent.store(false, Ordering::Relaxed);
    }

    /// A request begins.
    pub(crate) fn asked(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.heard.store(false, Ordering::Relaxed);
        self.comes();
    }

    /// That began so far.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Its body was read to the end.
    pub(crate) fn heard(&self) {
        self.heard.store(true, Ordering::Relaxed);
    }

    /// Its answer is known.
    pub(crate) fn answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    /// All that HTTP has so far has left.
    fn flushed(&self) {
        self.sent.store(self.answered.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// A request was heard to its end, its answer has left, and nothing came since. What is left of a body must never be
    /// taken for a request.
    pub(crate) fn is_over(&self) -> bool {
        self.heard.load(Ordering::Relaxed) && self.sent.load(Ordering::Relaxed)
    }
}

impl<S> Line<S> {
    pub(crate) fn new(stream: S, begun: Bytes, stage: Arc<Stage>) -> Self {
        Self { stream, begun, stage, patience: Box::pin(tokio::time::sleep(answer_max())) }
    }

    pub(crate) fn into_stream(self) -> S {
        self.stream
    }

    /// What cannot go on now can wait no longer than this.
    fn poll_over<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        ready!(self.patience.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

const fn answer_max() -> Duration {
    Duration::from_millis(ANSWER_MS_MAX)
}

impl<S: AsyncRead + Unpin> AsyncRead for Line<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.begun.is_empty() {
            let room = self.begun.len().min(buffer.remaining());
            buffer.put_slice(&self.begun.split_to(room));
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buffer) {
            Poll::Ready(read) => {
                if buffer.filled().len() > before {
                    self.stage.comes();
                }
                Poll::Ready(read)
            }
            Poll::Pending => self.poll_over(cx),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Line<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(cx, bytes) {
            Poll::Ready(written) => {
                self.patience.as_mut().reset(Instant::now() + answer_max());
                Poll::Ready(written)
            }
            Poll::Pending => self.poll_over(cx),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(Pin::new(&mut self.stream).poll_flush(cx));
        self.stage.flushed();
        Poll::Ready(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;

    fn line() -> (Line<DuplexStream>, DuplexStream, Arc<Stage>) {
        let (ours, theirs) = tokio::io::duplex(4);
        let stage = Arc::<Stage>::default();
        (Line::new(ours, Bytes::new(), Arc::clone(&stage)), theirs, stage)
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_stops_in_the_middle_is_given_up() {
        let (mut ours, _theirs, _) = line();
        let error = ours.read_u8().await.expect_err("nobody writes");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_does_not_read_is_given_up_too() {
        let (mut ours, _theirs, _) = line();
        let error = ours.write_all(b"more than fits").await.expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn every_answer_renews_the_patience() {
        let (mut ours, mut theirs, _) = line();
        for _ in 0..3 {
            tokio::time::advance(Duration::from_millis(ANSWER_MS_MAX - 1)).await;
            theirs.write_u8(7).await.expect("room");
            assert_eq!(ours.read_u8().await.expect("a byte"), 7);
            ours.write_u8(7).await.expect("room");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_sends_a_request_byte_by_byte_is_given_up() {
        let (mut ours, mut theirs, _) = line();
        let dripping = tokio::spawn(async move {
            while theirs.write_u8(7).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(ANSWER_MS_MAX / 4)).await;
            }
        });
        let started = Instant::now();
        let error = loop {
            if let Err(error) = ours.read_u8().await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(started.elapsed(), answer_max());
        dripping.abort();
    }

    #[tokio::test]
    async fn an_exchange_is_over_once_all_was_heard_and_answered_and_until_something_comes() {
        let (mut ours, mut theirs, stage) = line();
        stage.asked();
        stage.heard();
        ours.flush().await.expect("nothing to do");
        assert!(!stage.is_over(), "nothing was answered yet");
        stage.answered();
        assert!(!stage.is_over(), "nor did this leave");
        ours.flush().await.expect("nothing to do");
        assert!(stage.is_over());
        theirs.write_u8(7).await.expect("room");
        ours.read_u8().await.expect("a byte");
        assert!(!stage.is_over(), "the next request begins");
        stage.asked();
        stage.answered();
        ours.flush().await.expect("nothing to do");
        assert!(!stage.is_over(), "it was answered early: the rest of its body may come");
    }

    #[tokio::test]
    async fn what_was_read_before_comes_first() {
        let (ours, mut theirs, stage) = line();
        let mut ours = Line::new(ours.into_stream(), Bytes::from_static(b"GE"), stage);
        theirs.write_all(b"T ").await.expect("room");
        let mut read = [0; 4];
        ours.read_exact(&mut read).await.expect("both parts");
        assert_eq!(&read, b"GET ");
    }
}
