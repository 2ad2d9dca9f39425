//! `sakura` speaks SMSLINK v1.

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::stand::Stand;

const WORKS: &str = "+819012340001";

#[tokio::test]
async fn a_text_is_in_the_inbox_when_the_answer_comes_and_a_poke_without_status_follows() {
    let stand = Stand::open().await;
    let answer = stand.sakura("090-1234-0001", "コードは 123456 です").await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let delivery: Value = answer.json().await.unwrap();
    assert_eq!(delivery["contacts"][0]["result_code"], "RST200001");
    assert_eq!(stand.inbox(WORKS).await, ["sakura: コードは 123456 です"]);
    let poke = &stand.door.wait("/receipts/sakura", 1).await[0];
    assert_eq!(poke.json(), json!({ "delivery_id": delivery["delivery_id"], "contact_id": 1 }));
    assert_eq!(poke.headers["content-type"], "application/json");
    let id = delivery["delivery_id"].as_str().unwrap();
    for query in [format!("delivery_id[]={id}"), "phone_number[]=09012340001".to_owned()] {
        let results = stand.sakura_results(&query).await;
        let contact = &results["contacts"][0];
        assert_eq!((&results["total"], &contact["status"]), (&json!(1), &json!(200)), "{query}");
        assert_eq!((&contact["detail"], &contact["delivery_name"]), (&json!("DTL000001"), &json!("leg 1")));
        assert_eq!(contact["phone_number"], "09012340001");
    }
    for query in [
        "delivery_id[]=nobody",
        "phone_number[]=09012349999",
        "status[]=900",
        "reserved_to=2020-01-01T00:00:00%2B09:00",
    ] {
        assert_eq!(stand.sakura_results(query).await["total"], 0, "{query}");
    }
}

#[tokio::test]
async fn each_phone_says_what_the_table_promises() {
    let stand = Stand::open().await;
    for (index, (number, status, detail, inbox)) in [
        ("+819012340002", 900, "DTL000011", 0),
        ("+819012340003", 900, "DTL000011", 0),
        ("+819012340004", 200, "DTL000001", 1),
        ("+819012340005", 900, "DTL000007", 0),
        ("+819012340009", 200, "DTL000001", 0),
        ("+819012340012", 900, "DTL000011", 0),
    ]
    .into_iter()
    .enumerate()
    {
        let answer: Value = stand.sakura(number, "code 123456").await.unwrap().json().await.unwrap();
        let id = answer["delivery_id"].as_str().unwrap();
        let pokes = stand.door.wait("/receipts/sakura", index + 1).await;
        assert_eq!(pokes[index].json()["delivery_id"], id, "{number}");
        let contact = stand.sakura_results(&format!("delivery_id[]={id}")).await["contacts"][0].clone();
        assert_eq!((contact["status"].as_i64(), contact["detail"].as_str()), (Some(status), Some(detail)), "{number}");
        assert_eq!(stand.inbox(number).await.len(), inbox, "{number}");
    }
}

#[tokio::test]
async fn a_phone_whose_receipts_never_come_is_still_sending_when_asked() {
    let stand = Stand::open().await;
    let lost: Value = stand.sakura("+819012340006", "code 123456").await.unwrap().json().await.unwrap();
    let other: Value = stand.sakura(WORKS, "code 123456").await.unwrap().json().await.unwrap();
    let pokes = stand.door.wait("/receipts/sakura", 1).await;
    assert_eq!(pokes[0].json()["delivery_id"], other["delivery_id"]);
    let results = stand.sakura_results(&format!("delivery_id[]={}", lost["delivery_id"].as_str().unwrap())).await;
    assert_eq!((&results["contacts"][0]["status"], &results["contacts"][0]["detail"]), (&json!(100), &Value::Null));
    assert_eq!(stand.inbox("+819012340006").await.len(), 1);
}

#[tokio::test]
async fn the_connection_dies_after_the_text_was_taken_and_a_repeat_works() {
    let stand = Stand::open().await;
    let number = "+819012340007";
    assert!(stand.sakura(number, "code 123456").await.is_err(), "no answer came");
    assert_eq!(stand.inbox(number).await, ["sakura: code 123456"]);
    stand.door.wait("/receipts/sakura", 1).await;
    let found = stand.sakura_results("phone_number[]=09012340007").await;
    assert_eq!((&found["total"], &found["contacts"][0]["delivery_name"]), (&json!(1), &json!("leg 1")));
    assert_eq!(stand.sakura(number, "code 123456").await.unwrap().status(), StatusCode::OK);
    assert_eq!(stand.fuji(number, "m1", "123456 is the code").await.unwrap().status(), StatusCode::OK);
    assert_eq!(stand.inbox(number).await.len(), 3);
    assert!(stand.sakura(number, "code 654321").await.is_err(), "another code is another text");
}

