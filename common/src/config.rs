//! Settings: one TOML file, variables over it, checked before anything starts. What they mean is with each section.
//!
//! `OTODOKE_CONFIG` names the file. Any key of it can come from a variable instead, its parts joined by `__`:
//! `OTODOKE_PUBLIC_URL`, `OTODOKE_LISTEN`, `OTODOKE_CODES__ACTIVE`, `OTODOKE_CODES__ROOTS__<KID>` (a file),
//! `OTODOKE_SEAL__ROOT_FILE`, `OTODOKE_TENANT__<NAME>__REQUIRE_TO` (and the other keys of `TenantSettings`),
//! `OTODOKE_TEMPLATE__<NAME>__JA`, `..._EN`, `..._JA_FILE`, `..._EN_FILE` (and the same with `__PAYMENT` before them),
//! `OTODOKE_PLAN__JP__INTERNATIONAL`, `OTODOKE_PLAN__JP__VOICE`, `OTODOKE_POLICY__<KEY>` (the keys of `Policy`),
//! `OTODOKE_LANES__<LANE>__CONCURRENCY`, `OTODOKE_LANES__<LANE>__WINDOW`,
//! `OTODOKE_AMQP__<KEY>` with the keys `URL_FILE`, `URL` or `URLS`; `CA_FILE`, `OWN_USERS` (users of our programs besides those
//! of the URLs), `NAMESPACE`, `SHARDS`, `PREFETCH`, `PUBLISHERS`, `WINDOW`, `BATCH`, `PUBLISH_DEADLINE_MS` (of
//! `RabbitSettings`), `LANE_LENGTH`, `RECEIPTS_LENGTH`, `PARKED_LENGTH` (of `QueueLengths`); and
//! `OTODOKE_POSTGRES__<KEY>` with the keys `URL_FILE` or `URL`; `CA_FILE`, `POOL_SIZE`, `STATEMENT_TIMEOUT_MS`,
//! `WAIT_TIMEOUT_MS`, `CREATE_TIMEOUT_MS`, `RECYCLE_TIMEOUT_MS`, `INBOX_MAX` (of `PostgresSettings`).
//! `[[provider]]` and `[[route]]` are lists and come from the file; a provider's `secret_file` keeps its secret out of it. A
//! value reads as TOML does. Paths are relative to where the process starts.
//! No settings, but read elsewhere: `OTODOKE_URL`, `OTODOKE_API_KEY`, `OTODOKE_DATA`, `OTODOKE_MANAGEMENT_URL`,
//! `OTODOKE_BENCH_AMQP_URL` and `OTODOKE_BENCH_POSTGRES_URL` (the command line), `OTODOKE_LOG`,
//! `OTODOKE_LOG_FORMAT` and `OTODOKE_THREADS` (`startup`).

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;

use serde::Deserialize;

use crate::leg::{Abilities, ProviderId};
use crate::message::{Kid, TenantId};
use crate::phone::Country;
use crate::policy::Policy;
use crate::postgres::PostgresSettings;
use crate::rabbit::RabbitSettings;
use crate::route::{Plan, RouteTable};
use crate::text::Counting;

mod carriers;
mod check;
mod kid;
mod lanes;
mod log;
mod problem;
mod sandbox;
mod secret;
mod servers;
mod source;
mod table;
mod templates;
mod tenant;
mod threads;
mod unread;

pub use crate::seal::ROOT_BYTES_MIN;
pub use carriers::{CarriersSettings, PlanSettings, ProviderKind, ProviderSettings, RouteSettings};
pub use lanes::{LaneSettings, LanesSettings};
pub use log::{LogFormat, LogSettings};
pub use problem::{Problem, Problems};
pub use sandbox::{SandboxCarrier, SandboxCarriers, SandboxPlace, UpSettings, reached_at};
pub use secret::{Root, Secret};
pub use source::Source;
pub use templates::{TemplateSettings, Use};
pub use tenant::TenantSettings;
pub use threads::threads;
use unread::Unread;

/// Everything a process is told before it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where providers reach our receipts and voice doors, without a slash at its end.
    pub public_url: String,
    pub listen: SocketAddr,
    pub codes: CodesSettings,
    pub seal: SealSettings,
    pub tenants: BTreeMap<TenantId, TenantSettings>,
    /// Beside the built-in ones, by name.
    pub templates: BTreeMap<String, TemplateSettings>,
    pub providers: Vec<ProviderSettings>,
    pub routes: Vec<RouteSettings>,
    pub plans: BTreeMap<Country, Plan>,
    pub policy: Policy,
    pub lanes: LanesSettings,
    /// For processes in production; `otodoke up` has neither.
    pub amqp: Option<RabbitSettings>,
    pub postgres: Option<PostgresSettings>,
}

/// The roots that codes are derived from: all that living messages may still name, one for new messages.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodesSettings {
    #[serde(deserialize_with = "kid::read")]
    pub active: Kid,
    pub roots: BTreeMap<Kid, Root>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealSettings {
    #[serde(rename = "root_file")]
    pub root: Root,
}

impl Settings {
    /// What does not fit together; empty when everything does.
    pub fn problems(&self) -> Vec<Problem> {
        check::problems(self, &Unread::default())
    }

    /// What of the tenants does not fit together, or not the routes and plans.
    pub fn tenant_problems(&self) -> Vec<Problem> {
        check::tenants(self, &Unread::default())
    }

    /// A mark of these settings for people who compare processes of one version: it changes with any of them but the
    /// secrets, which do not show themselves.
    pub fn version(&self) -> String {
        let mut hasher = DefaultHasher::new();
        format!("{self:?}").hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }

    /// Routes and plans as `route::choose` takes them; a route whose provider has no known abilities is left out.
    pub fn route_table(&self, known: impl Fn(&ProviderId) -> Option<(Abilities, Counting)>) -> RouteTable {
        let route = |route: &RouteSettings| {
            known(&route.provider).map(|(abilities, counting)| route.to_route(abilities, counting))
        };
        let routes = self.routes.iter().filter_map(route).collect();
        let tenants = self.tenants.iter().map(|(id, tenant)| (id.clone(), tenant.routes())).collect();
        RouteTable { routes, plans: self.plans.clone(), tenants }
    }
}

#[cfg(test)]
mod tests;
