//! What our Twilio provider makes of requests and speeches, for `scripts/oracles` to compare with the vendor's SDK.
//!
//! Reads one JSON document from standard input and writes one to standard output. What it sends, a text and a call, goes
//! to the loopback address of the document only.

use std::io::{self, Read, Write};
use std::sync::Arc;

use otodoke_common::config::{ProviderKind, Secret};
use otodoke_common::leg::ProviderId;
use otodoke_common::message::{Locale, MessageId};
use otodoke_common::phone::PhoneNumber;
use otodoke_common::provider::{Provider, SendContent, SendRequest, WebhookReading, WebhookRequest};
use otodoke_common::seal::Vault;
use otodoke_common::speech::{Part, Speech, Then};
use otodoke_common::time::Timestamp;
use otodoke_providers::{ProviderSettings, build};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Cases {
    token: String,
    /// Where a listener of ours waits for one text and one call.
    base_url: String,
    requests: Vec<Signed>,
    speeches: Vec<Spoken>,
}

#[derive(Deserialize)]
struct Signed {
    url: String,
    content_type: String,
    signature: String,
    body: String,
}

#[derive(Deserialize)]
struct Spoken {
    locale: Locale,
    words: Vec<String>,
    pause_s: u32,
    /// Absent: the call is ended.
    listen_s: Option<u8>,
    next_url: String,
}

#[derive(Serialize)]
struct Verdicts {
    accepted: Vec<bool>,
    twiml: Vec<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut input = String::new();
    io::stdin().read_to_string(&mut input)?;
    let cases: Cases = serde_json::from_str(&input)?;
    for (kind, content) in [
        (ProviderKind::Twilio, SendContent::Text("認証コード:042137 & more".to_owned())),
        (ProviderKind::TwilioVoice, SendContent::Call),
    ] {
        send(&settings(kind, &cases.base_url, &cases.token)?, content).await?;
    }
    let provider =
        build(&settings(ProviderKind::TwilioVoice, &cases.base_url, &cases.token)?, Arc::new(Vault::new(&[0; 32])?))?;
    let verdicts = Verdicts {
        accepted: cases.requests.iter().map(|case| accepted(provider.as_ref(), case)).collect(),
        twiml: cases.speeches.iter().map(|case| twiml(provider.as_ref(), case)).collect(),
    };
    io::stdout().write_all(serde_json::to_string(&verdicts)?.as_bytes())?;
    Ok(())
}

/// What comes back does not matter: the listener keeps what it was sent.
async fn send(settings: &ProviderSettings, content: SendContent) -> Result<(), Box<dyn std::error::Error>> {
    let vault = Arc::new(Vault::new(&[0; 32])?);
    let id = MessageId::parse("01939f3e-0000-7000-8000-000000000000").ok_or("a message id")?;
    let request = SendRequest {
        id,
        leg: 1,
        our_reference: format!("{id}.1"),
        tag: vault.leg_tag(id, 1),
        to: PhoneNumber::parse("+819012345678", None)?.number,
        sender: "+815012345678".to_owned(),
        locale: Locale::Ja,
        content,
        validity_s: 290,
    };
    build(settings, vault)?.send(&request).await;
    Ok(())
}

fn settings(kind: ProviderKind, base_url: &str, secret: &str) -> Result<ProviderSettings, String> {
    Ok(ProviderSettings {
        id: ProviderId::parse("oracle")?,
        kind,
        base_url: base_url.to_owned(),
        public_url: "https://otp.example.com".to_owned(),
        account: Some("AC0123456789abcdef0123456789abcdef".to_owned()),
        secret: Secret::new(secret),
        timeout_ms: 10_000,
    })
}

fn accepted(provider: &dyn Provider, case: &Signed) -> bool {
    let headers = [("content-type", case.content_type.as_str()), ("x-twilio-signature", case.signature.as_str())];
    let now = Timestamp::from_unix_ms(0);
    let request = WebhookRequest { url: &case.url, tag: None, headers: &headers, body: case.body.as_bytes(), now };
    // A signed request that names no call is authentic all the same.
    !matches!(provider.read_webhook(&request), WebhookReading::Rejected { status: 403, .. })
}

fn twiml(provider: &dyn Provider, case: &Spoken) -> String {
    let part = |words: &String| [Part::Say(words.clone()), Part::PauseMs(case.pause_s * 1_000)];
    let speech = Speech {
        locale: case.locale,
        parts: case.words.iter().flat_map(part).collect(),
        then: case.listen_s.map_or(Then::HangUp, |timeout_s| Then::Listen { timeout_s }),
    };
    let voice = provider.voice().expect("twilio_voice carries calls");
    voice.speak(&speech, &case.next_url).body
}
