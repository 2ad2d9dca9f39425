//! A body on a lane that no worker can read.

use otodoke_common::broker::{Broker, Queue};
use otodoke_common::config::Secret;
use otodoke_common::message::Lane;
use otodoke_common::rabbit::{LinkState, RabbitSettings};
use otodoke_tests::servers::rabbit::connect;
use serde_json::Value;

use crate::trial::try_fault;
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