#[tokio::test]
async fn a_poke_comes_before_the_answer_and_two_after_it() {
    let stand = Stand::open().await;
    let answer: Value = stand.sakura("+819012340008", "code 123456").await.unwrap().json().await.unwrap();
    assert_eq!(stand.door.came("/receipts/sakura").len(), 1, "the poke overtook the answer");
    let pokes = stand.door.wait("/receipts/sakura", 3).await;
    assert!(pokes.iter().all(|poke| poke.json()["delivery_id"] == answer["delivery_id"]));
    assert_eq!(stand.inbox("+819012340008").await.len(), 1);
}

#[tokio::test]
async fn a_full_carrier_takes_nothing() {
    let stand = Stand::open().await;
    assert_eq!(stand.sakura("+819012340010", "code 123456").await.unwrap().status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(stand.inbox("+819012340010").await.is_empty());
    assert_eq!(stand.fuji("+819012340010", "m1", "code 123456").await.unwrap().status(), StatusCode::OK);
    assert_eq!(stand.inbox("+819012340010").await, ["fuji: code 123456"]);
}

#[tokio::test]
async fn a_lost_text_arrives_by_the_other_carrier() {
    let stand = Stand::open().await;
    let number = "+819012340009";
    stand.sakura(number, "code 123456").await.unwrap();
    stand.sakura(number, "code 123456").await.unwrap();
    assert!(stand.inbox(number).await.is_empty());
    stand.fuji(number, "m1", "code 123456\n@example.com #123456").await.unwrap();
    assert_eq!(stand.inbox(number).await, ["fuji: code 123456\n@example.com #123456"]);
}

#[tokio::test]
async fn a_caller_that_hangs_up_does_not_undo_what_the_carrier_began() {
    let stand = Stand::open().await;
    let body = json!({ "contacts": [{ "phone_number": "09012340001" }], "text_message": "code 123456" }).to_string();
    let head = "POST /api/v1/delivery HTTP/1.1\r\nhost: sakura\r\ntoken: sakura token\r\naccept: application/json\r\n\
                content-type: application/json\r\n";
    let address = stand.sandbox.urls().sakura.trim_start_matches("http://").to_owned();
    let mut line = TcpStream::connect(address).await.unwrap();
    line.write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes()).await.unwrap();
    line.shutdown().await.unwrap();
    drop(line);
    stand.door.wait("/receipts/sakura", 1).await;
    assert_eq!(stand.inbox(WORKS).await, ["sakura: code 123456"]);
}

#[tokio::test]
async fn a_poke_that_is_not_accepted_is_sent_again() {
    let stand = Stand::open().await;
    stand.door.fail_next(2);
    stand.sakura(WORKS, "code 123456").await.unwrap();
    assert_eq!(stand.door.wait("/receipts/sakura", 3).await.len(), 3);
}

#[tokio::test]
async fn a_contact_that_cannot_be_reached_is_said_so_inside_a_200() {
    let stand = Stand::open().await;
    for (number, code) in [
        ("", "RST200002"),
        ("+81312340011", "RST200003"),
        ("0800-123-4567", "RST200005"),
        ("05012345678", "RST200005"),
        ("06012345678", "RST200005"),
        ("02012345678", "RST200001"),
        ("０９０１２３４０００１", "RST200001"),
    ] {
        let answer: Value = stand.sakura(number, "code 123456").await.unwrap().json().await.unwrap();
        assert_eq!(answer["contacts"][0]["result_code"], code, "{number}");
    }
    let long: Value = stand.sakura(WORKS, &"\n".repeat(331)).await.unwrap().json().await.unwrap();
    assert_eq!(long["contacts"][0]["result_code"], "RST200008", "a line break counts twice");
}

#[tokio::test]
async fn what_the_vendor_would_not_understand_is_refused() {
    let stand = Stand::open().await;
    let url = format!("{}/api/v1/delivery", stand.sandbox.urls().sakura);
    let contacts = json!([{ "phone_number": "09012340001" }]);
    let send = async |token: &str, body: Value| {
        let request = stand.client.post(&url).header("token", token).header("accept", "application/json");
        request.json(&body).send().await.unwrap().status()
    };
    let good = json!({ "contacts": contacts, "text_message": "hello" });
    assert_eq!(send("wrong", good.clone()).await, StatusCode::UNAUTHORIZED);
    for bad in [
        json!({ "contacts": contacts }),
        json!({ "contacts": [], "text_message": "hello" }),
        json!({ "contacts": contacts, "text_message": "hello", "validity": 5 }),
        json!({ "contacts": contacts, "text_message": "four bytes 😀" }),
        json!({ "contacts": contacts, "text_message": "" }),
        json!({ "contacts": contacts, "text_message": "hello", "delivery_name": "n".repeat(256) }),
    ] {
        assert_eq!(send("sakura token", bad.clone()).await, StatusCode::BAD_REQUEST, "{bad}");
    }
    assert_eq!(send("sakura token", good).await, StatusCode::OK);
    let unsigned = stand.client.get(format!("{}/api/v1/delivery_results", stand.sandbox.urls().sakura));
    assert_eq!(unsigned.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
}
