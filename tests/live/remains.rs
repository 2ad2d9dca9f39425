//! What may be left behind by a run with everything in it, and what must be nowhere: no code, no number, no payee. What
//! handsets received is theirs, so `sandbox/` is not looked at.

use std::path::Path;

use serde_json::{Value, json};

use crate::caller::Caller;
use crate::handset::{Call, Handset, Text};

/// Codes of ten digits: six of them stand by chance in any list of times.
const CODE_LENGTH: u8 = 10;
const PAYEE: &str = "SUZUKI ICHIRO";
const ACCOUNT: &str = "4902817365";
const AMOUNT: &str = "918273645";
const NOTICE: &str = "Your parcel 5581902734 waits at the door";
const ORDER: &str = "ORDER-77120913";
const REQUEST_KEY: &str = "request-key-31415926";
const WRONG_CODE: &str = "5551212555";

/// What must be nowhere, and under which name it is reported.
pub(crate) struct Secret {
    what: String,
    pub(crate) bytes: Vec<u8>,
}

/// Everything that was written, by name.
pub(crate) struct Left {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

fn secret(what: &str, text: &str) -> Vec<Secret> {
    let as_text = |kind: &str, text: String| Secret { what: format!("{what} {kind}"), bytes: text.into_bytes() };
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    vec![
        as_text("as it is", text.to_owned()),
        as_text("escaped for a URL", text.replace(' ', "+").replace('-', "%2D")),
        as_text("in hex", data_encoding::HEXLOWER.encode(text.as_bytes())),
        Secret { what: format!("{what} in UTF-16"), bytes: utf16 },
    ]
}

/// The ten digits that E.164, the form without `+` and the national form share, and how people group them.
pub(crate) fn number(e164: &str) -> Vec<Secret> {
    let digits = e164.trim_start_matches("+81");
    let grouped = format!("{}-{}-{}", &digits[..2], &digits[2..6], &digits[6..]);
    [secret("a number", digits), secret("a number grouped", &grouped)].into_iter().flatten().collect()
}

pub(crate) fn found(needle: &[u8], hay: &[u8]) -> bool {
    hay.windows(needle.len()).any(|window| window == needle)
}

pub(crate) fn collect(directory: &Path, left: &mut Vec<Left>) {
    for entry in std::fs::read_dir(directory).expect("it can be read") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            if !path.ends_with("sandbox") {
                collect(&path, left);
            }
        } else {
            // A server that runs takes files away.
            let bytes = std::fs::read(&path).unwrap_or_default();
            left.push(Left { name: path.display().to_string(), bytes });
        }
    }
}

/// A run with a bit of everything; gathers what must be nowhere.
pub(crate) struct Run {
    caller: Caller,
    pub(crate) ids: Vec<String>,
    pub(crate) secrets: Vec<Secret>,
    answers: Vec<Left>,
}

impl Run {
    pub(crate) async fn all(caller: Caller) -> Self {
        let mut run = Self { caller, ids: Vec::new(), secrets: Vec::new(), answers: Vec::new() };
        for (what, text) in [
            ("the payee", PAYEE),
            ("the account", ACCOUNT),
            ("the amount", AMOUNT),
            ("the amount as it is said", "918,273,645"),
            ("the text", NOTICE),
            ("metadata", ORDER),
            ("the request's key", REQUEST_KEY),
            ("a wrong code", WRONG_CODE),
        ] {
            run.secrets.extend(secret(what, text));
        }
        run.codes().await;
        run.payment().await;
        run.text().await;
        run.refusals().await;
        run
    }

    fn transaction() -> Value {
        json!({ "amount": AMOUNT, "currency": "JPY", "payee": { "name": PAYEE, "account": ACCOUNT } })
    }

    /// Texts, calls, lost receipts and what fails for good, with wrong guesses and a right one.
    async fn codes(&mut self) {
        let numbers =
            ["+819012340001", "+819012340002", "+819012340003", "+819012340007", "+819012340010", "+81312340011"];
        let more = json!({ "code_length": CODE_LENGTH, "metadata": { "order": ORDER }, "domain": "example.com" });
        let mut sent = Vec::new();
        for number in numbers {
            sent.push((number, self.caller.send(number, more.clone()).await));
        }
        for (to, id) in sent {
            let settled = |message: &Value| ["delivered", "failed"].iter().any(|status| message["status"] == *status);
            self.caller.until(&id, "the message is settled", settled).await;
            self.secrets.extend(number(to));
            self.caller.check(&id, WRONG_CODE).await;
            if let Some(code) = self.code(to, &id).await {
                assert_eq!(self.caller.check(&id, &code).await, "verified");
            }
            self.ids.push(id);
        }
    }

    /// The code as the person got it, read or heard; kept as a secret.
    async fn code(&mut self, to: &str, id: &str) -> Option<String> {
        let over = |phone: &Handset| phone.calls.iter().all(|call| ["completed", "failed"].contains(&&*call.status));
        let phone = self.caller.until_phone((to, id), "no call is under way", over).await;
        let read = phone.texts.last().map(Text::code);
        let code = read.or_else(|| phone.calls.last().and_then(Call::code))?;
        assert_eq!(code.len(), usize::from(CODE_LENGTH), "{phone:?}");
        let spoken = code.chars().map(String::from).collect::<Vec<_>>().join(" ");
        self.secrets.extend(secret("a code", &code).into_iter().chain(secret("a spoken code", &spoken)));
        Some(code)
    }

