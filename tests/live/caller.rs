//! A caller of the door, and a visitor of the sandbox's page: requests as anybody would send them, answers as they came.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::handset::Handset;
use crate::until::{WAIT_MAX, until};

const ANSWER_WAIT_MAX: Duration = Duration::from_secs(30);
/// Before what could not be done is asked for once more.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

#[derive(Clone)]
pub(crate) struct Caller {
    http: reqwest::Client,
    url: String,
    key: String,
    /// Where the handsets are looked at.
    phones: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl Answer {
    /// Null where the body is no JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

impl Caller {
    pub(crate) fn new(url: &str, key: &str) -> Self {
        Self::looking_at(url, url, key)
    }

    /// With the page of the sandbox somewhere else than the door.
    pub(crate) fn looking_at(phones: &str, url: &str, key: &str) -> Self {
        // A second installation is refused, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder().timeout(ANSWER_WAIT_MAX).tls_certs_only([]).build();
        let http = http.expect("a client that needs no certificates");
        Self { http, url: url.to_owned(), key: key.to_owned(), phones: phones.to_owned() }
    }

    /// `None`: nobody answered, or the answer broke off.
    pub(crate) async fn try_ask(
        &self,
        method: Method,
        path: &str,
        body: &str,
        headers: &[(&str, &str)],
    ) -> Option<Answer> {
        let mut request = self.http.request(method, format!("{}{path}", self.url)).body(body.to_owned());
        if !headers.iter().any(|(name, _)| *name == "authorization") {
            request = request.bearer_auth(&self.key);
        }
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        Some(Answer { status, text: answer.text().await.ok()? })
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
        self.try_ask(method, path, body, headers).await.expect("the door answers")
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, "", &[]).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask(Method::POST, path, &body.to_string(), &[]).await
    }

    /// Asks again while the answer is 503, as a caller should: with one key, so it is done once however often it is asked.
    pub(crate) async fn persist(&self, path: &str, body: &Value) -> Answer {
        static ASKED: AtomicU64 = AtomicU64::new(0);
        let key = format!("{}-{}", std::process::id(), ASKED.fetch_add(1, Ordering::Relaxed));
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            let answer = self.ask(Method::POST, path, &body.to_string(), &[("idempotency-key", &key)]).await;
            if answer.status != 503 || Instant::now() > deadline {
                return answer;
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    /// Asks for a login code; returns the message's id. `more` is added to the body and may replace its fields.
    pub(crate) async fn send(&self, to: &str, more: Value) -> String {
        let mut body = json!({ "to": to, "purpose": "login", "ttl_seconds": 60 });
        let fields = body.as_object_mut().expect("an object");
        fields.extend(more.as_object().cloned().unwrap_or_default());
        let answer = self.persist("/v1/verifications", &body).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
        answer.json()["id"].as_str().expect("an id").to_owned()
    }

    pub(crate) async fn message(&self, id: &str) -> Value {
        self.get(&format!("/v1/verifications/{id}")).await.json()
    }

    /// The word that a check answers.
    pub(crate) async fn check(&self, id: &str, code: &str) -> String {
        let answer = self.persist(&format!("/v1/verifications/{id}/check"), &json!({ "code": code })).await;
        answer.json()["status"].as_str().unwrap_or(&answer.text).to_owned()
    }

    pub(crate) async fn handset(&self, number: &str) -> Handset {
        let page = Self { url: self.phones.clone(), ..self.clone() };
        Handset::read(&page.get(&format!("/sandbox/handsets/{number}")).await.json())
    }

    /// The message as soon as it `fits`.
    pub(crate) async fn until(&self, id: &str, claim: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let look = async || Some(self.message(id).await).filter(&fits);
        until(claim, look, async || self.story(id).await).await
    }

    /// The phone as soon as it `fits`; `id` is the message whose story is told if it never does.
    pub(crate) async fn until_phone(
        &self,
        (number, id): (&str, &str),
        claim: &str,
        fits: impl Fn(&Handset) -> bool,
    ) -> Handset {
        let look = async || Some(self.handset(number).await).filter(&fits);
        until(claim, look, async || self.story(id).await).await
    }

    pub(crate) async fn until_status(&self, id: &str, status: &str) -> Value {
        self.until(id, &format!("the message is {status}"), |message| message["status"] == status).await
    }

    /// Everything the door tells about a message, for whoever reads a failed test.
    pub(crate) async fn story(&self, id: &str) -> String {
        let trace = self.get(&format!("/v1/trace/{id}")).await;
        format!("{:#}\n{:#}", self.message(id).await, trace.json())
    }
}

/// Each leg as (channel, provider, outcome); a leg in hand has no outcome.
pub(crate) fn legs(message: &Value) -> Vec<(String, String, String)> {
    let word = |leg: &Value, name: &str| leg[name].as_str().unwrap_or_default().to_owned();
    let legs = message["legs"].as_array().expect("a message has legs");
    legs.iter().map(|leg| (word(leg, "channel"), word(leg, "provider"), word(leg, "outcome"))).collect()
}
