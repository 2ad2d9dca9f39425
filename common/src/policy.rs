//! The numbers that rule a message's life. Settings may change them; each has its unit in its name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::message::TenantId;
use crate::transaction::Currency;

/// Promise 4: for any cause, never more.
pub const TEXTS_MAX: usize = 4;
pub const CALLS_MAX: usize = 2;
/// Legs of any outcome: a bound for refusals that cost nobody a text.
pub const LEGS_MAX: usize = 18;
/// How many of them texts may use up: the rest is kept for calls, and their refusals.
pub const TEXT_LEGS_MAX: usize = LEGS_MAX - 2 * CALLS_MAX;
/// From so many left on, refusals that pass are spread over the time that is left.
pub const LEGS_SCARCE: usize = 4;
/// Lines of a message's journal for late events and for requests that joined it: more are let go.
pub const LINES_BESIDE_MAX: u8 = 100;
/// Messages that may still be sent and that the sweep of one worker releases in a second: after an outage, and while the
/// broker is away.
pub const SWEEP_RELEASE_PER_S: u32 = 500;
/// How often a message looks for a permit whose phone was off, and for which there may be a late call instead of a text.
pub const LATE_CALL_LOOK_MS: u64 = 1_000;
/// How long the repeat of a request waits for a permit while its message counts as `Sending`.
pub const REPEAT_PATIENCE_MS_MAX: u64 = 5_000;
/// Prices are in 1/10000 of the currency.
pub const PRICES_PER_UNIT: u64 = 10_000;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// How long after a lost answer we wait before a second route: its receipt may still come.
    pub unknown_grace_ms: u64,
    /// How long after a lost answer the provider is asked, or the same request repeated.
    pub unknown_ask_after_ms: u64,
    /// Repeats of one request at a provider that dedupes.
    pub repeats_max: u8,
    /// Questions to a provider about one leg.
    pub asks_max: u8,
    /// Asked unasked this long after submission, then at the overdue time; a hint asks at once.
    pub ask_unasked_after_ms: u64,
    /// A call after an absent phone waits this long.
    pub late_voice_after_ms: u64,
    /// A call whose end was not reported is overdue after this.
    pub call_overdue_after_ms: u64,
    /// `Sending` older than this was a crash: more than the longest provider timeout, the wait of a repeat and twice
    /// `clock_skew_ms_max` together.
    pub crash_gap_ms: u64,
    /// Retry delays while no route is free: first and last.
    pub retry_first_ms: u64,
    pub retry_last_ms: u64,
    /// Resends a person may ask for, and the cool-down before each.
    pub resends_max: u8,
    pub resend_cooldown_ms: [u64; 3],
    /// Wrong guesses a message bears.
    pub guesses: u8,
    /// Wrong guesses per (tenant, number) in a rolling day; for payments.
    pub guesses_per_number: u32,
    pub guesses_per_number_payment: u32,
    /// Texts accepted per (tenant, number).
    pub messages_per_10_minutes: u32,
    pub messages_per_day: u32,
    /// Calls per tenant and country in a rolling hour.
    pub calls_per_hour: u32,
    /// What the legs of a tenant to one country may cost in a rolling hour, in whole units of `currency`.
    pub spend_per_hour: u32,
    /// What the prices of routes are in.
    pub currency: Currency,
    /// Limits that tenants have of their own: from their settings.
    #[serde(skip)]
    pub of_tenants: BTreeMap<TenantId, TenantLimits>,
    /// The same check, repeated with its key, is answered alike for this long.
    pub verified_repeat_ms: u64,
    /// The personal part of an ended message is erased after this.
    pub number_keep_hours: u32,
    /// Ended rows and their journal are deleted after this.
    pub row_keep_days: u32,
    pub clock_skew_ms_max: u64,
}

/// What one tenant has in place of the general limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TenantLimits {
    pub calls_per_hour: Option<u32>,
    pub spend_per_hour: Option<u32>,
    pub resends_max: Option<u8>,
    pub resend_cooldown_ms: Option<[u64; 3]>,
}

/// A tenant's own limit where it has one.
impl Policy {
    pub fn calls_per_hour_for(&self, tenant: &TenantId) -> u32 {
        self.of(tenant).calls_per_hour.unwrap_or(self.calls_per_hour)
    }

    /// In the unit of prices.
    pub fn spend_per_hour_for(&self, tenant: &TenantId) -> u64 {
        u64::from(self.of(tenant).spend_per_hour.unwrap_or(self.spend_per_hour)) * PRICES_PER_UNIT
    }

    pub fn resends_max_for(&self, tenant: &TenantId) -> u8 {
        self.of(tenant).resends_max.unwrap_or(self.resends_max)
    }

    pub fn resend_cooldown_ms_for(&self, tenant: &TenantId) -> [u64; 3] {
        self.of(tenant).resend_cooldown_ms.unwrap_or(self.resend_cooldown_ms)
    }

    fn of(&self, tenant: &TenantId) -> TenantLimits {
        self.of_tenants.get(tenant).copied().unwrap_or_default()
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            unknown_grace_ms: 5_000,
            unknown_ask_after_ms: 2_000,
            repeats_max: 2,
            asks_max: 6,
            ask_unasked_after_ms: 8_000,
            late_voice_after_ms: 45_000,
            call_overdue_after_ms: 90_000,
            crash_gap_ms: 20_000,
            retry_first_ms: 500,
            retry_last_ms: 8_000,
            resends_max: 3,
            resend_cooldown_ms: [20_000, 40_000, 80_000],
            guesses: 5,
            guesses_per_number: 10,
            guesses_per_number_payment: 5,
            messages_per_10_minutes: 5,
            messages_per_day: 10,
            calls_per_hour: 200,
            spend_per_hour: 100_000,
            currency: Currency::parse("JPY").expect("ISO 4217 lists the yen"),
            of_tenants: BTreeMap::new(),
            verified_repeat_ms: 60_000,
            number_keep_hours: 24,
            row_keep_days: 30,
            clock_skew_ms_max: 1_000,
        }
    }
}
