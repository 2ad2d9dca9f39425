//! Scripted vendors for the tests: real servers on loopback that answer, hang, lie or break off.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use otodoke_common::config::{ProviderKind, Secret};
use otodoke_common::leg::ProviderId;
use otodoke_common::message::{Locale, MessageId};
use otodoke_common::outcome::{About, Proof, Report};
use otodoke_common::phone::PhoneNumber;
use otodoke_common::provider::{Provider, Question, SendContent, SendRequest, WebhookReading, WebhookRequest};
use otodoke_common::seal::Vault;
use otodoke_common::time::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::ProviderSettings;

/// 2025-11-22T10:05:00Z.
pub(crate) const NOW: Timestamp = Timestamp::from_unix_ms(1_763_805_900_000);
pub(crate) const PUBLIC_URL: &str = "https://otp.example.com";
pub(crate) const NUMBER: &str = "+819012345678";
pub(crate) const SECRET: &str = "12345";
pub(crate) const LEG: u8 = 2;

/// What a vendor saw of one request.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }

    pub(crate) fn form(&self) -> Vec<(String, String)> {
        form_urlencoded::parse(&self.body).into_owned().collect()
    }
}

/// A vendor that gives every request the same answer. Dropped, it is gone.
pub(crate) struct Vendor {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    server: AbortHandle,
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Vendor {
    pub(crate) async fn answering(
        status: u16,
        headers: &[(&'static str, &'static str)],
        body: impl Into<Bytes>,
    ) -> Self {
        let (headers, body) = (headers.to_vec(), body.into());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&seen);
        let router = Router::new().fallback(async move |request: Request| -> Response {
            let note = note(request).await;
            notes.lock().unwrap().push(note);
            let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            response
        });
        let (listener, url) = listen().await;
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }).abort_handle();
        Self { url, seen, server }
    }

    /// `of` says what each request gets, as JSON.
    pub(crate) async fn answering_each(of: impl Fn(&Seen) -> String + Send + Sync + 'static) -> Self {
        let (seen, of) = (Arc::new(Mutex::new(Vec::new())), Arc::new(of));
        let notes = Arc::clone(&seen);
        let router = Router::new().fallback(async move |request: Request| -> Response {
            let note = note(request).await;
            let body = of(&note);
            notes.lock().unwrap().push(note);
            body.into_response()
        });
        let (listener, url) = listen().await;
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }).abort_handle();
        Self { url, seen, server }
    }

    /// Reads a request as far as it comes, writes `bytes`, and closes; `None` never answers and never closes.
    pub(crate) async fn raw(bytes: Option<&'static [u8]>) -> Self {
        let (listener, url) = listen().await;
        let server = tokio::spawn(async move {
            let mut held = Vec::new();
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let _ = socket.read(&mut [0; 16 * 1024]).await;
                match bytes {
                    Some(bytes) => drop(socket.write_all(bytes).await),
                    None => held.push(socket),
                }
            }
        });
        Self { url, seen: Arc::default(), server: server.abort_handle() }
    }

    /// An address where nobody listens any more.
    pub(crate) async fn gone() -> String {
        listen().await.1
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The one request that came.
    pub(crate) fn only(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "one request was expected");
        seen[0].clone()
    }

    pub(crate) fn provider(&self, kind: ProviderKind) -> Arc<dyn Provider> {
        provider(kind, &self.url)
    }
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

async fn note(request: Request) -> Seen {
    let (parts, body) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default();
    Seen {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
        headers: parts.headers,
        body: axum::body::to_bytes(body, 1 << 20).await.unwrap(),
    }
}

pub(crate) fn vault() -> Arc<Vault> {
    Arc::new(Vault::new(&[7; 32]).unwrap())
}

pub(crate) fn settings(kind: ProviderKind, base_url: &str) -> ProviderSettings {
    let is_twilio = matches!(kind, ProviderKind::Twilio | ProviderKind::TwilioVoice);
    ProviderSettings {
        id: ProviderId::parse("sakura").unwrap(),
        kind,
        base_url: base_url.to_owned(),
        public_url: format!("{PUBLIC_URL}/"),
        account: is_twilio.then(|| "AC0123456789abcdef0123456789abcdef".to_owned()),
        secret: Secret::new(SECRET),
        timeout_ms: 2_000,
    }
}

pub(crate) fn provider(kind: ProviderKind, base_url: &str) -> Arc<dyn Provider> {
    crate::build(&settings(kind, base_url), vault()).unwrap()
}

pub(crate) fn message_id() -> MessageId {
    MessageId::new(NOW, [9; 10])
}

pub(crate) fn number(raw: &str) -> PhoneNumber {
    PhoneNumber::try_from(raw.to_owned()).unwrap()
}

pub(crate) fn tag() -> String {
    vault().leg_tag(message_id(), LEG).as_str().to_owned()
}

pub(crate) fn text_to(to: &str, text: &str) -> SendRequest {
    SendRequest {
        id: message_id(),
        leg: LEG,
        our_reference: our_reference(),
        tag: vault().leg_tag(message_id(), LEG),
        to: number(to),
        sender: "+815012345678".to_owned(),
        locale: Locale::Ja,
        content: SendContent::Text(text.to_owned()),
        validity_s: 290,
    }
}

pub(crate) fn text() -> SendRequest {
    text_to(NUMBER, "認証コードは 042137 です。")
}

pub(crate) fn call() -> SendRequest {
    SendRequest { content: SendContent::Call, ..text() }
}

pub(crate) fn our_reference() -> String {
    format!("{}.{LEG}", message_id())
}

pub(crate) fn question(reference: Option<&str>) -> Question {
    Question {
        id: message_id(),
        leg: LEG,
        our_reference: our_reference(),
        reference: reference.map(str::to_owned),
        to: number(NUMBER),
        started_at: NOW.minus_ms(30_000),
        now: NOW,
    }
}

/// What the webhook of this provider says. Only one who says so may prove something by its reference alone: for others nobody
/// looks into the inbox.
pub(crate) fn read(provider: &dyn Provider, request: &WebhookRequest<'_>) -> WebhookReading {
    let reading = provider.read_webhook(request);
    if let WebhookReading::Reports { reports, .. } = &reading {
        let by_reference = |report: &&Report| matches!(report.about, About::Reference(_));
        for report in reports.iter().filter(by_reference) {
            assert!(report.proof == Proof::Nothing || provider.proves_by_reference(), "{report:?}");
        }
    }
    reading
}

/// A webhook without path tag or headers.
pub(crate) fn webhook(body: &[u8]) -> WebhookRequest<'_> {
    WebhookRequest { url: "https://otp.example.com/receipts/sakura", tag: None, headers: &[], body, now: NOW }
}
