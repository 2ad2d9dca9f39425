//! `atlas` speaks Twilio Messages.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::stand::{ATLAS_SID, ATLAS_TOKEN, KODAMA_SID, KODAMA_TOKEN, Stand, signature};

const WORKS: &str = "+819012340001";
const RECEIPTS: &str = "/receipts/atlas";

async fn fetch(stand: &Stand, sid: &str) -> Value {
    let url = format!("{}/2010-04-01/Accounts/{ATLAS_SID}/Messages/{sid}.json", stand.sandbox.urls().atlas);
    stand.client.get(url).basic_auth(ATLAS_SID, Some(ATLAS_TOKEN)).send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn a_text_is_queued_then_sent_then_delivered_with_signed_callbacks() {
    let stand = Stand::open().await;
    let answer = stand.atlas(WORKS, "code 123456").await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    let message: Value = answer.json().await.unwrap();
    assert_eq!(message["status"], "queued");
    let sid = message["sid"].as_str().unwrap();
    assert!(sid.starts_with("SM") && sid.len() == 34, "{sid}");
    let receipts = stand.door.wait(RECEIPTS, 2).await;
    for (receipt, status) in receipts.iter().zip(["sent", "delivered"]) {
        assert_eq!(receipt.field("MessageStatus").unwrap(), status);
        assert_eq!(receipt.field("MessageSid").unwrap(), sid);
        let url = format!("{}{}", stand.door.url, receipt.target);
        let expected = signature(ATLAS_TOKEN, &url, &receipt.form());
        assert_eq!(receipt.headers["x-twilio-signature"], expected.as_str());
    }
    assert_eq!(fetch(&stand, sid).await["status"], "delivered");
    assert_eq!(stand.inbox(WORKS).await, ["atlas: code 123456"]);
}

#[tokio::test]
async fn each_phone_says_what_the_table_promises() {
    let stand = Stand::open().await;
    for (index, (number, status, error, inbox)) in [
        ("+819012340002", "undelivered", Some("30004"), 0),
        ("+819012340003", "undelivered", Some("30006"), 0),
        ("+819012340004", "undelivered", Some("30007"), 0),
        ("+819012340005", "undelivered", Some("30003"), 0),
        ("+819012340009", "delivered", None, 0),
        ("+819012340010", "delivered", None, 1),
    ]
    .into_iter()
    .enumerate()
    {
        let message: Value = stand.atlas(number, "code 123456").await.unwrap().json().await.unwrap();
        let receipts = stand.door.wait(RECEIPTS, 2 * index + 2).await;
        let last = &receipts[2 * index + 1];
        assert_eq!(last.field("MessageStatus").as_deref(), Some(status), "{number}");
        assert_eq!(last.field("ErrorCode").as_deref(), error, "{number}");
        let fetched = fetch(&stand, message["sid"].as_str().unwrap()).await;
        assert_eq!(fetched["status"], status, "{number}");
        assert_eq!(fetched["error_code"].as_u64().map(|code| code.to_string()).as_deref(), error, "{number}");
        assert_eq!(stand.inbox(number).await.len(), inbox, "{number}");
    }
}

#[tokio::test]
async fn receipts_come_before_the_answer_and_out_of_order_after_it() {
    let stand = Stand::open().await;
    stand.atlas("+819012340008", "code 123456").await.unwrap();
    assert_eq!(stand.door.came(RECEIPTS).len(), 1, "the receipt overtook the answer");
    let receipts = stand.door.wait(RECEIPTS, 3).await;
    let statuses: Vec<_> = receipts.iter().filter_map(|receipt| receipt.field("MessageStatus")).collect();
    assert_eq!(statuses, ["delivered", "sent", "delivered"]);
}

#[tokio::test]
async fn receipts_that_never_come_leave_the_text_sent_and_a_dead_connection_leaves_it_taken() {
    let stand = Stand::open().await;
    let lost: Value = stand.atlas("+819012340006", "code 123456").await.unwrap().json().await.unwrap();
    assert!(stand.atlas("+819012340007", "code 123456").await.is_err(), "no answer came");
    let receipts = stand.door.wait(RECEIPTS, 2).await;
    assert!(receipts.iter().all(|receipt| receipt.field("To").unwrap() == "+819012340007"));
    assert_eq!(fetch(&stand, lost["sid"].as_str().unwrap()).await["status"], "sent");
    assert_eq!(stand.inbox("+819012340006").await.len(), 1);
    assert_eq!(stand.inbox("+819012340007").await.len(), 1);
}

#[tokio::test]
async fn what_the_vendor_would_not_understand_is_refused_with_its_code() {
    let stand = Stand::open().await;
    let from = ("From", "+15005550006");
    for (fields, code) in [
        (vec![("Body", "hello"), from], 21604),
        (vec![("To", "09012340001"), ("Body", "hello"), from], 21211),
        (vec![("To", WORKS), ("Body", "hello")], 21603),
        (vec![("To", WORKS), from], 21602),
        (vec![("To", "+81312340011"), ("Body", "hello"), from], 21614),
        (vec![("To", WORKS), ("Body", "hello"), from, ("StatusCallback", "nowhere")], 21609),
        (vec![("To", WORKS), ("Body", "hello"), from, ("ValidityPeriod", "36001")], 20001),
        (vec![("To", WORKS), ("Body", "hello"), from, ("Validity", "60")], 20001),
    ] {
        let answer = stand.atlas_raw(&fields).await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        let error: Value = answer.json().await.unwrap();
        assert_eq!((&error["code"], &error["status"]), (&json!(code), &json!(400)), "{fields:?}");
    }
    let url = |sid: &str| format!("{}/2010-04-01/Accounts/{sid}/Messages.json", stand.sandbox.urls().atlas);
    let fields = [("To", WORKS), ("Body", "hello"), from];
    for (sid, account, code) in [
        (ATLAS_SID, (ATLAS_SID, "wrong"), 20003),
        (KODAMA_SID, (KODAMA_SID, KODAMA_TOKEN), 20003),
        (KODAMA_SID, (ATLAS_SID, ATLAS_TOKEN), 20404),
    ] {
        let error: Value = stand.post_form(&url(sid), account, &fields).await.unwrap().json().await.unwrap();
        assert_eq!(error["code"], code);
    }
    assert!(stand.inbox(WORKS).await.is_empty());
    assert_eq!(fetch(&stand, "SMnobody").await["code"], 20404);
}
