//! What a world is made of: the parts of door and worker, four carriers and the routes over them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use otodoke_common::clock::Clock;
use otodoke_common::code::CodeKeys;
use otodoke_common::config::TenantSettings;
use otodoke_common::desk::Desk;
use otodoke_common::dice::Dice;
use otodoke_common::leg::{Abilities, Channel, ProviderId, RouteClass, RouteId};
use otodoke_common::memory::Memory;
use otodoke_common::message::{Kid, TenantId};
use otodoke_common::metrics::Metrics;
use otodoke_common::parts::Parts;
use otodoke_common::phone::Country;
use otodoke_common::policy::Policy;
use otodoke_common::provider::{Provider, Registry};
use otodoke_common::request::publication::Publishers;
use otodoke_common::route::{ReceiptProfile, Route, RouteTable};
use otodoke_common::seal::Vault;
use otodoke_common::store::{KeyRecord, Store};
use otodoke_common::text::{Counting, Templates};
use otodoke_producer::auth::key_setting;
use otodoke_producer::door::Door;
use otodoke_producer::hands::Hands;
use otodoke_producer::{Rates, Spill};
use tokio_util::sync::CancellationToken;

use super::{KEY, Options};
use crate::carrier::{Around, Carrier, Scripted};
use crate::gate::Gate;

pub(super) fn parts(
    memory: &Memory,
    clock: &Clock,
    carriers: &BTreeMap<&'static str, Arc<Carrier>>,
    options: &Options,
) -> Parts {
    Parts {
        desk: desk(memory, clock, options),
        broker: memory.broker(),
        routes: Arc::new(table(carriers, options)),
        providers: Arc::new(registry(carriers)),
        codes: Arc::new(CodeKeys::new(kid(), vec![(kid(), vec![7; 32])]).expect("a root of 32 bytes")),
        templates: Arc::new(Templates::builtin()),
    }
}

pub(super) fn door(parts: &Parts, options: &Options) -> Door {
    let gate = Gate::open(options.door_step_ms_max, options.seed);
    Door {
        desk: Desk { store: gate.store(Arc::clone(&parts.desk.store)), ..parts.desk.clone() },
        broker: Arc::clone(&parts.broker),
        codes: Arc::clone(&parts.codes),
        templates: Arc::clone(&parts.templates),
        routes: Arc::clone(&parts.routes),
        providers: Arc::clone(&parts.providers),
        tenants: BTreeMap::from([(tenant(), options.tenant.clone())]),
        windows: options.windows,
        public_url: "http://door.test".to_owned(),
        stopping: CancellationToken::new(),
        hands: Hands::default(),
        spill: Spill::default(),
        rates: Rates::default(),
        met_broker: AtomicBool::default(),
        met_store: AtomicBool::default(),
    }
}

pub(super) fn gated(gate: &Arc<Gate>, providers: &Registry) -> Registry {
    providers.iter().map(|(id, provider)| (id.clone(), gate.provider(Arc::clone(provider)))).collect()
}

fn desk(memory: &Memory, clock: &Clock, options: &Options) -> Desk {
    Desk {
        store: memory.store(),
        vault: Arc::new(Vault::new(&[9; 32]).expect("a root of 32 bytes")),
        policy: Arc::new(Policy {
            of_tenants: BTreeMap::from([(tenant(), options.tenant.limits())]),
            ..options.policy.clone()
        }),
        metrics: Metrics::for_countries([Country::JP, korea()]).expect("the names of the metrics are valid"),
        clock: clock.clone(),
        dice: Arc::new(Dice::seeded(options.seed)),
        writes: Arc::default(),
    }
}

pub(super) async fn keep_key(store: &dyn Store, clock: &Clock) {
    let record = KeyRecord { tenant: tenant(), key_id: "1".to_owned(), created_at: clock.now() };
    let record = serde_json::to_string(&record).expect("a record is JSON");
    store.setting_put(&key_setting(KEY), Some(&record)).await.expect("memory keeps settings");
}

pub(super) fn carriers(around: &Around) -> BTreeMap<&'static str, Arc<Carrier>> {
    let none = Abilities::default();
    let polled = Abilities { asks: true, asks_by_our_id: true, ..none };
    let deduping = Abilities { dedupes: true, asks: true, validity: true, ..none };
    let plain = Abilities { asks: true, validity: true, ..none };
    let make = |name: &'static str, channel, abilities| (name, Carrier::new(name, channel, abilities, around));
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
fn table(carriers: &BTreeMap<&'static str, Arc<Carrier>>, options: &Options) -> RouteTable {
    let route = |name: &str, class, channel, rank| Route {
        id: RouteId::parse(&format!("jp-{name}")).expect("valid"),
        provider: provider(name),
        country: Country::JP,
        class,
        channel,
        rank,
        price: options.prices.get(name).copied().unwrap_or(10),
        sender: format!("from-{name}"),
        receipt: options.receipts.get(name).copied().unwrap_or(ReceiptProfile::Handset),
        overdue_after_ms: 3_000,
        usual_ms: 1_000,
        origin_line: true,
        counting: Counting::Standard,
        segments_max: options.segments_max.get(name).copied().unwrap_or(3),
        retiring: false,
        abilities: Scripted(Arc::clone(&carriers[name])).abilities(),
    };
    let mut routes = vec![
        route("sakura", RouteClass::Domestic, Channel::Sms, 1),
        route("fuji", RouteClass::Domestic, Channel::Sms, 2),
        route("atlas", RouteClass::International, Channel::Sms, 3),
        route("kodama", RouteClass::Domestic, Channel::Voice, 1),
    ];
    routes.extend(options.korean.map(|name| {
        let id = RouteId::parse(&format!("kr-{name}")).expect("valid");
        Route { id, country: korea(), ..route(name, RouteClass::Domestic, Channel::Sms, 1) }
    }));
    let tenants = BTreeMap::from([(tenant(), options.tenant.routes())]);
    let plans = BTreeMap::from([Country::JP, korea()].map(|country| (country, options.plan)));
    RouteTable { routes, plans, tenants }
}

/// `acme-app` publishes for the tenant of the world, `beta-app` for another.
pub(super) fn publishers(acme: TenantSettings) -> Publishers {
    let of =
        |user: &str, settings| TenantSettings { amqp_users: [user.to_owned()].into(), amqp_clear: true, ..settings };
    let beta = TenantId::parse("beta").expect("valid");
    Publishers::new(BTreeMap::from([
        (tenant(), of("acme-app", acme)),
        (beta, of("beta-app", TenantSettings::default())),
    ]))
}

fn tenant() -> TenantId {
    TenantId::parse("acme").expect("valid")
}

pub(super) fn provider(name: &str) -> ProviderId {
    ProviderId::parse(name).expect("valid")
}

fn kid() -> Kid {
    Kid::parse("k1").expect("valid")
}

fn korea() -> Country {
    Country::parse("KR").expect("two capitals")
}
