//! How a worker looks from outside: its roles, whether it is ready, and whether it lives.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::body::Body;
use axum::http::Request;
use otodoke_common::broker::{Backlog, Broker, BrokerError, Delivery, Parked, Queue, Settle, Settlement, Unpark};
use otodoke_common::clock::Clock;
use otodoke_common::code::CodeKeys;
use otodoke_common::desk::Desk;
use otodoke_common::dice::Dice;
use otodoke_common::memory::Memory;
use otodoke_common::message::{Kid, Lane};
use otodoke_common::metrics::Metrics;
use otodoke_common::parts::Parts;
use otodoke_common::policy::Policy;
use otodoke_common::provider::Registry;
use otodoke_common::request::publication::Publishers;
use otodoke_common::route::RouteTable;
use otodoke_common::seal::Vault;
use otodoke_common::text::Templates;
use otodoke_common::throughput::{self, FRESH_MS, Telling, Throughput};
use otodoke_common::time::Timestamp;
use serde_json::Value;
use tokio::time::{Duration, sleep};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::{Role, Roles, Worker, WorkerSettings};

/// A broker that says how much waits and hands out nothing but garbage.
#[derive(Default)]
struct Silent {
    waiting: u64,
    trouble: Option<&'static str>,
    /// Whether taking ends in a panic.
    poisoned: bool,
    /// Handed out once, to whoever asks first; it cannot be settled.
    garbage: Mutex<Option<Vec<u8>>>,
    /// One body of garbage for the lane `normal`, that often.
    every: Option<Duration>,
    asked: Mutex<BTreeSet<Queue>>,
}

#[async_trait]
impl Broker for Silent {
    async fn publish(&self, _queue: Queue, _body: Vec<u8>) -> Result<(), BrokerError> {
        Ok(())
    }

    async fn take(&self, queue: Queue) -> Result<Delivery, BrokerError> {
        assert!(!self.poisoned, "this broker is poisoned");
        self.asked.lock().expect("no test panics here").insert(queue);
        if let Some(body) = self.garbage.lock().expect("no test panics here").take() {
            return Ok(Delivery::new(body, 0, Arc::new(Unsettled), 1));
        }
        if let Some(every) = self.every.filter(|_| queue == Queue::Lane(Lane::Normal)) {
            sleep(every).await;
            return Ok(Delivery::new(b"garbage".to_vec(), 0, Arc::new(Settled), 1));
        }
        std::future::pending().await
    }

    fn backlog(&self, _queue: Queue) -> Backlog {
        Backlog { waiting: self.waiting, ahead: 0, drained_per_s: None }
    }

    fn trouble(&self) -> Option<String> {
        self.trouble.map(str::to_owned)
    }

    async fn parked(&self, _limit: usize) -> Result<Vec<Parked>, BrokerError> {
        Ok(Vec::new())
    }

    async fn unpark(&self, _parked_id: i64, _how: Unpark) -> Result<bool, BrokerError> {
        Ok(false)
    }
}

struct Unsettled;

#[async_trait]
impl Settle for Unsettled {
    async fn settle(&self, _ticket: u64, _how: Settlement) -> Result<(), BrokerError> {
        Err(BrokerError::Unavailable { why: "it went away".to_owned() })
    }

    fn give_back(&self, _ticket: u64) {}
}

struct Settled;

#[async_trait]
impl Settle for Settled {
    async fn settle(&self, _ticket: u64, _how: Settlement) -> Result<(), BrokerError> {
        Ok(())
    }

    fn give_back(&self, _ticket: u64) {}
}

fn worker(broker: &Arc<Silent>) -> Worker {
    worker_and_desk(broker).0
}

