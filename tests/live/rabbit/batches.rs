//! Bodies that travel together: fewer messages at the broker, and nothing else that anybody could tell from outside.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use otodoke_common::broker::{Broker, BrokerError, Delivery, Origin, Publisher, Queue, Unpark};
use otodoke_common::config::Secret;
use otodoke_common::message::Lane;
use otodoke_common::rabbit::{LinkState, QueueLengths, Rabbit, RabbitSettings};
use otodoke_common::trace::{self, TraceContext};
use otodoke_tests::servers::proxy::Proxy;
use otodoke_tests::servers::rabbit::{TestRabbit, connect, private_rabbit, rabbit, until};
use tokio::task::JoinSet;

const NORMAL: Queue = Queue::Lane(Lane::Normal);
const BODIES: u32 = 1_000;
/// Of many bodies at once, the least that a message holds on average.
const TOGETHER_MIN: u64 = 4;
/// As often as a reading of the queue may come meanwhile.
const LOOKS: u32 = 30;
const LOOK_EVERY: Duration = Duration::from_millis(50);

async fn up(rabbit: &Rabbit) {
    rabbit.wait_for(|state| matches!(state, LinkState::Up { .. })).await;
}

/// Each body has a trace of its own.
fn trace_of(number: u32) -> TraceContext {
    let parent = format!("00-{:032x}-00f067aa0ba902b7-01", number + 1);
    TraceContext::parse(&parent, None).expect("a valid trace")
}

/// All at once; what became of each, by its number.
async fn publish_at_once(broker: &Arc<Rabbit>, bodies: u32) -> BTreeMap<u32, Result<(), BrokerError>> {
    up(broker).await;
    let publish = |number: u32| {
        let broker = Arc::clone(broker);
        async move {
            let publishing = broker.publish(NORMAL, number.to_be_bytes().to_vec());
            (number, trace::within(Some(trace_of(number)), publishing).await)
        }
    };
    (0..bodies).map(publish).collect::<JoinSet<_>>().join_all().await.into_iter().collect()
}

async fn published_at_once(broker: &Arc<Rabbit>, bodies: u32) {
    let published = publish_at_once(broker, bodies).await;
    assert!(published.values().all(Result::is_ok), "{:?}", published.values().find(|result| result.is_err()));
}

/// Messages at the broker: to whoever saw none of them, each counts as one body.
async fn messages(server: &TestRabbit) -> u64 {
    let stranger = server.connect(&server.settings());
    up(&stranger).await;
    stranger.backlog(NORMAL).waiting
}

async fn take(broker: &Rabbit) -> (u32, Delivery) {
    let delivery = broker.take(NORMAL).await.expect("taken");
    (u32::from_be_bytes(delivery.body[..].try_into().expect("a number")), delivery)
}

/// Takes so many, and hands them out by their numbers: each came once.
async fn take_all(broker: &Rabbit, bodies: u32) -> BTreeMap<u32, Delivery> {
    let mut taken = BTreeMap::new();
    for _ in 0..bodies {
        let (number, delivery) = take(broker).await;
        assert!(taken.insert(number, delivery).is_none(), "{number} came twice");
    }
    taken
}

