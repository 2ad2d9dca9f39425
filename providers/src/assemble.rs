//! From settings to the parts of a process: what the settings alone decide first, then the backends put under it.
//!
//! `config check` stops after the first half, so what it calls good is what a start takes.

use std::sync::Arc;

use otodoke_common::broker::Broker;
use otodoke_common::clock::Clock;
use otodoke_common::code::CodeKeys;
use otodoke_common::config::{Problem, Problems, ProviderSettings as Configured, Settings, TemplateSettings, Use};
use otodoke_common::desk::Desk;
use otodoke_common::dice::Dice;
use otodoke_common::leg::Channel;
use otodoke_common::message::{Locale, Purpose};
use otodoke_common::metrics::{Metrics, MetricsError};
use otodoke_common::parts::Parts;
use otodoke_common::policy::Policy;
use otodoke_common::provider::Registry;
use otodoke_common::route::RouteTable;
use otodoke_common::seal::Vault;
use otodoke_common::servers::Servers;
use otodoke_common::store::Store;
use otodoke_common::text::{PAYMENT_SUFFIX, RenderInput, Templates, TextError, lint};
use otodoke_common::transaction::Transaction;

use crate::ProviderSettings;

/// Everything that needs no backend.
pub struct Assembled {
    pub vault: Arc<Vault>,
    pub codes: CodeKeys,
    pub providers: Registry,
    pub routes: RouteTable,
    pub metrics: Arc<Metrics>,
    templates: Templates,
    policy: Policy,
}

/// What the parts stand on.
pub struct Backends {
    pub store: Arc<dyn Store>,
    pub broker: Arc<dyn Broker>,
    /// The clock that the backends agree with.
    pub clock: Clock,
    pub dice: Arc<Dice>,
}

impl From<&Servers> for Backends {
    fn from(servers: &Servers) -> Self {
        Self {
            store: servers.store.clone(),
            broker: servers.broker.clone(),
            clock: servers.clock.clone(),
            dice: Arc::clone(&servers.dice),
        }
    }
}

/// Or all that is wrong with the settings.
pub fn assemble(settings: &Settings) -> Result<Assembled, Problems> {
    let one = |key: &str, error: String| Problems(vec![Problem::missing(key, error)]);
    let roots = settings.codes.roots.iter().map(|(kid, root)| (kid.clone(), root.bytes().to_vec())).collect();
    let codes = CodeKeys::new(settings.codes.active.clone(), roots);
    let vault = Vault::new(settings.seal.root.bytes()).map_err(|error| one("seal.root_file", error.to_string()))?;
    let vault = Arc::new(vault);
    let providers = registry(settings, &vault)?;
    let routes =
        settings.route_table(|id| providers.get(id).map(|provider| (provider.abilities(), provider.counting())));
    Ok(Assembled {
        codes: codes.map_err(|error| one("codes", error.to_string()))?,
        metrics: metrics(settings).map_err(|error| one("plan", error.to_string()))?,
        templates: templates(settings, &routes)?,
        routes,
        policy: policy(settings),
        vault,
        providers,
    })
}

impl Assembled {
    pub fn on(self, backends: Backends) -> Parts {
        Parts {
            desk: Desk {
                store: backends.store,
                vault: self.vault,
                policy: Arc::new(self.policy),
                metrics: self.metrics,
                clock: backends.clock,
                dice: backends.dice,
                writes: Arc::default(),
            },
            broker: backends.broker,
            routes: Arc::new(self.routes),
            providers: Arc::new(self.providers),
            codes: Arc::new(self.codes),
            templates: Arc::new(self.templates),
        }
    }
}

fn metrics(settings: &Settings) -> Result<Arc<Metrics>, MetricsError> {
    let levels = settings.routes.iter().map(|route| (route.id.clone(), route.receipt));
    let metrics = Metrics::for_routes(settings.plans.keys().copied(), levels)?;
    metrics.config_version(&settings.version());
    Ok(metrics)
}

/// With the limits that tenants have of their own, for whoever starts a leg.
fn policy(settings: &Settings) -> Policy {
    let of_tenants = settings.tenants.iter().map(|(id, tenant)| (id.clone(), tenant.limits())).collect();
    Policy { of_tenants, ..settings.policy.clone() }
}

