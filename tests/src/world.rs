//! A world: memory backends, scripted carriers, the real door and the real worker, under paused time.

mod parts;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use otodoke_common::clock::Clock;
use otodoke_common::code::CodeKeys;
use otodoke_common::config::TenantSettings;
use otodoke_common::desk::Desk;
use otodoke_common::memory::Memory;
use otodoke_common::message::{Lane, MessageId};
use otodoke_common::metrics::Metrics;
use otodoke_common::parts::Parts;
use otodoke_common::policy::Policy;
use otodoke_common::route::{International, Plan, ReceiptProfile};
use otodoke_common::seal::Vault;
use otodoke_common::store::Store;
use otodoke_common::time::Timestamp;
use otodoke_producer::admission::LaneWindows;
use otodoke_producer::router::router;
use otodoke_worker::{Capacity, Worker, WorkerSettings};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Duration, sleep};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::carrier::{Around, Carrier};
use crate::gate::Gate;
use crate::phones::{Phone, Phones};
use parts::{carriers, door, gated, keep_key, parts, provider, publishers};

/// 2026-11-23 00:00 UTC.
const EPOCH_MS: i64 = 1_795_392_000_000;
const KEY: &str = "otk_of_the_tests";
/// Longest simulated wait for something to happen.
const UNTIL_MS_MAX: u64 = 3_600_000;
const LOOK_EVERY_MS: u64 = 25;

/// What a world may have different.
pub struct Options {
    pub seed: u64,
    pub policy: Policy,
    pub plan: Plan,
    pub capacity: Capacity,
    /// Carriers that bear something else.
    pub capacities: BTreeMap<&'static str, Capacity>,
    /// The one carrier of Korean numbers, where there is one. Everything else is about Japanese ones.
    pub korean: Option<&'static str>,
    /// Routes that take fewer segments than others, by carrier.
    pub segments_max: BTreeMap<&'static str, u32>,
    /// What the receipts of a carrier's route prove, where they do not tell of the handset.
    pub receipts: BTreeMap<&'static str, ReceiptProfile>,
    /// What a text segment or a call by a carrier costs, where it is not 10.
    pub prices: BTreeMap<&'static str, u32>,
    pub lanes: usize,
    pub windows: LaneWindows,
    pub tenant: TenantSettings,
    /// Else simulated time, from `EPOCH_MS`.
    pub clock: Option<Clock>,
    /// Each step of the worker to store, broker and carriers takes up to this long.
    pub step_ms_max: u32,
    /// The same of the door's steps to the store.
    pub door_step_ms_max: u32,
    pub sweep_every_ms: u64,
    pub release_per_s: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            policy: Policy {
                unknown_grace_ms: 1_500,
                unknown_ask_after_ms: 500,
                ask_unasked_after_ms: 1_000,
                late_voice_after_ms: 3_000,
                call_overdue_after_ms: 15_000,
                crash_gap_ms: 10_000,
                retry_first_ms: 200,
                messages_per_10_minutes: 1_000,
                messages_per_day: 1_000,
                ..Policy::default()
            },
            plan: Plan { international: International::Last, voice: true },
            capacity: Capacity { concurrency: 64, rate_per_s: 10_000 },
            capacities: BTreeMap::new(),
            korean: None,
            segments_max: BTreeMap::new(),
            receipts: BTreeMap::new(),
            prices: BTreeMap::new(),
            lanes: 64,
            windows: LaneWindows::default(),
            tenant: TenantSettings::default(),
            clock: None,
            step_ms_max: 0,
            door_step_ms_max: 0,
            sweep_every_ms: 50,
            release_per_s: 5_000,
        }
    }
}

pub struct World {
    pub clock: Clock,
    pub memory: Memory,
    pub store: Arc<dyn Store>,
    pub metrics: Arc<Metrics>,
    pub phones: Arc<Phones>,
    pub router: Router,
    pub vault: Arc<Vault>,
    carriers: BTreeMap<&'static str, Arc<Carrier>>,
    cut_off: Arc<AtomicBool>,
    parts: Parts,
    settings: WorkerSettings,
    worker: Option<Running>,
    seed: u64,
    step_ms_max: u32,
}

/// One life of the worker.
struct Running {
    gate: Arc<Gate>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// An answer of the door.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub retry_after_s: Option<u64>,
    pub body: Value,
}

