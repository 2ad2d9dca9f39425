//! What one tenant may do, and how its messages are treated: the section `[tenant.NAME]`.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::message::{Lane, Purpose};
use crate::policy::Policy;
use crate::request::opening::Terms;

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
    /// To each country; kept by `Policy::calls_per_hour_of`.
    pub calls_per_hour: Option<u32>,
    /// Users of the broker whose messages are this tenant's.
    pub amqp_users: BTreeSet<String>,
    /// Whether its messages may be published with number and text in the clear, as programs without our keys must: they
    /// lie so on the broker's disk until they are taken.
    pub amqp_clear: bool,
}

impl Default for TenantSettings {
    fn default() -> Self {
        Self {
            require_to: false,
            login_lane: Lane::Normal,
            messages_per_10_minutes: None,
            messages_per_day: None,
            calls_per_hour: None,
            amqp_users: BTreeSet::new(),
            amqp_clear: false,
        }
    }
}

impl TenantSettings {
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
}
