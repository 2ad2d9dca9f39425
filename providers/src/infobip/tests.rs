//! Infobip: what is sent, what each status and error means, what is made of batches and logs.

use otodoke_common::config::ProviderKind;
use otodoke_common::outcome::Answer;
use otodoke_common::provider::Provider;

use super::*;
use crate::vendor::{LEG, Vendor, message_id, our_reference, provider, question, read, tag, text, webhook};

fn accepted(group: u32, id: u32) -> String {
    include_str!("../../fixtures/infobip/accepted.json")
        .replace("{reference}", &our_reference())
        .replace("{group}", &group.to_string())
        .replace("{id}", &id.to_string())
}

async fn answer(group: u32, id: u32) -> Answer {
    Vendor::answering(200, &[], accepted(group, id)).await.provider(ProviderKind::Infobip).send(&text()).await
}

fn fuji() -> Arc<dyn Provider> {
    provider(ProviderKind::Infobip, "http://127.0.0.1:1")
}

#[tokio::test]
async fn a_text_carries_our_id_its_validity_in_seconds_and_our_tag() {
    let vendor = Vendor::answering(200, &[], accepted(1, 26)).await;
    let answer = vendor.provider(ProviderKind::Infobip).send(&text()).await;
    assert_eq!(answer, Answer::Submitted { reference: Some(our_reference()) });
    let seen = vendor.only();
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/sms/3/messages"));
    assert_eq!(seen.headers["authorization"], "App 12345");
    let want = include_str!("../../fixtures/infobip/request.json");
    let want = want.replace("{reference}", &our_reference()).replace("{tag}", &tag());
    let want: Value = serde_json::from_str(&want).unwrap();
    assert_eq!(seen.json(), want);
}

#[tokio::test]
async fn a_repeat_that_the_vendor_recognises_was_taken_the_first_time() {
    assert_eq!(answer(5, 23).await, Answer::Submitted { reference: Some(our_reference()) });
}

#[tokio::test]
async fn a_rejection_comes_inside_a_200() {
    let cases = [
        (6, Class::Config, Scope::Message),
        (8, Class::InvalidNumber, Scope::Number),
        (10, Class::RecipientBlocked, Scope::Number),
        (11, Class::Config, Scope::Sender),
        (12, Class::Config, Scope::Provider),
        (13, Class::Config, Scope::Sender),
        (14, Class::Config, Scope::Number),
        (17, Class::Config, Scope::Provider),
        (18, Class::Config, Scope::Provider),
        (19, Class::Config, Scope::Message),
        (20, Class::Config, Scope::Message),
        (21, Class::NotSent, Scope::Message),
        (24, Class::Content, Scope::Message),
        (25, Class::Content, Scope::Message),
        (51, Class::InvalidNumber, Scope::Number),
        (52, Class::InvalidNumber, Scope::Number),
        (87, Class::FraudBlocked, Scope::Number),
        (100, Class::Config, Scope::Message),
        (999, Class::Unknown, Scope::Message),
    ];
    for (id, class, scope) in cases {
        assert_eq!(answer(5, id).await, refused((class, scope), format!("status {id}")));
    }
}

