//! A world: memory backends, scripted carriers, the real door and the real worker, under paused time.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use otodoke_common::clock::Clock;
use otodoke_common::code::CodeKeys;
use otodoke_common::desk::Desk;
use otodoke_common::dice::Dice;
use otodoke_common::leg::{Abilities, Channel, ProviderId, RouteClass, RouteId};
use otodoke_common::memory::Memory;
use otodoke_common::message::{Kid, Lane, MessageId, TenantId};
use otodoke_common::metrics::Metrics;
use otodoke_common::phone::Country;
use otodoke_common::policy::Policy;
use otodoke_common::provider::{Provider, Registry};
use otodoke_common::route::{International, Plan, ReceiptProfile, Route, RouteTable};
use otodoke_common::seal::Vault;
use otodoke_common::store::{KeyRecord, Store};
use otodoke_common::text::Templates;
use otodoke_common::time::Timestamp;
use otodoke_producer::admission::LaneWindows;
use otodoke_producer::auth::key_setting;
use otodoke_producer::door::Door;
use otodoke_producer::hands::Hands;
use otodoke_producer::router::router;
use otodoke_worker::{Capacity, Worker, WorkerParts, WorkerSettings};
use serde_json::{Value, json};
use tokio::time::{Duration, sleep};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::carrier::{Carrier, Scripted};
use crate::phones::{Phone, Phones};

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
    pub lanes: usize,
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
                crash_gap_ms: 6_000,
                retry_first_ms: 200,
                messages_per_10_minutes: 1_000,
                messages_per_day: 1_000,
                ..Policy::default()
            },
            plan: Plan { international: International::Last, voice: true },
            capacity: Capacity { concurrency: 64, rate_per_s: 10_000 },
            lanes: 64,
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
    carriers: BTreeMap<&'static str, Arc<Carrier>>,
    worker: Option<WorkerParts>,
    settings: WorkerSettings,
    stop: CancellationToken,
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
        let clock = Clock::simulated(Timestamp::from_unix_ms(EPOCH_MS));
        let phones = Arc::new(Phones::default());
        let carriers = carriers(&clock, &phones);
        let memory = Memory::new(clock.clone());
        let desk = desk(&memory, &clock, &options);
        let providers: Arc<Registry> = Arc::new(registry(&carriers));
        let routes = Arc::new(table(&carriers, options.plan));
        let parts = WorkerParts {
            desk: desk.clone(),
            broker: memory.broker(),
            routes: Arc::clone(&routes),
            providers: Arc::clone(&providers),
            codes: Arc::new(CodeKeys::new(kid(), vec![(kid(), vec![7; 32])]).expect("a root of 32 bytes")),
            templates: Arc::new(Templates::builtin()),
        };
        let door = Door {
            desk,
            broker: memory.broker(),
            codes: Arc::clone(&parts.codes),
            templates: Arc::clone(&parts.templates),
            routes,
            providers,
            tenants: BTreeMap::new(),
            windows: LaneWindows::default(),
            public_url: "http://door.test".to_owned(),
            stopping: CancellationToken::new(),
            hands: Hands::default(),
        };
        let router = router(Arc::new(door));
        for carrier in carriers.values() {
            carrier.connect(router.clone());
        }
        let store = memory.store();
        keep_key(&*store, &clock).await;
        let capacities = carriers.keys().map(|name| (provider(name), options.capacity)).collect();
        let settings = WorkerSettings {
            lanes: Lane::ALL.into_iter().map(|lane| (lane, options.lanes)).collect(),
            capacities,
            sweep_every_ms: 50,
            release_per_s: 5_000,
        };
        let metrics = Arc::clone(&parts.desk.metrics);
        let stop = CancellationToken::new();
        Self { clock, memory, store, metrics, phones, router, carriers, worker: Some(parts), settings, stop }
    }

    pub fn start_worker(&mut self) {
        let parts = self.worker.take().expect("a world has one worker");
        tokio::spawn(Worker::new(parts, self.settings.clone()).run(self.stop.clone()));
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

    pub async fn until_status(&self, id: &str, status: &str) -> Value {
        self.until(id, |message| message["status"] == status).await
    }

    /// What the counter or gauge says, summed over the series whose labels contain all of `labels`.
    pub fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.metrics.text();
        let of_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{') || rest.starts_with(' '));
        text.lines()
            .filter(of_name)
            .filter(|line| labels.iter().all(|label| line.contains(label)))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
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

fn desk(memory: &Memory, clock: &Clock, options: &Options) -> Desk {
    Desk {
        store: memory.store(),
        vault: Arc::new(Vault::new(&[9; 32]).expect("a root of 32 bytes")),
        policy: Arc::new(options.policy.clone()),
        metrics: Metrics::for_countries([Country::JP]).expect("the names of the metrics are valid"),
        clock: clock.clone(),
        dice: Arc::new(Dice::seeded(options.seed)),
    }
}

async fn keep_key(store: &dyn Store, clock: &Clock) {
    let tenant = TenantId::parse("acme").expect("valid");
    let record = KeyRecord { tenant, key_id: "1".to_owned(), created_at: clock.now() };
    let record = serde_json::to_string(&record).expect("a record is JSON");
    store.setting_put(&key_setting(KEY), Some(&record)).await.expect("memory keeps settings");
}

fn carriers(clock: &Clock, phones: &Arc<Phones>) -> BTreeMap<&'static str, Arc<Carrier>> {
    let none = Abilities::default();
    let polled = Abilities { asks: true, asks_by_our_id: true, ..none };
    let deduping = Abilities { dedupes: true, asks: true, validity: true, ..none };
    let plain = Abilities { asks: true, validity: true, ..none };
    let make = |name: &'static str, channel, abilities| {
        (name, Carrier::new(name, channel, abilities, clock.clone(), Arc::clone(phones)))
    };
    BTreeMap::from([
        make("sakura", Channel::Sms, polled),
        make("fuji", Channel::Sms, deduping),
        make("atlas", Channel::Sms, plain),
        make("kodama", Channel::Voice, none),
    ])
}

