//! `/sandbox`: the page, its data, and its way to the API.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::stand::{API_KEY, Stand};

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere_and_holds_no_key() {
    let stand = Stand::open().await;
    for path in ["/sandbox", "/sandbox/page.css", "/sandbox/page.js"] {
        let answer = stand.client.get(format!("{}{path}", stand.page)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("http"), "{policy}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        let text = answer.text().await.unwrap();
        assert!(!text.contains("://") && !text.contains(API_KEY) && !text.contains("innerHTML"), "{path}");
    }
}

/// `"leg": false` is also the answer where no route is left: then nobody shall wait for a text.
#[tokio::test]
async fn a_resend_that_leads_nowhere_is_not_told_as_one_that_waits() {
    let stand = Stand::open().await;
    let script =
        stand.client.get(format!("{}/sandbox/page.js", stand.page)).send().await.unwrap().text().await.unwrap();
    assert!(script.contains("may still be on its way, or no way to the phone is left."));
}

#[tokio::test]
async fn an_unknown_handset_is_empty_and_a_wrong_number_is_refused() {
    let stand = Stand::open().await;
    let empty = json!({ "number": "+819012340001", "messages": [], "calls": [] });
    assert_eq!(stand.handset("+819012340001").await, empty);
    assert_eq!(stand.handset("09012340001").await, empty);
    let wrong = || format!("{}/sandbox/handsets/hello", stand.page);
    for (request, status, code) in [
        (stand.client.get(wrong()), StatusCode::UNPROCESSABLE_ENTITY, "invalid_number"),
        (stand.client.delete(wrong()), StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
    ] {
        let refused = request.send().await.unwrap();
        assert_eq!(refused.status(), status);
        assert_eq!(refused.headers()["content-type"], "application/problem+json");
        assert_eq!(refused.json::<Value>().await.unwrap()["code"], code);
    }
}

#[tokio::test]
async fn the_state_changes_when_a_text_arrives_and_is_not_repeated() {
    let stand = Stand::open().await;
    let state = async |query: String| -> Value {
        stand.client.get(format!("{}/sandbox/state{query}", stand.page)).send().await.unwrap().json().await.unwrap()
    };
    let before = state(String::new()).await;
    assert_eq!(before["handsets"], json!([]));
    let text = "<script>alert(1)</script> 123456";
    stand.sakura("+819012340001", text).await.unwrap();
    let after = state(format!("?seen={}", before["version"])).await;
    assert_eq!(after["handsets"][0]["messages"][0]["text"], text);
    assert!(after["handsets"][0]["messages"][0]["at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(state(format!("?seen={}", after["version"])).await, json!({ "version": after["version"] }));
}

#[tokio::test]
async fn the_page_lists_every_number_of_the_table() {
    let stand = Stand::open().await;
    let url = format!("{}/sandbox/numbers", stand.page);
    let rows: Value = stand.client.get(url).send().await.unwrap().json().await.unwrap();
    let numbers: Vec<_> = rows.as_array().unwrap().iter().filter_map(|row| row["number"].as_str()).collect();
    assert_eq!(numbers.len(), 12);
    assert!(numbers.contains(&"+819012340012") && numbers.contains(&"+81312340011"));
}

#[tokio::test]
async fn questions_reach_the_api_with_the_key_and_come_back() {
    let stand = Stand::open().await;
    let post = async |path: &str, body: Value| {
        stand.client.post(format!("{}{path}", stand.page)).json(&body).send().await.unwrap()
    };
    let request = json!({ "to": "+819012340001", "purpose": "login" });
    let asked = post("/sandbox/ask", request.clone()).await;
    assert_eq!(asked.status(), StatusCode::ACCEPTED);
    assert_eq!(asked.json::<Value>().await.unwrap()["id"], "0190-aa");
    let came = &stand.door.came("/v1/verifications")[0];
    assert_eq!((came.json(), came.method.as_str()), (request, "POST"));
    assert_eq!(came.headers["authorization"], format!("Bearer {API_KEY}").as_str());

    post("/sandbox/check", json!({ "id": "0190-aa", "code": "123456" })).await;
    assert_eq!(stand.door.came("/v1/verifications/0190-aa/check")[0].json(), json!({ "code": "123456" }));
    post("/sandbox/resend", json!({ "id": "0190-aa", "channel": "voice" })).await;
    assert_eq!(stand.door.came("/v1/verifications/0190-aa/resend")[0].json(), json!({ "channel": "voice" }));
    let url = format!("{}/sandbox/message/0190-aa", stand.page);
    assert_eq!(stand.client.get(url).send().await.unwrap().json::<Value>().await.unwrap()["status"], "sending");
    assert_eq!(stand.door.came("/v1/verifications/0190-aa")[0].method.as_str(), "GET");
}

#[tokio::test]
async fn another_site_may_not_post_and_an_id_may_not_lead_elsewhere() {
    let stand = Stand::open().await;
    let ask = || stand.client.post(format!("{}/sandbox/ask", stand.page)).json(&json!({ "to": "+819012340001" }));
    for (name, value) in
        [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site"), ("content-type", "text/plain")]
    {
        let request = ask().header(name, value).build().unwrap();
        let mut request = request;
        request.headers_mut().insert(name, value.parse().unwrap());
        assert_eq!(stand.client.execute(request).await.unwrap().status(), StatusCode::FORBIDDEN, "{name}: {value}");
    }
    assert!(stand.door.came("/v1/verifications").is_empty());
    let own = ask().header("origin", &stand.page).header("sec-fetch-site", "same-origin").send().await.unwrap();
    assert_eq!(own.status(), StatusCode::ACCEPTED);
    for id in ["../keys", "a/b", "", "x%2F"] {
        let check = stand.client.post(format!("{}/sandbox/check", stand.page)).json(&json!({ "id": id, "code": "1" }));
        assert_eq!(check.send().await.unwrap().status(), StatusCode::UNPROCESSABLE_ENTITY, "{id}");
    }
}

#[tokio::test]
async fn an_api_that_is_away_is_said_so() {
    let stand = Stand::open().await;
    stand.sandbox.set_api_url("http://127.0.0.1:1");
    let ask = stand.client.post(format!("{}/sandbox/ask", stand.page)).json(&json!({}));
    assert_eq!(ask.send().await.unwrap().status(), StatusCode::BAD_GATEWAY);
}
