//! `fuji` speaks Infobip SMS v3.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::stand::Stand;

const WORKS: &str = "+819012340001";

#[tokio::test]
async fn a_text_is_taken_and_its_receipt_carries_our_data() {
    let stand = Stand::open().await;
    let answer: Value = stand.fuji(WORKS, "m1", "code 123456").await.unwrap().json().await.unwrap();
    let message = &answer["messages"][0];
    assert_eq!((&message["messageId"], &message["status"]["groupName"]), (&json!("m1"), &json!("PENDING")));
    assert_eq!((&message["destination"], &message["details"]["messageCount"]), (&json!("819012340001"), &json!(1)));
    let receipts = stand.door.wait("/receipts/fuji", 1).await[0].json();
    let receipt = &receipts["results"][0];
    assert_eq!((&receipt["status"]["id"], &receipt["error"]["id"]), (&json!(5), &json!(0)));
    assert_eq!((&receipt["to"], &receipt["callbackData"]), (&json!("819012340001"), &json!("tag of m1")));
    assert_eq!(receipt["bulkId"], answer["bulkId"]);
    assert_eq!(stand.inbox(WORKS).await, ["fuji: code 123456"]);
}

#[tokio::test]
async fn the_same_message_id_is_taken_once() {
    let stand = Stand::open().await;
    stand.fuji(WORKS, "m1", "code 123456").await.unwrap();
    let answer: Value = stand.fuji(WORKS, "m1", "code 123456").await.unwrap().json().await.unwrap();
    let status = &answer["messages"][0]["status"];
    assert_eq!((&status["id"], &status["name"]), (&json!(23), &json!("REJECTED_DUPLICATE_MESSAGE_ID")));
    assert_eq!(stand.inbox(WORKS).await.len(), 1);
    stand.door.wait("/receipts/fuji", 1).await;
    let ids = async |query: &str| -> Vec<Value> {
        let logs = stand.fuji_asks(&format!("/sms/3/logs?messageId=m1{query}")).await;
        logs["results"].as_array().unwrap().iter().map(|log| log["status"]["id"].clone()).collect()
    };
    assert_eq!(ids("&limit=10").await, [json!(23), json!(5)], "the latest first");
    assert_eq!(ids("&limit=1").await, [json!(23)]);
}

#[tokio::test]
async fn the_same_message_id_at_the_same_time_is_taken_once() {
    let stand = Stand::open().await;
    let send = async || -> Value { stand.fuji(WORKS, "m1", "code 123456").await.unwrap().json().await.unwrap() };
    let answers = futures(send).await;
    let taken = answers.iter().filter(|answer| answer["messages"][0]["status"]["id"] == 26).count();
    assert_eq!(taken, 1);
    assert_eq!(stand.inbox(WORKS).await.len(), 1);
}

async fn futures(send: impl AsyncFn() -> Value) -> [Value; 4] {
    let (a, b, c, d) = tokio::join!(send(), send(), send(), send());
    [a, b, c, d]
}

#[tokio::test]
async fn a_person_who_refuses_texts_is_a_rejection_inside_a_200() {
    let stand = Stand::open().await;
    for number in ["+819012340002", "+819012340012"] {
        let answer: Value = stand.fuji(number, number, "code 123456").await.unwrap().json().await.unwrap();
        let status = &answer["messages"][0]["status"];
        assert_eq!((&status["groupName"], &status["id"]), (&json!("REJECTED"), &json!(10)), "{number}");
        assert!(stand.inbox(number).await.is_empty());
    }
}

#[tokio::test]
async fn each_phone_says_what_the_table_promises() {
    let stand = Stand::open().await;
    for (index, (number, status, error, inbox)) in [
        ("+819012340003", 9, 11, 0),
        ("+819012340004", 5, 0, 1),
        ("+819012340005", 9, 27, 0),
        ("+819012340009", 5, 0, 0),
        ("+819012340010", 5, 0, 1),
        ("+81312340011", 9, 568, 0),
    ]
    .into_iter()
    .enumerate()
    {
        stand.fuji(number, number, "code 123456").await.unwrap();
        let receipt = stand.door.wait("/receipts/fuji", index + 1).await[index].json()["results"][0].clone();
        assert_eq!(receipt["messageId"], number);
        assert_eq!(
            (receipt["status"]["id"].as_i64(), receipt["error"]["id"].as_i64()),
            (Some(status), Some(error)),
            "{number}"
        );
        assert_eq!(stand.inbox(number).await.len(), inbox, "{number}");
    }
}

