//! Whose signature holds: the vendor's published vector, its spellings of a URL, and nothing that was changed.

use super::*;
use crate::twilio::signature::{holds, sign};

const URL: &str = "https://mycompany.com/myapp.php?foo=1&bar=2";
/// Published by the vendor for token 12345, and accepted by its SDK.
const SIGNATURE: &str = "GvWf1cFY/Q7PnoempGyD5oXAezc=";
const PAIRS: [(&str, &str); 5] = [
    ("CallSid", "CA1234567890ABCDE"),
    ("Caller", "+14158675310"),
    ("Digits", "1234"),
    ("From", "+14158675310"),
    ("To", "+18005551212"),
];

fn held(url: &str, content_type: &str, signature: &str, body: &str) -> bool {
    let headers = [("content-type", content_type), ("x-twilio-signature", signature)];
    let request = WebhookRequest { url, tag: None, headers: &headers, body: body.as_bytes(), now: NOW };
    holds(&token(), &request)
}

fn form_held(url: &str, signature: &str, body: &str) -> bool {
    held(url, "application/x-www-form-urlencoded", signature, body)
}

#[test]
fn the_published_vector_holds_in_any_order_of_its_parameters() {
    let mut backwards = PAIRS;
    backwards.reverse();
    assert!(form_held(URL, SIGNATURE, &form(&PAIRS)));
    assert!(form_held(URL, SIGNATURE, &form(&backwards)));
}

#[test]
fn nothing_that_was_changed_holds() {
    let body = form(&PAIRS);
    assert!(!form_held(&URL.replace("foo=1", "foo=2"), SIGNATURE, &body));
    assert!(!form_held(URL, SIGNATURE, &body.replace("1234&", "1235&")));
    assert!(!form_held(URL, SIGNATURE, &format!("{body}&Extra=1")));
    assert!(!form_held(URL, SIGNATURE, ""));
    assert!(!form_held(URL, "GvWf1cFY/Q7PnoempGyD5oXAezd=", &body));
    assert!(!form_held(URL, &SIGNATURE[..20], &body));
    assert!(!form_held(URL, "not base64 at all", &body));
    assert!(!form_held(URL, "", &body));
    let unsigned = WebhookRequest { url: URL, tag: None, headers: &[], body: body.as_bytes(), now: NOW };
    assert!(!holds(&token(), &unsigned));
}

#[test]
fn a_port_may_be_left_out_of_what_is_signed_and_the_schemes_own_may_be_put_in() {
    let cases = [
        ("https://a.example/x?y=1", "https://a.example:443/x?y=1", true),
        ("https://a.example:443/x?y=1", "https://a.example/x?y=1", true),
        ("http://a.example/x", "http://a.example:80/x", true),
        ("https://[2001:db8::1]/x", "https://[2001:db8::1]:443/x", true),
        ("https://[2001:db8::1]:8443/x", "https://[2001:db8::1]/x", true),
        ("https://a.example?y=1", "https://a.example:443?y=1", true),
        ("https://a.example:8443/x", "https://a.example/x", true),
        ("https://a.example/x", "https://a.example:8443/x", false),
        ("https://a.example/x", "http://a.example/x", false),
        ("https://a.example/x", "https://b.example/x", false),
    ];
    let body = form(&PAIRS);
    for (received, signed, want) in cases {
        assert_eq!(form_held(received, &sign(&token(), signed, body.as_bytes()), &body), want, "{received} {signed}");
    }
}

#[test]
fn a_repeated_parameter_is_signed_once_per_value() {
    let body = "Media=b&Media=a&Media=b";
    let once = "Media=a&Media=b";
    assert!(form_held(URL, &sign(&token(), URL, once.as_bytes()), body));
}

#[test]
fn a_body_that_is_no_form_is_covered_by_its_hash_or_not_accepted() {
    let body = r#"{"status":"delivered"}"#;
    let hash = data_encoding::HEXLOWER.encode(ring::digest::digest(&ring::digest::SHA256, body.as_bytes()).as_ref());
    let url = format!("https://a.example/x?bodySHA256={hash}");
    let signature = sign(&token(), &url, b"");
    assert!(held(&url, "application/json", &signature, body));
    assert!(!held(&url, "application/json", &signature, &body.replace("delivered", "failed")));
    let bare = "https://a.example/x";
    assert!(!held(bare, "application/json", &sign(&token(), bare, b""), body));
}

#[test]
fn an_unsigned_callback_is_rejected_by_texts_and_calls() {
    let body = form(&[("MessageSid", MESSAGE), ("MessageStatus", "delivered"), ("CallSid", CALL)]);
    for kind in [ProviderKind::Twilio, ProviderKind::TwilioVoice] {
        let request = crate::vendor::webhook(body.as_bytes());
        let reading = read(&*provider(kind, "http://127.0.0.1:1"), &request);
        assert!(matches!(reading, WebhookReading::Rejected { status: 403, .. }), "{reading:?}");
    }
}
