//! Calls: how they are asked for, how they end, what the person pressed, what is spoken.

use otodoke_common::message::Locale;
use otodoke_common::speech::{Part, Speech, Then};

use super::*;
use crate::vendor::call;

const CALLS_PATH: &str = "/2010-04-01/Accounts/AC0123456789abcdef0123456789abcdef/Calls.json";

fn created(status: &str) -> String {
    include_str!("../../../fixtures/twilio/call.json").replace("{status}", status)
}

fn kodama() -> Arc<dyn Provider> {
    provider(ProviderKind::TwilioVoice, "http://127.0.0.1:1")
}

fn voice_url() -> String {
    format!("https://otp.example.com/voice/sakura/{LEG}/{}", tag())
}

#[tokio::test]
async fn a_call_fetches_its_words_when_it_is_answered() {
    let vendor = Vendor::answering(201, &[], created("queued")).await;
    let answer = vendor.provider(ProviderKind::TwilioVoice).send(&call()).await;
    assert_eq!(answer, Answer::Submitted { reference: Some(CALL.to_owned()) });
    let seen = vendor.only();
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", CALLS_PATH));
    let want = [
        ("To", "+819012345678"),
        ("From", "+815012345678"),
        ("Url", &voice_url()),
        ("Method", "POST"),
        ("StatusCallback", &format!("https://otp.example.com/receipts/sakura/{}", tag())),
        ("StatusCallbackEvent", "completed"),
        ("StatusCallbackMethod", "POST"),
        ("Timeout", "30"),
        ("TimeLimit", "600"),
        ("Record", "false"),
    ];
    assert_eq!(seen.form(), want.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[tokio::test]
async fn a_text_is_not_for_a_provider_of_calls_nor_a_call_for_one_of_texts() {
    let vendor = Vendor::answering(201, &[], created("queued")).await;
    let refused = [
        vendor.provider(ProviderKind::TwilioVoice).send(&text()).await,
        vendor.provider(ProviderKind::Twilio).send(&call()).await,
    ];
    assert!(refused.iter().all(|answer| matches!(answer, Answer::Refused(_))), "{refused:?}");
    assert_eq!(vendor.seen().len(), 0);
    assert!(vendor.provider(ProviderKind::Twilio).voice().is_none());
}

#[test]
fn each_status_of_a_call_has_its_meaning() {
    let failed = |class, code| crate::report::failed((class, Scope::Number), code);
    let underway = ReportStatus::Underway { reference: Some(CALL.to_owned()), at_operator: false };
    let cases = [
        ("queued", "", underway.clone()),
        ("initiated", "", underway.clone()),
        ("ringing", "", underway.clone()),
        ("in-progress", "", underway),
        ("completed", "", failed(Class::Unanswered, "completed")),
        ("busy", "", failed(Class::Unanswered, "busy")),
        ("no-answer", "", failed(Class::Unanswered, "no-answer")),
        ("canceled", "", failed(Class::Unanswered, "canceled")),
        ("failed", "", failed(Class::Unreceivable, "failed")),
        ("failed", "21216", failed(Class::RecipientBlocked, "21216")),
        ("failed", "99999", failed(Class::Unreceivable, "99999")),
    ];
    for (word, error, want) in cases {
        let pairs = [("CallSid", CALL), ("CallStatus", word), ("ErrorCode", error)];
        let report = only_report(callback(ProviderKind::TwilioVoice, Some(&tag()), &pairs));
        assert_eq!(report.about, About::Leg { id: message_id(), leg: LEG });
        assert_eq!((report.status, report.proof), (want, Proof::Signature), "{word} {error}");
    }
}

#[test]
fn a_call_that_no_network_could_carry_was_not_made_and_says_nothing_against_the_number() {
    let not_made = |code: &str| crate::report::failed((Class::NotSent, Scope::Message), code);
    let no_number = |code: &str| crate::report::failed((Class::Unreceivable, Scope::Number), code);
    let cases = [
        ("13224", "", not_made("13224")),
        ("13224", "404", not_made("13224")),
        ("", "500", not_made("sip 500")),
        ("", "503", not_made("sip 503")),
        ("99999", "599", not_made("sip 599")),
        ("", "404", no_number("failed")),
        ("", "600", no_number("failed")),
        ("99999", "480", no_number("99999")),
        ("", "garbled", no_number("failed")),
        ("21216", "503", crate::report::failed((Class::RecipientBlocked, Scope::Number), "21216")),
    ];
    for (error, sip, want) in cases {
        let pairs = [("CallSid", CALL), ("CallStatus", "failed"), ("ErrorCode", error), ("SipResponseCode", sip)];
        assert_eq!(
            only_report(callback(ProviderKind::TwilioVoice, Some(&tag()), &pairs)).status,
            want,
            "{error} {sip}"
        );
    }
    let pairs = [("CallSid", CALL), ("CallStatus", "completed"), ("SipResponseCode", "503")];
    let ended = crate::report::failed((Class::Unanswered, Scope::Number), "completed");
    assert_eq!(
        only_report(callback(ProviderKind::TwilioVoice, Some(&tag()), &pairs)).status,
        ended,
        "a call that was made"
    );
}

#[tokio::test]
async fn a_call_is_asked_for_and_hung_up_by_its_sid() {
    let vendor = Vendor::answering(200, &[], created("no-answer")).await;
    let kodama = vendor.provider(ProviderKind::TwilioVoice);
    let reports = kodama.ask(&question(Some(CALL))).await.unwrap();
    assert_eq!(reports[0].status, crate::report::failed((Class::Unanswered, Scope::Number), "no-answer"));
    kodama.voice().unwrap().hang_up(CALL).await;
    let path = CALLS_PATH.replace(".json", &format!("/{CALL}.json"));
    let seen = vendor.seen();
    assert_eq!((seen[0].method.as_str(), seen[0].path.as_str()), ("GET", path.as_str()));
    assert_eq!((seen[1].method.as_str(), seen[1].path.as_str()), ("POST", path.as_str()));
    assert_eq!(seen[1].form(), [("Status".to_owned(), "completed".to_owned())]);
}

#[tokio::test]
async fn hanging_up_where_nobody_listens_is_survived() {
    provider(ProviderKind::TwilioVoice, &Vendor::gone().await).voice().unwrap().hang_up(CALL).await;
}

#[test]
fn the_first_fetch_is_an_answer_and_every_later_one_a_press() {
    let cases = [
        (vec![("CallSid", CALL)], CallMoment::Answered),
        (vec![("CallSid", CALL), ("Digits", "7")], CallMoment::Pressed(Some(7))),
        (vec![("CallSid", CALL), ("Digits", "0")], CallMoment::Pressed(Some(0))),
        (vec![("CallSid", CALL), ("Digits", "")], CallMoment::Pressed(None)),
        (vec![("CallSid", CALL), ("Digits", "*")], CallMoment::Pressed(None)),
        (vec![("CallSid", CALL), ("Digits", "12")], CallMoment::Pressed(None)),
        (vec![("CallSid", CALL), ("Digits", "７")], CallMoment::Pressed(None)),
    ];
    let (url, kodama) = (voice_url(), kodama());
    let voice = kodama.voice().unwrap();
    for (pairs, want) in cases {
        let body = form(&pairs);
        let signature = signature(&url, &body);
        let headers = headers(&signature);
        let request = WebhookRequest { url: &url, tag: None, headers: &headers, body: body.as_bytes(), now: NOW };
        assert_eq!(voice.read_call(&request), Some(want), "{pairs:?}");
        let forged = WebhookRequest { url: "https://otp.example.com/voice/another", ..request };
        assert_eq!(voice.read_call(&forged), None, "{pairs:?}");
    }
}

#[test]
fn an_announcement_waits_for_one_digit_and_a_silence_comes_back_to_us() {
    let parts = vec![Part::Say("Press 7 & wait <now>.".to_owned()), Part::PauseMs(1_500)];
    let speech = Speech { locale: Locale::En, parts, then: Then::Listen { timeout_s: 8 } };
    let reply = kodama().voice().unwrap().speak(&speech, "https://a.example/voice?x=1&y=2");
    assert_eq!((reply.status, reply.content_type), (200, "text/xml"));
    let want = concat!(
        r#"<?xml version="1.0" encoding="UTF-8"?><Response>"#,
        r#"<Gather input="dtmf" numDigits="1" timeout="8" action="https://a.example/voice?x=1&amp;y=2" method="POST" "#,
        r#"actionOnEmptyResult="true"><Say language="en-US" voice="Polly.Joanna">Press 7 &amp; wait &lt;now&gt;.</Say>"#,
        r#"<Pause length="2"/>"#,
        "</Gather><Hangup/></Response>",
    );
    assert_eq!(reply.body, want);
}

#[test]
fn the_last_words_end_the_call_and_hold_nothing_that_xml_cannot() {
    let parts = vec![Part::Say("さよ\u{0}うなら".to_owned()), Part::PauseMs(1)];
    let speech = Speech { locale: Locale::Ja, parts, then: Then::HangUp };
    let reply = kodama().voice().unwrap().speak(&speech, "https://a.example/unused");
    let want = concat!(
        r#"<?xml version="1.0" encoding="UTF-8"?><Response>"#,
        r#"<Say language="ja-JP" voice="Polly.Mizuki">さよ うなら</Say><Pause length="1"/><Hangup/></Response>"#,
    );
    assert_eq!(reply.body, want);
}
