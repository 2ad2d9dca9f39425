//! Whose a publication is, what makes it unreadable, and when its life begins.

use super::super::strict::Fault;
use super::*;

const NOW: Timestamp = Timestamp::from_unix_ms(1_763_805_900_123);
const ID: &str = "0199c0de-0000-7000-8000-000000000001";

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).expect("valid")
}

fn publishers() -> Publishers {
    let of = |user: &str, amqp_clear| TenantSettings {
        amqp_users: [user.to_owned()].into(),
        amqp_clear,
        ..TenantSettings::default()
    };
    Publishers::new(BTreeMap::from([(tenant("acme"), of("acme-app", true)), (tenant("shy"), of("shy-app", false))]))
}

fn label() -> Label {
    Label {
        publisher: Publisher::User("acme-app".to_owned()),
        tenant: None,
        message_id: Some(ID.to_owned()),
        sent_at: Some(NOW),
        version: Some(1),
        content_type: Some("application/json".to_owned()),
    }
}

#[test]
fn a_user_is_its_tenant_and_one_of_ours_is_whom_it_names() {
    let publication = publishers().address(&label()).expect("all is said");
    assert_eq!((publication.tenant, publication.id.to_string()), (tenant("acme"), ID.to_owned()));
    let ours = Label { publisher: Publisher::Own, tenant: Some("acme".to_owned()), ..label() };
    assert_eq!(publishers().address(&ours).expect("it is named").tenant, tenant("acme"));
}

#[test]
fn what_is_not_said_right_is_refused_with_what_would_be() {
    let user = |name: &str| Publisher::User(name.to_owned());
    let acme = || Some("acme".to_owned());
    for (label, why) in [
        (Label { publisher: Publisher::Nobody, ..label() }, Unreadable::Nobody),
        (Label { publisher: user("guest"), ..label() }, Unreadable::UnknownUser { user: "guest".to_owned() }),
        (Label { tenant: acme(), ..label() }, Unreadable::NotToName { user: "acme-app".to_owned() }),
        (
            Label { publisher: Publisher::Own, tenant: Some("nobody".to_owned()), ..label() },
            Unreadable::UnknownTenant { tenant: "nobody".to_owned() },
        ),
        (Label { publisher: user("shy-app"), ..label() }, Unreadable::NotClear { tenant: tenant("shy") }),
        (Label { version: Some(2), ..label() }, Unreadable::Version { found: Some(2) }),
        (Label { version: None, ..label() }, Unreadable::Version { found: None }),
        (Label { content_type: None, ..label() }, Unreadable::ContentType),
        (Label { message_id: Some("1".to_owned()), ..label() }, Unreadable::NoId),
        (Label { message_id: None, ..label() }, Unreadable::NoId),
        (Label { sent_at: None, ..label() }, Unreadable::NoTimestamp),
    ] {
        assert_eq!(publishers().address(&label), Err(why), "{label:?}");
    }
}

#[test]
fn json_is_json_with_whatever_parameters() {
    for good in ["application/json; charset=utf-8", "Application/JSON"] {
        publishers().address(&Label { content_type: Some(good.to_owned()), ..label() }).expect("it is JSON");
    }
    let other = Label { content_type: Some("application/json5".to_owned()), ..label() };
    assert_eq!(publishers().address(&other), Err(Unreadable::ContentType));
}

#[test]
fn a_life_begins_when_it_was_sent_and_never_later_than_now() {
    let publication = |sent_at| publishers().address(&Label { sent_at: Some(sent_at), ..label() }).expect("valid");
    for (sent_at, begins) in [
        (NOW, NOW),
        (NOW.minus_ms(40_000), NOW.minus_ms(40_000)),
        (NOW.minus_ms(60_000), NOW.minus_ms(60_000)),
        (NOW.minus_ms(u64::MAX), NOW.minus_ms(60_000)),
        (NOW.plus_ms(1), NOW),
        (NOW.plus_ms(u64::MAX), NOW),
    ] {
        assert_eq!(publication(sent_at).birth(60_000, NOW).accepted_at, begins, "{sent_at:?}");
    }
}

fn unread(body: &str) -> Unreadable {
    match Wanted::read(body.as_bytes()) {
        Err(why) => why,
        Ok(_) => panic!("{body} was read"),
    }
}

