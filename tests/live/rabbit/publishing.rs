//! Publishing into queues that are full, gone, or spread over shards.

use otodoke_common::broker::{Broker, BrokerError, Queue};
use otodoke_common::message::Lane;
use otodoke_common::metrics::Metrics;
use otodoke_common::rabbit::{self, LinkState, QueueLengths, RabbitSettings};
use otodoke_tests::servers::rabbit::{rabbit, until};

const BULK: Queue = Queue::Lane(Lane::Bulk);

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_others_filled_says_that_it_is_full() {
    const LENGTH: u32 = 10;
    let server = rabbit().await;
    let lengths = QueueLengths { lane: LENGTH, ..server.settings().lengths };
    let settings = RabbitSettings { lengths, ..server.settings() };
    // Neither has read the queue when it begins, so only the broker's refusals tell.
    let [one, other] = [(); 2].map(|()| server.connect(&settings));
    let metrics = Metrics::new().expect("the catalogue registers");
    for publisher in [&one, &other] {
        publisher.tell(&metrics);
        publisher.wait_for(|state| matches!(state, LinkState::Up { .. })).await;
    }
    let mut published = 0;
    let refused = loop {
        match [&one, &other][published % 2].publish(BULK, vec![1]).await {
            Ok(()) => published += 1,
            Err(error) => break error,
        }
        assert!(published < 10 * LENGTH as usize, "the limit is soft, but it is one");
    };
    assert_eq!(refused, BrokerError::Full { queue: BULK, limit: LENGTH.into() });
    assert!(published >= LENGTH as usize, "{published}");
    assert!(metrics.text().lines().any(|line| line == "otp_publish_nacks_total{queue=\"bulk\"} 1"), "one was refused");
    for _ in 0..published {
        one.take(BULK).await.expect("taken").done().await.expect("settled");
    }
    until("it is known to be empty", || other.backlog(BULK).waiting == 0).await;
    other.publish(BULK, vec![2]).await.expect("there is room again");
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_that_somebody_deleted_are_made_again() {
    let server = rabbit().await;
    let (publishing, taking) = (server.connect(&server.settings()), server.connect(&server.settings()));
    publishing.publish(BULK, b"before".to_vec()).await.expect("published");
    taking.take(BULK).await.expect("taken").done().await.expect("settled");
    rabbit::topology_erase(&server.settings()).await.expect("deleted");
    // Confirmed means that it is in a queue; before they are made again a publish fails, and says so.
    let mut attempts = 0;
    while let Err(error) = publishing.publish(BULK, b"after".to_vec()).await {
        attempts += 1;
        assert!(!matches!(error, BrokerError::Full { .. }) && attempts < 1_000, "{error}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(taking.take(BULK).await.expect("taken").body, b"after");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_of_several_shards_is_one_queue_to_its_takers() {
    let server = rabbit().await;
    let settings = RabbitSettings { shards: 3, ..server.settings() };
    let broker = server.connect(&settings);
    for number in 0..60_u8 {
        broker.publish(BULK, vec![number]).await.expect("published");
    }
    assert_eq!(broker.backlog(BULK).waiting, 60);
    let mut taken = Vec::new();
    for _ in 0..60 {
        let delivery = broker.take(BULK).await.expect("taken");
        taken.push(delivery.body[0]);
        delivery.done().await.expect("settled");
    }
    taken.sort_unstable();
    assert_eq!(taken, (0..60).collect::<Vec<u8>>());
}
