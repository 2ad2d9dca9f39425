//! Queues that are not as this program would have made them.

use otodoke_common::broker::{Broker, Queue};
use otodoke_common::rabbit::{Drift, LinkState, QueueLengths, RabbitSettings, topology_check};
use otodoke_tests::servers::rabbit::rabbit;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_reported_and_made() {
    let server = rabbit().await;
    let missing = topology_check(&server.settings()).await.expect("checked");
    assert_eq!(missing.len(), 7, "the exchange, five queues and the parked queue: {missing:?}");
    assert!(missing.iter().all(|drift| drift.found == "missing"), "{missing:?}");
    let broker = server.connect(&server.settings());
    broker.wait_for(|state| matches!(state, LinkState::Up { .. })).await;
    assert_eq!(topology_check(&server.settings()).await.expect("checked"), []);
    assert_eq!(broker.drifts(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_is_reported_by_name_and_does_not_stop_the_process() {
    let server = rabbit().await;
    let mine = server.settings();
    server.connect(&mine).wait_for(|state| matches!(state, LinkState::Up { .. })).await;
    let others = RabbitSettings { lengths: QueueLengths { lane: 77, receipts: 88, ..mine.lengths }, ..mine.clone() };
    let drift = |queue: Queue, wanted: &str| Drift {
        queue: format!("{}otodoke.{}", mine.namespace, queue.word()),
        argument: "x-max-length".to_owned(),
        wanted: wanted.to_owned(),
        found: "1000000".to_owned(),
    };
    let [critical, normal, bulk, receipts, _given_up] = Queue::ALL;
    let expected = [drift(critical, "77"), drift(normal, "77"), drift(bulk, "77"), drift(receipts, "88")];
    assert_eq!(topology_check(&others).await.expect("checked"), expected);
    let broker = server.connect(&others);
    broker.publish(normal, b"on it goes".to_vec()).await.expect("published");
    assert_eq!(broker.drifts(), expected);
    assert_eq!(broker.take(normal).await.expect("taken").body, b"on it goes");
}
