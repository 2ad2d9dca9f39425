//! The way to any vendor, whatever it answers, over real sockets on loopback.

use std::sync::Arc;

use hyper::header::HeaderName;
use otodoke_common::config::ProviderKind;
use otodoke_common::outcome::{Answer, Class, Scope};

use super::*;
use crate::vendor::{NUMBER, Vendor, settings};

/// Every vendor of ours, for what must hold alike.
const KINDS: [ProviderKind; 4] =
    [ProviderKind::Smslink, ProviderKind::Infobip, ProviderKind::Twilio, ProviderKind::TwilioVoice];

async fn send(kind: ProviderKind, url: &str) -> Answer {
    let request = if kind == ProviderKind::TwilioVoice { crate::vendor::call() } else { crate::vendor::text() };
    let mut settings = settings(kind, url);
    settings.timeout_ms = 400;
    let answer = crate::build(&settings, crate::vendor::vault()).unwrap().send(&request).await;
    let shown = format!("{answer:?}");
    assert!(!shown.contains("9012345678") && !shown.contains("042137"), "personal data in {shown}");
    answer
}

/// `NotSent`, `Unknown`, or the class and scope of a refusal.
fn sort(answer: &Answer) -> Option<(Class, Scope)> {
    match answer {
        Answer::Refused(refusal) => Some((refusal.class, refusal.scope)),
        Answer::NotSent { .. } => Some((Class::NotSent, Scope::Provider)),
        Answer::Unknown { .. } => Some((Class::Unknown, Scope::Provider)),
        Answer::Submitted { .. } => None,
    }
}

#[tokio::test]
async fn every_request_names_its_vendors_host_once() {
    let vendor = Vendor::answering(200, &[], "").await;
    for kind in KINDS {
        send(kind, &vendor.url).await;
        let seen = vendor.seen();
        let hosts: Vec<_> = seen.last().expect("a request").headers.get_all("host").iter().collect();
        assert_eq!(hosts, [vendor.url.trim_start_matches("http://")], "{kind:?}");
    }
}

#[tokio::test]
async fn a_status_is_read_alike_for_every_vendor() {
    let cases = [
        (301, Class::Config, Scope::Provider),
        (400, Class::Content, Scope::Message),
        (401, Class::Config, Scope::Provider),
        (403, Class::Config, Scope::Provider),
        (404, Class::Config, Scope::Provider),
        (408, Class::Unknown, Scope::Provider),
        (413, Class::Content, Scope::Message),
        (429, Class::Throttled, Scope::Provider),
        (500, Class::Unknown, Scope::Provider),
        (502, Class::Unknown, Scope::Provider),
        (503, Class::NotSent, Scope::Provider),
        (504, Class::Unknown, Scope::Provider),
        (522, Class::Unknown, Scope::Provider),
        (200, Class::Unknown, Scope::Provider),
        (204, Class::Unknown, Scope::Provider),
    ];
    for (status, class, scope) in cases {
        for body in ["", "<html>not JSON</html>", "{}", "[]", r#"{"messages":[],"contacts":[]}"#] {
            let vendor = Vendor::answering(status, &[], if status == 204 { "" } else { body }).await;
            for kind in KINDS {
                assert_eq!(sort(&send(kind, &vendor.url).await), Some((class, scope)), "{kind:?}: {status} {body}");
            }
            assert_eq!(vendor.seen().len(), KINDS.len(), "nothing is repeated by itself");
        }
    }
}

#[tokio::test]
async fn what_never_left_is_not_sent_and_what_may_have_left_is_unknown() {
    let nobody = Vendor::gone().await;
    let silent = Vendor::raw(None).await;
    let cut = Vendor::raw(Some(b"")).await;
    let garbled = Vendor::raw(Some(b"SSH-2.0-OpenSSH_9.2\r\n")).await;
    let broken_off = Vendor::raw(Some(b"HTTP/1.1 201 Created\r\ncontent-length: 90\r\n\r\n{\"sid\":")).await;
    let no_tls = silent.url.replace("http://", "https://");
    let cases = [
        (nobody.as_str(), Class::NotSent),
        (&no_tls, Class::NotSent),
        (&silent.url, Class::Unknown),
        (&cut.url, Class::Unknown),
        (&garbled.url, Class::Unknown),
        (&broken_off.url, Class::Unknown),
    ];
    for (url, class) in cases {
        for kind in KINDS {
            assert_eq!(sort(&send(kind, url).await), Some((class, Scope::Provider)), "{kind:?} {url}");
        }
    }
}

