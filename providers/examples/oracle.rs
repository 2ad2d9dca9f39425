//! What our Twilio provider makes of requests and speeches, for `scripts/oracles` to compare with the vendor's SDK.
//!
//! Reads one JSON document from standard input and writes one to standard output; sends nothing.

use std::io::{self, Read, Write};
use std::sync::Arc;

use otodoke_common::leg::ProviderId;
use otodoke_common::message::Locale;
use otodoke_common::provider::{Provider, WebhookReading, WebhookRequest};
use otodoke_common::seal::Vault;
use otodoke_common::speech::{Part, Speech, Then};
use otodoke_common::time::Timestamp;
use otodoke_providers::{ProviderSettings, build};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Cases {
    token: String,
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

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut input = String::new();
    io::stdin().read_to_string(&mut input)?;
    let cases: Cases = serde_json::from_str(&input)?;
    let provider = build(&settings(cases.token)?, Arc::new(Vault::new(&[0; 32])?))?;
    let verdicts = Verdicts {
        accepted: cases.requests.iter().map(|case| accepted(provider.as_ref(), case)).collect(),
        twiml: cases.speeches.iter().map(|case| twiml(provider.as_ref(), case)).collect(),
    };
    io::stdout().write_all(serde_json::to_string(&verdicts)?.as_bytes())?;
    Ok(())
}

fn settings(secret: String) -> Result<ProviderSettings, String> {
    Ok(ProviderSettings {
        id: ProviderId::parse("oracle")?,
        kind: "twilio_voice".to_owned(),
        base_url: "http://127.0.0.1:1".to_owned(),
        public_url: "https://otp.example.com".to_owned(),
        account: Some("AC0123456789abcdef0123456789abcdef".to_owned()),
        secret,
        timeout_ms: 1_000,
    })
}

fn accepted(provider: &dyn Provider, case: &Signed) -> bool {
    let headers = [
        ("content-type".to_owned(), case.content_type.clone()),
        ("x-twilio-signature".to_owned(), case.signature.clone()),
    ];
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