impl World {
    pub async fn new() -> Self {
        Self::with(Options::default()).await
    }

    /// A world with its worker running.
    pub async fn with(options: Options) -> Self {
        let mut world = Self::idle(options).await;
        world.start_worker();
        world
    }

    /// A world whose worker does not run yet: what is accepted waits.
    pub async fn idle(options: Options) -> Self {
        let simulated = || Clock::simulated(Timestamp::from_unix_ms(EPOCH_MS));
        let clock = options.clock.clone().unwrap_or_else(simulated);
        let around = Around { clock: clock.clone(), phones: Arc::default(), cut_off: Arc::default() };
        let carriers = carriers(&around);
        let memory = Memory::new(clock.clone());
        let parts = parts(&memory, &clock, &carriers, &options);
        let router = router(Arc::new(door(&parts, &options)));
        for carrier in carriers.values() {
            carrier.connect(router.clone());
        }
        let store = memory.store();
        keep_key(&*store, &clock).await;
        parts.codes.look(&*store).await.expect("memory answers");
        let capacity = |name: &str| options.capacities.get(name).copied().unwrap_or(options.capacity);
        let settings = WorkerSettings {
            lanes: Lane::ALL.into_iter().map(|lane| (lane, options.lanes)).collect(),
            capacities: carriers.keys().map(|name| (provider(name), capacity(name))).collect(),
            sweep_every_ms: options.sweep_every_ms,
            release_per_s: options.release_per_s,
            publishers: publishers(options.tenant),
        };
        Self {
            clock,
            store,
            memory,
            metrics: Arc::clone(&parts.desk.metrics),
            phones: around.phones,
            router,
            vault: Arc::clone(&parts.desk.vault),
            carriers,
            cut_off: around.cut_off,
            parts,
            settings,
            worker: None,
            seed: options.seed,
            step_ms_max: options.step_ms_max,
        }
    }

    pub fn start_worker(&mut self) {
        assert!(self.worker.is_none(), "a world has one worker");
        self.seed += 1;
        let gate = Gate::open(self.step_ms_max, self.seed);
        let parts = Parts {
            desk: Desk { store: gate.store(Arc::clone(&self.parts.desk.store)), ..self.parts.desk.clone() },
            broker: gate.broker(Arc::clone(&self.parts.broker)),
            routes: Arc::clone(&self.parts.routes),
            providers: Arc::new(gated(&gate, &self.parts.providers)),
            codes: Arc::clone(&self.parts.codes),
            templates: Arc::clone(&self.parts.templates),
        };
        let stop = CancellationToken::new();
        let task = tokio::spawn(Worker::new(parts, self.settings.clone()).run(stop.clone()));
        self.worker = Some(Running { gate, stop, task });
    }

    pub const fn is_working(&self) -> bool {
        self.worker.is_some()
    }

    /// Deliveries that the worker took and has not settled.
    pub fn in_hand(&self) -> usize {
        self.worker.as_ref().map_or(0, |running| running.gate.in_hand())
    }

    /// The store that the next worker sees; the door keeps its own.
    pub fn replace_store_of_worker(&mut self, store: Arc<dyn Store>) {
        self.parts.desk.store = store;
    }

    /// The roots that the next worker knows; the door keeps its own.
    pub fn replace_codes_of_worker(&mut self, codes: CodeKeys) -> Arc<CodeKeys> {
        std::mem::replace(&mut self.parts.codes, Arc::new(codes))
    }

    pub fn return_codes_of_worker(&mut self, codes: Arc<CodeKeys>) {
        self.parts.codes = codes;
    }

    /// Stops the worker as a person would, and waits until it has.
    pub async fn stop_worker(&mut self) {
        let Some(Running { stop, task, .. }) = self.worker.take() else { return };
        stop.cancel();
        task.await.expect("a worker stops without a panic");
    }

    /// Whatever the worker asks from now on is never answered: servers that stall with their sockets open. It runs on.
    pub fn silence_around_worker(&self) {
        self.worker.iter().for_each(|running| running.gate.shut());
    }

    /// `kill -9`: whatever it was doing is never finished.
    pub fn kill_worker(&mut self) {
        let Some(Running { gate, stop, .. }) = self.worker.take() else { return };
        gate.shut();
        stop.cancel();
    }

    /// Whether what carriers post to us reaches us; what does not, they post again later.
    pub fn cut_receipts_off(&self, off: bool) {
        self.cut_off.store(off, Ordering::SeqCst);
    }

