//! The door's socket: connections bounded in number and in silence, stopped gracefully. What is answered is `router`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::connection::Connection;

/// Connections open at once; the next waits in the system's queue.
pub const CONNECTIONS_MAX: usize = 16_384;
/// Longest wait for requests in hand when the process stops.
pub const STOP_WAIT_MS_MAX: u64 = 20_000;

/// Serves until `stop`, then finishes what is in hand, at most `STOP_WAIT_MS_MAX`.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) -> io::Result<()> {
    let listener = Bounded { listener, connections: Arc::new(Semaphore::new(CONNECTIONS_MAX)) };
    let serving = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
    let over = async {
        stop.cancelled().await;
        tokio::time::sleep(Duration::from_millis(STOP_WAIT_MS_MAX)).await;
    };
    tokio::select! {
        biased;
        served = serving.into_future() => served,
        () = over => {
            tracing::warn!(waited_ms = STOP_WAIT_MS_MAX, "connections are still open: stopping without them");
            Ok(())
        }
    }
}

struct Bounded {
    listener: TcpListener,
    connections: Arc<Semaphore>,
}

impl Listener for Bounded {
    type Io = Connection<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection<TcpStream>, SocketAddr) {
        let permit = self.connections.clone().acquire_owned().await.expect("nobody closes the semaphore");
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // Answers are small: waiting to fill a packet only delays them.
        let _ = stream.set_nodelay(true);
        (Connection::new(stream, permit), address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