#[tokio::test]
async fn an_answer_that_neither_takes_nor_rejects_may_be_out() {
    assert_eq!(answer(0, 0).await, Answer::Submitted { reference: Some(our_reference()) });
    for (group, id) in [(2, 9), (2, 999), (4, 29), (6, 999)] {
        assert_eq!(answer(group, id).await, Answer::Unknown { why: format!("status {id}: it may be out") });
    }
    for status in [r#"{"id":26}"#, r#"{"groupId":1}"#, r#"{"groupId":null,"id":null}"#, "{}"] {
        let body = format!(r#"{{"messages":[{{"status":{status}}}]}}"#);
        let answer = Vendor::answering(200, &[], body).await.provider(ProviderKind::Infobip).send(&text()).await;
        assert_eq!(answer, Answer::Unknown { why: "an answer without a status".to_owned() }, "{status}");
    }
}

const fn status(group: u32, id: u32) -> Status {
    Status { group_id: Some(group), id: Some(id) }
}

#[test]
fn the_operator_is_not_the_handset() {
    let read = |group, id| codes::read(&status(group, id), None);
    for (group, id) in [(0, 0), (0, 26), (1, 3), (1, 7), (1, 26), (1, 2), (3, 2), (3, 77), (5, 23)] {
        let at_operator = (group, id) == (3, 2);
        assert_eq!(read(group, id), ReportStatus::Underway { reference: None, at_operator }, "{group} {id}");
    }
    assert_eq!(read(3, 5), ReportStatus::Delivered);
}

#[test]
fn every_status_and_error_of_a_receipt_has_its_meaning() {
    let number = Scope::Number;
    let message = Scope::Message;
    // Group, status, error, permanent.
    let cases = [
        ((2, 4, 0, false), Class::FilteredRoute, message, "status 4"),
        ((2, 31, 0, false), Class::NotSent, message, "status 31"),
        ((2, 9, 0, false), Class::Unknown, message, "status 9"),
        ((4, 15, 27, false), Class::ExpiredAtProvider, message, "status 15"),
        ((4, 29, 0, false), Class::Unknown, message, "status 29"),
        ((4, 87, 0, false), Class::FraudBlocked, number, "status 87"),
        ((4, 87, 608, false), Class::FraudBlocked, number, "status 87"),
        ((4, 15, 0, false), Class::ExpiredAtProvider, message, "status 15"),
        ((2, 9, 1, true), Class::InvalidNumber, number, "error 1"),
        ((2, 9, 1, false), Class::Absent, number, "error 1"),
        ((2, 9, 3041, true), Class::InvalidNumber, number, "error 3041"),
        ((2, 9, 351, false), Class::InvalidNumber, number, "error 351"),
        ((2, 9, 352, true), Class::InvalidNumber, number, "error 352"),
        ((2, 9, 10, true), Class::Unreceivable, number, "error 10"),
        ((2, 9, 569, true), Class::Unreceivable, number, "error 569"),
        ((2, 9, 11, true), Class::Unreceivable, number, "error 11"),
        ((2, 9, 568, true), Class::NotSmsCapable, number, "error 568"),
        ((2, 9, 5, false), Class::Absent, number, "error 5"),
        ((2, 9, 27, true), Class::Absent, number, "error 27"),
        ((2, 9, 256, false), Class::Absent, number, "error 256"),
        ((2, 9, 13, true), Class::RecipientBlocked, number, "error 13"),
        ((2, 9, 2050, true), Class::RecipientBlocked, number, "error 2050"),
        ((2, 9, 2052, true), Class::Config, number, "error 2052"),
        ((2, 9, 573, true), Class::OptedOut, number, "error 573"),
        ((2, 9, 608, false), Class::FraudBlocked, number, "error 608"),
        ((2, 9, 255, false), Class::Unknown, message, "error 255"),
        ((2, 9, 501, false), Class::Unknown, message, "error 501"),
        ((2, 9, 502, false), Class::Unknown, message, "error 502"),
        ((2, 9, 500, false), Class::NotSent, message, "error 500"),
        ((2, 9, 4102, true), Class::NotSent, message, "error 4102"),
        ((2, 9, 603, true), Class::OptedOut, number, "error 603"),
        ((2, 9, 34, false), Class::NotSent, message, "error 34"),
        ((2, 9, 505, false), Class::NotSent, message, "error 505"),
        ((2, 9, 1500, false), Class::NotSent, message, "error 1500"),
        ((2, 9, 566, true), Class::FilteredRoute, message, "error 566"),
        ((2, 9, 2053, true), Class::Config, Scope::Sender, "error 2053"),
        ((2, 9, 4101, true), Class::ExpiredAtProvider, message, "error 4101"),
        ((2, 9, 4100, true), Class::ExpiredAtProvider, message, "error 4100"),
        ((2, 9, 4099, true), Class::Config, Scope::Provider, "error 4099"),
        ((2, 9, 4103, true), Class::Config, message, "error 4103"),
        ((2, 9, 4104, true), Class::Config, message, "error 4104"),
        ((2, 9, 541, false), Class::Config, message, "error 541"),
        ((2, 9, 542, false), Class::Config, message, "error 542"),
        ((2, 9, 609, true), Class::Config, message, "error 609"),
        ((2, 9, 4202, true), Class::Config, message, "error 4202"),
        ((2, 9, 630, true), Class::NotSent, message, "error 630"),
        ((2, 9, 999_999, true), Class::Unknown, message, "error 999999"),
    ];
    for ((group, id, error, permanent), class, scope, code) in cases {
        let error = ErrorCode { id: Some(error), permanent: Some(permanent) };
        let got = codes::read(&status(group, id), Some(&error));
        assert_eq!(got, crate::report::failed((class, scope), code));
    }
}

#[test]
fn in_a_batch_each_receipt_is_proved_by_its_own_tag() {
    let mut bad_tag = tag();
    bad_tag.replace_range(0..1, if bad_tag.starts_with('A') { "B" } else { "A" });
    let body =
        include_str!("../../fixtures/infobip/reports.json").replace("{tag}", &tag()).replace("{bad_tag}", &bad_tag);
    let WebhookReading::Reports { reports, reply } = read(&*fuji(), &webhook(body.as_bytes())) else {
        panic!("rejected")
    };
    assert_eq!(reply.status, 200);
    let got: Vec<_> = reports.iter().map(|r| (r.about.clone(), r.status.clone(), r.proof)).collect();
    let want = [
        (About::Leg { id: message_id(), leg: LEG }, ReportStatus::Delivered, Proof::Tag),
        (About::Reference("ours-2".to_owned()), ReportStatus::Hint, Proof::Nothing),
        (About::Reference("ours-3".to_owned()), ReportStatus::Hint, Proof::Nothing),
    ];
    assert_eq!(got, want);
    assert!(!fuji().proves_by_reference());
    assert_eq!(reports[0].happened_at.unwrap().rfc3339(), "2025-11-22T10:04:41Z");
    assert_eq!(reports[1].happened_at, None, "what nobody proved is not believed about time either");
}

#[test]
fn a_batch_beyond_what_is_documented_is_read_whole() {
    let one = format!(r#"{{"messageId":"m","callbackData":"{}","status":{{"groupId":3,"id":5}}}}"#, tag());
    let body = format!(r#"{{"results":[{}]}}"#, vec![one; 150].join(","));
    let WebhookReading::Reports { reports, .. } = read(&*fuji(), &webhook(body.as_bytes())) else { panic!("rejected") };
    assert_eq!(reports.len(), 150);
}

#[test]
fn of_results_without_a_tag_only_so_many_are_read() {
    let hint = |index: usize| format!(r#"{{"messageId":"m-{index}","status":{{"groupId":3,"id":5}}}}"#);
    let proven = format!(r#"{{"messageId":"m","callbackData":"{}","status":{{"groupId":3,"id":5}}}}"#, tag());
    let hints: Vec<String> = (0..1_000).map(hint).collect();
    let body = format!(r#"{{"results":[{},{proven}]}}"#, hints.join(","));
    let WebhookReading::Reports { reports, .. } = read(&*fuji(), &webhook(body.as_bytes())) else {
        panic!("a batch was expected");
    };
    assert_eq!(reports.len(), 1 + HINTS_MAX, "anybody could have posted the others");
    assert_eq!(reports[0].proof, Proof::Tag, "what is proven is always read");
}

#[test]
fn one_garbled_result_loses_none_of_its_batch() {
    let tag = tag();
    let body = format!(
        r#"{{"results":[7,{{"messageId":8}},{{"status":{{"groupId":3,"id":5}}}},{{"callbackData":"{tag}"}},
            {{"callbackData":"{tag}","status":{{"groupId":3,"id":5}}}}]}}"#,
    );
    let WebhookReading::Reports { reports, .. } = read(&*fuji(), &webhook(body.as_bytes())) else { panic!("rejected") };
    let got: Vec<_> = reports.into_iter().map(|report| (report.status, report.proof)).collect();
    let want = [(ReportStatus::Hint, Proof::Tag), (ReportStatus::Delivered, Proof::Tag)];
    assert_eq!(got, want, "what names nothing is dropped; without a status it is a hint");
}

#[test]
fn a_receipt_with_our_tag_is_never_lost_however_little_of_it_can_be_read() {
    let at_operator = ReportStatus::Underway { reference: None, at_operator: true };
    let not_delivered = crate::report::failed((Class::Unknown, Scope::Message), "status 9");
    let cases = [
        (r#""status":{"groupId":3,"id":5},"error":{}"#, ReportStatus::Delivered),
        (r#""status":{"groupId":3,"id":2},"error":{"id":null,"permanent":null}"#, at_operator),
        (r#""status":{"groupId":2,"id":9},"error":{}"#, not_delivered),
        (r#""status":{"id":5}"#, ReportStatus::Hint),
        (r#""status":{"groupId":3},"error":null"#, ReportStatus::Hint),
        (r#""status":{}"#, ReportStatus::Hint),
        (r#""status":null"#, ReportStatus::Hint),
        (r#""status":"DELIVERED""#, ReportStatus::Hint),
        (r#""status":{"groupId":3,"id":5},"error":"NO_ERROR""#, ReportStatus::Hint),
        (r#""doneAt":7"#, ReportStatus::Hint),
    ];
    for (said, want) in cases {
        let body = format!(r#"{{"results":[{{"callbackData":"{}",{said}}}]}}"#, tag());
        let WebhookReading::Reports { reports, .. } = read(&*fuji(), &webhook(body.as_bytes())) else {
            panic!("rejected")
        };
        let got: Vec<_> = reports.into_iter().map(|report| (report.status, report.proof)).collect();
        assert_eq!(got, [(want, Proof::Tag)], "{said}");
    }
}

#[test]
fn what_is_no_batch_is_rejected() {
    let cases: [&[u8]; 5] = [b"", b"{", b"{}", b"results=1", br#"{"results":1}"#];
    for body in cases {
        let reading = read(&*fuji(), &webhook(body));
        assert!(matches!(reading, WebhookReading::Rejected { status: 400, .. }), "{reading:?}");
    }
}

#[tokio::test]
async fn asking_reads_the_logs_by_our_id() {
    let logs = include_str!("../../fixtures/infobip/logs.json").replace("{reference}", &our_reference());
    let vendor = Vendor::answering(200, &[], logs).await;
    let reports = vendor.provider(ProviderKind::Infobip).ask(&question(None)).await.unwrap();
    assert_eq!(reports.len(), 1);
    assert_eq!((&reports[0].status, reports[0].proof), (&ReportStatus::Delivered, Proof::Asked));
    let seen = vendor.only();
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("GET", "/sms/3/logs"));
    let asked = [("messageId".to_owned(), our_reference()), ("limit".to_owned(), LOGS_MAX.to_string())];
    assert_eq!(seen.query, asked);
}

#[tokio::test]
async fn a_rejected_repeat_does_not_hide_the_message_it_repeats() {
    let record = |status: &str| format!(r#"{{"messageId":"{}","status":{status}}}"#, our_reference());
    let repeat = record(r#"{"groupId":5,"id":23}"#);
    let failed = record(r#"{"groupId":4,"id":15}"#);
    let flooding = record(r#"{"groupId":5,"id":20}"#);
    let unreadable = record("{}");
    let expired = crate::report::failed((Class::ExpiredAtProvider, Scope::Message), "status 15");
    let underway = ReportStatus::Underway { reference: None, at_operator: false };
    for (records, want) in [
        ([&repeat, &repeat, &failed].as_slice(), Some(expired.clone())),
        (&[&failed, &repeat], Some(expired.clone())),
        (&[&flooding, &failed], Some(expired)),
        (&[&unreadable, &repeat], Some(underway)),
        (&[&unreadable], None),
    ] {
        let records: Vec<_> = records.iter().map(|record| record.as_str()).collect();
        let body = format!(r#"{{"results":[{}]}}"#, records.join(","));
        let reports =
            Vendor::answering(200, &[], body).await.provider(ProviderKind::Infobip).ask(&question(None)).await.unwrap();
        assert_eq!(reports.into_iter().map(|report| report.status).next(), want);
    }
}

#[tokio::test]
async fn an_empty_log_and_somebody_elses_are_no_news() {
    let others = include_str!("../../fixtures/infobip/logs.json").replace("{reference}", "another");
    for body in [r#"{"results":[]}"#.to_owned(), others] {
        let vendor = Vendor::answering(200, &[], body).await;
        assert_eq!(vendor.provider(ProviderKind::Infobip).ask(&question(None)).await.unwrap(), []);
    }
}
