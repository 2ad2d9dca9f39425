//! A door that keeps every request and answers as each vendor expects.

use std::future::IntoFuture;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

const WAIT_MS_MAX: u64 = 8_000;

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn form(&self) -> Vec<(String, String)> {
        form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }

    pub(crate) fn field(&self, name: &str) -> Option<String> {
        self.form().into_iter().find(|(field, _)| field == name).map(|(_, value)| value)
    }
}

#[derive(Default)]
struct Kept {
    requests: Mutex<Vec<Request>>,
    came: Notify,
    /// Answers 500 to as many requests as this says.
    failures: Mutex<u32>,
}

pub(crate) struct Door {
    pub(crate) url: String,
    kept: Arc<Kept>,
    server: JoinHandle<()>,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Door {
    pub(crate) async fn open() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let kept = Arc::new(Kept::default());
        let router = Router::new().fallback(keep).with_state(Arc::clone(&kept));
        let serving = axum::serve(listener, router).into_future();
        let server = tokio::spawn(async move { serving.await.unwrap() });
        Self { url, kept, server }
    }

    pub(crate) fn fail_next(&self, count: u32) {
        *self.kept.failures.lock().unwrap() = count;
    }

    /// What came to this path so far.
    pub(crate) fn came(&self, path: &str) -> Vec<Request> {
        let requests = self.kept.requests.lock().unwrap();
        requests.iter().filter(|request| request.target.split('?').next() == Some(path)).cloned().collect()
    }

    /// Waits until `count` requests came to this path.
    pub(crate) async fn wait(&self, path: &str, count: usize) -> Vec<Request> {
        let waiting = async {
            loop {
                let came = self.kept.came.notified();
                let requests = self.came(path);
                if requests.len() >= count {
                    return requests;
                }
                came.await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_millis(WAIT_MS_MAX), waiting).await;
        waited.unwrap_or_else(|_late| panic!("only {} of {count} requests came to {path}", self.came(path).len()))
    }
}

async fn keep(State(kept): State<Arc<Kept>>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let request = Request { method, target: uri.to_string(), headers, body: String::from_utf8(body.to_vec()).unwrap() };
    let answer = answer(&kept, uri.path(), &request);
    kept.requests.lock().unwrap().push(request);
    kept.came.notify_waiters();
    answer
}

fn answer(kept: &Kept, path: &str, request: &Request) -> Response {
    let mut failures = kept.failures.lock().unwrap();
    if *failures > 0 {
        *failures -= 1;
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let json = |text: &'static str| ([(CONTENT_TYPE, "application/json")], text).into_response();
    let xml = |text: &'static str| ([(CONTENT_TYPE, "text/xml")], text).into_response();
    match path {
        "/receipts/sakura" => json(r#"{"result":true}"#),
        "/voice/announce" => xml(ANNOUNCE),
        "/voice/pressed" if request.field("Digits").as_deref() == Some("7") => xml(CODE),
        "/voice/pressed" => xml(GOODBYE),
        "/voice/broken" => xml("<Response><Say>"),
        "/v1/verifications" => (StatusCode::ACCEPTED, json(r#"{"id":"0190-aa","status":"accepted"}"#)).into_response(),
        _ if path.starts_with("/v1/") => json(r#"{"status":"sending"}"#),
        _ => StatusCode::NO_CONTENT.into_response(),
    }
}

pub(crate) const ANNOUNCE: &str = r#"<?xml version="1.0" encoding="UTF-8"?><Response><Gather numDigits="1" timeout="5" action="/voice/pressed" actionOnEmptyResult="true"><Say language="ja-JP">12,000円のお支払いです。コードを聞くには7を押してください。</Say></Gather><Hangup/></Response>"#;
const CODE: &str = "<Response><Say loop=\"2\">1、2、3、4、5、6</Say><Pause/><Say>さようなら</Say><Hangup/></Response>";
const GOODBYE: &str = "<Response><Say>さようなら</Say><Hangup/></Response>";
