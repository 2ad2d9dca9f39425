//! Why the chosen route is not the one that the settings put first, as far as the message's own legs do not say it.

use serde::{Deserialize, Serialize};

use super::{Fit, Route, Scene};
use crate::leg::RouteId;
use crate::message::Message;

/// A route that comes before the chosen one by class, rank and price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedOver {
    pub route: RouteId,
    pub why: PassedFor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PassedFor {
    /// Every permit of its provider was taken.
    Full,
    /// Its provider rests after failures.
    Resting,
    /// It could not deliver before the deadline, or has no validity and might come too late.
    TooLate,
    /// Dearer than what its tenant may still spend.
    OverBudget,
    /// Most of its last answers were failures of its provider.
    Failing,
}

impl PassedFor {
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Full => "its provider was busy",
            Self::Resting => "its provider rested after failures",
            Self::TooLate => "it might have come too late",
            Self::OverBudget => "it costs more than its tenant may still spend in this hour",
            Self::Failing => "most of its last answers were failures",
        }
    }
}

pub(super) fn over(fits: &[(&Route, Fit)], chosen: &Route, message: &Message, scene: &Scene<'_>) -> Vec<PassedOver> {
    let place = |route: &Route| (route.class, route.rank, route.price);
    fits.iter()
        .filter(|(route, _)| place(route) < place(chosen))
        .filter_map(|(route, fit)| Some(PassedOver { route: route.id.clone(), why: why(route, *fit, message, scene)? }))
        .collect()
}

/// `None` where its legs, or the settings, say it.
fn why(route: &Route, fit: Fit, message: &Message, scene: &Scene<'_>) -> Option<PassedFor> {
    match fit {
        Fit::Full { .. } => Some(PassedFor::Full),
        Fit::Resting { .. } => Some(PassedFor::Resting),
        Fit::TooLate => Some(PassedFor::TooLate),
        Fit::OverBudget => Some(PassedFor::OverBudget),
        // It was free, and still another one went first.
        Fit::Ready if super::may_come_late(route, message, scene) => Some(PassedFor::TooLate),
        Fit::Ready if (scene.score)(&route.id) > 0 => Some(PassedFor::Failing),
        Fit::Ready => None,
        Fit::Throttled { .. } | Fit::NotSent { .. } | Fit::Tried => None,
        Fit::NotWanted | Fit::NotPlanned | Fit::Retiring => None,
    }
}
