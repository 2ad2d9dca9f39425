//! What whoever runs a house must know before a machine or a route goes: what is lost with it.

use serde_json::{Value, json};

use crate::house::House;
use crate::journeys::phone;
use crate::until::until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_without_a_route_in_use_are_refused() {
    let house = House::open().await;
    assert_eq!(house.check_without("jp-fuji")["ok"], true, "nothing was sent yet");
    let acme = house.caller("acme");
    let id = acme.send(&phone(40), json!({ "ttl_seconds": 600 })).await;
    let sent = acme.until_status(&id, "delivered").await;
    assert_eq!(sent["legs"][0]["route_id"], "jp-sakura", "{sent}");

    let refused = async || Some(house.check_without("jp-sakura")).filter(|verdict| verdict["ok"] == false);
    let verdict = until("the route is told to be in use", refused, async || house.log("otodoke-worker")).await;
    let problem = &verdict["problems"][0];
    assert_eq!((&problem["key"], &problem["value"]), (&json!("route"), &json!("jp-sakura")), "{verdict}");
    let until_when = sent["useful_until"].as_str().expect("a time");
    assert!(problem["remedy"].as_str().is_some_and(|remedy| remedy.contains(until_when)), "{verdict}");
    assert_eq!(verdict["unchecked"], Value::Null);
    assert_eq!(house.check_without("jp-fuji")["ok"], true, "nobody used that one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_broker_and_no_standby_survive_is_told() {
    let house = House::open().await;
    let check = |more: &[&str]| {
        let said = house.type_in(&[&["topology", "check"], more].concat());
        serde_json::from_str::<Value>(&said).expect("an answer in JSON")["survives"].clone()
    };
    let unasked = check(&[]);
    assert_eq!(unasked[0]["a_machine"], Value::Null, "AMQP does not tell: {unasked}");
    let told = check(&["--management-url", &house.rabbit.management_url()]);
    let says = |which: usize, words: &str| told[which]["why"].as_str().is_some_and(|why| why.contains(words));
    assert_eq!((&told[0]["a_machine"], &told[1]["a_machine"]), (&json!(false), &Value::Null), "{told}");
    assert!(says(0, "otodoke.normal has 1 of 3 members"), "{told}");
    assert!(says(1, "synchronous_standby_names is empty"), "{told}");
}
