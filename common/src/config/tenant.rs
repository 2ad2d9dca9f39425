//! What one tenant may do, and how its messages are treated: the section `[tenant.NAME]`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::leg::RouteId;
use crate::message::{Lane, Purpose, TenantId};
use crate::phone::Country;
use crate::policy::{Policy, TenantLimits};
use crate::request::opening::Terms;
use crate::route::TenantRoutes;

/// Limits left out are those of `Policy`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TenantSettings {
    /// Whether every check must name the number again, as those of payments always must.
    pub require_to: bool,
    /// The lane of logins: `normal`, or raised to `critical`.
    pub login_lane: Lane,
    pub messages_per_10_minutes: Option<u32>,
    pub messages_per_day: Option<u32>,
    /// To each country; kept by `Policy::of_tenants`, as what follows.
    pub calls_per_hour: Option<u32>,
    /// Users of the broker whose messages are this tenant's.
    pub amqp_users: BTreeSet<String>,
    /// Whether its messages may be published with number and text in the clear, as programs without our keys must: they
    /// lie so on the broker's disk until they are taken.
    pub amqp_clear: bool,
    /// To each country, in whole units of `policy.currency`.
    pub spend_per_hour: Option<u32>,
    pub resends_max: Option<u8>,
    pub resend_cooldown_ms: Option<[u64; 3]>,
    /// The planned countries it may send to; left out, all of them.
    pub countries: Option<BTreeSet<Country>>,
    /// Those of them it may call; left out, all where the plan allows calls.
    pub voice_countries: Option<BTreeSet<Country>>,
    /// The sender that people see in place of a route's own.
    pub senders: BTreeMap<RouteId, String>,
    /// The templates it may ask for besides `default`; left out, all of them.
    pub templates: Option<BTreeSet<String>>,
}

impl Default for TenantSettings {
    fn default() -> Self {
        Self::unset()
    }
}

/// Of a tenant without a section.
static UNSET: TenantSettings = TenantSettings::unset();

impl TenantSettings {
    const fn unset() -> Self {
        Self {
            require_to: false,
            login_lane: Lane::Normal,
            messages_per_10_minutes: None,
            messages_per_day: None,
            calls_per_hour: None,
            amqp_users: BTreeSet::new(),
            amqp_clear: false,
            spend_per_hour: None,
            resends_max: None,
            resend_cooldown_ms: None,
            countries: None,
            voice_countries: None,
            senders: BTreeMap::new(),
            templates: None,
        }
    }

    /// Those of one tenant among all; it may have none of its own.
    pub fn among<'a>(all: &'a BTreeMap<TenantId, Self>, tenant: &TenantId) -> &'a Self {
        all.get(tenant).unwrap_or(&UNSET)
    }

    pub const fn lane(&self, purpose: Purpose) -> Lane {
        match purpose {
            Purpose::Login => self.login_lane,
            Purpose::Signup | Purpose::Payment | Purpose::Notice => purpose.lane(),
        }
    }

    /// What opening a message of this purpose goes by.
    pub fn terms(&self, purpose: Purpose, policy: &Policy) -> Terms {
        Terms {
            lane: self.lane(purpose),
            messages_per_10_minutes: self.messages_per_10_minutes(policy),
            messages_per_day: self.messages_per_day(policy),
        }
    }

    fn messages_per_10_minutes(&self, policy: &Policy) -> u32 {
        self.messages_per_10_minutes.unwrap_or(policy.messages_per_10_minutes)
    }

    fn messages_per_day(&self, policy: &Policy) -> u32 {
        self.messages_per_day.unwrap_or(policy.messages_per_day)
    }

    pub const fn limits(&self) -> TenantLimits {
        TenantLimits {
            calls_per_hour: self.calls_per_hour,
            spend_per_hour: self.spend_per_hour,
            resends_max: self.resends_max,
            resend_cooldown_ms: self.resend_cooldown_ms,
        }
    }

    pub fn routes(&self) -> TenantRoutes {
        TenantRoutes {
            countries: self.countries.clone(),
            voice_countries: self.voice_countries.clone(),
            senders: self.senders.clone(),
            templates: self.templates.clone(),
        }
    }
}
