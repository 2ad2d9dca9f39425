//! What becomes of a delivery: acknowledged, handed out again, given up by the broker, carried over to another process.

use std::time::Duration;

use otodoke_common::broker::{Broker, Origin, Parked, Queue, Unpark};
use otodoke_common::message::Lane;
use otodoke_common::rabbit::RabbitSettings;
use otodoke_tests::servers::rabbit::{rabbit, until};

const NORMAL: Queue = Queue::Lane(Lane::Normal);
/// What the queues are declared with.
const DELIVERIES_MAX: u32 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_closed_process_did_not_settle_comes_to_the_next_one_and_nothing_else() {
    let server = rabbit().await;
    let first = server.connect(&server.settings());
    for number in 0..200_u32 {
        first.publish(NORMAL, number.to_be_bytes().to_vec()).await.expect("published");
    }
    // Every other one ends, so that half of the acknowledgements stand behind a gap; the rest is still in hand when
    // the process begins to close.
    let mut in_hand = Vec::new();
    for number in 0..100 {
        let delivery = first.take(NORMAL).await.expect("taken");
        if number % 2 == 0 { delivery.done().await.expect("settled") } else { in_hand.push(delivery) }
    }
    let closing = tokio::spawn(async move { first.close().await });
    drop(in_hand);
    closing.await.expect("closed");
    let second = server.connect(&server.settings());
    let mut again = Vec::new();
    for _ in 0..150 {
        let delivery = second.take(NORMAL).await.expect("taken");
        again.push(u32::from_be_bytes(delivery.body[..].try_into().expect("four bytes")));
        delivery.done().await.expect("settled");
    }
    again.sort_unstable();
    let expected: Vec<u32> = (0..200).filter(|number| *number >= 100 || number % 2 == 1).collect();
    assert_eq!(again, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_settled_behind_a_delivery_that_takes_long_is_acknowledged_all_the_same() {
    let server = rabbit().await;
    let [first, second] = [(); 2].map(|()| server.connect(&server.settings()));
    for word in ["slow", "quick"] {
        first.publish(NORMAL, word.as_bytes().to_vec()).await.expect("published");
    }
    let slow = first.take(NORMAL).await.expect("taken");
    first.take(NORMAL).await.expect("taken").done().await.expect("settled");
    // Longer than an acknowledgement waits for those before it.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let closing = tokio::spawn(async move { first.close().await });
    let again = second.take(NORMAL);
    tokio::pin!(again);
    let early = tokio::time::timeout(Duration::from_millis(500), again.as_mut()).await;
    assert!(early.is_err(), "only the slow one is left, and it is in hand");
    drop(slow);
    assert_eq!(again.await.expect("taken").body, b"slow");
    closing.await.expect("closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_given_back_for_ever_is_given_up_by_the_broker_and_can_wait_for_people() {
    let server = rabbit().await;
    let broker = server.connect(&server.settings());
    broker.publish(NORMAL, b"poison".to_vec()).await.expect("published");
    let mut most = 0;
    let taking = async {
        loop {
            let delivery = broker.take(NORMAL).await.expect("taken");
            most = most.max(delivery.taken_before);
        }
    };
    let given_up = tokio::select! {
        never = taking => never,
        given_up = broker.take(Queue::GivenUp) => given_up.expect("taken"),
    };
    assert!(most >= DELIVERIES_MAX, "{most}");
    assert_eq!((&given_up.body[..], &given_up.origin), (&b"poison"[..], &Origin::Ours), "the broker keeps whose it is");
    given_up.park("it is odd".to_owned()).await.expect("parked");
    let parked = broker.parked(10).await.expect("listed");
    let Parked { queue, reason, body, .. } = &parked[0];
    assert_eq!((parked.len(), *queue, &**reason, &body[..]), (1, NORMAL, "it is odd", &b"poison"[..]));
    assert_eq!(broker.unpark(parked[0].parked_id, Unpark::Replay).await, Ok(true));
    let delivery = broker.take(NORMAL).await.expect("taken");
    assert_eq!((&delivery.body[..], delivery.taken_before), (&b"poison"[..], 0), "a replayed body begins anew");
    delivery.done().await.expect("settled");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kills_whoever_ends_what_was_given_up_waits_for_people() {
    let server = rabbit().await;
    let broker = server.connect(&server.settings());
    broker.publish(Queue::GivenUp, b"poison".to_vec()).await.expect("published");
    let taking = async {
        loop {
            drop(broker.take(Queue::GivenUp).await.expect("taken"));
        }
    };
    let parked: Vec<Parked> = tokio::select! {
        never = taking => never,
        parked = parked(&*broker) => parked,
    };
    assert_eq!((parked.len(), &parked[0].body[..]), (1, &b"poison"[..]));
    assert!(parked[0].reason.contains("too often"), "{}", parked[0].reason);
}

async fn parked(broker: &dyn Broker) -> Vec<Parked> {
    loop {
        let parked = broker.parked(10).await.expect("listed");
        if !parked.is_empty() {
            return parked;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_at_parked_bodies_changes_nothing() {
    let server = rabbit().await;
    let broker = server.connect(&server.settings());
    for word in ["one", "two", "three"] {
        broker.publish(NORMAL, word.as_bytes().to_vec()).await.expect("published");
        broker.take(NORMAL).await.expect("taken").park(format!("{word} is odd")).await.expect("parked");
    }
    let first = broker.parked(10).await.expect("listed");
    assert_eq!(first.iter().map(|parked| &parked.body[..]).collect::<Vec<_>>(), [&b"one"[..], b"two", b"three"]);
    for _ in 0..2 * DELIVERIES_MAX {
        assert_eq!(broker.parked(10).await.expect("listed"), first, "as often as one likes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_only_publishes_holds_no_deliveries() {
    let server = rabbit().await;
    let [publishing, taking] = [(); 2].map(|()| server.connect(&server.settings()));
    for number in 0..20_u8 {
        publishing.publish(NORMAL, vec![number]).await.expect("published");
    }
    for _ in 0..20 {
        taking.take(NORMAL).await.expect("taken").done().await.expect("settled");
    }
    until("another process sees that the queue is empty", || publishing.backlog(NORMAL).waiting == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_other_processes_hold_is_known_to_go_before_what_waits() {
    let server = rabbit().await;
    let settings = RabbitSettings { batch: 1, prefetch: 30, ..server.settings() };
    let [publishing, taking] = [(); 2].map(|()| server.connect(&settings));
    for number in 0..100_u8 {
        publishing.publish(NORMAL, vec![number]).await.expect("published");
    }
    let seen = || {
        let backlog = publishing.backlog(NORMAL);
        (backlog.waiting, backlog.ahead)
    };
    let ending = async {
        for _ in 0..100 {
            taking.take(NORMAL).await.expect("taken").done().await.expect("settled");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let ahead = until("it is seen", || {
        let (waiting, ahead) = seen();
        (1..70).contains(&waiting) && ahead == 30
    });
    tokio::join!(ending, ahead);
    until("nothing waits, so nobody knows what is held", || seen() == (0, 0)).await;
}
