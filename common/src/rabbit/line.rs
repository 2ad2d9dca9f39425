//! One connection to a broker, with a way to end it that always works.
//!
//! The library keeps a thread per connection, and neither a handshake nor a close of its own has an end when the other
//! side says nothing. So a second handle to the socket is kept here: shutting that down ends both.

use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lapin::uri::AMQPUri;
use lapin::{AsyncTcpStream, Connection, ConnectionProperties};

use super::error;
use crate::tls::Tls;

/// From the first packet to the end of the handshake.
const CONNECT_MS_MAX: u64 = 5_000;
/// From asking the broker to close until it must have agreed.
const CLOSE_MS_MAX: u64 = 2_000;
/// A peer that is silent for twice as long is gone. Below five seconds brokers under load are taken for dead.
const HEARTBEAT_S: u16 = 5;
/// AMQP 0-9-1 `reply-success`: nothing is wrong.
const REPLY_SUCCESS: u16 = 200;

/// Where a broker is, and how it is spoken to.
#[derive(Clone)]
pub(crate) struct Address {
    pub(super) uri: AMQPUri,
    /// `None` is plainly.
    pub(super) tls: Option<Tls>,
}

pub(super) struct Line {
    pub(super) connection: Connection,
    socket: Socket,
}

/// The second handle.
#[derive(Clone, Default)]
struct Socket(Arc<Mutex<Handle>>);

#[derive(Default)]
enum Handle {
    /// The address is still being looked up, or the first packet is on its way.
    #[default]
    None,
    Open(OwnedFd),
    ShutDown,
}

impl Line {
    /// `role` is what operators see at the broker.
    pub(super) async fn open(address: &Address, role: &str) -> Result<Self, String> {
        let place = address.place();
        let mut address = address.clone();
        address.uri.query.heartbeat = Some(HEARTBEAT_S);
        let socket = Socket::default();
        let connecting = connect(address, role, socket.clone());
        let connection = match tokio::time::timeout(Duration::from_millis(CONNECT_MS_MAX), connecting).await {
            Ok(connected) => connected.map_err(|error| format!("{place}: {}", error::trouble(&error))),
            Err(_) => Err(format!(
                "{place} does not answer as a broker within {CONNECT_MS_MAX} ms; is that its AMQP port, and does no \
                 firewall swallow packets?"
            )),
        };
        // From here on the socket ends with the line, or, without one, now.
        match connection {
            Ok(connection) => Ok(Self { connection, socket }),
            Err(why) => {
                socket.shut_down();
                Err(why)
            }
        }
    }

    /// Agrees with the broker on the end; channels must be closed before.
    pub(super) async fn close(&self) {
        let closing = self.connection.close(REPLY_SUCCESS, "closed by its process".into());
        // An end that the broker does not confirm is one all the same: the socket is shut down with the line.
        drop(tokio::time::timeout(Duration::from_millis(CLOSE_MS_MAX), closing).await);
    }
}

impl Line {
    /// At once, without a word to the broker; what is under way fails.
    pub(super) fn end(&self) {
        self.socket.shut_down();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.end();
    }
}

/// Asks the broker to close a channel and waits for its word, within bounds.
pub(super) async fn close_channel(channel: &lapin::Channel) {
    let closing = channel.close(REPLY_SUCCESS, "closed by its process".into());
    drop(tokio::time::timeout(Duration::from_millis(CLOSE_MS_MAX), closing).await);
}

impl Address {
    /// Host, port and vhost: what an operator needs, without user and password.
    pub(super) fn place(&self) -> String {
        let uri = &self.uri;
        format!("{}:{}/{}", uri.authority.host, uri.authority.port, uri.vhost.trim_start_matches('/'))
    }
}

/// The URL holds a password.
impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Address").field(&self.place()).finish()
    }
}

async fn connect(address: Address, role: &str, socket: Socket) -> lapin::Result<Connection> {
    let Address { uri, tls } = address;
    let properties = ConnectionProperties::default().with_connection_name(format!("otodoke {role}").into());
    let runtime = lapin::runtime::default_runtime()?;
    Connection::connector(
        uri,
        runtime,
        async move |uri, runtime| {
            let host = uri.authority.host.clone();
            let addresses = runtime.to_socket_addrs((host.clone(), uri.authority.port));
            let stream = AsyncTcpStream::connect(&runtime, addresses).await?;
            if let AsyncTcpStream::Plain(plain) = &stream {
                socket.keep(plain.get_ref().as_fd().try_clone_to_owned()?);
            }
            match &tls {
                None => Ok(stream),
                #[cfg(feature = "tls")]
                Some(tls) => Ok(stream.into_rustls(&Arc::clone(&tls.0).into(), &host).await?),
                #[cfg(not(feature = "tls"))]
                Some(never) => match *never {},
            }
        },
        properties,
    )
    .await
}

impl Socket {
    /// A socket that opens after everybody stopped waiting for it is shut down at once.
    fn keep(&self, handle: OwnedFd) {
        let mut kept = self.lock();
        match *kept {
            Handle::None | Handle::Open(_) => *kept = Handle::Open(handle),
            Handle::ShutDown => shut_down(handle),
        }
    }

    fn shut_down(&self) {
        match std::mem::replace(&mut *self.lock(), Handle::ShutDown) {
            Handle::Open(handle) => shut_down(handle),
            Handle::None | Handle::ShutDown => {}
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Handle> {
        self.0.lock().expect("no code panics while it holds the socket")
    }
}

fn shut_down(handle: OwnedFd) {
    // That the other side closed it already is what we want.
    drop(std::net::TcpStream::from(handle).shutdown(Shutdown::Both));
}
