//! What became of the wish for a leg, and why none begins now.

use serde::{Deserialize, Serialize};

use crate::route::{PassedOver, Route};
use crate::time::Timestamp;

/// The next leg, as far as it can be said now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    Go(Box<Pick>),
    /// No fitting route is free, but one can still deliver in time.
    Wait {
        until: Timestamp,
        why: Hold,
    },
    /// The caller of `step` makes no calls itself: somebody who does shall choose.
    Elsewhere,
    /// A route could deliver, but what its tenant may have of it in an hour is used up.
    OverLimit(Cap),
    /// No route is left, or none can deliver in time.
    Nothing,
}

/// A route for a leg, with its tenant's sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pick {
    pub route: Route,
    /// Those that the settings put before it.
    pub passed_over: Vec<PassedOver>,
}

impl Choice {
    pub fn go(route: Route) -> Self {
        Self::Go(Box::new(Pick { route, passed_over: Vec::new() }))
    }
}

/// Why the route that will be free first is not free now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// All permits of its provider are taken.
    Full,
    /// Its provider rests after failures of its own.
    Resting,
    /// It throttled this message.
    Throttled,
    /// It could not be reached for this message.
    NotReached,
    /// Whoever looked does not hold the root of the code.
    NoRoot,
}

impl Hold {
    pub const ALL: [Self; 5] = [Self::Full, Self::Resting, Self::Throttled, Self::NotReached, Self::NoRoot];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Resting => "resting",
            Self::Throttled => "throttled",
            Self::NotReached => "not_reached",
            Self::NoRoot => "no_root",
        }
    }

    /// Of the route that is waited for.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Full => "the provider of the next route is busy",
            Self::Resting => "the provider of the next route rests after failures",
            Self::Throttled => "the next route throttled this message",
            Self::NotReached => "the next route could not be reached",
            Self::NoRoot => "the worker that looked does not hold the root of its code",
        }
    }
}

/// What a tenant may have in an hour, by the name of its setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cap {
    SpendPerHour,
    CallsPerHour,
}

impl Cap {
    pub const fn word(self) -> &'static str {
        match self {
            Self::SpendPerHour => "spend_per_hour",
            Self::CallsPerHour => "calls_per_hour",
        }
    }
}