fn registry(carriers: &BTreeMap<&'static str, Arc<Carrier>>) -> Registry {
    let one = |carrier: &Arc<Carrier>| -> Arc<dyn Provider> { Arc::new(Scripted(Arc::clone(carrier))) };
    carriers.iter().map(|(name, carrier)| (provider(name), one(carrier))).collect()
}

/// `sakura` then `fuji`, domestic; `atlas` from abroad; `kodama` calls.
fn table(carriers: &BTreeMap<&'static str, Arc<Carrier>>, plan: Plan) -> RouteTable {
    let route = |name: &str, class, channel, rank| Route {
        id: RouteId::parse(&format!("jp-{name}")).expect("valid"),
        provider: provider(name),
        country: Country::JP,
        class,
        channel,
        rank,
        price: 10,
        sender: format!("from-{name}"),
        receipt: ReceiptProfile::Handset,
        overdue_after_ms: 3_000,
        usual_ms: 1_000,
        origin_line: true,
        segments_max: 3,
        abilities: Scripted(Arc::clone(&carriers[name])).abilities(),
    };
    let routes = vec![
        route("sakura", RouteClass::Domestic, Channel::Sms, 1),
        route("fuji", RouteClass::Domestic, Channel::Sms, 2),
        route("atlas", RouteClass::International, Channel::Sms, 3),
        route("kodama", RouteClass::Domestic, Channel::Voice, 1),
    ];
    RouteTable { routes, plans: BTreeMap::from([(Country::JP, plan)]) }
}

fn provider(name: &str) -> ProviderId {
    ProviderId::parse(name).expect("valid")
}

fn kid() -> Kid {
    Kid::parse("k1").expect("valid")
}
