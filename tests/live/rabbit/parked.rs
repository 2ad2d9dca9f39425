//! Bodies that wait for people: as many as may, and those of other programs no longer than a day.

use std::sync::Arc;

use otodoke_common::broker::{Broker, BrokerError, Queue};
use otodoke_common::config::Secret;
use otodoke_common::message::Lane;
use otodoke_common::rabbit::{LinkState, QueueLengths, Rabbit, RabbitSettings};
use otodoke_tests::servers::rabbit::{PrivateRabbit, connect, private_rabbit, rabbit};
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

async fn up(rabbit: &Rabbit) {
    rabbit.wait_for(|state| matches!(state, LinkState::Up { .. })).await;
}

/// With a user of another program. Returns our settings, in which parked bodies stay for `KEEP_MS`, and what it publishes with.
async fn another_program(server: &PrivateRabbit) -> (RabbitSettings, Arc<Rabbit>) {
    server.control(&["add_user", "mallory", "secret"]);
    server.control(&["set_permissions", "mallory", ".*", ".*", ".*"]);
    let ours = RabbitSettings { parked_keep_ms: KEEP_MS, ..server.settings() };
    let url = Secret::new(format!("amqp://mallory:secret@127.0.0.1:{}/%2f", server.port()));
    // To it, what we publish is another program's: it shall not take that away.
    let parked_keep_ms = server.settings().parked_keep_ms;
    let theirs = connect(&RabbitSettings { urls: vec![url], parked_keep_ms, ..ours.clone() });
    (ours, theirs)
}

/// Until only these are parked; looks all the time, which takes each body and puts it back. Returns for how long more were.
async fn until_left(broker: &dyn Broker, bodies: &[&[u8]]) -> Duration {
    let began = Instant::now();
    loop {
        let parked = broker.parked(10).await.expect("listed");
        if parked.iter().map(|parked| &parked.body[..]).eq(bodies.iter().copied()) {
            return began.elapsed();
        }
        assert!(began.elapsed() < Duration::from_millis(10 * KEEP_MS), "these are left: {parked:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_body_of_another_program_goes_after_its_time_however_often_somebody_looks() {
    let server = private_rabbit().await;
    let (ours, theirs) = another_program(&server).await;
    let parking = connect(&ours);
    up(&parking).await;
    theirs.publish(NORMAL, b"poison".to_vec()).await.expect("published");
    parking.take(NORMAL).await.expect("taken").park("it is odd".to_owned()).await.expect("parked");
    // Nobody is left who would take it away.
    parking.close().await;
    theirs.close().await;
    let patient = RabbitSettings { parked_keep_ms: server.settings().parked_keep_ms, ..ours };
    let looking = connect(&patient);
    up(&looking).await;
    let stayed = until_left(&*looking, &[]).await;
    assert!(stayed > Duration::from_millis(KEEP_MS / 2), "{stayed:?}");
    looking.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_the_broker_parked_goes_as_well_and_ours_stays_before_it() {
    let server = private_rabbit().await;
    let (ours, theirs) = another_program(&server).await;
    let broker = connect(&ours);
    up(&broker).await;
    broker.publish(NORMAL, b"ours".to_vec()).await.expect("published");
    broker.take(NORMAL).await.expect("taken").park("it is odd".to_owned()).await.expect("parked");
    theirs.publish(Queue::GivenUp, b"poison".to_vec()).await.expect("published");
    let taking = async {
        loop {
            drop(broker.take(Queue::GivenUp).await.expect("taken"));
        }
    };
    let given_up = async {
        while broker.parked(10).await.expect("listed").len() < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        never = taking => never,
        () = given_up => {}
    }
    theirs.publish(NORMAL, b"odd".to_vec()).await.expect("published");
    broker.take(NORMAL).await.expect("taken").park("it is odd".to_owned()).await.expect("parked");
    until_left(&*broker, &[b"ours"]).await;
    theirs.close().await;
    broker.close().await;
}
