//! The door's socket: connections bounded in number, stopped gracefully. One of them is `connection`; what is answered is
//! `router`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connection::{self, LINGERING_MAX};

/// Connections open at once; the next waits in the system's queue.
pub const CONNECTIONS_MAX: usize = 16_384;
/// Longest wait for requests in hand when the process stops.
pub const STOP_WAIT_MS_MAX: u64 = 20_000;

/// Serves until `stop`, then finishes what is in hand, at most `STOP_WAIT_MS_MAX`.
pub async fn serve(mut listener: TcpListener, router: Router, stop: CancellationToken) -> io::Result<()> {
    // Made ready once, for all connections: a router of its own would cost each of them 20 KiB.
    let router = router.with_state(());
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let lingering = Arc::new(Semaphore::new(LINGERING_MAX));
    let open = TaskTracker::new();
    while let Some((stream, permit)) = stop.run_until_cancelled(accept(&mut listener, &connections)).await {
        let attended = connection::attend(stream, router.clone(), Arc::clone(&lingering), stop.clone());
        open.spawn(async move {
            attended.await;
            drop(permit);
        });
    }
    drop(listener);
    open.close();
    if tokio::time::timeout(Duration::from_millis(STOP_WAIT_MS_MAX), open.wait()).await.is_err() {
        tracing::warn!(waited_ms = STOP_WAIT_MS_MAX, "connections are still open: stopping without them");
    }
    Ok(())
}

/// Errors that pass by themselves are waited out.
async fn accept(listener: &mut TcpListener, connections: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    let permit = Arc::clone(connections).acquire_owned().await.expect("nobody closes the semaphore");
    let (stream, _) = Listener::accept(listener).await;
    // Answers are small: waiting to fill a packet only delays them.
    let _ = stream.set_nodelay(true);
    (stream, permit)
}
