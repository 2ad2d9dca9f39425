//! SMSLINK: what is sent, what each code means, what is made of results and pokes.

use otodoke_common::config::ProviderKind;
use otodoke_common::outcome::{Answer, Class, Refusal, ReportStatus, Scope};

use super::*;
use crate::vendor::{NUMBER, Vendor, our_reference, provider, question, read, text, text_to, webhook};

const DELIVERY_ID: &str = "d-20251122-000001";

fn registered(code: &str) -> String {
    include_str!("../../fixtures/smslink/registered.json").replace("{code}", code)
}

fn results(status: u32, detail: &str) -> String {
    include_str!("../../fixtures/smslink/results.json")
        .replace("{reference}", &our_reference())
        .replace("{status}", &status.to_string())
        .replace("{detail}", detail)
}

fn refusal(class: Class, scope: Scope, code: &str) -> Refusal {
    Refusal { class, scope, code: code.to_owned(), retry_after_ms: None }
}

#[tokio::test]
async fn a_text_goes_to_one_contact_in_national_form_under_our_reference() {
    let vendor = Vendor::answering(200, &[], registered("RST200001")).await;
    let answer = vendor.provider(ProviderKind::Smslink).send(&text()).await;
    assert_eq!(answer, Answer::Submitted { reference: Some(DELIVERY_ID.to_owned()) });
    let seen = vendor.only();
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/api/v1/delivery"));
    assert_eq!(seen.headers["token"], "12345");
    assert_eq!(seen.headers["content-type"], "application/json");
    let want = serde_json::json!({
        "contacts": [{ "phone_number": "09012345678" }],
        "text_message": "認証コードは 042137 です。",
        "delivery_name": our_reference(),
    });
    assert_eq!(seen.json(), want);
}

#[tokio::test]
async fn every_result_code_has_its_meaning() {
    let cases = [
        ("RST200002", Class::Config, Scope::Message),
        ("RST200003", Class::Config, Scope::Message),
        ("RST200004", Class::Content, Scope::Message),
        ("RST200005", Class::Config, Scope::Message),
        ("RST200006", Class::Content, Scope::Message),
        ("RST200007", Class::Content, Scope::Message),
        ("RST200008", Class::Content, Scope::Message),
    ];
    for (code, class, scope) in cases {
        let vendor = Vendor::answering(200, &[], registered(code)).await;
        let answer = vendor.provider(ProviderKind::Smslink).send(&text()).await;
        assert_eq!(answer, Answer::Refused(refusal(class, scope, code)));
    }
}

#[tokio::test]
async fn a_code_that_the_vendor_never_documented_is_unknown_and_not_repeated() {
    for (code, shown) in [("RST299999", "RST299999"), ("09012345678", "no code")] {
        let vendor = Vendor::answering(200, &[], registered(code)).await;
        let answer = vendor.provider(ProviderKind::Smslink).send(&text()).await;
        assert_eq!(answer, Answer::Unknown { why: format!("an unknown result code, {shown}") });
    }
}

#[tokio::test]
async fn what_the_vendor_would_refuse_is_refused_without_a_request() {
    let vendor = Vendor::answering(200, &[], registered("RST200001")).await;
    let long = "あ".repeat(661);
    let lines = format!("{}\n", "a".repeat(659));
    let cases = [
        (text_to("+14155550100", "code"), Class::Config, Scope::Message),
        (text_to("+81312345678", "code"), Class::NotSmsCapable, Scope::Number),
        (text_to("+815012345678", "code"), Class::NotSmsCapable, Scope::Number),
        (text_to("+818001234567", "code"), Class::NotSmsCapable, Scope::Number),
        (text_to("+816012345678", "code"), Class::Config, Scope::Message),
        (text_to(NUMBER, "{{insertion_item1}}"), Class::Content, Scope::Message),
        (text_to(NUMBER, "{{"), Class::Content, Scope::Message),
        (text_to(NUMBER, "🔑 042137"), Class::Content, Scope::Message),
        (text_to(NUMBER, &long), Class::Content, Scope::Message),
        (text_to(NUMBER, &lines), Class::Content, Scope::Message),
        (crate::vendor::call(), Class::Config, Scope::Message),
    ];
    for (request, class, scope) in cases {
        let Answer::Refused(refusal) = vendor.provider(ProviderKind::Smslink).send(&request).await else {
            panic!("not refused")
        };
        assert_eq!((refusal.class, refusal.scope), (class, scope), "{}", refusal.code);
    }
    assert_eq!(vendor.seen().len(), 0);
}