fn worker_and_desk(broker: &Arc<Silent>) -> (Worker, Desk) {
    let clock = Clock::simulated(Timestamp::from_unix_ms(1_700_000_000_000));
    let kid = Kid::parse("k1").expect("a kid");
    let parts = Parts {
        desk: Desk {
            store: Memory::new(clock.clone()).store(),
            vault: Arc::new(Vault::new(&[9; 32]).expect("a long root")),
            policy: Arc::new(Policy::default()),
            metrics: Metrics::new().expect("the catalogue registers"),
            clock,
            dice: Arc::new(Dice::seeded(1)),
            writes: Arc::default(),
        },
        broker: broker.clone(),
        routes: Arc::new(RouteTable::default()),
        providers: Arc::new(Registry::new()),
        codes: Arc::new(CodeKeys::new(kid.clone(), vec![(kid, vec![7; 32])]).expect("a long root")),
        templates: Arc::new(Templates::builtin()),
    };
    let settings = WorkerSettings {
        lanes: Lane::ALL.into_iter().map(|lane| (lane, 4)).collect(),
        capacities: BTreeMap::new(),
        sweep_every_ms: 1_000,
        release_per_s: 10,
        publishers: Publishers::default(),
    };
    let desk = parts.desk.clone();
    (Worker::new(parts, settings), desk)
}

/// Status and body of one probe.
async fn ask(router: &axum::Router, path: &str) -> (u16, Vec<u8>) {
    let request = Request::get(path).body(Body::empty()).expect("a request");
    let response = router.clone().oneshot(request).await.expect("a router never fails");
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.expect("a small body");
    (status, body.to_vec())
}

/// Status and answer of one probe.
async fn look(router: &axum::Router, path: &str) -> (u16, Value) {
    let (status, body) = ask(router, path).await;
    (status, serde_json::from_slice(&body).expect("JSON"))
}

async fn text(router: &axum::Router, path: &str) -> String {
    String::from_utf8(ask(router, path).await.1).expect("text")
}

/// Status and reasons of one probe.
async fn probe(router: &axum::Router, path: &str) -> (u16, Vec<String>) {
    let (status, body) = look(router, path).await;
    let reasons = body["reasons"].as_array().expect("reasons").iter();
    (status, reasons.map(|reason| reason.as_str().expect("a sentence").to_owned()).collect())
}

