//! The AsyncAPI document says what the program does: its fields are those of the door, its examples are taken, and this suite
//! publishes as it says.

use otodoke_common::broker::{Label, Publisher};
use otodoke_common::config::TenantSettings;
use otodoke_common::message::{Lane, TenantId};
use otodoke_common::request::publication::{CONTRACT_VERSION, Publishers, Wanted};
use otodoke_common::time::Timestamp;
use otodoke_common::trace::TraceContext;
use serde_json::{Value, json};

use crate::publisher::{EXCHANGE, Letter};

fn document() -> Value {
    serde_json::from_str(include_str!("../../../asyncapi.json")).expect("the document is JSON")
}

#[test]
fn its_fields_are_those_of_the_door_and_a_kind() {
    let document = document();
    let openapi = serde_json::to_value(otodoke_producer::openapi::openapi()).expect("it is JSON");
    let (here, there) = (&document["components"]["schemas"], &openapi["components"]["schemas"]);
    for (kind, request, body) in [("code", "CodeRequest", "NewVerification"), ("text", "TextRequest", "NewText")] {
        let mut expected = there[body].clone();
        expected["properties"]["kind"] = json!({"type": "string", "const": kind});
        expected["required"].as_array_mut().expect("some are").insert(0, json!("kind"));
        expected["description"] = here[request]["description"].clone();
        assert_eq!(here[request], expected, "{request}");
        let payload = &document["components"]["messages"][kind]["payload"]["$ref"];
        assert_eq!(payload, &json!(format!("#/components/schemas/{request}")));
    }
    for shared in ["CodePurpose", "TextPurpose", "VoiceWhen", "Transaction", "Payee"] {
        assert_eq!(here[shared], there[shared], "{shared}");
    }
}

#[test]
fn its_way_in_is_the_one_that_is_there() {
    let document = document();
    let channel = &document["channels"]["send"];
    let exchange = &channel["bindings"]["amqp"]["exchange"];
    assert_eq!(
        (&exchange["name"], &exchange["type"], &exchange["durable"]),
        (&json!(EXCHANGE), &json!("direct"), &json!(true))
    );
    assert_eq!(channel["parameters"]["lane"]["enum"], json!(Lane::ALL.map(Lane::word)));
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["Headers"]["properties"]["otodoke-version"]["const"], CONTRACT_VERSION);
    // What this suite publishes with, and its publisher adds: nothing else is needed.
    let letter = Letter::new("", "normal", &json!({}));
    let mut needed: Vec<&str> = vec!["timestamp", "user_id"];
    needed.extend(letter.properties.as_object().expect("an object").keys().map(String::as_str));
    needed.sort_unstable();
    let mut required: Vec<&str> =
        schemas["Properties"]["required"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    required.sort_unstable();
    assert_eq!(required, needed);
}

#[test]
fn its_examples_are_taken() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    let settings =
        TenantSettings { amqp_users: ["acme-app".to_owned()].into(), amqp_clear: true, ..Default::default() };
    let publishers = Publishers::new([(TenantId::parse("acme").expect("valid"), settings)].into());
    let mut taken = 0;
    for kind in ["code", "text"] {
        for example in document["components"]["messages"][kind]["examples"].as_array().expect("there are some") {
            let word = |value: &Value| value.as_str().map(str::to_owned);
            let (properties, headers) = (&schemas["Properties"]["examples"][0], &example["headers"]);
            let label = Label {
                publisher: Publisher::User(word(&properties["user_id"]).expect("a user")),
                tenant: word(&headers["otodoke-tenant"]),
                message_id: word(&properties["message_id"]),
                sent_at: properties["timestamp"].as_i64().map(|s| Timestamp::from_unix_ms(s * 1_000)),
                version: headers["otodoke-version"].as_i64(),
                content_type: word(&properties["content_type"]),
            };
            assert!(publishers.address(&label).is_ok(), "{example}");
            let trace = TraceContext::parse(&word(&headers["traceparent"]).expect("a trace"), None);
            assert!(trace.is_some(), "{example}");
            let wanted = Wanted::read(example["payload"].to_string().as_bytes());
            let wanted = wanted.unwrap_or_else(|why| panic!("{example}: {why}"));
            assert_eq!(matches!(wanted, Wanted::Code(_)), kind == "code");
            assert!(wanted.request().is_ok(), "{example}");
            taken += 1;
        }
    }
    assert!(taken >= 3, "{taken}");
}
