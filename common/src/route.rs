//! Which route carries the next leg: domestic first, then score and rank, minus tried, resting and full.
//!
//! Pure: what a provider's standing is comes in as an argument. It explains itself in `Chosen::considered`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::leg::{Abilities, Channel, ProviderId, RouteClass, RouteId};
use crate::phone::Country;

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
    /// Most text segments it takes.
    pub segments_max: u32,
    pub abilities: Abilities,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptProfile {
    None,
    Operator,
    Handset,
}

/// What may be used for a country.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub international: International,
    pub voice: bool,
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
}
