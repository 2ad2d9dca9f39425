//! A door with everything behind it in memory, and a hand that plays the worker.

mod scripted;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use otodoke_common::broker::Queue;
use otodoke_common::clock::Clock;
use otodoke_common::code::{self, CodeKeys};
use otodoke_common::config::TenantSettings;
use otodoke_common::desk::{Applied, Desk, Routing};
use otodoke_common::dice::Dice;
use otodoke_common::leg::{Abilities, Channel, Leg, LegNumber, ProviderId, RouteClass, RouteId};
use otodoke_common::lifecycle::{Choice, Event, Step};
use otodoke_common::memory::Memory;
use otodoke_common::message::{Kid, Message, MessageId, TenantId, Want};
use otodoke_common::metrics::Metrics;
use otodoke_common::outcome::Answer;
use otodoke_common::phone::Country;
use otodoke_common::policy::Policy;
use otodoke_common::provider::Provider;
use otodoke_common::route::{International, Plan, ReceiptProfile, Route, RouteTable};
use otodoke_common::seal::Vault;
use otodoke_common::text::{Counting, Templates};
use otodoke_common::time::Timestamp;
use otodoke_common::wire::LaneMessage;
use serde_json::{Value, json};
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::check::sent_code;
use crate::{Door, Hands, LaneWindows, Rates, Spill, auth, router};
use scripted::Scripted;
pub(super) use scripted::UNPROVEN;

pub(super) const NUMBER: &str = "+819012345678";
pub(super) const OTHER_NUMBER: &str = "+819012345679";
const ROOT: [u8; 32] = [7; 32];

pub(super) struct Bed {
    pub(super) door: Arc<Door>,
    pub(super) memory: Memory,
    pub(super) router: Router,
    pub(super) key: String,
    pub(super) stranger_key: String,
    hung_up: Mutex<mpsc::UnboundedReceiver<String>>,
}

pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{} is no JSON: {}", self.status, self.text))
    }

    /// Field of a JSON object, as text.
    pub(super) fn word(&self, field: &str) -> String {
        self.json()[field].as_str().unwrap_or_else(|| panic!("no {field} in {}", self.text)).to_owned()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("headers are text"))
    }

    /// Status, code and field of a refusal, whose form is checked here for all of them.
    #[track_caller]
    pub(super) fn problem(&self) -> (u16, String, Option<String>) {
        let body = self.json();
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.text);
        assert_eq!(body["status"], json!(self.status.as_u16()));
        assert_eq!(body["title"], json!(self.status.canonical_reason()));
        assert!(body["detail"].as_str().is_some_and(|detail| detail.len() > 20), "no remedy in {}", self.text);
        let field = body["field"].as_str().map(str::to_owned);
        (self.status.as_u16(), self.word("code"), field)
    }

    #[track_caller]
    pub(super) fn accepted(&self) -> MessageId {
        assert_eq!(self.status, StatusCode::ACCEPTED, "{}", self.text);
        MessageId::parse(&self.word("id")).expect("an id")
    }
}

impl Bed {
    pub(super) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(super) async fn with(change: impl FnOnce(&mut Door)) -> Self {
        let clock = Clock::simulated(Timestamp::from_unix_ms(1_795_348_800_000));
        let memory = Memory::new(clock.clone());
        let (calls, hung_up) = mpsc::unbounded_channel();
        let mut door = door(&memory, clock, Scripted { id: ProviderId::parse("kodama").expect("an id"), calls });
        door.codes.look(&*door.desk.store).await.expect("memory answers");
        change(&mut door);
        let door = Arc::new(door);
        let key = mint(&door, "acme").await;
        let stranger_key = mint(&door, "other").await;
        let hung_up = Mutex::new(hung_up);
        Self { router: router(door.clone()), door, memory, key, stranger_key, hung_up }
    }

    /// Whoever revoked it, this door has heard of it.
    pub(super) async fn revoke_root(&self) {
        let store = &*self.door.desk.store;
        code::revoke(store, self.door.codes.active()).await.expect("memory takes it");
        self.door.codes.look(store).await.expect("memory answers");
    }

    /// The door starts anew with roots of codes that made none of its messages.
    pub(super) async fn forget_roots(&mut self) {
        let kid = Kid::parse("k2").expect("a kid");
        let codes = CodeKeys::new(kid.clone(), vec![(kid, vec![4; 32])]).expect("a root");
        codes.look(&*self.door.desk.store).await.expect("memory answers");
        self.start_anew(codes);
    }

