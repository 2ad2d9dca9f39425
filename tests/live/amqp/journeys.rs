//! What a tenant's program publishes arrives.

use otodoke_common::clock::Clock;
use otodoke_common::dice::Dice;
use otodoke_common::message::MessageId;
use serde_json::{Value, json};

use crate::caller::{Caller, legs};
use crate::handset::Handset;
use crate::house::House;
use crate::publisher::{Letter, now_s};
use crate::until::until;

const NOTICES: usize = 200;
const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

pub(crate) fn new_id() -> String {
    MessageId::new(Clock::system().now(), Dice::system().id_bits()).to_string()
}

/// A phone that works.
pub(crate) fn phone(person: usize) -> String {
    format!("+8190{:04}1{:03}", 2_345 + person / 1_000, person % 1_000)
}

fn one_text(handset: &Handset) -> bool {
    handset.texts.len() == 1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_tenants_program_publishes_arrives_and_is_the_tenants_at_the_door() {
    let house = House::open().await;
    let acme = house.caller("acme");
    a_code_arrives_and_verifies(&house, &acme).await;
    a_payment_names_its_transaction(&house, &acme).await;
    a_notice_arrives(&house, &acme).await;
    another_lane_than_its_own_is_not_taken_for_its_own(&house, &acme).await;
    its_life_begins_when_it_was_sent(&house, &acme).await;
    many_arrive(&house).await;
    assert_eq!(house.parked(), Vec::<Value>::new());
    for name in ["otodoke-producer", "otodoke-worker"] {
        let log = house.log(name);
        let personal = ["902345", "YAMADA", "1234567", "The lift works"];
        assert_eq!(personal.into_iter().find(|word| log.contains(word)), None, "{name} logs nothing personal");
    }
}

async fn a_code_arrives_and_verifies(house: &House, acme: &Caller) {
    let (id, to) = (new_id(), phone(1));
    let body = json!({"kind": "code", "to": to, "purpose": "login", "metadata": {"order": "A-1"}});
    let parent = format!("00-{TRACE_ID}-00f067aa0ba902b7-01");
    let letter = Letter::new(&id, "normal", &body).header("traceparent", parent);
    // Twice, as a program does that did not hear the confirmation.
    house.publisher("acme-app").publish(&[letter.clone(), letter]);
    acme.until_status(&id, "delivered").await;
    let handset = house.phones.handset(&to).await;
    assert!(one_text(&handset), "a repeat is harmless: {handset:?}");
    assert_eq!(house.caller("beta").get(&format!("/v1/verifications/{id}")).await.status, 404, "it is not beta's");
    assert_eq!(acme.check(&id, &handset.texts[0].code()).await, "verified");
    let log = house.log("otodoke-worker");
    let told = |line: &str| line.contains(&id) && line.contains(TRACE_ID);
    assert!(log.lines().any(told), "the worker's lines about it carry its trace: {log}");
}

async fn a_payment_names_its_transaction(house: &House, acme: &Caller) {
    let (id, to) = (new_id(), phone(2));
    let payee = json!({"name": "YAMADA TARO", "account": "1234567"});
    let transaction = json!({"amount": "12000", "currency": "JPY", "payee": payee});
    let body = json!({"kind": "code", "to": to, "purpose": "payment", "transaction": transaction});
    house.publisher("acme-app").publish(&[Letter::new(&id, "critical", &body)]);
    let handset = house.phones.until_phone((&to, &id), "the payment's code arrives", one_text).await;
    let text = &handset.texts[0].text;
    assert!(text.contains("12,000") && text.contains("YAMADA TARO"), "{text}");
    let code = text.split(|c: char| !c.is_ascii_digit()).find(|run| run.len() == 6).expect("six digits");
    let check = json!({"code": code, "to": to, "transaction": transaction});
    let answer = acme.post(&format!("/v1/verifications/{id}/check"), &check).await;
    assert_eq!(answer.json()["status"], "verified", "{}", answer.text);
}

async fn a_notice_arrives(house: &House, acme: &Caller) {
    let (id, to) = (new_id(), phone(3));
    let body = json!({"kind": "text", "to": to, "text": "The lift works again."});
    house.publisher("acme-app").publish(&[Letter::new(&id, "bulk", &body)]);
    let handset = house.phones.until_phone((&to, &id), "the notice arrives", one_text).await;
    assert_eq!(handset.texts[0].text, "The lift works again.");
    assert_eq!(acme.get(&format!("/v1/messages/{id}")).await.json()["purpose"], "notice");
}

async fn another_lane_than_its_own_is_not_taken_for_its_own(house: &House, acme: &Caller) {
    let (id, to) = (new_id(), phone(4));
    let body = json!({"kind": "code", "to": to, "purpose": "login"});
    house.publisher("acme-app").publish(&[Letter::new(&id, "critical", &body)]);
    let message = acme.until_status(&id, "delivered").await;
    assert_eq!(legs(&message).len(), 1, "{message}");
    let body = house.query(&format!("SELECT encode(body, 'hex') FROM message WHERE id = '{id}'"));
    let body = data_encoding::HEXLOWER.decode(body.trim().as_bytes()).expect("the server writes hex");
    let row = otodoke_common::wire::decode_row(&body).expect("a row");
    assert_eq!(row.lane, otodoke_common::message::Lane::Normal, "it goes by the lane of its purpose");
}

async fn its_life_begins_when_it_was_sent(house: &House, acme: &Caller) {
    let (id, to, sent_at) = (new_id(), phone(5), now_s() - 40);
    let body = json!({"kind": "code", "to": to, "purpose": "login", "ttl_seconds": 100});
    house.publisher("acme-app").publish(&[Letter::new(&id, "normal", &body).property("timestamp", sent_at)]);
    let message = acme.until_status(&id, "delivered").await;
    let until = otodoke_common::time::Timestamp::from_unix_ms((sent_at + 100) * 1_000).rfc3339();
    assert_eq!(message["useful_until"], *until, "{message}");
}

async fn many_arrive(house: &House) {
    let letter = |person: usize| {
        let body = json!({"kind": "text", "to": phone(1_000 + person), "text": format!("Notice {person}.")});
        Letter::new(&new_id(), "bulk", &body)
    };
    let letters: Vec<Letter> = (0..NOTICES).map(letter).collect();
    house.publisher("acme-app").publish(&letters);
    let arrived = async |person: usize| one_text(&house.phones.handset(&phone(1_000 + person)).await).then_some(());
    for person in 0..NOTICES {
        until("every notice arrives", async || arrived(person).await, async || format!("not to {person}")).await;
    }
}
