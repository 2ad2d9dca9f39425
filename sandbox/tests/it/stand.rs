//! A sandbox with short waits beside a door, and the requests every test makes.

use std::path::Path;
use std::time::Duration;

use otodoke_sandbox::{CarrierPlaces, Sandbox, SandboxSettings, Secrets, TwilioAccount, Waits};
use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::door::Door;

pub(crate) const ATLAS_SID: &str = "AC0123456789abcdef0123456789abcdef";
pub(crate) const KODAMA_SID: &str = "ACfedcba9876543210fedcba9876543210";
pub(crate) const ATLAS_TOKEN: &str = "atlas auth token";
pub(crate) const KODAMA_TOKEN: &str = "kodama auth token";
pub(crate) const API_KEY: &str = "the api key";
const POLL_MS: u64 = 10;
const POLLS_MAX: u32 = 800;

pub(crate) struct Stand {
    pub(crate) sandbox: Sandbox,
    pub(crate) door: Door,
    pub(crate) client: Client,
    pub(crate) dir: TempDir,
    /// `/sandbox` on a listener of its own.
    pub(crate) page: String,
}

impl Stand {
    pub(crate) async fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let door = Door::open().await;
        Self::over(dir, door).await
    }

    /// On a directory and beside a door that may have seen a sandbox before.
    pub(crate) async fn over(dir: TempDir, door: Door) -> Self {
        let sandbox = Sandbox::start(settings(dir.path()), CancellationToken::new()).await.unwrap();
        sandbox.set_public_url(&door.url);
        sandbox.set_api_url(&door.url);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let page = format!("http://{}", listener.local_addr().unwrap());
        let router = sandbox.page();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let client = Client::builder().no_proxy().build().unwrap();
        Self { sandbox, door, client, dir, page }
    }

    /// What the phone shows.
    pub(crate) async fn handset(&self, number: &str) -> Value {
        let url = format!("{}/sandbox/handsets/{}", self.page, number.replace('+', "%2B"));
        self.client.get(url).send().await.unwrap().json().await.unwrap()
    }

    /// The texts in the phone's inbox, as `carrier: text`.
    pub(crate) async fn inbox(&self, number: &str) -> Vec<String> {
        let handset = self.handset(number).await;
        let line = |message: &Value| {
            format!("{}: {}", message["provider"].as_str().unwrap(), message["text"].as_str().unwrap())
        };
        handset["messages"].as_array().unwrap().iter().map(line).collect()
    }

    /// The phone's only call, once it is over.
    pub(crate) async fn ended_call(&self, number: &str) -> Value {
        for _ in 0..POLLS_MAX {
            let calls = self.handset(number).await["calls"].clone();
            let status = calls[0]["status"].as_str().unwrap_or_default();
            if !matches!(status, "" | "queued" | "ringing" | "in-progress") {
                assert_eq!(calls.as_array().unwrap().len(), 1, "one call only");
                return calls[0].clone();
            }
            tokio::time::sleep(Duration::from_millis(POLL_MS)).await;
        }
        panic!("the call did not end");
    }

    /// Sends by sakura, as SMSLINK's document shows it.
    pub(crate) async fn sakura(&self, number: &str, text: &str) -> reqwest::Result<reqwest::Response> {
        let body = json!({ "contacts": [{ "phone_number": number }], "text_message": text, "delivery_name": "leg 1" });
        let url = format!("{}/api/v1/delivery", self.sandbox.urls().sakura);
        let request = self.client.post(url).header("token", "sakura token").header("accept", "application/json");
        request.json(&body).send().await
    }

    pub(crate) async fn sakura_results(&self, query: &str) -> Value {
        let url = format!("{}/api/v1/delivery_results?{query}", self.sandbox.urls().sakura);
        let answer = self.client.get(url).header("token", "sakura token").send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    }

    /// Sends by fuji, as Infobip's document shows it.
    pub(crate) async fn fuji(&self, number: &str, id: &str, text: &str) -> reqwest::Result<reqwest::Response> {
        let body = json!({ "messages": [{
            "sender": "Otodoke",
            "destinations": [{ "to": number.trim_start_matches('+'), "messageId": id }],
            "content": { "text": text },
            "options": { "validityPeriod": { "amount": 240, "timeUnit": "SECONDS" } },
            "webhooks": {
                "delivery": { "url": format!("{}/receipts/fuji", self.door.url) },
                "contentType": "application/json", "callbackData": format!("tag of {id}"),
            },
        }] });
        self.fuji_raw(&body).await
    }

    pub(crate) async fn fuji_raw(&self, body: &Value) -> reqwest::Result<reqwest::Response> {
        let url = format!("{}/sms/3/messages", self.sandbox.urls().fuji);
        self.client.post(url).header("authorization", "App fuji key").json(body).send().await
    }

    pub(crate) async fn fuji_asks(&self, path_and_query: &str) -> Value {
        let url = format!("{}{path_and_query}", self.sandbox.urls().fuji);
        let answer = self.client.get(url).header("authorization", "App fuji key").send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    }

    /// Sends by atlas, as Twilio's document shows it.
    pub(crate) async fn atlas(&self, number: &str, text: &str) -> reqwest::Result<reqwest::Response> {
        let callback = format!("{}/receipts/atlas?leg=1", self.door.url);
        self.atlas_raw(&[("To", number), ("From", "+15005550006"), ("Body", text), ("StatusCallback", &callback)]).await
    }

    pub(crate) async fn atlas_raw(&self, fields: &[(&str, &str)]) -> reqwest::Result<reqwest::Response> {
        let url = format!("{}/2010-04-01/Accounts/{ATLAS_SID}/Messages.json", self.sandbox.urls().atlas);
        self.post_form(&url, (ATLAS_SID, ATLAS_TOKEN), fields).await
    }

    /// Calls by kodama, as Twilio's document shows it.
    pub(crate) async fn kodama(&self, number: &str, fields: &[(&str, &str)]) -> Value {
        let callback = format!("{}/receipts/kodama", self.door.url);
        let mut all = vec![("To", number), ("From", "+81312345678"), ("StatusCallback", &callback)];
        all.extend(fields);
        let url = format!("{}/2010-04-01/Accounts/{KODAMA_SID}/Calls.json", self.sandbox.urls().kodama);
        let answer = self.post_form(&url, (KODAMA_SID, KODAMA_TOKEN), &all).await.unwrap();
        assert_eq!(answer.status(), 201);
        answer.json().await.unwrap()
    }

    pub(crate) async fn post_form(
        &self,
        url: &str,
        (user, password): (&str, &str),
        fields: &[(&str, &str)],
    ) -> reqwest::Result<reqwest::Response> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.client.post(url).basic_auth(user, Some(password)).body(body);
        request.header("content-type", "application/x-www-form-urlencoded").send().await
    }
}

