//! What providers call us with, from somebody who is no provider: forged, unreadable, huge, and true but sent again.
//!
//! The true ones are made here with the secrets of the house, which is what a listener on the way would hold.

use otodoke_common::message::MessageId;
use otodoke_common::seal::Vault;
use reqwest::Method;
use ring::hmac;
use serde_json::{Value, json};

use crate::caller::{Answer, Caller, legs};
use crate::claims;
use crate::stand::Stand;

/// 10 MB, far more than a provider may send.
const HUGE_BYTES: usize = 10 * 1024 * 1024;
/// As long as a signature, and nobody's.
const UNSIGNED: (&str, &str) = ("x-twilio-signature", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=");
const DONE: &str = "MessageSid=SM1&MessageStatus=delivered&CallSid=CA1&CallStatus=completed";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

claims![
    a_forged_webhook_changes_nothing_and_the_true_one_counts_once,
    a_call_that_is_asked_for_again_never_speaks_the_code_twice,
];

/// Whoever knows the secrets of a house.
struct Insider {
    caller: Caller,
    vault: Vault,
    url: String,
    kodama: String,
}

impl Insider {
    fn of(stand: &Stand) -> Self {
        let Stand { caller, url, .. } = stand;
        Self { caller: caller.clone(), vault: stand.vault(), url: url.clone(), kodama: stand.kodama.clone() }
    }

    fn tag(&self, id: &str, leg: u8) -> String {
        self.vault.leg_tag(MessageId::parse(id).expect("an id"), leg).as_str().to_owned()
    }

    /// The `X-Twilio-Signature` of a request of kodama with one field at most.
    fn signature(&self, path: &str, field: Option<(&str, &str)>) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, self.kodama.as_bytes());
        let (name, value) = field.unwrap_or_default();
        let signed = format!("{}{path}{name}{value}", self.url);
        data_encoding::BASE64.encode(hmac::sign(&key, signed.as_bytes()).as_ref())
    }

    /// A report of fuji, whose proof is our tag in its callback data.
    async fn fuji(&self, callback_data: &str, status: &Value) -> Answer {
        let result = json!({ "messageId": "m", "callbackData": callback_data, "status": status });
        self.caller.post("/receipts/fuji", &json!({ "results": [result] })).await
    }

    /// What a call that was answered asks, or that pressed a digit.
    async fn call(&self, path: &str, digit: Option<&str>, signature: &str) -> Answer {
        let body = digit.map(|digit| format!("Digits={digit}")).unwrap_or_default();
        self.caller.ask(Method::POST, path, &body, &[FORM, ("x-twilio-signature", signature)]).await
    }
}

fn delivered() -> Value {
    json!({ "groupId": 3, "id": 5 })
}

fn undeliverable() -> Value {
    json!({ "groupId": 2, "id": 9 })
}

/// A webhook that proves nothing, and what makes it worthless.
struct Forgery {
    what: &'static str,
    path: String,
    body: String,
    headers: Vec<(&'static str, &'static str)>,
}

/// A report of fuji that nobody signed, with this tag.
fn untrue_report(tag: &str) -> String {
    let result = json!({ "messageId": "m", "callbackData": tag, "status": delivered() });
    json!({ "results": [result] }).to_string()
}

fn forgeries(tag: &str) -> Vec<Forgery> {
    let last = if tag.ends_with('A') { "E" } else { "A" };
    let bent = format!("{}{last}", &tag[..tag.len() - 1]);
    let poke = json!({ "delivery_id": "x", "contact_id": 1 }).to_string();
    let deep = "[".repeat(100_000);
    let (atlas, kodama) = (format!("/receipts/atlas/{tag}"), format!("/receipts/kodama/{tag}"));
    let (call, other_leg) = (format!("/voice/kodama/2/{tag}"), format!("/voice/kodama/1/{tag}"));
    let forgery = |what, path: &str, body: &str, headers: &[_]| Forgery {
        what,
        path: path.to_owned(),
        body: body.to_owned(),
        headers: headers.to_vec(),
    };
    vec![
        forgery("a bent tag", "/receipts/fuji", &untrue_report(&bent), &[]),
        forgery("no tag", "/receipts/fuji", &untrue_report(""), &[]),
        forgery("a signature of nobody", &atlas, DONE, &[FORM, UNSIGNED]),
        forgery("no signature", &atlas, DONE, &[FORM]),
        forgery("a body that no signature covers", &kodama, DONE, &[UNSIGNED]),
        forgery("a call of nobody", &call, DONE, &[FORM, UNSIGNED]),
        forgery("a call about another leg", &other_leg, DONE, &[FORM, UNSIGNED]),
        forgery("a poke about nothing", "/receipts/sakura", &poke, &[]),
        forgery("no JSON", "/receipts/sakura", "\u{0}\u{1}{{{", &[]),
        forgery("brackets without end", "/receipts/fuji", &deep, &[]),
        forgery("no provider", "/receipts/nobody", "{}", &[]),
        forgery("no provider of calls", "/voice/fuji/1/x", "{}", &[]),
    ]
}

