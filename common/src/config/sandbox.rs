//! The settings of `otodoke up`: carriers that do not exist, one tenant to play with, and waits short enough to watch.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{
    CodesSettings, LanesSettings, ProviderKind, ProviderSettings, RouteSettings, SealSettings, Secret, Settings,
    TemplateSettings, TenantSettings,
};
use crate::leg::{Channel, ProviderId, RouteClass, RouteId};
use crate::message::TenantId;
use crate::phone::Country;
use crate::policy::Policy;
use crate::route::{International, Plan, ReceiptProfile};

/// How one carrier of the sandbox is reached.
#[derive(Clone, Debug)]
pub struct SandboxCarrier {
    pub base_url: String,
    pub account: Option<String>,
    pub secret: Secret,
}

/// The carriers of the sandbox, by their names.
#[derive(Clone, Debug)]
pub struct SandboxCarriers {
    pub sakura: SandboxCarrier,
    pub fuji: SandboxCarrier,
    pub atlas: SandboxCarrier,
    pub kodama: SandboxCarrier,
}

/// What differs from one directory and port to the next.
#[derive(Clone, Debug)]
pub struct SandboxPlace {
    pub listen: SocketAddr,
    pub codes: CodesSettings,
    pub seal: SealSettings,
}

/// What `otodoke up` is told by settings: who else there is beside its own tenant, and with which words.
#[derive(Clone, Debug, Default)]
pub struct UpSettings {
    pub tenants: BTreeMap<TenantId, TenantSettings>,
    pub templates: BTreeMap<String, TemplateSettings>,
    /// It refuses to start beside real ones.
    pub providers: Vec<ProviderSettings>,
    /// Sections that mean nothing to it.
    pub unused: Vec<String>,
}

/// A person at the screen should see every fallback within seconds.
const OVERDUE_AFTER_S: u32 = 3;
const USUAL_S: u32 = 1;
const TIMEOUT_MS: u64 = 2_000;
/// More than one machine sends with so many at once.
const RATE_PER_S: u32 = 20_000;

/// Where whoever is on this machine reaches what listens there: at that address, or where it is every address of the
/// machine, at the loopback one of the same family.
pub fn reached_at(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V4(_) | IpAddr::V6(_) => return listen,
    };
    SocketAddr::new(ip, listen.port())
}

impl Settings {
    /// Everything on this machine, reached at the address it listens on.
    pub fn sandbox(place: SandboxPlace, carriers: SandboxCarriers) -> Self {
        let sandbox = TenantId::parse("sandbox").expect("a good tenant name");
        Self {
            public_url: format!("http://{}", reached_at(place.listen)),
            listen: place.listen,
            codes: place.codes,
            seal: place.seal,
            tenants: BTreeMap::from([(sandbox, TenantSettings::default())]),
            templates: BTreeMap::new(),
            providers: vec![
                provider("sakura", ProviderKind::Smslink, carriers.sakura),
                provider("fuji", ProviderKind::Infobip, carriers.fuji),
                provider("atlas", ProviderKind::Twilio, carriers.atlas),
                provider("kodama", ProviderKind::TwilioVoice, carriers.kodama),
            ],
            routes: vec![
                text_route("sakura", RouteClass::Domestic, 1, "Otodoke"),
                text_route("fuji", RouteClass::Domestic, 2, "Otodoke"),
                text_route("atlas", RouteClass::International, 3, "+12025550100"),
                RouteSettings {
                    channel: Channel::Voice,
                    ..text_route("kodama", RouteClass::Domestic, 1, "+81312340000")
                },
            ],
            plans: BTreeMap::from([(Country::JP, Plan { international: International::Last, voice: true })]),
            policy: policy(),
            lanes: LanesSettings::default(),
            amqp: None,
            postgres: None,
        }
    }

    /// A section of the sandbox's own tenant takes the place of its defaults.
    pub fn with_own(mut self, own: UpSettings) -> Self {
        self.tenants.extend(own.tenants);
        self.templates.extend(own.templates);
        self
    }
}

fn provider(id: &str, kind: ProviderKind, carrier: SandboxCarrier) -> ProviderSettings {
    ProviderSettings {
        id: ProviderId::parse(id).expect("a good provider id"),
        kind,
        base_url: carrier.base_url,
        account: carrier.account,
        secret: carrier.secret,
        rate_per_s: RATE_PER_S,
        concurrency: 64,
        timeout_ms: TIMEOUT_MS,
    }
}

fn text_route(provider: &str, class: RouteClass, rank: u32, sender: &str) -> RouteSettings {
    RouteSettings {
        id: RouteId::parse(&format!("jp-{provider}")).expect("a good route id"),
        provider: ProviderId::parse(provider).expect("a good provider id"),
        country: Country::JP,
        class,
        channel: Channel::Sms,
        rank,
        price: 0,
        sender: sender.to_owned(),
        receipt: ReceiptProfile::Handset,
        overdue_after_s: OVERDUE_AFTER_S,
        usual_s: USUAL_S,
        origin_line: true,
        segments_max: 4,
        retiring: false,
    }
}

/// The rules of production with short waits, and caps that leave room to play.
fn policy() -> Policy {
    Policy {
        unknown_grace_ms: 1_500,
        unknown_ask_after_ms: 500,
        ask_unasked_after_ms: 1_000,
        late_voice_after_ms: 3_000,
        call_overdue_after_ms: 15_000,
        crash_gap_ms: 10_000,
        retry_first_ms: 200,
        retry_last_ms: 2_000,
        resend_cooldown_ms: [2_000, 4_000, 8_000],
        messages_per_10_minutes: 100,
        messages_per_day: 1_000,
        calls_per_hour: 1_000,
        ..Policy::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_at_every_address_is_reached_at_one() {
        for (listen, reached) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::1]:8080"),
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("192.0.2.7:8080", "192.0.2.7:8080"),
            ("[2001:db8::7]:8080", "[2001:db8::7]:8080"),
        ] {
            assert_eq!(reached_at(listen.parse().expect("an address")).to_string(), reached);
        }
    }
}