#[tokio::test]
async fn a_text_of_exactly_660_characters_is_sent() {
    let vendor = Vendor::answering(200, &[], registered("RST200001")).await;
    for text in ["あ".repeat(660), format!("{}\n", "a".repeat(658)), format!("{}\r\n", "a".repeat(658))] {
        let answer = vendor.provider(ProviderKind::Smslink).send(&text_to(NUMBER, &text)).await;
        assert!(matches!(answer, Answer::Submitted { .. }), "{answer:?}");
    }
}

async fn statuses(body: String, reference: Option<&str>) -> Vec<ReportStatus> {
    let vendor = Vendor::answering(200, &[], body).await;
    let reports = vendor.provider(ProviderKind::Smslink).ask(&question(reference)).await.unwrap();
    let leg = About::Leg { id: crate::vendor::message_id(), leg: crate::vendor::LEG };
    assert!(reports.iter().all(|report| report.about == leg && report.proof == Proof::Asked));
    reports.into_iter().map(|report| report.status).collect()
}

#[tokio::test]
async fn a_known_delivery_is_asked_for_by_its_id() {
    let vendor = Vendor::answering(200, &[], results(200, "DTL000001")).await;
    let reports = vendor.provider(ProviderKind::Smslink).ask(&question(Some(DELIVERY_ID))).await.unwrap();
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].status, ReportStatus::Delivered);
    assert_eq!(reports[0].happened_at.unwrap().rfc3339(), "2025-11-22T10:04:41Z");
    let seen = vendor.only();
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("GET", "/api/v1/delivery_results"));
    assert_eq!(seen.query[0], ("delivery_id[]".to_owned(), DELIVERY_ID.to_owned()));
    assert_eq!(seen.query[1], ("limit".to_owned(), "50".to_owned()));
    assert_eq!(seen.headers["token"], "12345");
}

#[tokio::test]
async fn a_lost_answer_is_cleared_up_by_our_reference_and_the_delivery_id_is_news() {
    let vendor = Vendor::answering(200, &[], results(200, "DTL000001")).await;
    let reports = vendor.provider(ProviderKind::Smslink).ask(&question(None)).await.unwrap();
    let statuses: Vec<_> = reports.into_iter().map(|report| report.status).collect();
    let underway = ReportStatus::Underway { reference: Some(DELIVERY_ID.to_owned()), at_operator: false };
    assert_eq!(statuses, [underway, ReportStatus::Delivered]);
    assert_eq!(vendor.only().query[0], ("phone_number[]".to_owned(), "09012345678".to_owned()));
}

