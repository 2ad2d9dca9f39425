//! Twilio: signatures, texts, calls and what is spoken.

use otodoke_common::config::ProviderKind;
use otodoke_common::outcome::{Answer, Class, Scope};
use otodoke_common::provider::{CallMoment, Provider};

use super::*;
use crate::vendor::{LEG, NOW, SECRET, Vendor, message_id, provider, question, read, tag, text};

mod calls;
mod signature;

const MESSAGE: &str = "SM0123456789abcdef0123456789abcdef";
const CALL: &str = "CA0123456789abcdef0123456789abcdef";
const MESSAGES_PATH: &str = "/2010-04-01/Accounts/AC0123456789abcdef0123456789abcdef/Messages.json";

fn token() -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, SECRET.as_bytes())
}

fn message(status: &str, error: Option<u32>) -> String {
    let error = error.map_or_else(|| "null".to_owned(), |code| code.to_string());
    include_str!("../../fixtures/twilio/message.json").replace("{status}", status).replace("{error}", &error)
}

fn problem(status: u16, code: u32) -> String {
    include_str!("../../fixtures/twilio/problem.json")
        .replace("{code}", &code.to_string())
        .replace("{status}", &status.to_string())
}

fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn signature(url: &str, body: &str) -> String {
    super::signature::sign(&token(), url, body.as_bytes())
}

const fn headers(signature: &str) -> [(&str, &str); 2] {
    [("content-type", "application/x-www-form-urlencoded; charset=UTF-8"), ("x-twilio-signature", signature)]
}

/// What a provider makes of a signed callback at its receipts URL.
fn callback(kind: ProviderKind, tag: Option<&str>, pairs: &[(&str, &str)]) -> WebhookReading {
    let url = format!("https://otp.example.com/receipts/sakura/{}", tag.unwrap_or_default());
    let body = form(pairs);
    let signature = signature(&url, &body);
    let request = WebhookRequest { url: &url, tag, headers: &headers(&signature), body: body.as_bytes(), now: NOW };
    read(&*provider(kind, "http://127.0.0.1:1"), &request)
}

fn only_report(reading: WebhookReading) -> Report {
    let WebhookReading::Reports { mut reports, reply } = reading else { panic!("rejected") };
    assert_eq!((reports.len(), reply.status), (1, 200));
    reports.remove(0)
}

