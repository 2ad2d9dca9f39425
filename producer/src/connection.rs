//! One connection: HTTP while a request is on it, and little more than its socket in between.
//!
//! Most connections of a door are silent most of the time, and what HTTP keeps for one, two buffers of 8 KiB before all, is
//! many times what its socket takes. So HTTP is laid aside soon after an answer and taken up again with the next request.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::line::{Line, Stage};

/// Longest silence between requests: longer than an idle connection is worth keeping.
const SILENCE_MS_MAX: u64 = 60_000;

/// From an answer on, until HTTP is laid aside: whoever sends one request after the other finds it there. Buffers that are
/// made and freed for each request cost page faults besides.
pub(crate) const LINGER_MS: u64 = 100;
/// Connections on which HTTP lingers at once, each with up to 30 KiB. On others it is laid aside with the answer.
pub(crate) const LINGERING_MAX: usize = 1_024;

/// Longest head of a request, and most that is read ahead of a body, bytes: what anybody who connects can make a door keep.
/// Ours are below one KiB and vendors' below four; hyper takes no less than 8 KiB.
pub(crate) const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Until the caller closes it, says nothing for too long, or is too slow; or until `stop`, after the answer in hand.
pub(crate) async fn attend(stream: TcpStream, router: Router, lingering: Arc<Semaphore>, stop: CancellationToken) {
    let mut between = Some((stream, Bytes::new()));
    while let Some((stream, begun)) = between.take() {
        if !begun.is_empty() || is_spoken_on(&stream, &stop).await {
            // On the heap only as long as it lasts.
            between = Box::pin(exchange(stream, begun, &router, &lingering, &stop)).await;
        }
    }
}

/// Whether there is something to read; a goodbye is, too.
async fn is_spoken_on(stream: &TcpStream, stop: &CancellationToken) -> bool {
    let silence = Duration::from_millis(SILENCE_MS_MAX);
    let spoken = stop.run_until_cancelled(tokio::time::timeout(silence, stream.readable())).await;
    matches!(spoken, Some(Ok(Ok(()))))
}

/// What follows on each other without a long pause. Returns the connection when nothing is on it any more, with what came
/// of the next request already; else it was closed.
pub(crate) async fn exchange<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    stream: S,
    begun: Bytes,
    router: &Router,
    lingering: &Semaphore,
    stop: &CancellationToken,
) -> Option<(S, Bytes)> {
    let stage = Arc::new(Stage::default());
    let service = service_fn(|request: Request<Incoming>| {
        let request = request.map(|incoming| Heard::new(incoming, Arc::clone(&stage)));
        let (answering, stage) = (router.clone().oneshot(request), Arc::clone(&stage));
        Box::pin(async move {
            let answer = answering.await;
            stage.answered();
            answer
        })
    });
    let line = Line::new(stream, begun, Arc::clone(&stage));
    // Half closed: it listens for a goodbye only after the answer. In the middle of a request HTTP would make a new buffer of
    // 8 KiB for that, because the request still holds the one it came in; and no handler stops for it anyway that has begun
    // something.
    let mut http = http1::Builder::new()
        .half_close(true)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(line), service);
    let mut lingers = pin!(tokio::time::sleep(Duration::ZERO));
    let (mut lingers_after, mut may_linger, mut laid_aside) = (0, None, false);
    let over = poll_fn(|cx| {
        if Pin::new(&mut http).poll(cx).is_ready() {
            return Poll::Ready(Over::Closed);
        }
        if !stage.is_over() {
            may_linger = None;
            return Poll::Pending;
        }
        if laid_aside {
            return Poll::Pending;
        }
        if lingers_after != stage.requests() {
            lingers_after = stage.requests();
            may_linger = may_linger.take().or_else(|| lingering.try_acquire().ok());
            lingers.as_mut().reset(Instant::now() + Duration::from_millis(LINGER_MS));
        }
        if may_linger.is_some() {
            ready!(lingers.as_mut().poll(cx));
        }
        // Between requests this ends HTTP at once, and the socket stays open. Should HTTP see a request in hand where we
        // see none, it answers that one and closes, as it may at any time.
        laid_aside = true;
        Pin::new(&mut http).graceful_shutdown();
        http.poll_without_shutdown(cx).map(|ended| if ended.is_ok() { Over::Resting } else { Over::Closed })
    });
    match stop.run_until_cancelled(over).await {
        Some(Over::Resting) => {
            let parts = http.into_parts();
            // A copy: a part of a buffer, even an empty one, holds all of it.
            Some((parts.io.into_inner().into_stream(), Bytes::copy_from_slice(&parts.read_buf)))
        }
        Some(Over::Closed) => None,
        None => {
            Pin::new(&mut http).graceful_shutdown();
            // How a connection ends is its caller's business.
            drop(http.await);
            None
        }
    }
}

/// How HTTP on a connection came to its end.
enum Over {
    /// Answered, and nothing is on it.
    Resting,
    Closed,
}

/// A request's body, which tells when it was read to its end.
struct Heard {
    incoming: Incoming,
    stage: Arc<Stage>,
}

impl Heard {
    fn new(incoming: Incoming, stage: Arc<Stage>) -> Self {
        stage.asked();
        let heard = Self { incoming, stage };
        heard.look();
        heard
    }

    fn look(&self) {
        if self.incoming.is_end_stream() {
            self.stage.heard();
        }
    }
}

impl Body for Heard {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        match frame {
            Some(_) => self.look(),
            None => self.stage.heard(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
