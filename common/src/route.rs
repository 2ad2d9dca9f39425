//! Which route carries the next leg: domestic first, then score and rank, minus tried, resting and full.
//!
//! Pure: what a provider's standing is comes in as an argument. It explains itself in `Chosen::considered`. The routes
//! themselves are `table`; `passed` is what a trace says of the choice.

mod passed;
mod table;

use serde::Serialize;

use crate::fallback;
use crate::leg::{Leg, LegOutcome, ProviderId, RouteClass, RouteId};
use crate::lifecycle::{Cap, Choice, Hold, Pick};
use crate::message::{Message, Want};
use crate::outcome::Class;
use crate::policy::LEGS_SCARCE;
use crate::time::Timestamp;
pub use passed::{PassedFor, PassedOver};
pub use table::{International, Plan, ReceiptProfile, Route, RouteTable, TenantRoutes};

/// What a provider can do for a lane right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Ready,
    /// In order, but with no permit free; the next one is expected then.
    Full {
        until: Timestamp,
    },
    /// Out of service until then, after failures of its own.
    Resting {
        until: Timestamp,
    },
    /// In order, but dearer than what the tenant may still spend.
    OverBudget,
}

/// What choosing looks at besides the message and the wish.
pub struct Scene<'a> {
    pub now: Timestamp,
    pub table: &'a RouteTable,
    pub standing: &'a dyn Fn(&Route) -> Standing,
    /// 0 is good; higher sorts later within its class.
    pub score: &'a dyn Fn(&RouteId) -> u8,
    /// How long a route is left alone after the nth leg by it in a row was not sent or throttled (from 1), spread by a
    /// roll.
    pub cooling_ms: &'a dyn Fn(u32, u32) -> u64,
}

/// The choice, and why each route of the country was or was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    pub choice: Choice,
    pub considered: Vec<Considered>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Considered {
    pub route: RouteId,
    pub provider: ProviderId,
    pub class: RouteClass,
    pub rank: u32,
    #[serde(flatten)]
    pub fit: Fit,
}

/// How a route fits a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "fit", rename_all = "snake_case")]
pub enum Fit {
    Ready,
    Full {
        until: Timestamp,
    },
    Resting {
        until: Timestamp,
    },
    /// A leg by it was throttled: not tried, but left alone for a moment.
    Throttled {
        until: Timestamp,
    },
    /// A leg by it was not sent: out of service for this message for a moment.
    NotSent {
        until: Timestamp,
    },
    Tried,
    TooLate,
    /// The tenant's legs to this country have cost what they may in an hour.
    OverBudget,
    /// The reason for this leg asks for another class of route, or for another sender.
    NotWanted,
    /// The country's plan has no calls, or nothing international; or the tenant's has no calls there.
    NotPlanned,
    /// The settings say that no leg begins by it any more.
    Retiring,
}

impl Fit {
    pub fn sentence(&self) -> String {
        match self {
            Self::Ready => "ready".to_owned(),
            Self::Full { until } => format!("full, a permit is expected at {}", until.rfc3339()),
            Self::Resting { until } => format!("resting after failures until {}", until.rfc3339()),
            Self::Throttled { until } => format!("throttled this message, left alone until {}", until.rfc3339()),
            Self::NotSent { until } => format!("could not be reached, left alone until {}", until.rfc3339()),
            Self::Tried => "tried already".to_owned(),
            Self::OverBudget => "over what its tenant may spend in an hour".to_owned(),
            Self::TooLate => "could not deliver before the deadline".to_owned(),
            Self::NotWanted => "not wanted after what happened before".to_owned(),
            Self::NotPlanned => "not planned, the country's plan leaves it out".to_owned(),
            Self::Retiring => "retiring, it takes nothing new".to_owned(),
        }
    }
}