async fn a_forged_webhook_changes_nothing_and_the_true_one_counts_once(stand: &Stand) {
    let (caller, insider) = (&stand.caller, Insider::of(stand));
    // Its receipts never come: whatever moves it came from here.
    let id = caller.send("+819012340006", json!({})).await;
    let taken = |(_, provider, outcome): &(String, String, String)| provider == "fuji" && outcome == "submitted";
    caller.until(&id, "a text by fuji is taken", |message: &Value| legs(message).iter().any(taken)).await;
    // Its second, or its first while sakura rests for what others do to it.
    let of_fuji = |message: &Value| legs(message).iter().position(|(_, provider, _)| provider == "fuji");
    let at = of_fuji(&caller.message(&id).await).expect("it was there a moment ago");
    let tag = insider.tag(&id, u8::try_from(at + 1).expect("a leg's number is small"));
    for Forgery { what, path, body, headers } in forgeries(&tag) {
        let answer = caller.ask(Method::POST, &path, &body, &headers).await;
        assert!(answer.status < 500, "{what}: {answer:?}");
        assert!(answer.status < 300 || answer.json()["code"].is_string(), "{what}: {answer:?}");
    }
    for path in
        ["/receipts/fuji", "/receipts/sakura", &format!("/receipts/atlas/{tag}"), &format!("/voice/kodama/2/{tag}")]
    {
        let answer = caller.try_ask(Method::POST, path, &"x".repeat(HUGE_BYTES), &[]).await;
        assert!(answer.is_none_or(|answer| answer.status == 413), "{path} takes 10 MB");
    }
    let after = caller.message(&id).await;
    // On a slow machine it goes overdue meanwhile, as it would have without them.
    let outcome = |message: &Value| legs(message)[at].2.clone();
    assert!(["submitted", "overdue"].contains(&&*outcome(&after)), "{}", caller.story(&id).await);
    let metrics = caller.get("/metrics").await.text;
    assert!(metrics.contains("otp_receipt_matches_total{match=\"forged\",provider=\"atlas\"} 2"), "{metrics}");

    assert_eq!(insider.fuji(&tag, &delivered()).await.status, 200);
    caller.until(&id, "the text is delivered", |message| outcome(message) == "delivered").await;
    for status in [delivered(), undeliverable(), delivered()] {
        assert_eq!(insider.fuji(&tag, &status).await.status, 200);
    }
    let late = async || Some(caller.story(&id).await).filter(|story| story.matches("\"event\": \"late\"").count() >= 3);
    crate::until::until("what was sent again is told to be late", late, async || caller.story(&id).await).await;
    assert_eq!(outcome(&caller.message(&id).await), "delivered", "{}", caller.story(&id).await);
}

/// Letters and marks taken out, so that a code read out digit by digit is found as well.
fn digits(words: &str) -> String {
    words.chars().filter(char::is_ascii_digit).collect()
}

async fn a_call_that_is_asked_for_again_never_speaks_the_code_twice(stand: &Stand) {
    let (caller, insider) = (&stand.caller, Insider::of(stand));
    let number = "+81312340011";
    let id = caller.send(number, json!({})).await;
    caller.until_status(&id, "delivered").await;
    let over = |phone: &crate::handset::Handset| phone.calls.iter().all(|call| call.status == "completed");
    let phone = caller.until_phone((number, &id), "the call is over", over).await;
    let last = phone.calls.last().expect("one call at least");
    let code = last.code().expect("the call read the code out");
    let (_, pressed) = last.transcript.split_once("[presses ").expect("somebody pressed");

    let path = format!("/voice/kodama/1/{}", insider.tag(&id, 1));
    let answered = insider.signature(&path, None);
    for digit in [None, Some(&pressed[..1]), None, Some("0"), Some(&pressed[..1])] {
        let signature = insider.signature(&path, digit.map(|digit| ("Digits", digit)));
        let said = insider.call(&path, digit, &signature).await;
        assert_eq!(said.status, 200, "the signature is right: {said:?}");
        assert!(said.text.contains("<Hangup/>") && !said.text.contains("<Gather"), "it says goodbye: {}", said.text);
        assert!(!digits(&said.text).contains(&code), "{}", said.text);
    }
    assert_eq!(insider.call(&path, Some(&pressed[..1]), &answered).await.status, 403, "a digit that was not signed");
    assert_eq!(caller.check(&id, &code).await, "verified");
}