#[tokio::test]
async fn receipts_of_one_moment_travel_together() {
    let stand = Stand::open().await;
    let destinations: Vec<Value> =
        (0..5).map(|n| json!({ "to": "819012340001", "messageId": format!("b{n}") })).collect();
    let body = json!({ "messages": [{
        "sender": "Otodoke", "destinations": destinations, "content": { "text": "hello" },
        "webhooks": { "delivery": { "url": format!("{}/receipts/fuji", stand.door.url) } },
    }] });
    assert_eq!(stand.fuji_raw(&body).await.unwrap().status(), StatusCode::OK);
    let batches = stand.door.wait("/receipts/fuji", 1).await;
    assert_eq!(batches[0].json()["results"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn a_phone_whose_receipts_never_come_is_still_pending_when_asked() {
    let stand = Stand::open().await;
    stand.fuji("+819012340006", "lost", "code 123456").await.unwrap();
    stand.fuji(WORKS, "told", "code 123456").await.unwrap();
    let receipts = stand.door.wait("/receipts/fuji", 1).await[0].json();
    assert_eq!(receipts["results"].as_array().unwrap().len(), 1);
    assert_eq!(receipts["results"][0]["messageId"], "told");
    let log = stand.fuji_asks("/sms/3/logs?messageId=lost").await["results"][0].clone();
    assert_eq!((&log["status"]["groupName"], &log["destination"]), (&json!("PENDING"), &json!("819012340006")));
    assert_eq!(stand.fuji_asks("/sms/3/reports?messageId=lost").await, json!({ "results": [] }));
}

#[tokio::test]
async fn logs_answer_every_time_and_reports_once() {
    let stand = Stand::open().await;
    stand.fuji("+819012340005", "m1", "code 123456").await.unwrap();
    stand.door.wait("/receipts/fuji", 1).await;
    for _ in 0..2 {
        let log = stand.fuji_asks("/sms/3/logs?messageId=m1").await["results"][0].clone();
        assert_eq!((&log["status"]["id"], &log["error"]["name"]), (&json!(9), &json!("EC_ABSENT_SUBSCRIBER")));
    }
    let report = stand.fuji_asks("/sms/3/reports?messageId=m1").await["results"][0].clone();
    assert_eq!((&report["to"], &report["error"]["permanent"]), (&json!("819012340005"), &json!(false)));
    assert_eq!(stand.fuji_asks("/sms/3/reports").await, json!({ "results": [] }));
    assert_eq!(stand.fuji_asks("/sms/3/logs?messageId=nobody").await, json!({ "results": [] }));
}

#[tokio::test]
async fn the_connection_dies_after_the_text_was_taken_and_the_id_protects_a_repeat() {
    let stand = Stand::open().await;
    let number = "+819012340007";
    assert!(stand.fuji(number, "m1", "code 123456").await.is_err(), "no answer came");
    let receipt = stand.door.wait("/receipts/fuji", 1).await[0].json()["results"][0].clone();
    assert_eq!((&receipt["messageId"], &receipt["status"]["id"]), (&json!("m1"), &json!(5)));
    let again: Value = stand.fuji(number, "m1", "code 123456").await.unwrap().json().await.unwrap();
    assert_eq!(again["messages"][0]["status"]["id"], 23);
    assert_eq!(stand.inbox(number).await.len(), 1);
}

#[tokio::test]
async fn receipts_come_before_the_answer_and_out_of_order_after_it() {
    let stand = Stand::open().await;
    stand.fuji("+819012340008", "m1", "code 123456").await.unwrap();
    assert_eq!(stand.door.came("/receipts/fuji").len(), 1, "the receipt overtook the answer");
    let receipts = stand.door.wait("/receipts/fuji", 3).await;
    let ids: Vec<_> = receipts.iter().map(|receipt| receipt.json()["results"][0]["status"]["id"].clone()).collect();
    assert_eq!(ids, [json!(5), json!(2), json!(5)]);
}

#[tokio::test]
async fn what_the_vendor_would_not_understand_is_refused_by_name() {
    let stand = Stand::open().await;
    let message = |change: fn(&mut Value)| {
        let mut message = json!({
            "sender": "Otodoke", "destinations": [{ "to": "819012340001" }], "content": { "text": "hello" },
            "options": { "validityPeriod": { "amount": 5 } }, "webhooks": { "delivery": { "url": "http://127.0.0.1:9/x" } },
        });
        change(&mut message);
        json!({ "messages": [message] })
    };
    let changes: [fn(&mut Value); 7] = [
        |message| message["from"] = "old v2 field".into(),
        |message| message["sender"] = Value::Null,
        |message| message["content"]["text"] = "".into(),
        |message| message["destinations"][0]["to"] = "09012340001".into(),
        |message| message["options"]["validityPeriod"]["amount"] = 0.into(),
        |message| message["webhooks"]["delivery"]["url"] = "not a url".into(),
        |message| message["destinations"][0]["messageId"] = "m".repeat(201).into(),
    ];
    for change in changes {
        let answer = stand.fuji_raw(&message(change)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        let error: Value = answer.json().await.unwrap();
        assert_eq!(error["errorCode"], "E400");
        assert!(error["violations"][0]["property"].is_string(), "{error}");
    }
    assert_eq!(stand.fuji_raw(&message(|_| {})).await.unwrap().status(), StatusCode::OK);
    let url = format!("{}/sms/3/messages", stand.sandbox.urls().fuji);
    let unsigned = stand.client.post(url).json(&message(|_| {})).send().await.unwrap();
    assert_eq!(unsigned.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(unsigned.json::<Value>().await.unwrap()["errorCode"], "E401");
}
