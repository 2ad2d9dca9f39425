//! A road to the carriers that watches for the texts of one phone: each waits here for good, and whoever drives the test
//! hears of it. Everything else passes as it is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use otodoke_tests::servers::free_ports;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

const CHUNK_BYTES: usize = 16 * 1_024;

pub(crate) struct Toll {
    shared: Arc<Shared>,
    roads: Vec<JoinHandle<()>>,
}

struct Shared {
    /// Digits that stand in every request for that phone, however the vendor writes numbers.
    digits: Vec<u8>,
    open: AtomicBool,
    seen: AtomicUsize,
    arrived: Notify,
}

impl Toll {
    /// The phone is in E.164; returns the ports to take instead of the carriers'.
    pub(crate) async fn start<const CARRIERS: usize>(
        phone: &str,
        carriers: [u16; CARRIERS],
    ) -> (Self, [u16; CARRIERS]) {
        let shared = Arc::new(Shared {
            digits: phone.trim_start_matches("+81").as_bytes().to_vec(),
            open: AtomicBool::new(false),
            seen: AtomicUsize::new(0),
            arrived: Notify::new(),
        });
        let ports = free_ports();
        let mut roads = Vec::new();
        for (port, carrier) in ports.into_iter().zip(carriers) {
            let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("the port was just free");
            roads.push(tokio::spawn(accept(listener, ([127, 0, 0, 1], carrier).into(), Arc::clone(&shared))));
        }
        (Self { shared, roads }, ports)
    }

    /// Until more texts for the phone have arrived here than that.
    pub(crate) async fn arrived(&self, before: usize) {
        while self.seen() <= before {
            self.shared.arrived.notified().await;
        }
    }

    /// From now on its texts pass like all others.
    pub(crate) fn open(&self) {
        self.shared.open.store(true, Ordering::SeqCst);
    }

    /// Requests with a text for the phone, so far.
    pub(crate) fn seen(&self) -> usize {
        self.shared.seen.load(Ordering::SeqCst)
    }
}

impl Drop for Toll {
    fn drop(&mut self) {
        self.roads.iter().for_each(JoinHandle::abort);
    }
}

async fn accept(listener: TcpListener, carrier: SocketAddr, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move { drop(pass(client, carrier, &shared).await) });
    }
}

/// One connection: a request at a time, as our clients speak.
async fn pass(mut client: TcpStream, carrier: SocketAddr, shared: &Shared) -> std::io::Result<()> {
    let mut target = TcpStream::connect(carrier).await?;
    client.set_nodelay(true)?;
    target.set_nodelay(true)?;
    let (mut up, mut down) = (vec![0; CHUNK_BYTES], vec![0; CHUNK_BYTES]);
    let mut request = Vec::new();
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let read = read?;
                request.extend_from_slice(&up[..read]);
                if read == 0 {
                    return Ok(());
                }
                if shared.stops(&request) {
                    // Until the other side is gone.
                    while client.read(&mut up).await? > 0 {}
                    return Ok(());
                }
                target.write_all(&up[..read]).await?;
            }
            read = target.read(&mut down) => {
                let read = read?;
                request.clear();
                if read == 0 {
                    return Ok(());
                }
                client.write_all(&down[..read]).await?;
            }
        }
    }
}

impl Shared {
    /// Questions about the phone are no texts for it.
    fn stops(&self, request: &[u8]) -> bool {
        let is_text = request.starts_with(b"POST")
            && request.windows(self.digits.len()).any(|window| window == self.digits.as_slice());
        if !is_text {
            return false;
        }
        self.seen.fetch_add(1, Ordering::SeqCst);
        if self.open.load(Ordering::SeqCst) {
            return false;
        }
        self.arrived.notify_one();
        true
    }
}