/// Domestic first, then score and rank. International only as the plan says (promise 5).
pub fn choose(message: &Message, want: &Want, scene: &Scene<'_>) -> Chosen {
    let Some(plan) = scene.table.plan(&message.tenant, message.country) else {
        return Chosen { choice: Choice::Nothing, considered: Vec::new() };
    };
    let mut fits: Vec<(&Route, Fit)> = scene
        .table
        .routes
        .iter()
        .filter(|route| route.country == message.country && route.channel == want.channel)
        .map(|route| (route, planned(route, plan).unwrap_or_else(|| fit(route, message, want, scene))))
        .collect();
    // A score may change meanwhile: each route has the one that it had when it was looked at.
    fits.sort_by_cached_key(|(route, _)| order(route, message, scene));
    let choice = match pick(&fits, plan, message) {
        Choice::Go(picked) => {
            let sender = scene.table.sender(&message.tenant, &picked.route).to_owned();
            let passed_over = passed::over(&fits, &picked.route, message, scene);
            Choice::Go(Box::new(Pick { route: Route { sender, ..picked.route }, passed_over }))
        }
        other @ (Choice::Wait { .. } | Choice::Elsewhere | Choice::OverLimit(_) | Choice::Nothing) => other,
    };
    Chosen { choice, considered: fits.iter().map(|(route, fit)| considered(route, *fit)).collect() }
}

/// What the settings say of it before anything is looked at.
fn planned(route: &Route, plan: Plan) -> Option<Fit> {
    match (route.retiring, plan.has(route)) {
        (true, _) => Some(Fit::Retiring),
        (false, false) => Some(Fit::NotPlanned),
        (false, true) => None,
    }
}

fn considered(route: &Route, fit: Fit) -> Considered {
    Considered { route: route.id.clone(), provider: route.provider.clone(), class: route.class, rank: route.rank, fit }
}

/// A route without validity comes last in its class when less than this many usual times are left.
const LITTLE_TIME_FACTOR: u64 = 3;

/// Ascending: the first to be taken comes first. The more often a route was tried, the later it comes in its class.
fn order(route: &Route, message: &Message, scene: &Scene<'_>) -> (RouteClass, usize, bool, u8, u32, u32, RouteId) {
    (
        route.class,
        times_tried(route, message),
        may_come_late(route, message, scene),
        (scene.score)(&route.id),
        route.rank,
        route.price,
        route.id.clone(),
    )
}

fn may_come_late(route: &Route, message: &Message, scene: &Scene<'_>) -> bool {
    let left_ms = message.useful_until.since_ms(scene.now);
    !route.abilities.validity && left_ms < route.usual_ms.saturating_mul(LITTLE_TIME_FACTOR)
}

fn fit(route: &Route, message: &Message, want: &Want, scene: &Scene<'_>) -> Fit {
    let sender = scene.table.sender(&message.tenant, route);
    let used_sender = message.legs.iter().any(|leg| leg.channel == route.channel && leg.sender == sender);
    let unwanted = fallback::sender_closed(message, route.channel, sender) || (want.new_sender && used_sender);
    if unwanted || want.only.is_some_and(|class| class != route.class) {
        return Fit::NotWanted;
    }
    if scene.now.plus_ms(route.usual_ms) > message.useful_until {
        return Fit::TooLate;
    }
    let for_good =
        || message.legs.iter().any(|leg| leg.route == route.id && leg.reason.is_some_and(fallback::route_closed));
    if (!want.again && times_tried(route, message) > 0) || for_good() {
        return Fit::Tried;
    }
    if let Some(fit) = cooling(route, message, scene) {
        return fit;
    }
    match (scene.standing)(route) {
        Standing::Ready => Fit::Ready,
        Standing::Full { until } => Fit::Full { until },
        Standing::Resting { until } => Fit::Resting { until },
        Standing::OverBudget => Fit::OverBudget,
    }
}

fn times_tried(route: &Route, message: &Message) -> usize {
    message.legs.iter().filter(|leg| leg.route == route.id && !passing(leg)).count()
}

/// A route that throttled this message, or could not be reached for it, is left alone for a moment.
fn cooling(route: &Route, message: &Message, scene: &Scene<'_>) -> Option<Fit> {
    let failed = || message.legs.iter().filter(|leg| leg.route == route.id && passing(leg));
    let last = failed().next_back()?;
    let failures = u32::try_from(failed().count()).unwrap_or(u32::MAX);
    let cooling_ms = (scene.cooling_ms)(failures, roll_of(message, last));
    let failed_at = last.ended_at.unwrap_or(last.started_at);
    let until = failed_at.plus_ms(cooling_ms.max(spread_ms(route, message, failed_at)));
    if until <= scene.now {
        return None;
    }
    let throttled = last.reason == Some(Class::Throttled);
    Some(if throttled { Fit::Throttled { until } } else { Fit::NotSent { until } })
}