/// The built-in templates and those of the settings; or all that is wrong with any of them.
fn templates(settings: &Settings, routes: &RouteTable) -> Result<Templates, Problems> {
    let mut templates = Templates::builtin();
    let mut problems = Vec::new();
    for (name, template) in &settings.templates {
        for ((of, locale), body) in &template.bodies {
            let (full, purpose) = match of {
                Use::Plain => (name.clone(), Purpose::Login),
                Use::Payment => (format!("{name}{PAYMENT_SUFFIX}"), Purpose::Payment),
            };
            let added = templates.add(&full, *locale, body);
            if let Err(error) = added.and_then(|()| fits_a_route(&templates, name, *locale, purpose, routes)) {
                let key = format!("template.{name}.{}", TemplateSettings::key(*of, *locale));
                problems.push(Problem::missing(key, error.to_string()));
            }
        }
    }
    if problems.is_empty() { Ok(templates) } else { Err(Problems(problems)) }
}

/// Whether it can be sent at all, filled with as little as may be. What requests fill in, they are asked about.
fn fits_a_route(
    templates: &Templates,
    template: &str,
    locale: Locale,
    purpose: Purpose,
    routes: &RouteTable,
) -> Result<(), TextError> {
    let least = Transaction::parse("1", "JPY", "A", "1").expect("a transaction");
    let transaction = (purpose == Purpose::Payment).then_some(&least);
    let (code, useful_ms, origin) = ("000000", 60_000, None);
    let text = templates.render(&RenderInput { template, locale, purpose, code, useful_ms, transaction, origin })?;
    let for_texts = routes.routes.iter().filter(|route| route.channel == Channel::Sms && !route.retiring);
    let mut lints = for_texts.map(|route| lint(&text, purpose, transaction, route.counting, route.segments_max));
    let Some(first) = lints.next() else { return Ok(()) };
    first.or_else(|error| lints.find(Result::is_ok).unwrap_or(Err(error)))
}

/// Every provider, ready to be called; or all that is wrong with any of them.
fn registry(settings: &Settings, vault: &Arc<Vault>) -> Result<Registry, Problems> {
    let mut providers = Registry::new();
    let mut problems = Vec::new();
    for (index, provider) in settings.providers.iter().enumerate() {
        match crate::build(&for_vendor(provider, &settings.public_url), Arc::clone(vault)) {
            Ok(built) => drop(providers.insert(provider.id.clone(), built)),
            Err(error) => {
                let key = format!("provider[{index}].{}", error.key);
                problems.push(Problem::new(key, &error.value, error.remedy));
            }
        }
    }
    if problems.is_empty() { Ok(providers) } else { Err(Problems(problems)) }
}

fn for_vendor(provider: &Configured, public_url: &str) -> ProviderSettings {
    ProviderSettings {
        id: provider.id.clone(),
        kind: provider.kind,
        base_url: provider.base_url.clone(),
        public_url: public_url.to_owned(),
        account: provider.account.clone(),
        secret: provider.secret.clone(),
        timeout_ms: provider.timeout_ms,
    }
}

#[cfg(test)]
mod tests {
    use otodoke_common::config::{
        CodesSettings, ProviderKind, ROOT_BYTES_MIN, Root, SandboxCarrier, SandboxCarriers, SandboxPlace, SealSettings,
        Secret,
    };
    use otodoke_common::leg::ProviderId;
    use otodoke_common::memory::Memory;
    use otodoke_common::message::Kid;
    use otodoke_common::text::Counting;

    use super::*;

    fn settings(account: Option<&str>) -> Settings {
        sandbox_at("127.0.0.1:8080", account)
    }

    fn sandbox_at(listen: &str, account: Option<&str>) -> Settings {
        let root = || Root::new(vec![7; ROOT_BYTES_MIN]).expect("long enough");
        let kid = Kid::parse("k1").expect("a kid");
        let carrier = |account: Option<&str>| SandboxCarrier {
            base_url: "http://127.0.0.1:9".to_owned(),
            account: account.map(str::to_owned),
            secret: Secret::new("sandbox"),
        };
        let place = SandboxPlace {
            listen: listen.parse().expect("an address"),
            codes: CodesSettings { active: kid.clone(), roots: [(kid, root())].into() },
            seal: SealSettings { root: root() },
        };
        let carriers = SandboxCarriers {
            sakura: carrier(None),
            fuji: carrier(None),
            atlas: carrier(account),
            kodama: carrier(account),
        };
        Settings::sandbox(place, carriers)
    }

    #[test]
    fn the_sandbox_starts_at_whatever_address_it_listens() {
        for listen in ["0.0.0.0:8080", "[::]:8080", "192.0.2.7:8080", "[2001:db8::7]:8080"] {
            assert!(assemble(&sandbox_at(listen, Some("AC00000000000000000000000000000000"))).is_ok(), "{listen}");
        }
    }

