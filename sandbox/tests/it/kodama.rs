//! `kodama` speaks Twilio Calls, and the person or machine that answers behaves as the table says.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::door::ANNOUNCE;
use crate::stand::{KODAMA_SID, KODAMA_TOKEN, Stand, signature};

const STATUS: &str = "/receipts/kodama";

fn announce(stand: &Stand) -> String {
    format!("{}/voice/announce?leg=1", stand.door.url)
}

#[tokio::test]
async fn a_person_presses_the_announced_digit_and_hears_the_code() {
    let stand = Stand::open().await;
    for number in ["+819012340002", "+81312340011"] {
        let call = stand.kodama(number, &[("Url", &announce(&stand))]).await;
        assert_eq!(call["status"], "queued");
        let ended = stand.ended_call(number).await;
        assert_eq!((&ended["answered_by"], &ended["status"]), (&json!("person"), &json!("completed")));
        let heard: Vec<_> = ended["transcript"].as_str().unwrap().split('\n').collect();
        let code = "1、2、3、4、5、6";
        let announcement = "12,000円のお支払いです。コードを聞くには7を押してください。";
        assert_eq!(heard, [announcement, "[presses 7]", code, code, "さようなら"]);
    }
}

#[tokio::test]
async fn every_request_of_a_call_is_signed() {
    let stand = Stand::open().await;
    let events =
        [("StatusCallbackEvent", "initiated"), ("StatusCallbackEvent", "ringing"), ("StatusCallbackEvent", "answered")];
    let url = announce(&stand);
    let mut fields = vec![("Url", url.as_str()), ("StatusCallbackEvent", "completed"), ("MachineDetection", "Enable")];
    fields.extend(events);
    let call = stand.kodama("+819012340001", &fields).await;
    let posts = stand.door.wait(STATUS, 4).await;
    let mut statuses: Vec<_> = posts.iter().filter_map(|post| post.field("CallStatus")).collect();
    statuses.sort();
    assert_eq!(statuses, ["completed", "in-progress", "queued", "ringing"]);
    let last = posts.iter().find(|post| post.field("CallStatus").as_deref() == Some("completed")).unwrap();
    assert_eq!(last.field("AnsweredBy").as_deref(), Some("human"));
    assert!(last.field("CallDuration").unwrap().parse::<u32>().unwrap() >= 1);
    let fetched = stand.door.came("/voice/announce");
    let pressed = stand.door.came("/voice/pressed");
    assert_eq!(pressed[0].field("Digits").as_deref(), Some("7"));
    for request in posts.iter().chain(&fetched).chain(&pressed) {
        let url = format!("{}{}", stand.door.url, request.target);
        let expected = signature(KODAMA_TOKEN, &url, &request.form());
        assert_eq!(request.headers["x-twilio-signature"], expected.as_str(), "{}", request.target);
        assert_eq!(request.field("CallSid").as_deref(), call["sid"].as_str());
    }
}

#[tokio::test]
async fn a_machine_plays_its_recorded_tone_and_never_hears_the_code() {
    let stand = Stand::open().await;
    stand.kodama("+819012340012", &[("Url", &announce(&stand)), ("MachineDetection", "Enable")]).await;
    let ended = stand.ended_call("+819012340012").await;
    assert_eq!(ended["answered_by"], "voicemail");
    let transcript = ended["transcript"].as_str().unwrap();
    assert!(transcript.contains("[a recorded tone: 1]") && !transcript.contains("1、2、3"), "{transcript}");
    assert_eq!(stand.door.came("/voice/pressed")[0].field("Digits").as_deref(), Some("1"));
    assert_eq!(stand.door.wait(STATUS, 1).await[0].field("AnsweredBy").as_deref(), Some("machine_start"));
}

#[tokio::test]
async fn a_call_that_nobody_answers_or_that_does_not_connect_speaks_to_nobody() {
    let stand = Stand::open().await;
    for (index, (number, status)) in [("+819012340003", "failed"), ("+819012340005", "no-answer")].iter().enumerate() {
        stand.kodama(number, &[("Url", &announce(&stand))]).await;
        let post = stand.door.wait(STATUS, index + 1).await[index].clone();
        assert_eq!(post.field("CallStatus").as_deref(), Some(*status));
        let ended = stand.ended_call(number).await;
        assert_eq!((&ended["answered_by"], &ended["transcript"]), (&Value::Null, &json!("")), "{number}");
    }
    assert!(stand.door.came("/voice/announce").is_empty());
}

