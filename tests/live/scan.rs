//! What is left behind by a run with everything in it: no code, no number, no payee in the data file, the log lines,
//! the metrics or the traces. What handsets received is theirs, so `sandbox/` is not looked at.

use std::path::Path;

use serde_json::{Value, json};

use crate::caller::Caller;
use crate::handset::{Call, Handset, Text};
use crate::up::{Place, Up};

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
struct Secret {
    what: String,
    bytes: Vec<u8>,
}

/// Everything that was written, by name.
struct Left {
    name: String,
    bytes: Vec<u8>,
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
fn number(e164: &str) -> Vec<Secret> {
    let digits = e164.trim_start_matches("+81");
    let grouped = format!("{}-{}-{}", &digits[..2], &digits[2..6], &digits[6..]);
    [secret("a number", digits), secret("a number grouped", &grouped)].into_iter().flatten().collect()
}

fn found(needle: &[u8], hay: &[u8]) -> bool {
    hay.windows(needle.len()).any(|window| window == needle)
}

/// Every file of the directory but those of the handsets.
fn files(place: &Place) -> Vec<Left> {
    let mut left = Vec::new();
    collect(&place.data(), &mut left);
    assert!(left.iter().any(|file| file.name.ends_with("otodoke.db")), "the data file was looked at");
    left.push(Left { name: "log".to_owned(), bytes: std::fs::read(place.log()).expect("the log") });
    left
}

fn collect(directory: &Path, left: &mut Vec<Left>) {
    for entry in std::fs::read_dir(directory).expect("it can be read") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            if !path.ends_with("sandbox") {
                collect(&path, left);
            }
        } else {
            left.push(Left { name: path.display().to_string(), bytes: std::fs::read(&path).expect("it can be read") });
        }
    }
}

/// A run with a bit of everything; gathers what must be nowhere.
struct Run {
    caller: Caller,
    ids: Vec<String>,
    secrets: Vec<Secret>,
    answers: Vec<Left>,
}

impl Run {
    async fn all(caller: Caller) -> Self {
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
        let read = phone.texts.first().map(Text::code);
        let code = read.or_else(|| phone.calls.first().and_then(Call::code))?;
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

    async fn shown(&mut self) -> Vec<Left> {
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

fn assert_clean(left: &[Left], secrets: &[Secret]) {
    let mut hits = Vec::new();
    for Left { name, bytes } in left {
        hits.extend(
            secrets
                .iter()
                .filter(|secret| found(&secret.bytes, bytes))
                .map(|secret| format!("{} in {name}", secret.what)),
        );
    }
    assert!(hits.is_empty(), "{hits:#?}");
}

/// The scan finds what is there: an id in the row, the log and the trace, a route in the metrics.
fn assert_scan_finds(left: &[Left], id: &str) {
    let raw = otodoke_common::message::MessageId::parse(id).expect("an id").bytes().to_vec();
    let named =
        |name: &str, needle: &[u8]| left.iter().any(|left| left.name.contains(name) && found(needle, &left.bytes));
    assert!(named("otodoke.db", &raw), "the row's id is in the data file");
    assert!(named("log", id.as_bytes()), "the id is in the log");
    assert!(named("the trace", id.as_bytes()), "the id is in its trace");
    assert!(named("/metrics", b"jp-sakura"), "a route is in the metrics");
}

#[tokio::test]
async fn after_a_run_with_everything_no_code_and_no_number_is_left_anywhere() {
    let up = Up::start();
    let mut run = Run::all(up.caller()).await;
    let mut left = run.shown().await;
    left.extend(files(up.place()));
    assert_clean(&left, &run.secrets);
    assert_scan_finds(&left, &run.ids[0]);
    assert!(run.secrets.len() > 100, "only {} secrets were looked for", run.secrets.len());
    let inboxes = std::fs::read_dir(up.place().data().join("sandbox")).expect("the handsets' journal");
    let journal: Vec<u8> =
        inboxes.flat_map(|file| std::fs::read(file.expect("a file").path()).expect("read")).collect();
    assert!(found(&number("+819012340001")[0].bytes, &journal), "the handsets hold what nobody else may");

    // Stopped, the journal of the file is folded into it.
    let place = up.stop().await;
    assert_clean(&files(&place), &run.secrets);
}
