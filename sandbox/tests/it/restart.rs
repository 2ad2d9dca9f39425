//! What a phone showed is there after a restart, and what was owed is sent.

use std::fs;
use std::time::Duration;

use otodoke_sandbox::Sandbox;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::stand::{Stand, settings};

#[tokio::test]
async fn inboxes_and_transcripts_survive_and_ids_are_still_known() {
    let stand = Stand::open().await;
    let delivery: Value = stand.sakura("+819012340001", "code 123456").await.unwrap().json().await.unwrap();
    stand.fuji("+819012340001", "m1", "code 123456").await.unwrap();
    stand.kodama("+819012340001", &[("Url", &format!("{}/voice/announce", stand.door.url))]).await;
    stand.ended_call("+819012340001").await;
    stand.door.wait("/receipts/kodama", 1).await;
    let before = stand.handset("+819012340001").await;
    let Stand { sandbox, door, dir, .. } = stand;
    sandbox.stop().await;

    let stand = Stand::over(dir, door).await;
    assert_eq!(stand.handset("+819012340001").await, before);
    let id = delivery["delivery_id"].as_str().unwrap();
    assert_eq!(stand.sakura_results(&format!("delivery_id[]={id}")).await["contacts"][0]["status"], 200);
    let again: Value = stand.fuji("+819012340001", "m1", "code 123456").await.unwrap().json().await.unwrap();
    assert_eq!(again["messages"][0]["status"]["id"], 23);
}

#[tokio::test]
async fn receipts_still_owed_are_sent_after_a_restart() {
    let stand = Stand::open().await;
    stand.door.fail_next(1);
    stand.fuji("+819012340001", "m1", "code 123456").await.unwrap();
    let Stand { sandbox, door, dir, .. } = stand;
    // Before the first receipt was accepted.
    sandbox.stop().await;
    assert!(door.came("/receipts/fuji").len() <= 1);
    door.fail_next(0);
    let came = door.came("/receipts/fuji").len();

    let stand = Stand::over(dir, door).await;
    let receipts = stand.door.wait("/receipts/fuji", came + 1).await;
    assert_eq!(receipts[came].json()["results"][0]["messageId"], "m1");
}

#[tokio::test]
async fn a_call_cut_off_by_a_stop_rings_again() {
    let stand = Stand::open().await;
    let endless = "<Response><Gather/><Gather/><Gather/><Gather/><Gather/><Gather/></Response>";
    stand.kodama("+819012340001", &[("Twiml", endless)]).await;
    let Stand { sandbox, door, dir, .. } = stand;
    sandbox.stop().await;
    assert!(door.came("/receipts/kodama").is_empty());

    let stand = Stand::over(dir, door).await;
    assert_eq!(stand.ended_call("+819012340001").await["status"], "completed");
    assert_eq!(stand.door.wait("/receipts/kodama", 1).await[0].field("CallStatus").as_deref(), Some("completed"));
}

#[tokio::test]
async fn a_text_torn_by_a_crash_was_never_answered_for_and_a_damaged_book_is_refused() {
    let stand = Stand::open().await;
    stand.sakura("+819012340001", "code 123456").await.unwrap();
    let Stand { sandbox, door, dir, .. } = stand;
    sandbox.stop().await;
    let path = dir.path().join("sandbox/handsets.jsonl");
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{whole}{{\"line\":\"text\",\"carr")).unwrap();
    let stand = Stand::over(dir, door).await;
    assert_eq!(stand.handset("+819012340001").await["messages"].as_array().unwrap().len(), 1);
    let Stand { sandbox, dir, .. } = stand;
    sandbox.stop().await;

    fs::write(&path, format!("garbage\n{whole}")).unwrap();
    let refused = Sandbox::start(settings(dir.path()), CancellationToken::new()).await.err().unwrap();
    assert!(refused.to_string().contains("line 1"), "{refused}");
    assert!(!refused.to_string().contains("+8190"), "{refused}");
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("garbage\n{whole}"));
}

#[tokio::test]
async fn a_hundred_texts_at_once_are_all_kept() {
    let stand = Stand::open().await;
    let destinations =
        |from: u32| (from..from + 10).map(|n| json!({ "to": format!("81901235{n:04}"), "messageId": n.to_string() }));
    let bodies: Vec<Value> = (0..10)
        .map(|n| {
            let destinations: Vec<Value> = destinations(n * 10).collect();
            json!({ "messages": [{ "sender": "O", "destinations": destinations, "content": { "text": "hello" } }] })
        })
        .collect();
    let mut sends = tokio::task::JoinSet::new();
    for body in bodies {
        let url = format!("{}/sms/3/messages", stand.sandbox.urls().fuji);
        let request = stand.client.post(url).header("authorization", "App fuji key").json(&body);
        sends.spawn(async move { request.send().await.unwrap().status() });
    }
    assert!(sends.join_all().await.iter().all(reqwest::StatusCode::is_success));
    let Stand { sandbox, door, dir, .. } = stand;
    sandbox.stop().await;
    let stand = Stand::over(dir, door).await;
    for n in 0..100 {
        assert_eq!(stand.inbox(&format!("+81901235{n:04}")).await, ["fuji: hello"]);
    }
}

#[tokio::test]
async fn a_caller_that_waits_with_half_a_request_does_not_hold_a_stop() {
    let stand = Stand::open().await;
    let address = stand.sandbox.urls().atlas.trim_start_matches("http://").to_owned();
    let mut line = TcpStream::connect(address).await.unwrap();
    line.write_all(b"POST /2010-04-01/Accounts/AC/Messages.json HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nTo")
        .await
        .unwrap();
    let stop = stand.sandbox.stop();
    tokio::time::timeout(Duration::from_secs(20), stop).await.expect("a stop ends");
}
