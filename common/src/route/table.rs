//! The ways there are: routes, what may be used for a country, and what tenants have of their own. As the settings say it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::leg::{Abilities, Channel, OperatorReceipt, ProviderId, RouteClass, RouteId};
use crate::message::TenantId;
use crate::phone::Country;
use crate::policy::Policy;
use crate::text::{Counting, TEMPLATE_DEFAULT};

/// A way to a country over a provider, with everything that choosing and sending must know of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    pub id: RouteId,
    pub provider: ProviderId,
    pub country: Country,
    pub class: RouteClass,
    pub channel: Channel,
    /// 1 comes first.
    pub rank: u32,
    /// Price of one text segment or one call, in 1/10000 of the settings' currency.
    pub price: u32,
    pub sender: String,
    pub receipt: ReceiptProfile,
    /// A receipt not here by then is overdue.
    pub overdue_after_ms: u64,
    /// From our request to the handset, usually: `send_until` is the deadline less this.
    pub usual_ms: u64,
    /// Whether texts by this route may carry the origin-bound last line.
    pub origin_line: bool,
    /// How its provider counts text segments.
    #[serde(default)]
    pub counting: Counting,
    /// Most text segments it takes.
    pub segments_max: u32,
    /// No leg begins by it any more; what went out by it is heard of, asked about and repeated as before.
    #[serde(default)]
    pub retiring: bool,
    pub abilities: Abilities,
}

impl Route {
    /// How long after submission a receipt is overdue; a call's end is always reported.
    pub fn overdue_after_ms(&self, policy: &Policy) -> Option<u64> {
        match (self.channel, self.receipt) {
            (Channel::Voice, _) => Some(policy.call_overdue_after_ms),
            (Channel::Sms, ReceiptProfile::None) => None,
            (Channel::Sms, ReceiptProfile::Operator | ReceiptProfile::Handset) => Some(self.overdue_after_ms),
        }
    }

    /// What a new leg by it awaits from the operator, as the last that will be told of it.
    pub const fn operator_receipt(&self) -> Option<OperatorReceipt> {
        match (self.channel, self.receipt) {
            (Channel::Sms, ReceiptProfile::Operator) => Some(OperatorReceipt::Awaited),
            (Channel::Sms, ReceiptProfile::None | ReceiptProfile::Handset) | (Channel::Voice, _) => None,
        }
    }
}

/// What the receipts of a text prove at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptProfile {
    /// None come: the provider's answer is all, and no receipt is overdue.
    None,
    /// That the operator has it; the handset may never be told of.
    Operator,
    /// That the handset has it.
    Handset,
}

impl ReceiptProfile {
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Operator => "operator",
            Self::Handset => "handset",
        }
    }
}

/// What may be used for a country.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub international: International,
    pub voice: bool,
}

impl Plan {
    /// Whether it has this route at all; when, is for `choose` to say.
    pub(super) fn has(self, route: &Route) -> bool {
        let class = route.class == RouteClass::Domestic || self.international != International::Never;
        class && (route.channel == Channel::Sms || self.voice)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum International {
    Never,
    /// After every domestic route was tried, is out of service, or cannot deliver in time.
    Last,
    /// Also when every domestic route is full.
    Spill,
}

/// All routes and plans of the settings. A country without a plan is denied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTable {
    pub routes: Vec<Route>,
    pub plans: BTreeMap<Country, Plan>,
    /// What tenants have of their own; one that is not here has all of it.
    #[serde(default)]
    pub tenants: BTreeMap<TenantId, TenantRoutes>,
}

/// How one tenant's use of the table differs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantRoutes {
    /// Where it may send to; `None`: wherever there is a plan.
    pub countries: Option<BTreeSet<Country>>,
    /// Where it may call; `None`: wherever the plan allows calls.
    pub voice_countries: Option<BTreeSet<Country>>,
    /// The sender that people see in place of the route's own.
    pub senders: BTreeMap<RouteId, String>,
    /// Whose words its texts may have, besides the default ones; `None`: all.
    #[serde(default)]
    pub templates: Option<BTreeSet<String>>,
}

impl RouteTable {
    /// The plan of a country as it is for this tenant; `None`: denied.
    pub fn plan(&self, tenant: &TenantId, country: Country) -> Option<Plan> {
        let plan = *self.plans.get(&country)?;
        let Some(own) = self.tenants.get(tenant) else { return Some(plan) };
        let named = |countries: &Option<BTreeSet<Country>>| countries.as_ref().is_none_or(|all| all.contains(&country));
        named(&own.countries).then(|| Plan { voice: plan.voice && named(&own.voice_countries), ..plan })
    }

    /// Whether its texts may have the words of this template: people know others by theirs.
    pub fn speaks(&self, tenant: &TenantId, template: &str) -> bool {
        let own = self.tenants.get(tenant).and_then(|own| own.templates.as_ref());
        template == TEMPLATE_DEFAULT || own.is_none_or(|templates| templates.contains(template))
    }

    /// The routes that this tenant's new legs may take there.
    pub fn open_to(&self, tenant: &TenantId, country: Country, channel: Channel) -> impl Iterator<Item = &Route> {
        let plan = self.plan(tenant, country);
        let there = self.routes.iter().filter(move |route| route.country == country && route.channel == channel);
        there.filter(move |route| !route.retiring && plan.is_some_and(|plan| plan.has(route)))
    }

    /// Whom people see this tenant's texts and calls by this route come from.
    pub fn sender<'a>(&'a self, tenant: &TenantId, route: &'a Route) -> &'a str {
        let own = self.tenants.get(tenant).and_then(|own| own.senders.get(&route.id));
        own.unwrap_or(&route.sender)
    }
}