pub(crate) fn settings(data_dir: &Path) -> SandboxSettings {
    let account = |sid: &str, token: &str| TwilioAccount { account_sid: sid.to_owned(), auth_token: token.to_owned() };
    SandboxSettings {
        data_dir: data_dir.to_owned(),
        public_url: String::new(),
        api_url: String::new(),
        api_key: API_KEY.to_owned(),
        waits: Waits {
            answer_ms: 0,
            receipt_ms: 60,
            batch_ms: 30,
            ring_ms: 30,
            no_answer_ms: 60,
            press_ms: 20,
            silence_ms: 60,
            receipt_retry_ms: 20,
        },
        places: CarrierPlaces::default(),
        secrets: Secrets {
            sakura_token: "sakura token".to_owned(),
            fuji_key: "fuji key".to_owned(),
            atlas: account(ATLAS_SID, ATLAS_TOKEN),
            kodama: account(KODAMA_SID, KODAMA_TOKEN),
        },
    }
}

/// The vendor's own rule for a signature, written a second time from its description.
pub(crate) fn signature(token: &str, url: &str, form: &[(String, String)]) -> String {
    let mut form = form.to_vec();
    form.sort();
    let signed = form.iter().fold(url.to_owned(), |signed, (name, value)| signed + name + value);
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes());
    data_encoding::BASE64.encode(ring::hmac::sign(&key, signed.as_bytes()).as_ref())
}
