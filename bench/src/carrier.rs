//! A carrier that does not exist, as a process of its own: it speaks Infobip's SMS API version 3 as far as a pipeline uses it,
//! answers at once or after a fixed time, and reports every message delivered, to the webhook that came with it.
//!
//! It keeps nothing but when each message arrived, for whoever measures, who also says how receipts are posted. It is written
//! for the least CPU time, because that is taken from what is measured. Source of the protocol: Infobip "SMS API" OpenAPI,
//! `POST /sms/3/messages`.

mod capacity;
mod receipts;
mod words;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Duration, sleep};
use tokio_util::sync::CancellationToken;

use crate::stopwatch::micros;
use capacity::Capacity;
use receipts::Receipts;
pub(crate) use receipts::{Posted, Posting};
use words::Messages;

/// How the carrier behaves.
#[derive(Clone, Debug)]
pub struct CarrierSettings {
    pub listen: SocketAddr,
    /// What callers show; others are refused.
    pub key: String,
    /// Messages it takes per second; more is answered 429. Without it, any number.
    pub rate_per_s: Option<u32>,
    /// How long it thinks before it answers.
    pub delay_ms: u64,
}

/// One call that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Arrival {
    /// The number that it goes to, as digits.
    pub(crate) to: u64,
    pub(crate) at_us: u64,
    /// Not: answered 429.
    pub(crate) taken: bool,
}

struct Shared {
    authorization: HeaderValue,
    capacity: Option<Mutex<Capacity>>,
    delay: Option<Duration>,
    receipts: Receipts,
    arrivals: Mutex<Vec<Arrival>>,
}

pub struct Carrier {
    listener: TcpListener,
    shared: Arc<Shared>,
}

impl Carrier {
    pub async fn bind(settings: &CarrierSettings) -> anyhow::Result<Self> {
        let shared = Shared {
            authorization: HeaderValue::try_from(format!("App {}", settings.key))?,
            capacity: settings.rate_per_s.map(|rate_per_s| Mutex::new(Capacity::new(rate_per_s, micros()))),
            delay: (settings.delay_ms > 0).then(|| Duration::from_millis(settings.delay_ms)),
            receipts: Receipts::start(),
            arrivals: Mutex::default(),
        };
        Ok(Self { listener: TcpListener::bind(settings.listen).await?, shared: Arc::new(shared) })
    }

    pub fn url(&self) -> anyhow::Result<String> {
        Ok(format!("http://{}", self.listener.local_addr()?))
    }

    /// Until `stop`.
    pub async fn serve(self, stop: CancellationToken) {
        while let Some(accepted) = stop.run_until_cancelled(self.listener.accept()).await {
            if let Ok((stream, _)) = accepted {
                tokio::spawn(talk(stream, Arc::clone(&self.shared)));
            }
        }
    }
}

async fn talk(stream: TcpStream, shared: Arc<Shared>) {
    // A caller that hangs up is no concern of a carrier.
    drop(stream.set_nodelay(true));
    let answer = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, hyper::Error>(shared.answer(request).await) }
    });
    drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await);
}

impl Shared {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        match (request.method(), request.uri().path()) {
            (&Method::POST, "/sms/3/messages") => self.take(request).await,
            // What it knows it has told; nobody who is measured asks.
            (&Method::GET, "/sms/3/logs") => json(StatusCode::OK, &serde_json::json!({ "results": [] })),
            (&Method::GET, "/arrivals") => self.tell_arrivals(request.uri().query()),
            (&Method::POST, path) if path == Posting::Alone.path() => self.post(Posting::Alone),
            (&Method::POST, path) if path == Posting::Together.path() => self.post(Posting::Together),
            _ => status(StatusCode::NOT_FOUND),
        }
    }

    async fn take(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let at_us = micros();
        if request.headers().get(AUTHORIZATION) != Some(&self.authorization) {
            return status(StatusCode::UNAUTHORIZED);
        }
        let Ok(body) = request.into_body().collect().await else { return status(StatusCode::BAD_REQUEST) };
        let Ok(messages) = serde_json::from_slice::<Messages<'_>>(&body.to_bytes()).map(|messages| messages.owned())
        else {
            return status(StatusCode::BAD_REQUEST);
        };
        let room = |capacity: &Mutex<Capacity>| {
            capacity.lock().expect("no code panics while it holds the capacity").take(messages.len(), at_us)
        };
        let taken = self.capacity.as_ref().is_none_or(room);
        self.note(messages.iter().map(|message| Arrival { to: message.number(), at_us, taken }));
        if !taken {
            return status(StatusCode::TOO_MANY_REQUESTS);
        }
        if let Some(delay) = self.delay {
            sleep(delay).await;
        }
        let answer = json(StatusCode::OK, &words::answer(&messages));
        self.receipts.tell(messages);
        answer
    }

    fn post(&self, posting: Posting) -> Response<Full<Bytes>> {
        self.receipts.post(posting);
        json(StatusCode::OK, &self.receipts.posted())
    }

    fn note(&self, arrivals: impl Iterator<Item = Arrival>) {
        self.arrivals.lock().expect("no code panics while it holds the arrivals").extend(arrivals);
    }

    /// From the one with this index on: `/arrivals?7`.
    fn tell_arrivals(&self, from: Option<&str>) -> Response<Full<Bytes>> {
        let from = from.and_then(|from| from.parse().ok()).unwrap_or(0);
        let arrivals = self.arrivals.lock().expect("no code panics while it holds the arrivals");
        json(StatusCode::OK, &arrivals.get(from..).unwrap_or_default())
    }
}

fn json(status: StatusCode, body: &impl Serialize) -> Response<Full<Bytes>> {
    let body = serde_json::to_vec(body).expect("plain strings and numbers");
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    json(status, &serde_json::json!({ "errorCode": format!("E{}", status.as_u16()) }))
}
