//! Bodies that wait for people: as many as may, and no longer than a day.

use otodoke_common::broker::{Broker, BrokerError, Queue};
use otodoke_common::message::Lane;
use otodoke_common::rabbit::{QueueLengths, RabbitSettings};
use otodoke_tests::servers::rabbit::rabbit;
use tokio::time::{Duration, Instant};

const NORMAL: Queue = Queue::Lane(Lane::Normal);
/// Instead of a day.
const KEEP_MS: u64 = 3_000;

#[tokio::test(flavor = "multi_thread")]
async fn where_no_more_may_be_parked_a_body_comes_again_or_is_dropped_as_its_taker_says() {
    const LENGTH: u32 = 5;
    let server = rabbit().await;
    let lengths = QueueLengths { parked: LENGTH, ..server.settings().lengths };
    let broker = server.connect(&RabbitSettings { lengths, ..server.settings() });
    let mut parked = 0;
    let refused = loop {
        broker.publish(NORMAL, vec![1]).await.expect("published");
        match broker.take(NORMAL).await.expect("taken").park("it is odd".to_owned()).await {
            Ok(()) => parked += 1,
            Err(error) => break error,
        }
        assert!(parked < 10 * LENGTH, "the limit is soft, but it is one");
    };
    let full = BrokerError::ParkedFull { limit: LENGTH.into() };
    assert_eq!(refused, full);
    let again = broker.take(NORMAL).await.expect("taken");
    assert!(again.taken_before > 0, "it came again");
    assert_eq!(again.park_or_drop("it is odd".to_owned()).await, Err(full));
    broker.publish(NORMAL, vec![2]).await.expect("published");
    let next = broker.take(NORMAL).await.expect("taken");
    assert_eq!((&next.body[..], next.taken_before), (&[2][..], 0), "nobody holds it up");
    next.done().await.expect("settled");
}

/// Until nothing is parked; looks all the time, which takes each body and puts it back. Returns for how long something was.
async fn until_none(broker: &dyn Broker) -> Duration {
    let began = Instant::now();
    while !broker.parked(10).await.expect("listed").is_empty() {
        assert!(began.elapsed() < Duration::from_millis(10 * KEEP_MS), "something stays for ever");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_body_goes_after_its_time_however_often_somebody_looks() {
    let server = rabbit().await;
    let parking = server.connect(&RabbitSettings { parked_keep_ms: KEEP_MS, ..server.settings() });
    parking.publish(NORMAL, b"poison".to_vec()).await.expect("published");
    parking.take(NORMAL).await.expect("taken").park("it is odd".to_owned()).await.expect("parked");
    // Nobody is left who would take it away.
    parking.close().await;
    let stayed = until_none(&*server.connect(&server.settings())).await;
    assert!(stayed > Duration::from_millis(KEEP_MS / 2), "{stayed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_the_broker_parked_goes_as_well_and_what_is_behind_it() {
    let server = rabbit().await;
    let broker = server.connect(&RabbitSettings { parked_keep_ms: KEEP_MS, ..server.settings() });
    broker.publish(Queue::GivenUp, b"poison".to_vec()).await.expect("published");
    let taking = async {
        loop {
            drop(broker.take(Queue::GivenUp).await.expect("taken"));
        }
    };
    let given_up = async {
        while broker.parked(10).await.expect("listed").is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        never = taking => never,
        () = given_up => {}
    }
    broker.publish(NORMAL, b"odd".to_vec()).await.expect("published");
    broker.take(NORMAL).await.expect("taken").park("it is odd".to_owned()).await.expect("parked");
    until_none(&*broker).await;
}
