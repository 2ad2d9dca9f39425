//! What the four carriers and the page share: the book, the courier, and where the door is.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::book::{Book, Unfinished};
use crate::courier::Courier;
use crate::{SandboxError, SandboxSettings, Secrets, Waits};

pub(crate) struct Exchange {
    pub(crate) book: Book,
    pub(crate) courier: Courier,
    pub(crate) client: reqwest::Client,
    pub(crate) door: Door,
    pub(crate) waits: Waits,
    pub(crate) secrets: Secrets,
    unfinished: Mutex<Option<Unfinished>>,
}

impl Exchange {
    pub(crate) fn open(settings: SandboxSettings, shutdown: CancellationToken) -> Result<Self, SandboxError> {
        // The HTTP client wants a TLS provider even for plain HTTP; a second installation changes nothing.
        let _installed_before = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(SandboxError::Client)?;
        let (book, unfinished) = Book::open(&settings.data_dir.join("sandbox"))?;
        let courier = Courier::new(client.clone(), settings.waits.receipt_retry_ms, shutdown);
        Ok(Self {
            book,
            courier,
            client,
            door: Door::new(&settings.public_url, &settings.api_url, settings.api_key),
            waits: settings.waits,
            secrets: settings.secrets,
            unfinished: Mutex::new(Some(unfinished)),
        })
    }

    /// What a former run left undone; given once.
    pub(crate) fn unfinished(&self) -> Unfinished {
        let left = self.unfinished.lock().unwrap_or_else(PoisonError::into_inner).take();
        left.unwrap_or(Unfinished { texts: Vec::new(), calls: Vec::new() })
    }

    /// The time a carrier takes to answer.
    pub(crate) async fn think(&self) {
        pause(self.waits.answer_ms).await;
    }
}

pub(crate) async fn pause(ms: u64) {
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}

/// The door of the system under trial: where receipts go, and the API the page asks.
pub(crate) struct Door {
    public_url: RwLock<Arc<str>>,
    api_url: RwLock<Arc<str>>,
    pub(crate) api_key: String,
}

impl Door {
    fn new(public_url: &str, api_url: &str, api_key: String) -> Self {
        let url = |raw: &str| RwLock::new(Arc::from(raw.trim_end_matches('/')));
        Self { public_url: url(public_url), api_url: url(api_url), api_key }
    }

    pub(crate) fn public_url(&self) -> Arc<str> {
        Arc::clone(&self.public_url.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn api_url(&self) -> Arc<str> {
        Arc::clone(&self.api_url.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_public_url(&self, url: &str) {
        *self.public_url.write().unwrap_or_else(PoisonError::into_inner) = Arc::from(url.trim_end_matches('/'));
    }

    pub(crate) fn set_api_url(&self, url: &str) {
        *self.api_url.write().unwrap_or_else(PoisonError::into_inner) = Arc::from(url.trim_end_matches('/'));
    }
}
