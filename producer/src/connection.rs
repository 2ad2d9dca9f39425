//! One connection: counted as long as it is open, closed when nothing moves on it for too long.
//!
//! A caller that opens connections and says nothing, or stops in the middle of a request, cannot hold them for ever; nor
//! can one that sends a request byte by byte.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};

/// Longest silence: longer than any request may take, and than an idle connection is worth keeping.
const SILENCE_MS_MAX: u64 = 60_000;
/// Longest time from a request's first byte to its answer's, with much room: bodies and answers have limits of their own.
const ANSWER_MS_MAX: u64 = 60_000;

pub(crate) struct Connection<S> {
    stream: S,
    silence: Pin<Box<Sleep>>,
    /// Runs from the first byte that was read since we last wrote.
    answer: Option<Pin<Box<Sleep>>>,
    _permit: OwnedSemaphorePermit,
}

impl<S> Connection<S> {
    pub(crate) fn new(stream: S, permit: OwnedSemaphorePermit) -> Self {
        Self { stream, silence: after_ms(SILENCE_MS_MAX), answer: None, _permit: permit }
    }

    fn moved(&mut self) {
        self.silence.as_mut().reset(Instant::now() + Duration::from_millis(SILENCE_MS_MAX));
    }

    /// Whether nothing moved for too long, or a request drags on.
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(answer) = &mut self.answer
            && answer.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(());
        }
        self.silence.as_mut().poll(cx)
    }
}

fn after_ms(ms: u64) -> Pin<Box<Sleep>> {
    Box::pin(tokio::time::sleep(Duration::from_millis(ms)))
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_read(cx, buffer) {
            Poll::Ready(read) => {
                self.moved();
                self.answer.get_or_insert_with(|| after_ms(ANSWER_MS_MAX));
                Poll::Ready(read)
            }
            Poll::Pending => {
                ready!(self.poll_over(cx));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(cx, bytes) {
            Poll::Ready(written) => {
                self.moved();
                self.answer = None;
                Poll::Ready(written)
            }
            Poll::Pending => {
                ready!(self.poll_over(cx));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::sync::Semaphore;

    use super::*;

    fn connection() -> (Connection<DuplexStream>, DuplexStream, Arc<Semaphore>) {
        let (ours, theirs) = tokio::io::duplex(4);
        let connections = Arc::new(Semaphore::new(1));
        let permit = connections.clone().try_acquire_owned().expect("one is free");
        (Connection::new(ours, permit), theirs, connections)
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_is_given_up_and_makes_room() {
        let (mut ours, _theirs, connections) = connection();
        let error = ours.read_u8().await.expect_err("nobody writes");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(ours);
        assert_eq!(connections.available_permits(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_does_not_read_is_given_up_too() {
        let (mut ours, _theirs, _connections) = connection();
        let error = ours.write_all(b"more than fits").await.expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn every_movement_renews_the_patience() {
        let (mut ours, mut theirs, _connections) = connection();
        for _ in 0..3 {
            tokio::time::advance(Duration::from_millis(SILENCE_MS_MAX - 1)).await;
            theirs.write_u8(7).await.expect("room");
            assert_eq!(ours.read_u8().await.expect("a byte"), 7);
            ours.write_u8(7).await.expect("room");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_sends_a_request_byte_by_byte_is_given_up() {
        let (mut ours, mut theirs, _connections) = connection();
        let dripping = tokio::spawn(async move {
            while theirs.write_u8(7).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(SILENCE_MS_MAX / 4)).await;
            }
        });
        let started = Instant::now();
        let error = loop {
            if let Err(error) = ours.read_u8().await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(started.elapsed(), Duration::from_millis(ANSWER_MS_MAX));
        dripping.abort();
    }
}
