//! Golden bytes: what was stored once must be read for ever, and a change of the words must be noticed here.

use super::*;
use crate::leg::ProviderId;
use crate::outcome::{About, Proof, ReportStatus};
use crate::time::Timestamp;

const ROW: &str = include_str!("row.json");
const SEND: &str = include_str!("send.json");
const WAKE: &str = r#"{"v":1,"what":{"wake":"01a0c9b2-7d80-7000-8000-000000000001"}}"#;
const REPORTS: &str = include_str!("reports.json");

#[test]
fn a_stored_row_is_read_and_written_back_to_the_same_bytes() {
    let message = decode_row(golden(ROW)).expect("a row of version 1");
    assert_eq!(message.version, 7);
    assert_eq!(message.legs.len(), 2);
    assert_eq!(text(&encode_row(&message)), ROW.trim_end());
}

#[test]
fn a_lane_message_is_read_and_written_back_to_the_same_bytes() {
    for golden_text in [WAKE, SEND] {
        let message = LaneMessage::decode(golden(golden_text)).expect("a lane message of version 1");
        assert_eq!(text(&message.encode()), golden_text.trim_end());
    }
}

#[test]
fn a_wake_carries_the_id_and_nothing_else() {
    let id = MessageId::parse("01a0c9b2-7d80-7000-8000-000000000001").expect("an id");
    assert_eq!(text(&LaneMessage::Wake { id }.encode()), WAKE);
}

#[test]
fn a_lane_message_is_known_by_its_id_without_being_read() {
    let LaneMessage::Send(opening) = LaneMessage::decode(golden(SEND)).expect("it is ours") else {
        panic!("the golden bytes carry an opening")
    };
    assert_eq!(lane_message_id(golden(SEND)), Some(opening.message.id));
    let id = opening.message.id;
    assert_eq!(lane_message_id(&LaneMessage::Wake { id }.encode()), Some(id));
    for other in [&b"{}"[..], b"no JSON", golden(REPORTS)] {
        assert_eq!(lane_message_id(other), None);
    }
}

#[test]
fn reports_are_read_and_written_back_to_the_same_bytes() {
    let reports = decode_reports(golden(REPORTS)).expect("reports of version 1");
    assert_eq!(reports.len(), 2);
    assert_eq!(text(&encode_reports(&reports)), REPORTS.trim_end());
}

#[test]
fn another_version_is_refused_by_its_number_even_where_the_rest_would_fit() {
    for found in [0, 2, 70_000] {
        let other = ROW.replacen("\"v\":1", &format!("\"v\":{found}"), 1);
        let refused = decode_row(other.as_bytes()).expect_err("another version");
        assert_eq!(refused, WireError::UnknownVersion { what: "a stored message", found });
        assert!(refused.to_string().contains(&found.to_string()), "{refused}");
    }
    let newer = br#"{"v":2,"what":{"poke":{}}}"#;
    let refused = LaneMessage::decode(newer).expect_err("another version");
    assert_eq!(refused, WireError::UnknownVersion { what: "a lane message", found: 2 });
}

#[test]
fn what_is_not_ours_is_malformed() {
    for body in ["", "{}", "null", "{\"v\":1}", "{\"v\":\"1\"}", "{\"v\":1,\"what\":{\"poke\":1}}", "\u{0}"] {
        let refused = LaneMessage::decode(body.as_bytes()).expect_err("not ours");
        assert!(matches!(refused, WireError::Malformed { what: "a lane message", .. }), "{body:?}: {refused}");
    }
}

#[test]
fn any_character_survives_the_way_there_and_back() {
    let odd = "ref\0\"\\\u{2028}\u{1f4ee}";
    let report = Report {
        provider: ProviderId::parse("sakura").expect("a provider"),
        about: About::Reference(odd.to_owned()),
        status: ReportStatus::Delivered,
        proof: Proof::Tag,
        at: Timestamp::from_unix_ms(-1),
        happened_at: None,
    };
    let bytes = encode_reports(std::slice::from_ref(&report));
    assert!(!bytes.contains(&0), "a NUL is written as an escape");
    assert_eq!(decode_reports(&bytes), Ok(vec![report]));
}

fn golden(text: &'static str) -> &'static [u8] {
    text.trim_end().as_bytes()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("JSON is UTF-8")
}
