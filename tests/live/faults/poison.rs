//! What a worker cannot bear: a body that it cannot read, and a message that kills it.

use std::time::Duration;

use otodoke_common::broker::{Broker, Queue};
use otodoke_common::config::Secret;
use otodoke_common::message::Lane;
use otodoke_common::rabbit::{LinkState, RabbitSettings};
use otodoke_tests::servers::rabbit::connect;
use serde_json::Value;

use crate::house::House;
use crate::load::phone;
use crate::trial::{last_person, try_fault, try_fault_in};
use crate::until::until;

const POISON: &[u8] = b"{\"v\":1,\"wake\":\"no id at all\"}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poison_body_is_parked_and_holds_nobody_up() {
    let figures = try_fault("poison body", async |house| {
        let url = Secret::new(house.rabbit.url_through(house.rabbit.port()));
        let broker = connect(&RabbitSettings::new(vec![url]));
        broker.wait_for(|state| matches!(state, LinkState::Up { .. })).await;
        broker.publish(Queue::Lane(Lane::Normal), POISON.to_vec()).await.expect("published");
        broker.close().await;
        let house = &*house;
        let list = || house.type_in(&["parked", "list"]);
        let parked = async || {
            let parked: Value = serde_json::from_str(&list()).expect("a list");
            parked.as_array().filter(|parked| !parked.is_empty()).cloned()
        };
        let parked = until("the poison is parked", parked, async || list()).await;
        assert_eq!(parked.len(), 1, "{parked:?}");
        assert_eq!((&parked[0]["queue"], &parked[0]["bytes"]), (&"normal".into(), &POISON.len().into()), "{parked:?}");
    });
    figures.await.account();
}

const DEATHS: usize = 3;
const DEATH_MS_MAX: u64 = 120_000;
/// Promise 4, and the repeats of one request that a provider knows by its id.
const REQUESTS_MAX: usize = 4 + 2;
const TEXTS_MAX: usize = 4;

/// Each time a text for one phone is on its way to a carrier, every worker dies before the answer; the text is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_kills_its_worker_three_times_is_neither_lost_nor_sent_for_ever() {
    let mut house = House::open().await;
    let number = phone(last_person());
    let toll = house.put_toll(&number).await;
    let figures = try_fault_in(house, "poison message", async |house| {
        let mut before = 0;
        for death in 1..=DEATHS {
            let arrived = tokio::time::timeout(Duration::from_millis(DEATH_MS_MAX), toll.arrived(before)).await;
            assert!(arrived.is_ok(), "after {} deaths no text of it came within {DEATH_MS_MAX} ms", death - 1);
            house.kill_workers().await;
            before = toll.seen();
            if death == DEATHS {
                toll.open();
            }
            house.start_workers().await;
        }
    });
    let figures = figures.await;
    figures.account();
    let (requests, texts) = (toll.seen(), figures.texts_of_last);
    println!(
        "| poison message | {DEATHS} times every worker died | {requests} requests for it | {texts} texts arrived |"
    );
    assert!((DEATHS + 1..=REQUESTS_MAX).contains(&requests), "{requests} requests");
    assert!((1..=TEXTS_MAX).contains(&texts), "{texts} texts");
}
