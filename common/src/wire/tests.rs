//! Golden bytes: what was stored once must be read for ever, and a change of the words must be noticed here.

use super::*;
use crate::leg::{Leg, OperatorReceipt, ProviderId};
use crate::outcome::{About, Proof, ReportStatus};
use crate::time::Timestamp;

/// As rows were written under version 1.
const OLD_ROW: &str = include_str!("row.json");
/// The same row as it is written now, in hex.
const ROW: &str = include_str!("row.hex");
const SEND: &str = include_str!("send.json");
const WAKE: &str = r#"{"v":1,"what":{"wake":"01a0c9b2-7d80-7000-8000-000000000001"}}"#;
const REPORTS: &str = include_str!("reports.json");

#[test]
fn a_stored_row_is_read_and_written_back_to_the_same_bytes() {
    let bytes = row();
    let message = decode_row(&bytes).expect("a row of version 2");
    assert_eq!(message.version, 7);
    assert_eq!(message.legs.len(), 2);
    assert_eq!(encode_row(&message), bytes);
}

#[test]
fn a_row_of_version_1_is_read_still() {
    assert_eq!(decode_row(golden(OLD_ROW)), decode_row(&row()));
}

#[test]
fn what_came_to_a_row_later_may_be_missing_in_it() {
    let message = decode_row(&row()).expect("a row");
    let mut bytes = encode_row(&message);
    // The version, and the message as an array of 16-bit length, whose last field is the stamp.
    assert_eq!(bytes[..3], [0x92, 2, 0xdc]);
    let fields = u16::from_be_bytes([bytes[3], bytes[4]]);
    bytes[3..5].copy_from_slice(&(fields - 1).to_be_bytes());
    bytes.truncate(bytes.len() - rmp_serde::to_vec(&message.stamp).expect("a number").len());
    assert_eq!(decode_row(&bytes), Ok(Message { stamp: 0, ..message }));
}

/// The golden row is of a time before: that it is written back to the same bytes says that nothing is added to such legs.
#[test]
fn a_leg_says_last_what_its_route_awaits_of_the_operator_and_nothing_where_it_awaits_nothing() {
    let old = decode_row(&row()).expect("a row");
    assert!(old.legs.iter().all(|leg| leg.operator.is_none()));
    assert_eq!(encode_row(&old), row());
    let leg_bytes = |leg: &Leg| rmp_serde::to_vec(leg).expect("a leg");
    for operator in [OperatorReceipt::Awaited, OperatorReceipt::Came] {
        let mut message = old.clone();
        message.legs[0].operator = Some(operator);
        assert_eq!(decode_row(&encode_row(&message)), Ok(message.clone()));
        let (with, without) = (leg_bytes(&message.legs[0]), leg_bytes(&old.legs[0]));
        // An array of 16-bit length.
        assert_eq!((with[0], without[0], with[2]), (0xdc, 0xdc, without[2] + 1));
        assert_eq!(with[3..without.len()], without[3..], "it comes last");
        let json = serde_json::to_string(&message.legs[0]).expect("a leg");
        assert_eq!(serde_json::from_str::<Leg>(&json).ok(), message.legs.first().cloned());
    }
}

#[test]
fn a_report_that_names_no_operator_is_of_none() {
    let [_, underway] = decode_reports(golden(REPORTS)).expect("two reports").try_into().expect("two reports");
    let reference = Some("D1".to_owned());
    assert_eq!(underway.status, ReportStatus::Underway { reference: reference.clone(), at_operator: false });
    let further = Report { status: ReportStatus::Underway { reference, at_operator: true }, ..underway };
    let bytes = encode_reports(std::slice::from_ref(&further));
    assert!(text(&bytes).contains(r#""status":{"underway":{"reference":"D1","at_operator":true}}"#));
    assert_eq!(decode_reports(&bytes), Ok(vec![further]));
}

#[test]
fn a_lane_message_is_read_and_written_back_to_the_same_bytes() {
    for golden_text in [WAKE, SEND] {
        let message = LaneMessage::decode(golden(golden_text)).expect("a lane message of version 1");
        assert_eq!(text(&message.encode()), golden_text.trim_end());
    }
}

#[test]
fn a_row_travels_as_it_is_stored() {
    let message = decode_row(&row()).expect("a row of version 2");
    let carried = LaneMessage::Row(Box::new(message));
    assert_eq!(carried.encode(), row());
    assert_eq!(LaneMessage::decode(&row()), Ok(carried));
}

#[test]
fn a_send_from_before_guesses_were_counted_is_read_the_same() {
    let before = SEND.replacen(r#""guesses_open":0,"guess_paid_at":null,"lines_beside":0,"#, "", 1);
    assert_ne!(before, SEND);
    assert_eq!(LaneMessage::decode(before.trim_end().as_bytes()), LaneMessage::decode(golden(SEND)));
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
    let row = row();
    assert_eq!(lane_message_id(&row), decode_row(&row).ok().map(|message| message.id));
    for length in 1..row.len() {
        assert_eq!(lane_message_id(&row[..length]), None, "cut at {length}");
    }
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
    let unknown = |what, found, known| WireError::UnknownVersion { what, found, known };
    for found in [0, 2, 70_000] {
        let other = OLD_ROW.replacen("\"v\":1", &format!("\"v\":{found}"), 1);
        let refused = decode_row(other.as_bytes()).expect_err("another version");
        assert_eq!(refused, unknown("a stored message", found, VERSION));
        assert!(refused.to_string().contains(&found.to_string()), "{refused}");
    }
    let mut other = row();
    other[1] = 3;
    assert_eq!(decode_row(&other), Err(unknown("a stored message", 3, ROW_VERSION)));
    let newer = br#"{"v":2,"what":{"poke":{}}}"#;
    let refused = LaneMessage::decode(newer).expect_err("another version");
    assert_eq!(refused, unknown("a lane message", 2, VERSION));
}

#[test]
fn what_is_not_ours_is_malformed() {
    for body in ["", "{}", "null", "{\"v\":1}", "{\"v\":\"1\"}", "{\"v\":1,\"what\":{\"poke\":1}}", "\u{0}"] {
        let refused = LaneMessage::decode(body.as_bytes()).expect_err("not ours");
        assert!(matches!(refused, WireError::Malformed { what: "a lane message", .. }), "{body:?}: {refused}");
        assert!(matches!(decode_row(body.as_bytes()), Err(WireError::Malformed { what: "a stored message", .. })));
    }
    let whole = row();
    for length in 0..whole.len() {
        assert!(decode_row(&whole[..length]).is_err(), "cut at {length}");
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

fn row() -> Vec<u8> {
    data_encoding::HEXLOWER.decode(ROW.replace('\n', "").as_bytes()).expect("hex")
}

fn golden(text: &'static str) -> &'static [u8] {
    text.trim_end().as_bytes()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("JSON is UTF-8")
}