/// A worker that runs for so many seconds, as it looks then.
async fn after_s(seconds: u64, broker: Silent) -> ((u16, Vec<String>), (u16, Vec<String>)) {
    let worker = worker(&Arc::new(broker));
    let router = worker.probes(CancellationToken::new()).router();
    let stop = CancellationToken::new();
    let running = tokio::spawn(worker.run(stop.clone()));
    sleep(Duration::from_secs(seconds)).await;
    let looks = (probe(&router, "/healthz").await, probe(&router, "/readyz").await);
    stop.cancel();
    running.await.expect("a worker stops without a panic");
    looks
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_died_without_a_word_is_seen() {
    let full = || Silent { waiting: 3, ..Silent::default() };
    assert_eq!(after_s(30, full()).await.0.0, 200, "not before it was silent long enough");
    let ((status, reasons), _) = after_s(35, full()).await;
    assert_eq!((status, reasons.len()), (503, Queue::ALL.len()), "{reasons:?}");
    assert!(reasons[0].starts_with("queue critical is not empty, and its consumer got nothing"), "{reasons:?}");
}

#[tokio::test(start_paused = true)]
async fn waiting_for_an_empty_queue_or_for_a_broker_is_life() {
    assert_eq!(after_s(600, Silent::default()).await.0.0, 200);
    let away = Silent { waiting: 3, trouble: Some("connection refused"), ..Silent::default() };
    let (alive, (ready, reasons)) = after_s(600, away).await;
    assert_eq!((alive.0, ready), (200, 503));
    assert_eq!(reasons, ["the broker cannot be used now: connection refused"]);
}

#[tokio::test]
async fn a_worker_names_the_kids_it_knows() {
    let router = worker(&Arc::default()).probes(CancellationToken::new()).router();
    let (_, said) = look(&router, "/readyz").await;
    assert_eq!(said["codes"], serde_json::json!({ "active": "k1", "known": ["k1"] }));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_told_to_stop_is_not_ready() {
    let stopping = CancellationToken::new();
    let worker = worker(&Arc::default());
    let router = worker.probes(stopping.clone()).router();
    let (status, reasons) = probe(&router, "/readyz").await;
    assert!(status == 503 && reasons[0].starts_with("which roots are revoked was not looked up yet"), "{reasons:?}");
    let working = tokio::spawn(worker.run(CancellationToken::new()));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(probe(&router, "/readyz").await, (200, vec![]));
    stopping.cancel();
    assert_eq!(probe(&router, "/readyz").await, (503, vec!["the process is stopping".to_owned()]));
    working.abort();
}

#[tokio::test(start_paused = true)]
async fn a_worker_takes_only_what_its_roles_ask_for() {
    let lanes: BTreeSet<Queue> = Lane::ALL.into_iter().map(Queue::Lane).collect();
    for (role, queues) in [(Role::Deliver, lanes), (Role::Status, BTreeSet::from([Queue::Receipts]))] {
        let broker = Arc::new(Silent::default());
        let worker = worker(&broker).with_roles(Roles::new([role]).expect("good roles"));
        let stop = CancellationToken::new();
        let running = tokio::spawn(worker.run(stop.clone()));
        sleep(Duration::from_secs(1)).await;
        stop.cancel();
        running.await.expect("a worker stops without a panic");
        assert_eq!(*broker.asked.lock().expect("no test panics here"), queues, "{role:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_parked_is_not_counted_as_parked() {
    let garbage = Mutex::new(Some(b"garbage".to_vec()));
    let worker = worker(&Arc::new(Silent { garbage, ..Silent::default() }));
    let router = worker.probes(CancellationToken::new()).router();
    let stop = CancellationToken::new();
    let running = tokio::spawn(worker.run(stop.clone()));
    sleep(Duration::from_secs(1)).await;
    let text = text(&router, "/metrics").await;
    let parked = |line: &&str| line.starts_with("otp_dead_letters_total{") && !line.ends_with(" 0");
    assert_eq!(text.lines().filter(parked).count(), 0, "{text}");
    assert!(text.contains("otp_broker_errors_total{kind=\"unavailable\"} 1"), "{text}");
    stop.cancel();
    running.await.expect("a worker stops without a panic");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_lost_a_loop_ends_instead_of_doing_half_its_work() {
    let broker = Arc::new(Silent { poisoned: true, ..Silent::default() });
    worker(&broker).run(CancellationToken::new()).await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_tells_how_fast_a_lane_goes_in_which_something_waits_and_takes_it_back() {
    let told = async |desk: &Desk| throughput::told(&*desk.store, desk.clock.now()).await.expect("memory is there");
    for (waiting, trouble, expected) in
        [(0, None, vec![]), (1_000, Some("away"), vec![]), (1_000, None, vec![Lane::Normal])]
    {
        let broker = Arc::new(Silent { waiting, trouble, every: Some(Duration::from_millis(20)), ..Silent::default() });
        let (worker, desk) = worker_and_desk(&broker);
        let killed = desk.clock.now().minus_ms(FRESH_MS);
        let left = Telling::new(&desk.dice).tell(&*desk.store, killed, Throughput::from([(Lane::Bulk, 9.0)])).await;
        left.expect("memory takes it");
        let stop = CancellationToken::new();
        let running = tokio::spawn(worker.run(stop.clone()));
        sleep(Duration::from_secs(5)).await;
        let throughput = told(&desk).await;
        assert_eq!(throughput.keys().copied().collect::<Vec<_>>(), expected, "{waiting} wait, {trouble:?}");
        assert!(throughput.values().all(|per_s| (45.0..=55.0).contains(per_s)), "{throughput:?}");
        stop.cancel();
        running.await.expect("a worker stops without a panic");
        assert_eq!(desk.store.settings("lane/").await, Ok(vec![]), "nor is anything left of one that was killed");
    }
}