/// A vendor on `localhost` whose certificate nobody vouches for. Tells of each connection whether the handshake was completed.
fn stranger() -> (String, std::sync::mpsc::Receiver<bool>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let (config, listener) = (Arc::new(config), std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let done = connection.complete_io(&mut socket.unwrap()).is_ok() && !connection.is_handshaking();
            if tell.send(done).is_err() {
                return;
            }
        }
    });
    (url, told)
}

#[tokio::test]
async fn a_vendor_whose_certificate_nobody_vouches_for_is_told_nothing() {
    let (url, handshakes) = stranger();
    for kind in KINDS {
        assert_eq!(sort(&send(kind, &url).await), Some((Class::NotSent, Scope::Provider)), "{kind:?}");
        assert!(!handshakes.recv().unwrap(), "{kind:?} believed it");
    }
}

/// An acceptance that each of our vendors could have sent, and `padding` bytes.
fn acceptance(padding: usize) -> String {
    let taken = r#""sid":"SM1","status":"queued","contacts":[{"result_code":"RST200001"}],
        "messages":[{"status":{"groupId":1,"id":26}}]"#;
    format!(r#"{{{taken},"padding":"{}"}}"#, " ".repeat(padding))
}

#[tokio::test]
async fn ten_megabytes_are_not_read() {
    let small = Vendor::answering(200, &[], acceptance(60 << 10)).await;
    let large = Vendor::answering(200, &[], acceptance(10 << 20)).await;
    for kind in KINDS {
        let answer = send(kind, &small.url).await;
        assert!(matches!(answer, Answer::Submitted { .. }), "{kind:?}: {answer:?}");
        let answer = send(kind, &large.url).await;
        assert_eq!(answer, Answer::Unknown { why: "http 200 with an unreadable body".to_owned() }, "{kind:?}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = Vendor::answering(200, &[], "{}").await;
    let location: &'static str = String::leak(other.url.clone());
    let vendor = Vendor::answering(307, &[("location", location)], "").await;
    for kind in KINDS {
        assert_eq!(sort(&send(kind, &vendor.url).await), Some((Class::Config, Scope::Provider)), "{kind:?}");
    }
    assert_eq!(other.seen().len(), 0);
}

#[tokio::test]
async fn the_wait_that_a_vendor_asks_for_is_kept_within_reason() {
    let cases = [("7", Some(7_000)), ("999999999", Some(3_600_000)), ("Sat, 22 Nov 2025 10:05:00 GMT", None)];
    for (header, want) in cases {
        let vendor = Vendor::answering(429, &[("retry-after", header)], "").await;
        for kind in KINDS {
            let Answer::Refused(refusal) = send(kind, &vendor.url).await else { panic!("{kind:?} was not refused") };
            assert_eq!(refusal.retry_after_ms, want, "{kind:?} {header}");
        }
    }
}

#[tokio::test]
async fn a_failed_question_says_who_and_why_and_no_more() {
    let gone = Vendor::gone().await;
    let away = Vendor::answering(503, &[], "").await;
    let garbled = Vendor::answering(200, &[], "[1,2").await;
    let cases =
        [(&gone, "could not connect"), (&away.url, "http 503"), (&garbled.url, "http 200 with an unreadable body")];
    for (url, why) in cases {
        for kind in KINDS {
            let question = crate::vendor::question(Some("SM1"));
            let error = crate::vendor::provider(kind, url).ask(&question).await.unwrap_err();
            assert_eq!((error.provider.as_str(), error.why.as_str()), ("sakura", why), "{kind:?}");
            assert!(!error.to_string().contains(&NUMBER[3..]));
        }
    }
}

#[test]
fn a_vendors_reference_cannot_lead_elsewhere() {
    let api =
        Api::new(&settings(ProviderKind::Infobip, "http://127.0.0.1:1/proxy/"), HeaderName::from_static("x"), "y")
            .unwrap();
    let url = api.url(&["sms", "../../admin?a=b#c", "x.json"]);
    assert_eq!(url.as_str(), "http://127.0.0.1:1/proxy/sms/..%2F..%2Fadmin%3Fa=b%23c/x.json");
}