    pub fn carrier(&self, name: &str) -> &Carrier {
        &self.carriers[name]
    }

    pub fn phone(&self, number: &str) -> Phone {
        self.phones.of(number)
    }

    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.post_with(path, body, &[]).await
    }

    pub async fn post_with(&self, path: &str, body: Value, headers: &[(&str, &str)]) -> Reply {
        let mut request = Request::post(path).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.call(request.body(Body::from(body.to_string()))).await
    }

    /// What a stranger, or a carrier, posts: without a key.
    pub async fn post_raw(&self, path: &str, body: Vec<u8>) -> u16 {
        let request = Request::post(path).body(Body::from(body)).expect("the tests write valid requests");
        self.router.clone().oneshot(request).await.expect("a router never fails").status().as_u16()
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.call(Request::get(path).body(Body::empty())).await
    }

    async fn call(&self, request: Result<Request<Body>, axum::http::Error>) -> Reply {
        let mut request = request.expect("the tests write valid requests");
        let bearer = format!("Bearer {KEY}").parse().expect("a key is visible ASCII");
        request.headers_mut().insert("authorization", bearer);
        let response = self.router.clone().oneshot(request).await.expect("a router never fails");
        let status = response.status().as_u16();
        let retry_after_s = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.expect("a small body");
        Reply { status, retry_after_s, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
    }

    /// Asks for a login code and returns its id.
    pub async fn ask_for_code(&self, to: &str) -> String {
        self.ask(json!({"to": to, "purpose": "login"})).await
    }

    pub async fn ask(&self, body: Value) -> String {
        let path = if body["purpose"] == "notice" { "/v1/messages" } else { "/v1/verifications" };
        let reply = self.post(path, body).await;
        assert_eq!(reply.status, 202, "{:?}", reply.body);
        reply.body["id"].as_str().expect("an accepted message has an id").to_owned()
    }

    pub async fn message(&self, id: &str) -> Value {
        let reply = self.get(&format!("/v1/verifications/{id}")).await;
        if reply.status == 404 { self.get(&format!("/v1/messages/{id}")).await.body } else { reply.body }
    }

    pub async fn check(&self, id: &str, code: &str) -> Reply {
        self.post(&format!("/v1/verifications/{id}/check"), json!({"code": code})).await
    }

    /// Lets simulated time pass until the message looks like that.
    pub async fn until(&self, id: &str, looks: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..UNTIL_MS_MAX / LOOK_EVERY_MS {
            let message = self.message(id).await;
            if looks(&message) {
                return message;
            }
            sleep(Duration::from_millis(LOOK_EVERY_MS)).await;
        }
        let journal = self.get(&format!("/v1/trace/{id}")).await.body;
        panic!("it never came to that: {:#}\n{journal:#}", self.message(id).await);
    }

    /// Lets this much simulated time pass.
    pub async fn wait_ms(&self, ms: u64) {
        sleep(Duration::from_millis(ms)).await;
    }

    /// The journal of a message: its events in order, as `GET /v1/trace` tells them.
    pub async fn trace(&self, id: &str) -> Vec<Value> {
        let trace = self.get(&format!("/v1/trace/{id}")).await.body;
        trace["journal"]
            .as_array()
            .expect("a trace holds a journal")
            .iter()
            .map(|line| line["fields"].clone())
            .collect()
    }

    pub async fn until_status(&self, id: &str, status: &str) -> Value {
        self.until(id, |message| message["status"] == status).await
    }

    /// What the counter or gauge says, summed over the series whose labels contain all of `labels`.
    pub fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.metrics.text();
        let of_name =
            |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{') || rest.starts_with(' '));
        text.lines()
            .filter(of_name)
            .filter(|line| labels.iter().all(|label| line.contains(label)))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.kill_worker();
    }
}

pub fn id(raw: &str) -> MessageId {
    MessageId::parse(raw).expect("the door gives valid ids")
}

/// The legs of a message as `(channel, provider, outcome)`.
pub fn legs(message: &Value) -> Vec<(String, String, String)> {
    let word = |leg: &Value, field: &str| leg[field].as_str().unwrap_or("-").to_owned();
    let legs = message["legs"].as_array().expect("a message shows its legs");
    legs.iter().map(|leg| (word(leg, "channel"), word(leg, "provider"), word(leg, "outcome"))).collect()
}