#[test]
fn a_body_says_its_kind_and_holds_the_fields_of_that_kind_only() {
    assert!(matches!(Wanted::read(br#"{"kind":"code","to":"1","purpose":"login"}"#), Ok(Wanted::Code(_))));
    assert!(matches!(Wanted::read(br#"{"to":"1","text":"hello","kind":"text"}"#), Ok(Wanted::Text(_))));
    let field = |path: &str, fault| Unreadable::Body(ReadError::Field(FieldError::new(path, fault)));
    assert_eq!(unread(r#"{"to":"1","purpose":"login"}"#), field("kind", Fault::Missing));
    assert_eq!(unread(r#"{"kind":"code","kind":"code","to":"1"}"#), field("kind", Fault::Twice));
    let kinds = Fault::Invalid { expected: "one of `code`, `text`".to_owned() };
    assert_eq!(unread(r#"{"kind":"call","to":"1"}"#), field("kind", kinds));
    let object = Fault::Invalid { expected: "a JSON object".to_owned() };
    assert_eq!(unread("[]"), field("", object));
    assert!(matches!(unread("nonsense"), Unreadable::Body(ReadError::NotJson { .. })));
}

fn misfit(body: &str) -> (KindWord, Purpose, String) {
    match Wanted::read(body.as_bytes()) {
        Ok(Wanted::Misfit { kind, purpose, error }) => (kind, purpose, error.path),
        Ok(Wanted::Code(_) | Wanted::Text(_)) => panic!("{body} fits"),
        Err(why) => panic!("{body} cannot be read: {why}"),
    }
}

#[test]
fn a_body_of_a_known_kind_with_a_wrong_field_is_read_and_refused() {
    for (body, kind, purpose, field) in [
        (r#"{"kind":"text","to":"1","text":"hello","code_length":6}"#, KindWord::Text, Purpose::Notice, "code_length"),
        (r#"{"kind":"code","to":"1","purpose":"payment","to":"2"}"#, KindWord::Code, Purpose::Payment, "to"),
        (r#"{"kind":"code","to":1,"purpose":"signup"}"#, KindWord::Code, Purpose::Signup, "to"),
        (r#"{"kind":"code","to":"1"}"#, KindWord::Code, Purpose::Login, "purpose"),
        (r#"{"kind":"code","to":"1","purpose":"gift"}"#, KindWord::Code, Purpose::Login, "purpose"),
    ] {
        assert_eq!(misfit(body), (kind, purpose, field.to_owned()), "{body}");
        let wanted = Wanted::read(body.as_bytes()).expect("it is read");
        let error = wanted.request().err().expect("no request");
        assert_eq!((error.field(), reason(&error)), (Some(field), Reason::Unacceptable), "{body}");
    }
}

#[test]
fn every_field_of_a_request_is_known_by_its_name() {
    for body in [
        r#"{"kind":"code","x":1}"#,
        r#"{"kind":"text","x":1}"#,
        r#"{"kind":"code","to":"1","purpose":"payment","transaction":{"x":1}}"#,
        r#"{"kind":"code","to":"1","purpose":"payment","transaction":{"payee":{"x":1}}}"#,
    ] {
        let Ok(Wanted::Misfit { error: FieldError { fault: Fault::Unknown { known }, .. }, .. }) =
            Wanted::read(body.as_bytes())
        else {
            panic!("{body} has an unknown field")
        };
        for name in known.split(", ").map(|name| name.trim_matches('`')) {
            assert!(FIELDS.contains(&name), "{name}");
        }
    }
}

#[test]
fn names_that_a_publisher_chose_are_not_repeated() {
    for (body, kept) in [
        (r#"{"kind":"code","to":"1","purpose":"login","metadata":{"taro":1}}"#, "metadata"),
        (r#"{"kind":"code","to":"1","purpose":"login","+819012345678":1}"#, ""),
        (r#"{"kind":"code","to":"1","purpose":"login","YamadaTaro":1}"#, ""),
        (r#"{"kind":"code","to":"1","purpose":"login","taro.yamada":1}"#, ""),
        (r#"{"kind":"code","to":"1","purpose":"login","metadata":{"name":1}}"#, "metadata"),
        (r#"{"kind":"code","to":"1","purpose":"login","transaction":{"taro@example.com":1}}"#, "transaction"),
        (r#"{"kind":"code","to":"1","purpose":"login","transaction":{"payee":{"name":1}}}"#, "transaction.payee.name"),
    ] {
        assert_eq!(misfit(body).2, kept, "{body}");
    }
}

#[test]
fn what_only_our_own_programs_say_is_told_from_mistakes() {
    assert_eq!(unread(&format!(r#"{{"v":1,"what":{{"wake":"{ID}"}}}}"#)), Unreadable::Internal);
    assert_eq!(unread(r#"{"v":1,"reports":[]}"#), Unreadable::Internal);
    assert!(matches!(unread(&" ".repeat(BODY_BYTES_MAX + 1)), Unreadable::TooLarge { .. }));
}
