//! Connections cut and brokers killed while thousands of publishes are in flight: what was confirmed is there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use otodoke_common::broker::{Broker, BrokerError, Queue};
use otodoke_common::message::Lane;
use otodoke_common::metrics::Metrics;
use otodoke_common::rabbit::{LinkState, Rabbit, RabbitSettings};
use otodoke_tests::servers::proxy::Proxy;
use otodoke_tests::servers::rabbit::{connect, private_rabbit, rabbit, until};
use tokio::task::JoinSet;
use tokio::time::Instant;

const NORMAL: Queue = Queue::Lane(Lane::Normal);
const PUBLISHES: u32 = 2_000;
/// Publishes are as long as a request is.
const BODY_BYTES: usize = 900;

type Published = (u32, Result<(), BrokerError>);

fn publish_all(broker: &Arc<Rabbit>) -> JoinSet<Published> {
    let publish = |number: u32| {
        let broker = Arc::clone(broker);
        async move {
            let mut body = number.to_be_bytes().to_vec();
            body.resize(BODY_BYTES, b'.');
            (number, broker.publish(NORMAL, body).await)
        }
    };
    (0..PUBLISHES).map(publish).collect()
}

/// The numbers that were confirmed; every other publish said that it may not have arrived.
fn confirmed(published: Vec<Published>) -> BTreeSet<u32> {
    let full = |published: &Published| matches!(published.1, Err(BrokerError::Full { .. }));
    assert!(!published.iter().any(full), "nothing was full");
    published.into_iter().filter(|(_, result)| result.is_ok()).map(|(number, _)| number).collect()
}

