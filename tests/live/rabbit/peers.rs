//! Brokers that are not there, do not let us in, or accept and say nothing: each is named, with what helps.

use std::time::Duration;

use otodoke_common::broker::{Broker, BrokerError, Queue};
use otodoke_common::config::Secret;
use otodoke_common::message::Lane;
use otodoke_common::rabbit::{LinkState, RabbitSettings, topology_check};
use otodoke_tests::servers::proxy::Proxy;
use otodoke_tests::servers::rabbit::{connect, rabbit};
use tokio::net::TcpListener;
use tokio::time::Instant;

const NORMAL: Queue = Queue::Lane(Lane::Normal);

async fn down(url: &str) -> String {
    let broker = connect(&RabbitSettings::new(vec![Secret::new(url)]));
    let state = broker.wait_for(|state| matches!(state, LinkState::Down { why } if why != "not connected yet"));
    let state = tokio::time::timeout(Duration::from_secs(20), state).await.expect("named within seconds");
    let why = match state {
        LinkState::Down { why } => why,
        LinkState::Up { broker, .. } => broker,
    };
    let refused = broker.publish(NORMAL, vec![1]).await.expect_err("there is no broker");
    assert!(matches!(refused, BrokerError::Unavailable { .. }), "{refused}");
    broker.close().await;
    assert!(!why.contains("hunter2"), "{why}");
    why
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_nobody_listens_on_is_named() {
    let address = TcpListener::bind("127.0.0.1:0").await.expect("a free port").local_addr().expect("it is bound");
    let why = down(&format!("amqp://guest:hunter2@{address}/%2f")).await;
    assert!(why.contains(&address.to_string()) && why.contains("start the broker"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_accepts_and_says_nothing_is_named_within_seconds() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let silent = tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            open.push(stream);
        }
    });
    let began = Instant::now();
    let why = down(&format!("amqp://guest:hunter2@{address}/%2f")).await;
    assert!(why.contains("does not answer") && began.elapsed() < Duration::from_secs(15), "{why}");
    silent.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_a_missing_vhost_are_named() {
    let server = rabbit().await;
    let url = server.settings().urls[0].expose().to_owned();
    let (login, place) = url.rsplit_once('@').expect("an AMQP URL has a user");
    let (address, _vhost) = place.split_once('/').expect("an AMQP URL ends in a vhost");
    let why = down(&format!("amqp://guest:hunter2@{place}")).await;
    assert!(why.contains("ACCESS_REFUSED") && why.contains("check user and password"), "{why}");
    let why = down(&format!("{login}@{address}/nowhere")).await;
    assert!(why.contains("nowhere") && why.contains("create the vhost"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_brokers_one_that_answers_is_enough() {
    let server = rabbit().await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a free port").local_addr().expect("it is bound");
    let dead = Secret::new(format!("amqp://guest:guest@{nobody}/%2f"));
    let mut settings = server.settings();
    settings.urls = vec![dead.clone(), settings.urls[0].clone(), dead];
    server.connect(&settings).publish(NORMAL, vec![1]).await.expect("published");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_falls_silent_later_is_noticed_and_found_again() {
    let server = rabbit().await;
    let url = server.settings().urls[0].expose().to_owned();
    let (login, place) = url.rsplit_once('@').expect("an AMQP URL has a user");
    let (address, vhost) = place.split_once('/').expect("an AMQP URL ends in a vhost");
    let target = tokio::net::lookup_host(address).await.expect("an address").next().expect("one at least");
    let proxy = Proxy::start(target).await;
    let through = Secret::new(format!("{login}@{}/{vhost}", proxy.address()));
    let settings = RabbitSettings { urls: vec![through], publish_deadline_ms: 1_000, ..server.settings() };
    let broker = server.connect(&settings);
    broker.publish(NORMAL, b"before".to_vec()).await.expect("published");
    proxy.stall();
    let began = Instant::now();
    let lost = broker.publish(NORMAL, b"during".to_vec()).await.expect_err("nobody can confirm it");
    assert!(matches!(lost, BrokerError::Unconfirmed { .. }) && began.elapsed() < Duration::from_secs(2), "{lost}");
    broker.wait_for(|state| matches!(state, LinkState::Down { .. })).await;
    assert!(began.elapsed() < Duration::from_secs(15), "noticed after {:?}", began.elapsed());
    proxy.flow();
    broker.wait_for(|state| matches!(state, LinkState::Up { .. })).await;
    broker.publish(NORMAL, b"after".to_vec()).await.expect("published");
    assert_eq!(topology_check(&server.settings()).await.expect("checked"), []);
}