    /// The door starts anew with one root more, which is the active one, and the one before it revoked.
    pub(super) async fn replace_root(&mut self) {
        self.revoke_root().await;
        let [old, new] = [("k1", 3), ("k2", 4)].map(|(kid, byte)| (Kid::parse(kid).expect("a kid"), vec![byte; 32]));
        let codes = CodeKeys::new(new.0.clone(), vec![old, new]).expect("two roots");
        codes.look(&*self.door.desk.store).await.expect("memory answers");
        self.start_anew(codes);
    }

    /// Its store was not there yet, so it has not seen which roots are revoked.
    pub(super) fn start_anew_unlooked(&mut self) {
        self.start_anew(codes());
    }

    fn start_anew(&mut self, codes: CodeKeys) {
        let door = &self.door;
        self.door = Arc::new(Door {
            desk: door.desk.clone(),
            broker: door.broker.clone(),
            codes: Arc::new(codes),
            templates: door.templates.clone(),
            routes: door.routes.clone(),
            providers: door.providers.clone(),
            tenants: door.tenants.clone(),
            windows: door.windows,
            public_url: door.public_url.clone(),
            stopping: door.stopping.clone(),
            hands: Hands::default(),
            spill: Spill::default(),
            rates: Rates::default(),
            met_broker: AtomicBool::default(),
            met_store: AtomicBool::default(),
        });
        self.router = router(self.door.clone());
    }

    /// The reference of the next call that the door ends.
    pub(super) async fn hung_up(&self) -> String {
        self.hung_up.lock().await.recv().await.expect("the provider lives as long as the door")
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.post_with(path, body, &[]).await
    }

    pub(super) async fn post_with(&self, path: &str, body: &Value, headers: &[(&str, &str)]) -> Reply {
        let mut all = vec![("content-type", "application/json"), ("authorization", self.key.as_str())];
        all.retain(|(name, _)| headers.iter().all(|(other, _)| other != name));
        all.extend(headers);
        self.raw(Method::POST, path, &all, body.to_string().into_bytes()).await
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        self.raw(Method::GET, path, &[("authorization", &self.key)], Vec::new()).await
    }

    pub(super) async fn raw(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body)).expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("the router always answers");
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.expect("a body");
        let text = String::from_utf8(bytes.to_vec()).expect("answers are text");
        Reply { status: parts.status, headers: parts.headers, text }
    }

    /// A login code for `NUMBER`, accepted.
    pub(super) async fn login(&self) -> MessageId {
        self.post("/v1/verifications", &json!({"to": NUMBER, "purpose": "login"})).await.accepted()
    }

    /// The same, with its first leg submitted.
    pub(super) async fn sent_login(&self) -> MessageId {
        let id = self.login().await;
        self.begin(id, Channel::Sms).await;
        id
    }

    pub(super) async fn load(&self, id: MessageId) -> Message {
        self.door.desk.store.load(id).await.expect("the store").expect("the row")
    }

    /// What a worker does: takes the message, begins a leg on this channel, has it submitted.
    pub(super) async fn begin(&self, id: MessageId, channel: Channel) -> LegNumber {
        let choose = move |message: &Message, _: &Want| Choice::go(route(message.country.as_str(), channel));
        let routing = Routing { choose: &choose, punctual: &|_: &Leg| true, asks_in_ms: &|_: &Leg| 0 };
        let step = self.apply(id, &Event::Taken, &routing).await;
        let leg = step.message.legs.last().expect("a leg began").number;
        let answer = Answer::Submitted { reference: Some(format!("reference-{leg}")) };
        self.apply(id, &Event::Answered { leg, answer }, &routing).await;
        leg
    }

    pub(super) async fn apply(&self, id: MessageId, event: &Event, routing: &Routing<'_>) -> Step {
        match self.door.desk.apply(id, event, routing, &[]).await.expect("the store") {
            Applied::Done(step) => *step,
            other @ (Applied::Missing | Applied::OverLimit { .. }) => panic!("{event:?} gave {other:?}"),
        }
    }

    pub(super) async fn code(&self, id: MessageId) -> String {
        let message = self.load(id).await;
        let person = self.door.desk.vault.open(&message).expect("sealed here");
        sent_code(&self.door, &message, &person).ok().expect("the root is known").digits().to_owned()
    }

    /// Digits that are not the code.
    pub(super) async fn wrong_code(&self, id: MessageId) -> String {
        let code = self.code(id).await;
        code.chars().map(|c| if c == '9' { '0' } else { char::from(c as u8 + 1) }).collect()
    }

    pub(super) async fn check(&self, id: MessageId, code: &str) -> Reply {
        self.post(&format!("/v1/verifications/{id}/check"), &json!({"code": code})).await
    }

    /// The next body on a queue, which must be there already.
    pub(super) async fn taken(&self, queue: Queue) -> Vec<u8> {
        let delivery = self.door.broker.take(queue).await.expect("the broker");
        let body = delivery.body.clone();
        delivery.done().await.expect("the broker");
        body
    }

    pub(super) fn waiting(&self, queue: Queue) -> u64 {
        self.door.broker.backlog(queue).waiting
    }

    #[track_caller]
    pub(super) fn woken(body: &[u8]) -> MessageId {
        match LaneMessage::decode(body).expect("a lane message") {
            LaneMessage::Wake { id } => id,
            LaneMessage::Row(message) => message.id,
            LaneMessage::Send(_) => panic!("the whole opening was sent"),
        }
    }
}

