//! Carriers and handsets that do not exist, on loopback ports of their own, speaking the real protocols of the vendors
//! they stand for. It shares no code with the crates that call those vendors: it was written from the vendors' facts alone,
//! so that the two check each other. It delivers nothing to anybody and must never stand beside a real provider.
//!
//! The journey: a carrier (`carrier/`) takes a text or a call, `scenario` says what the phone with that number does,
//! `book` commits it through `journal` before the carrier answers, `courier` posts the receipts, `page` shows the handsets.

mod book;
mod call;
mod carrier;
mod clock;
mod courier;
mod exchange;
mod journal;
mod line;
mod number;
mod page;
mod reference;
mod scenario;
mod settings;
mod signature;
mod text;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::exchange::Exchange;
pub use crate::settings::{CarrierPlaces, CarrierUrls, SandboxError, SandboxSettings, Secrets, TwilioAccount, Waits};

/// A carrier that still has callers in hand after this is closed over them.
const STOP_WAIT_MS_MAX: u64 = 3_000;

/// The running sandbox: four carriers on four listeners, one book of handsets.
pub struct Sandbox {
    exchange: Arc<Exchange>,
    urls: CarrierUrls,
    servers: Vec<JoinHandle<()>>,
    shutdown: CancellationToken,
}

impl Sandbox {
    /// Opens the book in `data_dir/sandbox/`, binds the carriers and sends what receipts a former run still owed.
    ///
    /// `settings.public_url` and `settings.api_url` may be empty here and be told later, with [`Self::set_public_url`] and
    /// [`Self::set_api_url`], by a caller who needs the carriers' addresses before its own door is bound.
    pub async fn start(settings: SandboxSettings, shutdown: CancellationToken) -> Result<Self, SandboxError> {
        let shutdown = shutdown.child_token();
        let places = settings.places;
        let exchange = Arc::new(Exchange::open(settings, shutdown.clone())?);
        let (urls, servers) = carrier::open_all(&exchange, places, &shutdown).await?;
        Ok(Self { exchange, urls, servers, shutdown })
    }

    /// Where each carrier listens, such as `http://127.0.0.1:40123`.
    pub fn urls(&self) -> &CarrierUrls {
        &self.urls
    }

    /// Tells where the door is reached by the carriers: `sakura` pokes `{public_url}/receipts/sakura`.
    pub fn set_public_url(&self, public_url: &str) {
        self.exchange.door.set_public_url(public_url);
    }

    /// Tells where the page's form finds the HTTP API.
    pub fn set_api_url(&self, api_url: &str) {
        self.exchange.door.set_api_url(api_url);
    }

    /// `/sandbox` and `/sandbox/...`, to be merged into the door's router.
    pub fn page(&self) -> axum::Router {
        page::router(Arc::clone(&self.exchange))
    }

    /// Stops taking, answers what is in hand, and closes the book. Receipts still owed are sent after the next start.
    pub async fn stop(self) {
        self.shutdown.cancel();
        for mut server in self.servers {
            // A caller that sent half a request and waits would hold its carrier open for ever.
            if tokio::time::timeout(Duration::from_millis(STOP_WAIT_MS_MAX), &mut server).await.is_err() {
                server.abort();
            }
        }
        self.exchange.courier.finish().await;
        self.exchange.book.close().await;
    }
}