async fn settle(deliveries: impl IntoIterator<Item = Delivery>) {
    for delivery in deliveries {
        delivery.done().await.expect("settled");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_at_once_comes_body_by_body_and_travels_in_fewer_messages() {
    let server = rabbit().await;
    let broker = server.connect(&server.settings());
    published_at_once(&broker, BODIES).await;
    let messages = messages(&server).await;
    println!("{BODIES} bodies in {messages} messages");
    assert!(messages * TOGETHER_MIN <= BODIES.into(), "{messages}");
    for _ in 0..LOOKS {
        assert_eq!(broker.backlog(NORMAL).waiting, u64::from(BODIES), "who put all of them in knows how many they are");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let taken = take_all(&broker, BODIES).await;
    for (number, delivery) in &taken {
        let stands = (&delivery.origin, delivery.trace.as_ref(), delivery.taken_before);
        assert_eq!(stands, (&Origin::Ours, Some(&trace_of(*number)), 0));
    }
    settle(taken.into_values()).await;
    assert_eq!(broker.backlog(NORMAL).waiting, 0);
    broker.close().await;
    assert_eq!(self::messages(&server).await, 0, "all of them were acknowledged");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_no_batches_publishes_none_and_reads_those_of_others() {
    let server = rabbit().await;
    let alone = server.connect(&RabbitSettings { batch: 1, ..server.settings() });
    published_at_once(&alone, 100).await;
    assert_eq!(messages(&server).await, 100);
    settle(take_all(&alone, 100).await.into_values()).await;
    published_at_once(&server.connect(&server.settings()), 100).await;
    settle(take_all(&alone, 100).await.into_values()).await;
}

/// One of them kills whoever takes it: what travelled with it comes again a few times, and from then on never because of it.
#[tokio::test(flavor = "multi_thread")]
async fn what_kills_who_takes_it_comes_again_alone() {
    const POISON: u32 = 77;
    /// Fewer than the prefetch, also one by one.
    const IN_HAND: u32 = 80;
    /// As often as a batch stays together.
    const DEATHS_TOGETHER: usize = 4;
    let server = rabbit().await;
    let mut mortals = Vec::new();
    for _ in 0..=DEATHS_TOGETHER {
        let (proxy, settings) = through_a_proxy(&server).await;
        mortals.push((server.connect(&settings), proxy));
    }
    published_at_once(&server.connect(&server.settings()), IN_HAND).await;
    for (death, (mortal, mut cut)) in mortals.drain(..DEATHS_TOGETHER).enumerate() {
        let in_hand = take_all(&mortal, IN_HAND).await;
        for (number, delivery) in &in_hand {
            assert_eq!((delivery.trace.as_ref(), &delivery.origin), (Some(&trace_of(*number)), &Origin::Ours));
            assert_eq!(delivery.taken_before == 0, death == 0, "it says that it was taken before");
        }
        die(&mortal, &mut cut).await;
        drop(in_hand);
    }

    let (last, mut cut) = mortals.remove(0);
    let again = take_all(&last, IN_HAND).await;
    let (poison, others): (Vec<_>, Vec<_>) = again.into_iter().partition(|(number, _)| *number == POISON);
    settle(others.into_iter().map(|(_, delivery)| delivery)).await;
    // Longer than an acknowledgement waits for those before it.
    tokio::time::sleep(Duration::from_millis(500)).await;
    die(&last, &mut cut).await;
    drop(poison);

    let heir = server.connect(&server.settings());
    let (number, delivery) = take(&heir).await;
    assert_eq!(number, POISON, "nothing else comes");
    assert!(delivery.taken_before >= 2, "it is counted on: {}", delivery.taken_before);
    delivery.done().await.expect("settled");
    until("nothing else is there", || heir.backlog(NORMAL).waiting == 0).await;
}

/// Without a word to the broker.
async fn die(mortal: &Rabbit, cut: &mut Proxy) {
    cut.refuse();
    mortal.wait_for(|state| matches!(state, LinkState::Down { .. })).await;
}

/// Workers are replaced one after the other while many wait: who waited longest is still first.
#[tokio::test(flavor = "multi_thread")]
async fn what_stopped_processes_had_keeps_its_place() {
    const REPLACED: usize = 3;
    let server = rabbit().await;
    let door = server.connect(&server.settings());
    published_at_once(&door, 100).await;
    for replaced in 0..REPLACED {
        let worker = server.connect(&server.settings());
        let in_hand = take_all(&worker, 100).await;
        if replaced == 0 {
            for number in 100_u32..120 {
                door.publish(NORMAL, number.to_be_bytes().to_vec()).await.expect("published");
            }
        }
        worker.close().await;
        drop(in_hand);
    }
    let heir = server.connect(&server.settings());
    let mut order = Vec::new();
    for _ in 0..120 {
        let (number, delivery) = take(&heir).await;
        order.push(number);
        delivery.done().await.expect("settled");
    }
    assert!(order[..100].iter().all(|number| *number < 100), "{order:?}");
}

async fn through_a_proxy(server: &TestRabbit) -> (Proxy, RabbitSettings) {
    let url = server.settings().urls[0].expose().to_owned();
    let (login, place) = url.rsplit_once('@').expect("an AMQP URL has a user");
    let (address, vhost) = place.split_once('/').expect("an AMQP URL ends in a vhost");
    let target = tokio::net::lookup_host(address).await.expect("an address").next().expect("one at least");
    let proxy = Proxy::start(target).await;
    let through = Secret::new(format!("{login}@{}/{vhost}", proxy.address()));
    (proxy, RabbitSettings { urls: vec![through], ..server.settings() })
}

#[tokio::test(flavor = "multi_thread")]
async fn of_what_travelled_together_one_is_parked_alone_as_it_was_published() {
    const ODD: u32 = 42;
    let server = rabbit().await;
    let broker = server.connect(&server.settings());
    published_at_once(&broker, 100).await;
    for (number, delivery) in take_all(&broker, 100).await {
        match number {
            ODD => delivery.park("it is odd".to_owned()).await.expect("parked"),
            _ => delivery.done().await.expect("settled"),
        }
    }
    let parked = broker.parked(10).await.expect("listed");
    let only = &parked[0];
    let story = (parked.len(), only.queue, &*only.reason, &only.body[..], only.trace.clone());
    assert_eq!(story, (1, NORMAL, "it is odd", &ODD.to_be_bytes()[..], Some(trace_of(ODD))));
    assert_eq!(broker.unpark(only.parked_id, Unpark::Replay).await, Ok(true));
    let (number, delivery) = take(&broker).await;
    assert_eq!((number, delivery.trace.clone(), &delivery.origin), (ODD, Some(trace_of(ODD)), &Origin::Ours));
    delivery.done().await.expect("settled");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_back_for_ever_is_given_up_and_drags_nobody_along() {
    const POISON: u32 = 42;
    let server = rabbit().await;
    let broker = server.connect(&server.settings());
    published_at_once(&broker, 100).await;
    let taking = async {
        let mut settled = 0;
        loop {
            let (number, delivery) = take(&broker).await;
            if number != POISON {
                delivery.done().await.expect("settled");
                settled += 1;
                assert!(settled < 100, "each is settled once");
            }
        }
    };
    let given_up = tokio::select! {
        never = taking => never,
        given_up = broker.take(Queue::GivenUp) => given_up.expect("taken"),
    };
    assert_eq!((&given_up.body[..], &given_up.origin), (&POISON.to_be_bytes()[..], &Origin::Ours));
    assert_eq!(given_up.trace, Some(trace_of(POISON)));
    given_up.park("it is odd".to_owned()).await.expect("parked");
    let parked = broker.parked(10).await.expect("listed");
    assert_eq!((parked.len(), parked[0].queue, &parked[0].reason[..]), (1, NORMAL, "it is odd"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_another_user_is_one_body_of_that_user() {
    let server = private_rabbit().await;
    server.control(&["add_user", "mallory", "secret"]);
    server.control(&["set_permissions", "mallory", ".*", ".*", ".*"]);
    let ours = server.settings();
    let url = Secret::new(format!("amqp://mallory:secret@127.0.0.1:{}/%2f", server.port()));
    let broker = connect(&ours);
    up(&broker).await;
    let theirs = connect(&RabbitSettings { urls: vec![url], ..ours });
    published_at_once(&theirs, 200).await;
    let mut together = 0;
    until("all is read", || broker.backlog(NORMAL).waiting > 1).await;
    while broker.backlog(NORMAL).waiting > 0 {
        let delivery = broker.take(NORMAL).await.expect("taken");
        let Origin::Other(label) = &delivery.origin else { panic!("it is not ours") };
        assert_eq!(label.publisher, Publisher::User("mallory".to_owned()));
        together += u32::from(label.content_type.as_deref() == Some("application/vnd.otodoke.batch"));
        delivery.done().await.expect("settled");
    }
    assert!(together > 0, "some were batches");
    theirs.close().await;
    broker.close().await;
}

/// The broker counts messages, so a short queue takes a few batches and refuses the rest.
#[tokio::test(flavor = "multi_thread")]
async fn one_refusal_answers_whatever_travelled_in_it() {
    let server = rabbit().await;
    let short = QueueLengths { lane: 1, ..server.settings().lengths };
    // It makes the queue; the other does not know how short that is.
    up(&server.connect(&RabbitSettings { lengths: short, ..server.settings() })).await;
    let broker = server.connect(&server.settings());
    let published = publish_at_once(&broker, BODIES).await;
    let refused = |result: &Result<(), BrokerError>| matches!(result, Err(BrokerError::Unavailable { .. }));
    let kept: Vec<u32> = published.iter().filter(|(_, result)| result.is_ok()).map(|(number, _)| *number).collect();
    assert_eq!(published.values().filter(|result| refused(result)).count() + kept.len(), BODIES as usize);
    assert!((2..BODIES as usize).contains(&kept.len()), "{} were kept", kept.len());
    let taken = take_all(&broker, u32::try_from(kept.len()).expect("few")).await;
    assert!(taken.keys().eq(&kept), "what was confirmed is there, and nothing else");
    settle(taken.into_values()).await;
    assert_eq!(broker.backlog(NORMAL).waiting, 0);
}