    async fn payment(&mut self) {
        let to = "+819012343401";
        let transaction = Self::transaction();
        let more = json!({ "purpose": "payment", "code_length": CODE_LENGTH, "transaction": transaction });
        let id = self.caller.send(to, more).await;
        self.caller.until_status(&id, "delivered").await;
        self.secrets.extend(number(to));
        let code = self.read_payment(to).await;
        let check = format!("/v1/verifications/{id}/check");
        for code in [WRONG_CODE, &code] {
            let body = json!({ "code": code, "to": to, "transaction": transaction });
            let answer = self.caller.post(&check, &body).await;
            self.answers.push(Left { name: "the answer to a check".to_owned(), bytes: answer.text.into_bytes() });
        }
        assert_eq!(self.caller.message(&id).await["status"], "verified");
        self.ids.push(id);
    }

    /// A payment's text holds more digits than the code: the run of its length that is not the account.
    async fn read_payment(&mut self, to: &str) -> String {
        let phone = self.caller.handset(to).await;
        let runs = phone.texts[0].text.split(|letter: char| !letter.is_ascii_digit());
        let code = runs.into_iter().find(|run| run.len() == usize::from(CODE_LENGTH) && *run != ACCOUNT);
        let code = code.expect("the text holds the code").to_owned();
        self.secrets.extend(secret("a payment's code", &code));
        code
    }

    async fn text(&mut self) {
        let to = "+819012343402";
        let body = json!({ "to": to, "text": NOTICE, "purpose": "notice" }).to_string();
        let headers = [("idempotency-key", REQUEST_KEY)];
        let answer = self.caller.ask(reqwest::Method::POST, "/v1/messages", &body, &headers).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
        let id = answer.json()["id"].as_str().expect("an id").to_owned();
        let arrived = |phone: &Handset| phone.texts.iter().any(|text| text.text == NOTICE);
        self.caller.until_phone((to, &id), "the text arrives", arrived).await;
        self.secrets.extend(number(to));
        self.ids.push(id);
    }

    /// Refusals see the same secrets, and repeat none.
    async fn refusals(&mut self) {
        let to = "+819012343403";
        self.secrets.extend(number(to));
        let mut changed = Self::transaction();
        changed["amount"] = json!("-918273645");
        for body in [
            json!({ "to": format!("{to}99"), "purpose": "login" }),
            json!({ "to": to, "purpose": "login", "transaction": Self::transaction() }),
            json!({ "to": to, "purpose": "payment", "transaction": changed }),
            json!({ "to": to, "purpose": "login", "metadata": { "order": [ORDER] } }),
            json!({ "to": to, "purpose": "login", "ttl_seconds": WRONG_CODE }),
            json!({ "to": "09012343403", "purpose": "login" }),
        ] {
            let answer = self.caller.post("/v1/verifications", &body).await;
            assert_eq!(answer.status, 422, "{body}: {answer:?}");
            self.answers.push(Left { name: format!("the refusal of {body}"), bytes: answer.text.into_bytes() });
        }
        let forged = json!({ "results": [{ "messageId": "m", "callbackData": to, "to": to }] });
        self.caller.post("/receipts/fuji", &forged).await;
        self.caller.get(&format!("/v1/trace/{to}")).await;
    }

    pub(crate) async fn shown(&mut self) -> Vec<Left> {
        let mut left = std::mem::take(&mut self.answers);
        for path in ["/metrics", "/readyz"] {
            left.push(Left { name: path.to_owned(), bytes: self.caller.get(path).await.text.into_bytes() });
        }
        for id in &self.ids {
            left.push(Left { name: format!("the trace of {id}"), bytes: self.caller.story(id).await.into_bytes() });
        }
        left
    }
}

pub(crate) fn assert_clean(left: &[Left], secrets: &[Secret]) {
    let index = Index::of(secrets);
    let hits: Vec<String> = left.iter().flat_map(|left| index.hits(left)).collect();
    assert!(hits.is_empty(), "{hits:#?}");
}

/// Bytes that secrets begin with; no secret is shorter.
const HEAD_BYTES: usize = 2;

/// All secrets at once, by how they begin: files of servers are long.
struct Index<'a> {
    by_head: Vec<Vec<&'a Secret>>,
}

impl<'a> Index<'a> {
    fn of(secrets: &'a [Secret]) -> Self {
        let mut by_head = vec![Vec::new(); 1 << (8 * HEAD_BYTES)];
        for secret in secrets {
            by_head[head(&secret.bytes)].push(secret);
        }
        Self { by_head }
    }

    fn hits(&self, left: &Left) -> Vec<String> {
        let mut hits = Vec::new();
        for (at, window) in left.bytes.windows(HEAD_BYTES).enumerate() {
            for secret in &self.by_head[head(window)] {
                if left.bytes[at..].starts_with(&secret.bytes) {
                    hits.push(format!("{} in {}", secret.what, left.name));
                }
            }
        }
        hits
    }
}

fn head(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}
