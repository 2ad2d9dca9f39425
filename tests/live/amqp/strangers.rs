//! What a publisher must not do: be another, touch what is another's, speak as one of us, pass the caps.

use serde_json::{Value, json};

use crate::caller::Caller;
use crate::house::House;
use crate::journeys::{new_id, phone};
use crate::publisher::{Letter, now_s};

fn code(to: &str) -> Value {
    json!({"kind": "code", "to": to, "purpose": "login"})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_touches_nothing_but_its_own() {
    let house = House::open().await;
    nobody_is_another_user(&house);
    nobody_takes_an_id_over(&house).await;
    nobody_speaks_as_one_of_us(&house).await;
    whoever_is_not_known_is_parked(&house).await;
    what_cannot_be_read_is_parked(&house).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_done_ends_with_its_reason() {
    let house = House::open().await;
    let acme = house.caller("acme");
    caps_hold(&house, &acme).await;
    an_equal_living_message_goes_on_instead(&house, &acme).await;
    let late = Letter::new(&new_id(), "normal", &code(&phone(20))).property("timestamp", now_s() - 3_600);
    ends(&house, &acme, late, "too_late").await;
    for (body, reason) in [
        (code("+81901"), "invalid_number"),
        (code("+12025550123"), "unsupported_country"),
        (json!({"kind": "code", "to": phone(21), "purpose": "login", "ttl_seconds": 5}), "unacceptable"),
        (json!({"kind": "code", "to": phone(21), "purpose": "payment"}), "unacceptable"),
        (json!({"kind": "code", "to": phone(21), "purpose": "login", "template": "nowhere"}), "unacceptable"),
    ] {
        ends(&house, &acme, Letter::new(&new_id(), "normal", &body), reason).await;
    }
    assert!(house.phones.handset(&phone(21)).await.texts.is_empty(), "nothing was sent");
    assert_eq!(house.parked(), Vec::<Value>::new(), "what ends is not parked");
}

async fn ends(house: &House, acme: &Caller, letter: Letter, reason: &str) {
    let id = letter.properties["message_id"].as_str().expect("an id").to_owned();
    house.publisher("acme-app").publish(&[letter]);
    let message = acme.until_status(&id, "failed").await;
    assert_eq!(message["failure"]["reason"], reason, "{}", acme.story(&id).await);
    assert!(message["failure"]["guidance"].as_str().is_some_and(|guidance| !guidance.is_empty()), "{message}");
}

async fn caps_hold(house: &House, acme: &Caller) {
    let body = json!({"kind": "code", "to": phone(10), "purpose": "login", "separate": true});
    let ids: Vec<String> = (0..6).map(|_| new_id()).collect();
    for id in &ids {
        house.publisher("acme-app").publish(&[Letter::new(id, "normal", &body)]);
        acme.until(id, "it is judged", |message| message["status"] != "accepted" && message["id"] == **id).await;
    }
    let mut failed = Vec::new();
    for id in &ids {
        let message = acme.until(id, "it comes to something", |message| {
            ["delivered", "failed"].map(Value::from).contains(&message["status"])
        });
        failed.push(message.await["failure"]["reason"].clone());
    }
    assert_eq!(failed, [json!(null), json!(null), json!(null), json!(null), json!(null), json!("over_limit")]);
    // The same cap as at the door.
    let answer = acme.post("/v1/verifications", &json!({"to": phone(10), "purpose": "login", "separate": true})).await;
    assert_eq!(answer.status, 429, "{}", answer.text);
}

async fn an_equal_living_message_goes_on_instead(house: &House, acme: &Caller) {
    let (first, second) = (new_id(), Letter::new(&new_id(), "normal", &code(&phone(11))));
    house.publisher("acme-app").publish(&[Letter::new(&first, "normal", &code(&phone(11)))]);
    acme.until_status(&first, "delivered").await;
    ends(house, acme, second, "duplicate").await;
    let text = house.phones.handset(&phone(11)).await.texts[0].code();
    assert_eq!(acme.check(&first, &text).await, "verified");
}

fn nobody_is_another_user(house: &House) {
    let mallory = house.publisher("mallory");
    let letter = Letter::new(&new_id(), "normal", &code(&phone(30)));
    let refused = mallory.try_publish(&[letter.clone().property("user_id", "acme-app")]);
    assert_eq!(refused[0]["code"], 406, "the broker knows who is logged in: {refused:?}");
    let refused = mallory.try_publish(&[letter.clone().property("user_id", "guest")]);
    assert_eq!(refused[0]["code"], 406, "{refused:?}");
    let by_name = Letter { exchange: "", key: "otodoke.normal".to_owned(), ..letter };
    assert_eq!(mallory.try_publish(&[by_name])[0]["code"], 403, "who may send may not write to any queue");
}

async fn nobody_takes_an_id_over(house: &House) {
    let (acme, beta) = (house.caller("acme"), house.caller("beta"));
    let (id, theirs, mine) = (new_id(), phone(31), phone(32));
    house.publisher("acme-app").publish(&[Letter::new(&id, "normal", &code(&theirs))]);
    acme.until_status(&id, "delivered").await;
    let before = acme.get(&format!("/v1/trace/{id}")).await.text;
    house.publisher("beta-app").publish(&[Letter::new(&id, "normal", &code(&mine))]);
    let parked = house.until_parked("is the id of another message").await;
    assert_eq!((&parked["queue"], &parked["user"]), (&json!("normal"), &json!("beta-app")), "{parked}");
    assert_eq!(acme.get(&format!("/v1/trace/{id}")).await.text, before, "nothing of it changed");
    assert_eq!(beta.get(&format!("/v1/verifications/{id}")).await.status, 404, "nothing of it is told");
    assert!(house.phones.handset(&mine).await.texts.is_empty());
    drop_it(house, &parked);
}

/// The bodies of our own programs count only when they are ours, also when a person replays them.
async fn nobody_speaks_as_one_of_us(house: &House) {
    let acme = house.caller("acme");
    let id = new_id();
    house.publisher("acme-app").publish(&[Letter::new(&id, "normal", &code(&phone(33)))]);
    acme.until_status(&id, "delivered").await;
    let before = acme.get(&format!("/v1/trace/{id}")).await.text;
    let wake = json!({"v": 1, "what": {"wake": id}});
    house.publisher("beta-app").publish(&[Letter::new(&new_id(), "normal", &wake)]);
    for _ in 0..2 {
        let parked = house.until_parked("the form of our own programs' bodies").await;
        house.type_in(&["parked", "replay", &parked["parked_id"].to_string()]);
    }
    drop_it(house, &house.until_parked("the form of our own programs' bodies").await);
    // Even with the right to write to any queue by its name.
    house.rabbit.control(&["set_permissions", "mallory", "^$", "^(otodoke\\.send|amq\\.default)$", "^$"]);
    let about = json!({"leg": {"id": id, "leg": 1}});
    let failed = json!({"failed": {"class": "owner_changed", "scope": "number", "code": "1", "retry_after_ms": null}});
    let report = json!({"provider": "sakura", "about": about, "status": failed, "proof": "signature", "at": now_s() * 1_000,
        "happened_at": null});
    let reports = json!({"v": 1, "reports": [report]});
    let forged = Letter { exchange: "", ..Letter::new(&new_id(), "otodoke.receipts", &reports) };
    house.publisher("mallory").publish(&[forged]);
    drop_it(house, &house.until_parked("reports are published by our own programs alone").await);
    assert_eq!(acme.get(&format!("/v1/trace/{id}")).await.text, before, "nothing of it changed");
}

async fn whoever_is_not_known_is_parked(house: &House) {
    let letter = || Letter::new(&new_id(), "normal", &code(&phone(34)));
    for (user, letter, reason) in [
        ("mallory", letter(), "is no tenant's"),
        ("acme-app", letter().property("user_id", Value::Null), "set no `user_id`"),
        ("beta-app", letter().header("otodoke-tenant", "acme"), "is one tenant's"),
        ("guest", letter().header("otodoke-tenant", "faults"), "may not publish in the clear"),
    ] {
        house.publisher(user).publish(&[letter]);
        drop_it(house, &house.until_parked(reason).await);
    }
    assert!(house.phones.handset(&phone(34)).await.texts.is_empty());
    // One of our own users may speak for a tenant that it names.
    let (id, acme) = (new_id(), house.caller("acme"));
    let named = Letter::new(&id, "normal", &code(&phone(35))).header("otodoke-tenant", "acme");
    house.publisher("guest").publish(&[named]);
    acme.until_status(&id, "delivered").await;
}

async fn what_cannot_be_read_is_parked(house: &House) {
    let letter = || Letter::new(&new_id(), "normal", &code(&phone(36)));
    let kind = json!({"kind": "call", "to": phone(36), "purpose": "login"});
    for (letter, reason) in [
        (Letter { body: "{\"kind\":".to_owned(), ..letter() }, "not JSON"),
        (Letter::new(&new_id(), "normal", &kind), "`kind` must be one of"),
        (letter().property("message_id", "order-1"), "must be a UUID"),
        (letter().header("otodoke-version", 2), "`otodoke-version` is 2"),
        (letter().property("content_type", "text/plain"), "content type"),
    ] {
        house.publisher("acme-app").publish(&[letter]);
        drop_it(house, &house.until_parked(reason).await);
    }
    assert!(house.phones.handset(&phone(36)).await.texts.is_empty());
}

fn drop_it(house: &House, parked: &Value) {
    house.type_in(&["parked", "drop", &parked["parked_id"].to_string()]);
    assert_eq!(house.parked(), Vec::<Value>::new(), "nothing else was parked");
}
