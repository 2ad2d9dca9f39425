//! What is read, and how a body that cannot be is refused.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Outer {
    name: String,
    count: Option<u8>,
    inner: Option<Inner>,
    word: Option<Word>,
    map: Option<BTreeMap<String, String>>,
    flag: Option<bool>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inner {
    deep: String,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    One,
    TwoThree,
}

fn refused(body: &str) -> FieldError {
    match read::<Outer>(body.as_bytes()) {
        Err(ReadError::Field(error)) => error,
        other => panic!("{body} gave {other:?}"),
    }
}

#[test]
fn a_body_of_known_fields_is_read() {
    let outer: Outer = read(br#"{"name":"a","count":7,"inner":{"deep":"b"},"word":"two_three","map":{"k":"v"}}"#)
        .expect("every field is known");
    assert_eq!(outer.inner, Some(Inner { deep: "b".into() }));
    assert_eq!((outer.count, outer.word), (Some(7), Some(Word::TwoThree)));
}

#[test]
fn null_is_the_same_as_left_out() {
    let outer: Outer = read(br#"{"name":"a","count":null,"inner":null,"word":null}"#).expect("nulls are absences");
    assert_eq!((outer.count, outer.inner, outer.word), (None, None, None));
}

#[test]
fn an_unknown_field_is_named_by_its_path() {
    assert_eq!(refused(r#"{"name":"a","nmae":1}"#).path, "nmae");
    let deep = refused(r#"{"name":"a","inner":{"deep":"x","depe":1}}"#);
    assert_eq!(deep.path, "inner.depe");
    assert_eq!(deep.fault, Fault::Unknown { known: "`deep`".into() });
}

#[test]
fn a_field_given_twice_is_refused_even_in_a_map() {
    assert_eq!(refused(r#"{"name":"a","name":"b"}"#).fault, Fault::Twice);
    let twice = refused(r#"{"name":"a","map":{"k":"1","k":"2"}}"#);
    assert_eq!((twice.path.as_str(), twice.fault), ("map.k", Fault::Twice));
}

#[test]
fn a_missing_field_is_named() {
    assert_eq!(refused("{}"), FieldError::new("name", Fault::Missing));
    assert_eq!(refused(r#"{"name":"a","inner":{}}"#), FieldError::new("inner.deep", Fault::Missing));
}

#[test]
fn a_wrong_form_names_field_and_remedy() {
    for (body, path, words) in [
        (r#"{"name":1}"#, "name", "`name` must be a string"),
        (r#"{"name":"a","count":-1}"#, "count", "`count` must be a whole number, not negative"),
        (r#"{"name":"a","count":1.5}"#, "count", "`count` must be a whole number, not negative"),
        (r#"{"name":"a","count":300}"#, "count", "`count` must be a whole number, not negative"),
        (r#"{"name":"a","count":[1]}"#, "count", "`count` must be a whole number, not negative"),
        (r#"{"name":"a","flag":"yes"}"#, "flag", "`flag` must be true or false"),
        (r#"{"name":"a","word":"four"}"#, "word", "`word` must be one of `one`, `two_three`"),
        (r#"{"name":"a","word":4}"#, "word", "`word` must be one of `one`, `two_three`"),
        (r#"{"name":"a","inner":"b"}"#, "inner", "`inner` must be a JSON object"),
        (r#"{"name":"a\u0000"}"#, "name", "`name` must be text without control characters"),
        (r#"{"name":"a","map":{"k":"\u0007"}}"#, "map.k", "`map.k` must be text without control characters"),
        (r#"[]"#, "", "the body must be a JSON object"),
        (r#""text""#, "", "the body must be a JSON object"),
    ] {
        let error = refused(body);
        assert_eq!((error.path.as_str(), error.to_string().as_str()), (path, words), "{body}");
    }
}

#[test]
fn line_breaks_of_either_kind_are_one() {
    let outer: Outer = read(br#"{"name":"a\r\nb\nc"}"#).expect("lines");
    assert_eq!(outer.name, "a\nb\nc");
    assert_eq!(refused(r#"{"name":"a\rb"}"#).path, "name", "a return alone is none");
}

#[test]
fn no_metadata_may_be_said_by_null() {
    let body: crate::request::body::NewVerification =
        read(br#"{"to":"+819012345678","purpose":"login","metadata":null}"#).expect("as good as left out");
    assert!(body.metadata.is_empty());
}

#[test]
fn what_is_not_json_says_where_it_breaks() {
    for body in ["", "{", "{\"name\":\"a\"} x", "nul", "{'name':1}", "\u{feff}{}"] {
        assert!(matches!(read::<Outer>(body.as_bytes()), Err(ReadError::NotJson { .. })), "{body}");
    }
}

#[test]
fn deep_nesting_is_refused_and_not_followed() {
    let body = format!("{}{}", "[".repeat(8_000), "]".repeat(8_000));
    assert!(matches!(read::<Outer>(body.as_bytes()), Err(ReadError::NotJson { .. })));
}