/// While legs are scarce: half of what each of them would have to itself, so that a provider may refuse until shortly before
/// the deadline, and the last leg is not used up long before it.
fn spread_ms(route: &Route, message: &Message, failed_at: Timestamp) -> u64 {
    let left = fallback::legs_left(message, route.channel);
    if left == 0 || left > LEGS_SCARCE {
        return 0;
    }
    let left_ms = message.useful_until.since_ms(failed_at.plus_ms(route.usual_ms));
    left_ms / (2 * u64::try_from(left).unwrap_or(u64::MAX))
}

/// Chance that stays the same however often one leg is looked at: the random end of the message's id, moved on by leg.
fn roll_of(message: &Message, leg: &Leg) -> u32 {
    let random = message.id.bytes().last_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
    random.wrapping_add(u32::from(leg.number).wrapping_mul(ROLL_STEP))
}

/// Odd, and far from any small multiple of itself: one message's legs are spread as well.
const ROLL_STEP: u32 = 0x9e37_79b9;

/// A leg that says nothing about its route for good: throttled, or never left this machine.
fn passing(leg: &Leg) -> bool {
    leg.outcome == Some(LegOutcome::NotSent)
        || (leg.outcome == Some(LegOutcome::Refused) && leg.reason == Some(Class::Throttled))
}

fn pick(fits: &[(&Route, Fit)], plan: Plan, message: &Message) -> Choice {
    let ready = |class| fits.iter().find(|(route, fit)| route.class == class && *fit == Fit::Ready);
    if let Some((route, _)) = ready(RouteClass::Domestic) {
        return Choice::go((*route).clone());
    }
    let busy = |fit: &Fit| held(fit).filter(|(_, why)| matches!(why, Hold::Full | Hold::Throttled));
    let full = waits(fits, RouteClass::Domestic, message, busy);
    // Money that is spent opens no way abroad: the domestic route could deliver.
    let spent = fits.iter().any(|(route, fit)| route.class == RouteClass::Domestic && *fit == Fit::OverBudget);
    let abroad = match (plan.international, full) {
        _ if spent => None,
        (International::Never, _) | (International::Last, Some(_)) => None,
        (International::Last, None) | (International::Spill, _) => ready(RouteClass::International),
    };
    if let Some((route, _)) = abroad {
        return Choice::go((*route).clone());
    }
    let usable = |class| class == RouteClass::Domestic || !spent;
    let later = [RouteClass::Domestic, RouteClass::International]
        .into_iter()
        .filter(|class| usable(*class))
        .filter_map(|class| waits(fits, class, message, held))
        .min_by_key(|(until, _)| *until);
    match full.or(later) {
        Some((until, why)) => Choice::Wait { until, why },
        None if fits.iter().any(|(_, fit)| *fit == Fit::OverBudget) => Choice::OverLimit(Cap::SpendPerHour),
        None => Choice::Nothing,
    }
}

/// Until when a route that fits is not free, and why.
const fn held(fit: &Fit) -> Option<(Timestamp, Hold)> {
    match fit {
        Fit::Full { until } => Some((*until, Hold::Full)),
        Fit::Resting { until } => Some((*until, Hold::Resting)),
        Fit::Throttled { until } => Some((*until, Hold::Throttled)),
        Fit::NotSent { until } => Some((*until, Hold::NotReached)),
        Fit::Ready | Fit::Tried | Fit::TooLate | Fit::OverBudget | Fit::NotWanted | Fit::NotPlanned | Fit::Retiring => {
            None
        }
    }
}

/// When the first route of a class that `held` speaks of is free, if it can still deliver in time then.
fn waits(
    fits: &[(&Route, Fit)],
    class: RouteClass,
    message: &Message,
    held: impl Fn(&Fit) -> Option<(Timestamp, Hold)>,
) -> Option<(Timestamp, Hold)> {
    fits.iter()
        .filter(|(route, _)| route.class == class)
        .filter_map(|(route, fit)| held(fit).map(|held| (held, route.usual_ms)))
        .filter(|((until, _), usual_ms)| until.plus_ms(*usual_ms) <= message.useful_until)
        .map(|(held, _)| held)
        .min_by_key(|(until, _)| *until)
}

#[cfg(test)]
mod tests;