#[tokio::test]
async fn a_text_names_its_validity_and_where_its_receipts_go() {
    let vendor = Vendor::answering(201, &[], message("queued", None)).await;
    let answer = vendor.provider(ProviderKind::Twilio).send(&text()).await;
    assert_eq!(answer, Answer::Submitted { reference: Some(MESSAGE.to_owned()) });
    let seen = vendor.only();
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", MESSAGES_PATH));
    // AC0123456789abcdef0123456789abcdef:12345
    let basic = "Basic QUMwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjoxMjM0NQ==";
    assert_eq!(seen.headers["authorization"], basic);
    assert_eq!(seen.headers["content-type"], "application/x-www-form-urlencoded");
    let want = [
        ("To", "+819012345678"),
        ("From", "+815012345678"),
        ("Body", "認証コードは 042137 です。"),
        ("StatusCallback", &format!("https://otp.example.com/receipts/sakura/{}", tag())),
        ("ValidityPeriod", "290"),
    ];
    assert_eq!(seen.form(), want.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[tokio::test]
async fn a_validity_is_kept_within_what_the_api_takes_and_a_messaging_service_is_named_as_such() {
    let service = "MG0123456789abcdef0123456789abcdef";
    for (validity_s, want) in [(0, "1"), (36_001, "36000")] {
        let vendor = Vendor::answering(201, &[], message("accepted", None)).await;
        let request = SendRequest { validity_s, sender: service.to_owned(), ..text() };
        vendor.provider(ProviderKind::Twilio).send(&request).await;
        let form = vendor.only().form();
        assert!(form.contains(&("ValidityPeriod".to_owned(), want.to_owned())), "{form:?}");
        assert!(form.contains(&("MessagingServiceSid".to_owned(), service.to_owned())), "{form:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_read_by_its_code_and_never_by_its_words() {
    let cases = [
        (400, 21211, Class::InvalidNumber, Scope::Number),
        (400, 21614, Class::NotSmsCapable, Scope::Number),
        (400, 21635, Class::NotSmsCapable, Scope::Number),
        (400, 21610, Class::OptedOut, Scope::Number),
        (400, 21408, Class::Config, Scope::Tenant),
        (400, 21606, Class::Config, Scope::Sender),
        (400, 21612, Class::Config, Scope::Sender),
        (400, 21617, Class::Content, Scope::Message),
        (400, 21611, Class::Throttled, Scope::Sender),
        (400, 14107, Class::Throttled, Scope::Number),
        (400, 99999, Class::Content, Scope::Message),
        (401, 20003, Class::Config, Scope::Provider),
        (404, 20404, Class::Config, Scope::Provider),
        (429, 20429, Class::Throttled, Scope::Provider),
        (429, 21211, Class::Throttled, Scope::Provider),
    ];
    for (status, code, class, scope) in cases {
        let vendor = Vendor::answering(status, &[], problem(status, code)).await;
        let answer = vendor.provider(ProviderKind::Twilio).send(&text()).await;
        assert_eq!(answer, crate::report::refused((class, scope), code.to_string()));
    }
}

#[tokio::test]
async fn a_server_error_is_read_by_its_status_whatever_its_body_says() {
    let vendor = Vendor::answering(503, &[], problem(503, 20503)).await;
    assert_eq!(
        vendor.provider(ProviderKind::Twilio).send(&text()).await,
        Answer::NotSent { why: "http 503".to_owned() }
    );
    let vendor = Vendor::answering(500, &[], problem(500, 21211)).await;
    assert_eq!(
        vendor.provider(ProviderKind::Twilio).send(&text()).await,
        Answer::Unknown { why: "http 500".to_owned() }
    );
}

#[tokio::test]
async fn a_text_that_failed_at_once_is_refused() {
    let vendor = Vendor::answering(201, &[], message("failed", Some(30006))).await;
    let answer = vendor.provider(ProviderKind::Twilio).send(&text()).await;
    assert_eq!(answer, crate::report::refused((Class::NotSmsCapable, Scope::Number), "30006"));
}

#[test]
fn a_signed_callback_with_our_tag_is_about_the_leg() {
    let pairs = [("MessageSid", MESSAGE), ("MessageStatus", "delivered"), ("To", "+819012345678")];
    let report = only_report(callback(ProviderKind::Twilio, Some(&tag()), &pairs));
    assert_eq!(report.about, About::Leg { id: message_id(), leg: LEG });
    assert_eq!((&report.status, report.proof, report.at), (&ReportStatus::Delivered, Proof::Signature, NOW));
}

#[test]
fn a_signed_callback_without_a_tag_of_ours_is_about_the_reference() {
    let pairs = [("MessageSid", MESSAGE), ("MessageStatus", "delivered")];
    for tag in [None, Some("garbled")] {
        let report = only_report(callback(ProviderKind::Twilio, tag, &pairs));
        assert_eq!((report.about, report.proof), (About::Reference(MESSAGE.to_owned()), Proof::Signature));
    }
    let reading = callback(ProviderKind::Twilio, None, &[("MessageStatus", "delivered")]);
    assert!(matches!(reading, WebhookReading::Rejected { status: 400, .. }), "{reading:?}");
}

#[test]
fn each_status_of_a_text_has_its_meaning() {
    let underway = ReportStatus::Underway { reference: Some(MESSAGE.to_owned()), at_operator: false };
    let at_operator = ReportStatus::Underway { reference: Some(MESSAGE.to_owned()), at_operator: true };
    let failed = |class, scope, code| crate::report::failed((class, scope), code);
    let cases = [
        ("accepted", "", underway.clone()),
        ("scheduled", "", underway.clone()),
        ("queued", "", underway.clone()),
        ("sending", "", underway),
        ("sent", "", at_operator),
        ("delivered", "", ReportStatus::Delivered),
        ("read", "", ReportStatus::Delivered),
        ("canceled", "", failed(Class::NotSent, Scope::Message, "canceled")),
        ("undelivered", "", failed(Class::Unknown, Scope::Message, "undelivered")),
        ("undelivered", "30003", failed(Class::Absent, Scope::Number, "30003")),
        ("undelivered", "30004", failed(Class::RecipientBlocked, Scope::Number, "30004")),
        ("undelivered", "30005", failed(Class::InvalidNumber, Scope::Number, "30005")),
        ("undelivered", "30006", failed(Class::NotSmsCapable, Scope::Number, "30006")),
        ("undelivered", "30007", failed(Class::FilteredRoute, Scope::Message, "30007")),
        ("undelivered", "30008", failed(Class::Unknown, Scope::Message, "30008")),
        ("failed", "30001", failed(Class::Throttled, Scope::Sender, "30001")),
        ("failed", "30002", failed(Class::Config, Scope::Provider, "30002")),
        ("failed", "30017", failed(Class::NotSent, Scope::Message, "30017")),
        ("failed", "30034", failed(Class::Config, Scope::Sender, "30034")),
        ("failed", "30036", failed(Class::ExpiredAtProvider, Scope::Message, "30036")),
        ("failed", "30410", failed(Class::Unknown, Scope::Message, "30410")),
        ("failed", "30450", failed(Class::FraudBlocked, Scope::Number, "30450")),
        ("failed", "39999", failed(Class::Unknown, Scope::Message, "39999")),
    ];
    for (word, error, want) in cases {
        let pairs = [("MessageSid", MESSAGE), ("MessageStatus", word), ("ErrorCode", error)];
        assert_eq!(only_report(callback(ProviderKind::Twilio, Some(&tag()), &pairs)).status, want, "{word} {error}");
    }
}

#[test]
fn a_word_that_the_vendor_may_add_one_day_is_no_news() {
    let pairs = [("MessageSid", MESSAGE), ("MessageStatus", "teleported")];
    let WebhookReading::Reports { reports, reply } = callback(ProviderKind::Twilio, Some(&tag()), &pairs) else {
        panic!("rejected")
    };
    assert_eq!((reports.len(), reply.status), (0, 200));
}

#[tokio::test]
async fn a_text_is_asked_for_by_its_sid_and_not_without_one() {
    let vendor = Vendor::answering(200, &[], message("undelivered", Some(30003))).await;
    let atlas = vendor.provider(ProviderKind::Twilio);
    assert_eq!(atlas.ask(&question(None)).await.unwrap(), []);
    let reports = atlas.ask(&question(Some(MESSAGE))).await.unwrap();
    assert_eq!(reports[0].status, crate::report::failed((Class::Absent, Scope::Number), "30003"));
    assert_eq!((reports.len(), reports[0].proof), (1, Proof::Asked));
    let seen = vendor.only();
    let path = MESSAGES_PATH.replace(".json", &format!("/{MESSAGE}.json"));
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("GET", path.as_str()));
}
