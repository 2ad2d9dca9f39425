//! A leg: one attempt to send one message by one route on one channel. Which route comes next is `route`.

use serde::{Deserialize, Deserializer, Serialize};

use crate::outcome::Class;
use crate::time::Timestamp;
use crate::word;

/// Counts the legs of one message from 1.
pub type LegNumber = u8;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    Sms,
    Voice,
}

impl Channel {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Voice => "voice",
        }
    }
}

/// Ordered by preference: domestic first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteClass {
    Domestic,
    International,
}

impl RouteClass {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Domestic => "domestic",
            Self::International => "international",
        }
    }
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            pub fn parse(raw: &str) -> Result<Self, String> {
                let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
                if !raw.is_empty() && raw.len() <= 40 && raw.bytes().all(allowed) {
                    return Ok(Self(raw.into()));
                }
                Err(format!(concat!($what, " {:?} must be 1 to 40 of a-z, 0-9, - and _"), raw))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(raw: &str) -> Result<Self, String> {
                Self::parse(raw)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                word::deserialize(deserializer)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_type!(
    /// A provider as the settings name it: `sakura`, `twilio-jp`.
    ProviderId, "provider id"
);
name_type!(
    /// A route as the settings name it: `jp-sakura`.
    RouteId, "route id"
);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    pub number: LegNumber,
    pub channel: Channel,
    pub provider: ProviderId,
    pub route: RouteId,
    pub class: RouteClass,
    pub sender: String,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// `None` while the call to the provider is in hand.
    pub outcome: Option<LegOutcome>,
    pub reason: Option<Class>,
    /// The provider took it, or may have. A later refusal does not unsay that; only "we do not know it" does.
    #[serde(default)]
    pub taken: bool,
    /// What the provider calls it; kept even when it arrives late.
    pub reference: Option<String>,
    /// A text by this route usually is on the handset by then; before it, a resend starts no new leg.
    pub usual_by: Timestamp,
    /// How long after submission its receipt is overdue; `None` where the route sends no receipts.
    pub overdue_after_ms: Option<u64>,
    /// When the receipt is overdue, once submitted.
    pub overdue_at: Option<Timestamp>,
    /// When the provider is to be asked unasked, once submitted and where it can be asked.
    pub ask_at: Option<Timestamp>,
    /// Times this leg was asked about at the provider.
    pub asks: u8,
    /// Times the same request went out, where the provider dedupes on our id.
    pub sends: u8,
    /// What the provider can do, as its route said when the leg began.
    pub abilities: Abilities,
    /// Voice: how far the call has come.
    pub call: Option<Call>,
    /// A text by a route whose receipts ended at the operator when the leg began: whether that receipt came. Rows leave it
    /// out where it says nothing, as long as it is the last field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<OperatorReceipt>,
}

/// The operator's word that it has a text, where that is the last that its route tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperatorReceipt {
    Awaited,
    Came,
}

/// What a provider's API allows when an answer is lost or a receipt does not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Abilities {
    /// The same request may be repeated: the provider dedupes on our id.
    pub dedupes: bool,
    /// The provider can be asked what became of a leg whose own reference we have.
    pub asks: bool,
    /// It can be asked even where only our id is known.
    pub asks_by_our_id: bool,
    /// It accepts how long a text stays useful.
    pub validity: bool,
}

/// A call: the digit it announces and what the person did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// 2 to 9: greetings and menus like to play 0 and 1.
    pub digit: u8,
    pub stage: CallStage,
    /// How often the announcement was given.
    pub announced: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallStage {
    Dialled,
    Answered,
    Spoken,
}

/// The words of the API for what became of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegOutcome {
    Submitted,
    Delivered,
    Refused,
    NotSent,
    Unknown,
    Overdue,
    Cancelled,
}

impl LegOutcome {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::Delivered => "delivered",
            Self::Refused => "refused",
            Self::NotSent => "not_sent",
            Self::Unknown => "unknown",
            Self::Overdue => "overdue",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Leg {
    /// From the request to the handset, usually, milliseconds: as its route had it when the leg began.
    pub fn usual_ms(&self) -> u64 {
        self.usual_by.since_ms(self.started_at)
    }

    /// Whether the operator has it and its route tells no more.
    pub fn is_at_operator(&self) -> bool {
        self.operator == Some(OperatorReceipt::Came)
    }

    /// Whether this leg may have put a text into the person's hands, or rung their phone.
    pub fn may_be_out(&self) -> bool {
        match self.outcome {
            None | Some(LegOutcome::Cancelled) => true,
            Some(
                LegOutcome::Submitted
                | LegOutcome::Delivered
                | LegOutcome::Refused
                | LegOutcome::NotSent
                | LegOutcome::Unknown
                | LegOutcome::Overdue,
            ) => self.taken,
        }
    }
}
