//! Who carries messages, over which ways, and what each country may use: `[[provider]]`, `[[route]]` and `[plan.JP]`.
//!
//! These are the operator's words; `route::Route` is what choosing needs of them.

use std::path::PathBuf;

use serde::Deserialize;

use super::secret::Secret;
use crate::leg::{Abilities, Channel, ProviderId, RouteClass, RouteId};
use crate::loopback::is_loopback_text;
use crate::phone::Country;
use crate::route::{International, Plan, ReceiptProfile, Route};
use crate::text::Counting;

/// Which vendor's protocol a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderKind {
    Smslink,
    Infobip,
    Twilio,
    TwilioVoice,
}

impl ProviderKind {
    pub const fn channel(self) -> Channel {
        match self {
            Self::Smslink | Self::Infobip | Self::Twilio => Channel::Sms,
            Self::TwilioVoice => Channel::Voice,
        }
    }

    pub const fn word(self) -> &'static str {
        match self {
            Self::Smslink => "smslink",
            Self::Infobip => "infobip",
            Self::Twilio => "twilio",
            Self::TwilioVoice => "twilio_voice",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "ProviderText")]
pub struct ProviderSettings {
    pub id: ProviderId,
    pub kind: ProviderKind,
    /// Without a slash at its end.
    pub base_url: String,
    /// The vendor's name for us, where it has one: Twilio's account SID.
    pub account: Option<String>,
    pub secret: Secret,
    /// Requests per second of each worker process: what the contract allows, divided by how many there are.
    pub rate_per_s: u32,
    /// Requests in flight at a time, of each worker process.
    pub concurrency: u32,
    /// A request without an answer by then is `unknown`.
    pub timeout_ms: u64,
}

/// The carriers of one file, and where they reach us, without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarriersSettings {
    pub public_url: String,
    pub providers: Vec<ProviderSettings>,
}

/// What the file says, before its secret is fetched.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderText {
    id: ProviderId,
    kind: ProviderKind,
    base_url: String,
    account: Option<String>,
    secret: Option<Secret>,
    secret_file: Option<PathBuf>,
    #[serde(default = "rate_per_s_default")]
    rate_per_s: u32,
    #[serde(default = "concurrency_default")]
    concurrency: u32,
    #[serde(default = "timeout_ms_default")]
    timeout_ms: u64,
}

const fn rate_per_s_default() -> u32 {
    10
}

const fn concurrency_default() -> u32 {
    16
}

const fn timeout_ms_default() -> u64 {
    5_000
}

impl TryFrom<ProviderText> for ProviderSettings {
    type Error = String;
    fn try_from(text: ProviderText) -> Result<Self, String> {
        let secret = match (text.secret, text.secret_file) {
            (Some(secret), None) => secret,
            (None, Some(path)) => Secret::read(&path).map_err(|problem| format!("secret_file {problem}"))?,
            (Some(_), Some(_)) => return Err("has `secret` and `secret_file`; keep one".to_owned()),
            (None, None) => return Err("has no `secret_file` (or `secret`)".to_owned()),
        };
        Ok(Self {
            id: text.id,
            kind: text.kind,
            base_url: text.base_url.trim_end_matches('/').to_owned(),
            account: text.account,
            secret,
            rate_per_s: text.rate_per_s,
            concurrency: text.concurrency,
            timeout_ms: text.timeout_ms,
        })
    }
}

impl ProviderSettings {
    /// Whether it is on this machine, as the sandbox's carriers are.
    pub fn is_loopback(&self) -> bool {
        is_loopback_text(&self.base_url)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteSettings {
    pub id: RouteId,
    pub provider: ProviderId,
    pub country: Country,
    pub class: RouteClass,
    pub channel: Channel,
    /// 1 comes first.
    pub rank: u32,
    /// Of one text segment or one call, in 1/10000 of the operator's currency.
    #[serde(default)]
    pub price: u32,
    pub sender: String,
    /// What its receipts prove at most: `none` that there are none, so none is overdue; `operator` that the operator has the
    /// text, after which nothing more is awaited; `handset` that the phone has it, and until then it may be overdue.
    pub receipt: ReceiptProfile,
    /// A receipt not here by then is overdue.
    #[serde(default = "overdue_after_s_default")]
    pub overdue_after_s: u32,
    /// From our request to the handset, usually.
    #[serde(default = "usual_s_default")]
    pub usual_s: u32,
    /// Whether texts may carry the origin-bound last line.
    #[serde(default)]
    pub origin_line: bool,
    #[serde(default = "segments_max_default")]
    pub segments_max: u32,
    /// No leg begins by it any more; it may be taken away once `config check` finds no living message that needs it.
    #[serde(default)]
    pub retiring: bool,
}

const fn overdue_after_s_default() -> u32 {
    30
}

const fn usual_s_default() -> u32 {
    5
}

const fn segments_max_default() -> u32 {
    4
}

impl RouteSettings {
    pub fn to_route(&self, abilities: Abilities, counting: Counting) -> Route {
        Route {
            id: self.id.clone(),
            provider: self.provider.clone(),
            country: self.country,
            class: self.class,
            channel: self.channel,
            rank: self.rank,
            price: self.price,
            sender: self.sender.clone(),
            receipt: self.receipt,
            overdue_after_ms: u64::from(self.overdue_after_s) * 1_000,
            usual_ms: u64::from(self.usual_s) * 1_000,
            origin_line: self.origin_line,
            counting,
            segments_max: self.segments_max,
            retiring: self.retiring,
            abilities,
        }
    }
}

/// What a country may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanSettings {
    #[serde(default = "international_default")]
    pub international: International,
    #[serde(default)]
    pub voice: bool,
}

const fn international_default() -> International {
    International::Never
}

impl From<PlanSettings> for Plan {
    fn from(settings: PlanSettings) -> Self {
        Self { international: settings.international, voice: settings.voice }
    }
}