/// Takes until nothing more comes.
async fn all_of(broker: &Rabbit) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    while let Ok(taken) = tokio::time::timeout(Duration::from_secs(3), broker.take(NORMAL)).await {
        let delivery = taken.expect("taken");
        found.insert(u32::from_be_bytes(*delivery.body.first_chunk().expect("a number first")));
        delivery.done().await.expect("settled");
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_cut_in_mid_frame_loses_nothing_that_was_confirmed() {
    let server = rabbit().await;
    let url = server.settings().urls[0].expose().to_owned();
    let (login, place) = url.rsplit_once('@').expect("an AMQP URL has a user");
    let (address, vhost) = place.split_once('/').expect("an AMQP URL ends in a vhost");
    let target = tokio::net::lookup_host(address).await.expect("an address").next().expect("one at least");
    let proxy = Proxy::start(target).await;
    let through = otodoke_common::config::Secret::new(format!("{login}@{}/{vhost}", proxy.address()));
    let broker = server.connect(&RabbitSettings { urls: vec![through], ..server.settings() });
    broker.wait_for(|state| matches!(state, LinkState::Up { .. })).await;
    let metrics = Metrics::new().expect("the catalogue registers");
    broker.tell(&metrics);
    broker.publish(NORMAL, PUBLISHES.to_be_bytes().to_vec()).await.expect("nothing is cut yet");
    let publishing = publish_all(&broker);
    // Somewhere in the body of some frame, a third of the way. Whether a confirm came before is a matter of timing.
    proxy.cut_after(600_011);
    let mut confirmed = confirmed(publishing.join_all().await);
    assert!(confirmed.len() < PUBLISHES as usize, "all {} were confirmed: nothing was cut", confirmed.len());
    confirmed.insert(PUBLISHES);
    // Callers may hear of the cut before the supervisor does: until then the old connection counts as up.
    let again = || metrics.text().lines().any(|line| line == "otp_amqp_reconnects_total 1");
    until("one connection is built again", again).await;
    broker.wait_for(|state| matches!(state, LinkState::Up { .. })).await;
    broker.publish(NORMAL, u32::MAX.to_be_bytes().to_vec()).await.expect("a new generation publishes");
    assert!(again(), "no other was needed");
    let found = all_of(&broker).await;
    assert_eq!(confirmed.difference(&found).count(), 0, "lost");
    println!("cut in mid-frame: {} of {PUBLISHES} confirmed, {} found, 0 lost", confirmed.len() - 1, found.len() - 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_broker_has_everything_it_confirmed_when_it_is_back() {
    let mut server = private_rabbit().await;
    let broker = connect(&server.settings());
    broker.wait_for(|state| matches!(state, LinkState::Up { .. })).await;
    // Some are in hand when it dies, and are settled while it is dead.
    for number in 0..10_u32 {
        broker.publish(NORMAL, (PUBLISHES + number).to_be_bytes().to_vec()).await.expect("published");
    }
    let mut in_hand = Vec::new();
    for _ in 0..10 {
        in_hand.push(broker.take(NORMAL).await.expect("taken"));
    }
    let mut publishing = publish_all(&broker);
    let mut published: Vec<Published> = Vec::new();
    while published.len() < 200 {
        published.push(publishing.join_next().await.expect("there are more").expect("it does not panic"));
    }
    server.kill();
    let killed_at = Instant::now();
    published.extend(publishing.join_all().await);
    let confirmed = confirmed(published);
    broker.wait_for(|state| matches!(state, LinkState::Down { .. })).await;
    assert!(killed_at.elapsed() < Duration::from_secs(10), "noticed after {:?}", killed_at.elapsed());
    for delivery in in_hand {
        delivery.done().await.expect("an acknowledgement that reaches nobody is no error");
    }
    server.start().await;
    broker.wait_for(|state| matches!(state, LinkState::Up { .. })).await;
    let found = all_of(&broker).await;
    assert_eq!(confirmed.difference(&found).count(), 0, "lost");
    let again = (PUBLISHES..PUBLISHES + 10).filter(|number| found.contains(number)).count();
    assert_eq!(again, 10, "what was settled while the broker was dead comes again");
    broker.close().await;
    println!("kill -9: {} of {PUBLISHES} confirmed, {} found, 0 lost", confirmed.len(), found.len() - 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_alarm_stops_publishing_at_once_and_taking_never() {
    let server = private_rabbit().await;
    let broker = connect(&RabbitSettings { publish_deadline_ms: 2_000, ..server.settings() });
    for number in 0..3_u32 {
        broker.publish(NORMAL, number.to_be_bytes().to_vec()).await.expect("published");
    }
    server.control(&["set_vm_memory_high_watermark", "absolute", "1MB"]);
    // The broker says so to whoever publishes next; that publish is one it does not read.
    let blocked = async {
        while !is_blocked(&broker.state()) {
            if let Err(error) = broker.publish(NORMAL, 3_u32.to_be_bytes().to_vec()).await {
                assert!(!matches!(error, BrokerError::Full { .. }), "{error}");
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), blocked).await.expect("the alarm reaches publishers");
    let began = Instant::now();
    let refused = broker.publish(NORMAL, 4_u32.to_be_bytes().to_vec()).await.expect_err("it is blocked");
    assert!(matches!(refused, BrokerError::Unavailable { .. }), "{refused}");
    assert!(began.elapsed() < Duration::from_millis(500), "at once, not after {:?}", began.elapsed());
    for _ in 0..3 {
        broker.take(NORMAL).await.expect("taken").done().await.expect("settled");
    }
    server.control(&["set_vm_memory_high_watermark", "0.8"]);
    broker.wait_for(|state| matches!(state, LinkState::Up { blocked: None, .. })).await;
    broker.publish(NORMAL, 5_u32.to_be_bytes().to_vec()).await.expect("published");
    let found = all_of(&broker).await;
    assert!(found.contains(&5) && !found.contains(&4) && found.iter().all(|number| *number >= 3), "{found:?}");
    until("it is known to be empty", || broker.backlog(NORMAL).waiting == 0).await;
    broker.close().await;
}

fn is_blocked(state: &LinkState) -> bool {
    matches!(state, LinkState::Up { blocked: Some(_), .. })
}