#[tokio::test]
async fn only_a_complete_list_by_number_proves_that_nothing_was_taken() {
    let others = results(200, "DTL000001").replace(&our_reference(), "another");
    let cut = others.replace("\"total\": 2", "\"total\": 2000");
    let uncounted = others.replace("\"total\": 2,", "");
    assert_eq!(statuses(others.clone(), None).await, [ReportStatus::Absent]);
    assert_eq!(statuses(r#"{"total":0,"contacts":[]}"#.to_owned(), None).await, [ReportStatus::Absent]);
    assert_eq!(statuses(cut, None).await, []);
    assert_eq!(statuses(uncounted, None).await, []);
    assert_eq!(statuses(others, Some("d-unknown")).await, []);
}

/// A number with `total` deliveries on file, ours the last of them or not there; the vendor shows 50 at a time.
async fn busy_number(total: usize, ours: bool) -> (Vec<ReportStatus>, usize) {
    let vendor = Vendor::answering_each(move |seen| {
        let offset =
            seen.query.iter().find(|(name, _)| name == "offset").map_or(0, |(_, value)| value.parse().unwrap());
        let contact = |index: usize| {
            let name = if ours && index + 1 == total { our_reference() } else { format!("another-{index}") };
            serde_json::json!({ "delivery_id": format!("d-{index}"), "delivery_name": name, "status": 200 })
        };
        let contacts: Vec<_> = (offset..total.min(offset + 50)).map(contact).collect();
        serde_json::json!({ "total": total, "contacts": contacts }).to_string()
    })
    .await;
    let reports = vendor.provider(ProviderKind::Smslink).ask(&question(None)).await.unwrap();
    (reports.into_iter().map(|report| report.status).collect(), vendor.seen().len())
}

#[tokio::test]
async fn a_lost_answer_is_cleared_up_for_a_number_with_many_deliveries_too() {
    let (statuses, requests) = busy_number(60, true).await;
    assert_eq!((statuses.last(), requests), (Some(&ReportStatus::Delivered), 2));
    assert_eq!(busy_number(60, false).await, (vec![ReportStatus::Absent], 2));
    assert_eq!(busy_number(50, false).await, (vec![ReportStatus::Absent], 1));
    assert_eq!(busy_number(501, false).await, (vec![], PAGES_MAX), "what was not looked at proves nothing");
}

#[tokio::test]
async fn every_detail_has_its_meaning() {
    let number = Scope::Number;
    let message = Scope::Message;
    let cases = [
        (700, "DTL000002", Class::Config, message),
        (700, "DTL000003", Class::Config, message),
        (700, "DTL000004", Class::Content, message),
        (700, "DTL000005", Class::Config, message),
        (900, "DTL000006", Class::NotSent, message),
        (900, "DTL000007", Class::Absent, number),
        (900, "DTL000011", Class::Unreceivable, number),
        (900, "DTL000012", Class::Content, message),
        (900, "DTL000013", Class::Content, message),
        (900, "DTL000014", Class::Content, message),
        (700, "DTL000017", Class::OptedOut, number),
        (700, "DTL000018", Class::Config, message),
        (700, "DTL000019", Class::OwnerChanged, number),
        (700, "DTL000020", Class::OwnerChanged, number),
        (900, "DTL000025", Class::Config, message),
        (900, "DTL009999", Class::Unknown, message),
    ];
    for (status, detail, class, scope) in cases {
        let got = statuses(results(status, detail), Some(DELIVERY_ID)).await;
        assert_eq!(got, [ReportStatus::Failed(refusal(class, scope, detail))]);
    }
}

#[tokio::test]
async fn reserved_and_sending_are_underway_and_an_undocumented_status_is_no_news() {
    let underway = ReportStatus::Underway { reference: Some(DELIVERY_ID.to_owned()), at_operator: false };
    for (status, reference) in [(50, None), (50, Some(DELIVERY_ID)), (100, None), (100, Some(DELIVERY_ID))] {
        assert_eq!(statuses(results(status, ""), reference).await, std::slice::from_ref(&underway));
    }
    assert_eq!(statuses(results(999, ""), Some(DELIVERY_ID)).await, []);
}

#[tokio::test]
async fn what_was_cancelled_was_not_sent() {
    let cancelled = refusal(Class::NotSent, Scope::Message, "status 300");
    for detail in ["", "DTL000001"] {
        let got = statuses(results(300, detail), Some(DELIVERY_ID)).await;
        assert_eq!(got, [ReportStatus::Failed(cancelled.clone())]);
    }
}

#[tokio::test]
async fn numbers_of_every_documented_prefix_and_single_braces_are_sent() {
    let vendor = Vendor::answering(200, &[], registered("RST200001")).await;
    for number in ["+817012345678", "+818012345678", NUMBER, "+812012345678"] {
        let answer = vendor.provider(ProviderKind::Smslink).send(&text_to(number, "{code} 042137 }}")).await;
        assert!(matches!(answer, Answer::Submitted { .. }), "{answer:?}");
    }
}

#[test]
fn a_poke_is_a_hint_and_gets_exactly_the_reply_that_stops_further_pokes() {
    let body = br#"{"delivery_id":"d-20251122-000001","contact_id":1}"#;
    let WebhookReading::Reports { reports, reply } = read(&*sakura(), &webhook(body)) else { panic!("rejected") };
    let reply_parts = (reply.status, reply.content_type, reply.body.as_str());
    assert_eq!(reply_parts, (200, "application/json", r#"{"result":true}"#));
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].about, About::Reference(DELIVERY_ID.to_owned()));
    assert_eq!((&reports[0].status, reports[0].proof), (&ReportStatus::Hint, Proof::Nothing));
}

#[test]
fn what_is_no_poke_is_rejected() {
    let long = format!(r#"{{"delivery_id":"{}","contact_id":1}}"#, "d".repeat(51));
    let cases: [&[u8]; 7] = [
        b"",
        b"delivery_id=1",
        br#"{"delivery_id":1,"contact_id":1}"#,
        br#"{"delivery_id":"d"}"#,
        br#"{"delivery_id":"","contact_id":1}"#,
        br#"{"delivery_id":"a\u0000b","contact_id":1}"#,
        long.as_bytes(),
    ];
    for body in cases {
        let reading = read(&*sakura(), &webhook(body));
        assert!(matches!(reading, WebhookReading::Rejected { status: 400, .. }), "{reading:?}");
    }
}

fn sakura() -> std::sync::Arc<dyn Provider> {
    provider(ProviderKind::Smslink, "http://127.0.0.1:1")
}