#[tokio::test]
async fn a_caller_may_end_the_call_once() {
    let stand = Stand::open().await;
    let silent =
        "<Response><Gather timeout=\"9\"><Say>Listen.</Say></Gather><Gather/><Gather/><Gather/><Gather/></Response>";
    let call = stand.kodama("+819012340001", &[("Twiml", silent)]).await;
    let url = format!("{}{}", stand.sandbox.urls().kodama, call["uri"].as_str().unwrap());
    let account = (KODAMA_SID, KODAMA_TOKEN);
    let ended = stand.post_form(&url, account, &[("Status", "completed")]).await.unwrap();
    assert_eq!(ended.status(), StatusCode::OK);
    let post = stand.door.wait(STATUS, 1).await[0].clone();
    assert!(matches!(post.field("CallStatus").as_deref(), Some("completed" | "canceled")));
    let again = stand.post_form(&url, account, &[("Status", "completed")]).await.unwrap();
    assert_eq!(again.json::<Value>().await.unwrap()["code"], 21220);
    let fetched = stand.client.get(&url).basic_auth(KODAMA_SID, Some(KODAMA_TOKEN)).send().await.unwrap();
    assert_eq!(fetched.json::<Value>().await.unwrap()["status"].as_str(), post.field("CallStatus").as_deref());
}

#[tokio::test]
async fn a_document_that_cannot_be_had_ends_the_call() {
    let stand = Stand::open().await;
    stand.kodama("+819012340001", &[("Url", &format!("{}/voice/broken", stand.door.url))]).await;
    let ended = stand.ended_call("+819012340001").await;
    assert_eq!(ended["status"], "completed");
    assert!(ended["transcript"].as_str().unwrap().contains("an application error"), "{ended}");
}

#[tokio::test]
async fn digits_said_one_by_one_are_noted_in_one_line() {
    let stand = Stand::open().await;
    let digits = |code: &str| code.chars().map(|digit| format!("<Say>{digit}</Say><Pause/>")).collect::<String>();
    let spoken = format!("<Response><Say>Code</Say>{0}<Say>Once more</Say>{0}</Response>", digits("042137"));
    stand.kodama("+819012340001", &[("Twiml", &spoken)]).await;
    let transcript = stand.ended_call("+819012340001").await["transcript"].clone();
    assert_eq!(transcript, "Code\n0 4 2 1 3 7\nOnce more\n0 4 2 1 3 7");
}

#[tokio::test]
async fn a_document_may_come_with_the_call() {
    let stand = Stand::open().await;
    let document = ANNOUNCE.replace("/voice/pressed", &format!("{}/voice/pressed", stand.door.url));
    stand.kodama("+819012340001", &[("Twiml", &document)]).await;
    assert!(stand.ended_call("+819012340001").await["transcript"].as_str().unwrap().contains("1、2、3"));
}

#[tokio::test]
async fn what_the_vendor_would_not_understand_is_refused_with_its_code() {
    let stand = Stand::open().await;
    let url = format!("{}/2010-04-01/Accounts/{KODAMA_SID}/Calls.json", stand.sandbox.urls().kodama);
    let (to, from, twiml) = (("To", "+819012340001"), ("From", "+81312345678"), ("Twiml", "<Response/>"));
    for (fields, code) in [
        (vec![from, twiml], 21604),
        (vec![to, twiml], 21213),
        (vec![to, from], 21205),
        (vec![to, from, ("Url", "nowhere")], 21205),
        (vec![to, from, twiml, ("Timeout", "0")], 20001),
        (vec![to, from, twiml, ("StatusCallbackEvent", "busy")], 21626),
        (vec![to, from, twiml, ("Method", "GET")], 21207),
        (vec![to, from, twiml, ("Body", "hello")], 20001),
    ] {
        let answer = stand.post_form(&url, (KODAMA_SID, KODAMA_TOKEN), &fields).await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        assert_eq!(answer.json::<Value>().await.unwrap()["code"], code, "{fields:?}");
    }
    let wrong = stand.post_form(&url, (KODAMA_SID, "wrong"), &[to, from, twiml]).await.unwrap();
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    assert!(stand.handset("+819012340001").await["calls"].as_array().unwrap().is_empty());
}
