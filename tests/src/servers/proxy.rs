//! A TCP proxy that fails on demand: cut in the middle of a frame, stall with sockets open, refuse.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const CHUNK_BYTES: usize = 16 * 1_024;
const UNLIMITED: u64 = u64::MAX;

pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    target: SocketAddr,
    /// How much more may go towards the target before everything is cut.
    upload_left: AtomicU64,
    /// Cancelled to cut what is open; renewed for what comes after.
    cut: watch::Sender<CancellationToken>,
    stalled: watch::Sender<bool>,
    cuts: AtomicU64,
}

impl Proxy {
    /// Listens on a free port of the loopback.
    pub async fn start(target: SocketAddr) -> Self {
        let shared = Arc::new(Shared {
            target,
            upload_left: AtomicU64::new(UNLIMITED),
            cut: watch::Sender::new(CancellationToken::new()),
            stalled: watch::Sender::new(false),
            cuts: AtomicU64::new(0),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let accepting = Some(tokio::spawn(accept(listener, Arc::clone(&shared))));
        Self { address, shared, accepting }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets so many more bytes through towards the target, then cuts every connection that is open. New ones pass.
    pub fn cut_after(&self, bytes: u64) {
        self.shared.upload_left.store(bytes, Ordering::SeqCst);
    }

    /// How often everything that was open was cut.
    pub fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::SeqCst)
    }

    /// Takes connections and bytes, and lets nothing through.
    pub fn stall(&self) {
        self.shared.stalled.send_replace(true);
    }

    pub fn flow(&self) {
        self.shared.stalled.send_replace(false);
    }

    /// Cuts what is open and refuses what comes.
    pub fn refuse(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
        }
        self.shared.cut_all();
    }

    pub async fn accept_again(&mut self) {
        if self.accepting.is_none() {
            let listener = TcpListener::bind(self.address).await.expect("the port was ours");
            self.accepting = Some(tokio::spawn(accept(listener, Arc::clone(&self.shared))));
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.refuse();
    }
}

impl Shared {
    fn cut_all(&self) {
        self.upload_left.store(UNLIMITED, Ordering::SeqCst);
        self.cut.send_replace(CancellationToken::new()).cancel();
        self.cuts.fetch_add(1, Ordering::SeqCst);
    }

    /// How much of `wanted` may still go up; less than `wanted` is the end.
    fn allow(&self, wanted: usize) -> usize {
        let wanted = wanted as u64;
        let spend = |left| if left == UNLIMITED { None } else { Some(u64::saturating_sub(left, wanted)) };
        let left = self.upload_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, spend).unwrap_or(UNLIMITED);
        usize::try_from(left.min(wanted)).expect("no more than was wanted, which is a usize")
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let cut = shared.cut.borrow().clone();
            drop(cut.run_until_cancelled(pass(client, &shared)).await);
        });
    }
}

async fn pass(client: TcpStream, shared: &Shared) -> std::io::Result<()> {
    shared.flowing().await;
    let target = TcpStream::connect(shared.target).await?;
    client.set_nodelay(true)?;
    target.set_nodelay(true)?;
    let ((from_client, to_client), (from_target, to_target)) = (client.into_split(), target.into_split());
    tokio::select! {
        ended = up(from_client, to_target, shared) => ended,
        ended = down(from_target, to_client, shared) => ended,
    }
}

async fn up(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: &Shared) -> std::io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = from.read(&mut chunk).await?;
        shared.flowing().await;
        let allowed = shared.allow(read);
        to.write_all(&chunk[..allowed]).await?;
        if read == 0 || allowed < read {
            if allowed < read {
                to.flush().await?;
                shared.cut_all();
            }
            return Ok(());
        }
    }
}

async fn down(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: &Shared) -> std::io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = from.read(&mut chunk).await?;
        shared.flowing().await;
        if read == 0 {
            return Ok(());
        }
        to.write_all(&chunk[..read]).await?;
    }
}

impl Shared {
    async fn flowing(&self) {
        // The sender is ours, so waiting ends only as it should.
        drop(self.stalled.subscribe().wait_for(|stalled| !stalled).await);
    }
}