pub(super) async fn advance_ms(ms: u64) {
    tokio::time::advance(std::time::Duration::from_millis(ms)).await;
}

/// A transaction as callers write it.
pub(super) fn transaction(amount: &str) -> Value {
    json!({"amount": amount, "currency": "JPY", "payee": {"name": "YAMADA TARO", "account": "1234567"}})
}

pub(super) fn payment(amount: &str) -> Value {
    json!({"to": NUMBER, "purpose": "payment", "transaction": transaction(amount)})
}

async fn mint(door: &Door, tenant: &str) -> String {
    let tenant = TenantId::parse(tenant).expect("a tenant");
    let minted = auth::mint(&tenant, door.now()).expect("randomness");
    let record = serde_json::to_string(&minted.record).expect("a record");
    door.desk.store.setting_put(&minted.setting, Some(&record)).await.expect("the store");
    format!("Bearer {}", minted.key)
}

fn codes() -> CodeKeys {
    let kid = Kid::parse("k1").expect("a kid");
    CodeKeys::new(kid.clone(), vec![(kid, vec![3; 32])]).expect("a root")
}

fn door(memory: &Memory, clock: Clock, provider: Scripted) -> Door {
    let vault = Arc::new(Vault::new(&ROOT).expect("a root"));
    let provider: Arc<dyn Provider> = Arc::new(provider);
    Door {
        desk: Desk {
            store: memory.store(),
            vault,
            policy: Arc::new(Policy::default()),
            metrics: Metrics::for_countries([Country::JP]).expect("metrics"),
            clock,
            dice: Arc::new(Dice::seeded(1)),
            writes: Arc::default(),
        },
        broker: memory.broker(),
        codes: Arc::new(codes()),
        templates: Arc::new(Templates::builtin()),
        routes: Arc::new(routes()),
        providers: Arc::new(BTreeMap::from([(provider.id().clone(), provider)])),
        tenants: BTreeMap::new(),
        windows: LaneWindows::default(),
        public_url: "https://otp.example.com".to_owned(),
        stopping: CancellationToken::new(),
        hands: Hands::default(),
        spill: Spill::default(),
        rates: Rates::default(),
        met_broker: AtomicBool::default(),
        met_store: AtomicBool::default(),
    }
}

pub(super) fn tenant(settings: TenantSettings) -> BTreeMap<TenantId, TenantSettings> {
    BTreeMap::from([(TenantId::parse("acme").expect("a tenant"), settings)])
}

/// Japan with texts and calls, the United States with texts only, France with a plan but no route.
fn routes() -> RouteTable {
    let country = |raw| Country::parse(raw).expect("a country");
    let plan = |voice| Plan { international: International::Last, voice };
    RouteTable {
        routes: vec![route("JP", Channel::Sms), route("JP", Channel::Voice), route("US", Channel::Sms)],
        plans: BTreeMap::from([(country("JP"), plan(true)), (country("US"), plan(false)), (country("FR"), plan(true))]),
        tenants: BTreeMap::new(),
    }
}

fn route(country: &str, channel: Channel) -> Route {
    let provider = match channel {
        Channel::Sms => "sakura",
        Channel::Voice => "kodama",
    };
    let id = format!("{}-{provider}", country.to_ascii_lowercase());
    Route {
        id: RouteId::parse(&id).expect("an id"),
        provider: ProviderId::parse(provider).expect("an id"),
        country: Country::parse(country).expect("a country"),
        class: RouteClass::Domestic,
        channel,
        rank: 1,
        price: 80,
        sender: "Otodoke".to_owned(),
        receipt: ReceiptProfile::Handset,
        overdue_after_ms: 30_000,
        usual_ms: 5_000,
        origin_line: true,
        counting: Counting::Standard,
        segments_max: 2,
        retiring: false,
        abilities: Abilities::default(),
    }
}

/// Sends one request so that the door has seen the key lately.
pub(super) async fn bed_that_knows_its_key() -> Bed {
    let bed = Bed::new().await;
    bed.get("/v1/verifications/01980000-0000-7000-8000-000000000000").await;
    bed
}

pub(super) fn unavailable() -> (u16, String, Option<String>) {
    (503, "unavailable".to_owned(), None)
}
