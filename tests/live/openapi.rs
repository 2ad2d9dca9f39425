//! The served OpenAPI document against the running program: what it lists is there and answers as it says.

use reqwest::Method;
use serde_json::{Value, json};

use crate::caller::{Answer, Caller};
use crate::up::Up;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
/// Listed or not, every operation may be refused for these.
const ANYWHERE: [u16; 2] = [404, 405];

/// Parameters of the documented paths that lead to something that is there.
async fn examples(caller: &Caller) -> (String, String) {
    let code = caller.send("+819012343001", json!({})).await;
    let body = json!({ "to": "+819012343002", "text": "hello", "purpose": "notice" });
    let text = caller.post("/v1/messages", &body).await.json()["id"].as_str().expect("an id").to_owned();
    (code, text)
}

async fn ask(caller: &Caller, method: &str, path: &str) -> Answer {
    let method = Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
    let body = if method == Method::GET { "" } else { "{}" };
    caller.ask(method, path, body, &[]).await
}

#[tokio::test]
async fn every_documented_operation_is_there_and_answers_with_a_documented_status() {
    let up = Up::start();
    let caller = up.caller();
    let document = caller.get("/openapi.json").await;
    assert_eq!(document.status, 200);
    let document = document.json();
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")), "{}", document["openapi"]);

    let (code, text) = examples(&caller).await;
    let mut operations = 0;
    for (template, item) in document["paths"].as_object().expect("paths") {
        let id = if template.starts_with("/v1/messages") { &text } else { &code };
        let provider = if template.starts_with("/voice") { "kodama" } else { "fuji" };
        let path = template.replace("{id}", id).replace("{provider}", provider);
        let path = path.replace("{leg}", "1").replace("{tag}", "x");
        assert!(!path.contains('{'), "{template} has a parameter that this test does not know");
        for method in METHODS.into_iter().filter(|method| item.get(method).is_some()) {
            operations += 1;
            let answer = ask(&caller, method, &path).await;
            assert!(!ANYWHERE.contains(&answer.status), "{method} {template}: {answer:?}");
            let documented = &item[method]["responses"][answer.status.to_string()];
            assert_ne!(documented, &Value::Null, "{method} {template} does not document {answer:?}");
        }
    }
    assert!(operations >= 17, "only {operations} operations are documented");
    for (method, path, status) in [("get", "/v1/nothing", 404), ("delete", "/v1/verifications", 405)] {
        assert_eq!(ask(&caller, method, path).await.status, status, "{path}: the others could have failed");
    }
}