    #[tokio::test]
    async fn every_provider_and_route_of_the_settings_is_among_the_parts() {
        let settings = settings(Some("AC00000000000000000000000000000000"));
        let clock = Clock::system();
        let memory = Memory::new(clock.clone());
        let backends =
            Backends { store: memory.store(), broker: memory.broker(), clock, dice: Arc::new(Dice::seeded(1)) };
        let parts = assemble(&settings).expect("good settings").on(backends);
        assert!(settings.providers.iter().all(|provider| parts.providers.contains_key(&provider.id)));
        let routes: Vec<_> = parts.routes.routes.iter().map(|route| route.id.clone()).collect();
        assert_eq!(routes, settings.routes.iter().map(|route| route.id.clone()).collect::<Vec<_>>());
        assert_eq!(
            Policy { of_tenants: settings.policy.of_tenants.clone(), ..(*parts.desk.policy).clone() },
            settings.policy
        );
    }

    #[test]
    fn a_route_counts_segments_as_its_vendor_bills_them() {
        let settings = settings(Some("AC00000000000000000000000000000000"));
        let routes = assemble(&settings).expect("good settings").routes.routes;
        let by = |kind: ProviderKind| settings.providers.iter().filter(move |provider| provider.kind == kind);
        let counting = |kind| {
            let of = |provider: &ProviderId| by(kind).any(|known| known.id == *provider);
            routes.iter().find(|route| of(&route.provider)).map(|route| route.counting)
        };
        assert_eq!(counting(ProviderKind::Smslink), Some(Counting::Alike));
        assert_eq!(counting(ProviderKind::Infobip), Some(Counting::Standard));
    }

    #[test]
    fn a_tenants_own_limits_rule_its_legs() {
        let mut settings = settings(Some("AC00000000000000000000000000000000"));
        let tenant = |name| otodoke_common::message::TenantId::parse(name).expect("a tenant");
        let own = otodoke_common::config::TenantSettings {
            calls_per_hour: Some(7),
            spend_per_hour: Some(9),
            resends_max: Some(1),
            ..Default::default()
        };
        settings.tenants.insert(tenant("acme"), own);
        let policy = assemble(&settings).expect("good settings").policy;
        assert_eq!(policy.calls_per_hour_for(&tenant("acme")), 7);
        assert_eq!(policy.calls_per_hour_for(&tenant("other")), settings.policy.calls_per_hour);
        assert_eq!((policy.spend_per_hour_for(&tenant("acme")), policy.resends_max_for(&tenant("acme"))), (90_000, 1));
    }

    #[test]
    fn a_template_of_the_settings_can_be_asked_for_and_a_bad_one_is_named_by_its_key() {
        let mut settings = settings(Some("AC00000000000000000000000000000000"));
        let mut says = |name: &str, of, body: &str| {
            let template = settings.templates.entry(name.to_owned()).or_default();
            template.bodies.insert((of, Locale::En), body.to_owned());
            assemble(&settings)
        };
        let templates = says("shop", Use::Plain, "{code} from the shop").expect("a good template").templates;
        assert!(templates.knows("shop", Locale::En) && templates.knows("default", Locale::Ja));
        let problems = says("shop", Use::Payment, "{code} for {payee}").err().expect("it lacks the amount").0;
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 1);
        assert!(told[0].starts_with("template.shop.payment.en") && told[0].contains("{amount}"), "{told:?}");
    }

    #[test]
    fn a_template_that_no_route_could_send_is_named_and_one_that_a_single_route_can_is_good() {
        let mut settings = settings(Some("AC00000000000000000000000000000000"));
        let body = format!("{{code}} {}", "x".repeat(160));
        settings.templates.entry("long".to_owned()).or_default().bodies.insert((Use::Plain, Locale::En), body);
        for route in &mut settings.routes {
            route.segments_max = 1;
        }
        let problems = assemble(&settings).err().expect("two segments where one is allowed").to_string();
        assert!(problems.contains("template.long.en: `template` makes"), "{problems}");
        settings.routes[1].segments_max = 2;
        assert!(assemble(&settings).is_ok());
    }

    #[test]
    fn every_provider_that_cannot_be_built_is_named() {
        let problems = assemble(&settings(None)).err().expect("accounts are missing").0;
        let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
        assert_eq!(keys, ["provider[2].account", "provider[3].account"]);
    }
}
