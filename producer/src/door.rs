//! Everything a request may need, shared by all of them. Assembled where a process starts; nothing here decides.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use otodoke_common::broker::Broker;
use otodoke_common::code::CodeKeys;
use otodoke_common::config::{Settings, TenantSettings};
use otodoke_common::desk::Desk;
use otodoke_common::message::{Message, TenantId};
use otodoke_common::parts::Parts;
use otodoke_common::provider::Registry;
use otodoke_common::route::RouteTable;
use otodoke_common::text::Templates;
use otodoke_common::time::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::admission::LaneWindows;
use crate::hands::Hands;
use crate::rates::Rates;
use crate::spill::Spill;

pub struct Door {
    /// Loads, steps and saves; holds store, vault, policy, metrics, clock and dice.
    pub desk: Desk,
    pub broker: Arc<dyn Broker>,
    pub codes: Arc<CodeKeys>,
    pub templates: Arc<Templates>,
    pub routes: Arc<RouteTable>,
    /// For webhooks and calls; the door itself sends and asks nothing.
    pub providers: Arc<Registry>,
    /// A tenant without settings has the default ones.
    pub tenants: BTreeMap<TenantId, TenantSettings>,
    pub windows: LaneWindows,
    /// Where providers reach us, without a slash at its end.
    pub public_url: String,
    /// Cancelled when the process begins to stop: not ready from then on.
    pub stopping: CancellationToken,
    pub hands: Hands,
    pub spill: Spill,
    /// How fast lanes went lately.
    pub rates: Rates,
    /// Set once the broker was there; the same of the store.
    pub met_broker: AtomicBool,
    pub met_store: AtomicBool,
}

impl Door {
    /// Not ready any more once `stopping` is cancelled.
    pub fn assemble(settings: &Settings, parts: Parts, stopping: CancellationToken) -> Self {
        Self {
            desk: parts.desk,
            broker: parts.broker,
            codes: parts.codes,
            templates: parts.templates,
            routes: parts.routes,
            providers: parts.providers,
            tenants: settings.tenants.clone(),
            windows: LaneWindows::from(&settings.lanes),
            public_url: settings.public_url.clone(),
            stopping,
            hands: Hands::default(),
            spill: Spill::default(),
            rates: Rates::default(),
            met_broker: AtomicBool::default(),
            met_store: AtomicBool::default(),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.desk.clock.now()
    }

    pub(crate) fn settings(&self, tenant: &TenantId) -> &TenantSettings {
        TenantSettings::among(&self.tenants, tenant)
    }

    /// The masked number of a message, for answers.
    pub(crate) fn masked_number(&self, message: &Message) -> String {
        self.desk.vault.open(message).map_or_else(|_| "erased".to_owned(), |person| person.to.masked())
    }
}
