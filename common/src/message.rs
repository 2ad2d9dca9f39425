//! A message: one thing one person must receive before a deadline. Its state table is `lifecycle`; its legs are `leg`.
//!
//! What names the person (number, text, transaction, metadata) is in `Person`, sealed inside `Message::sealed`.

mod names;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::leg::{Channel, Leg, LegNumber, RouteClass};
use crate::outcome::Reason;
use crate::phone::{Country, LineType, PhoneNumber};
use crate::time::Timestamp;
use crate::transaction::Transaction;

pub use names::{Kid, MessageId, Sealed, Tag, TenantId};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    Login,
    Signup,
    Payment,
    Notice,
}

impl Purpose {
    pub const ALL: [Self; 4] = [Self::Login, Self::Signup, Self::Payment, Self::Notice];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Signup => "signup",
            Self::Payment => "payment",
            Self::Notice => "notice",
        }
    }

    /// The lane when the tenant's settings say nothing else.
    pub const fn lane(self) -> Lane {
        match self {
            Self::Payment => Lane::Critical,
            Self::Login | Self::Signup => Lane::Normal,
            Self::Notice => Lane::Bulk,
        }
    }
}

/// Ordered by precedence: `Critical` first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    Critical,
    Normal,
    Bulk,
}

impl Lane {
    pub const ALL: [Self; 3] = [Self::Critical, Self::Normal, Self::Bulk];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Normal => "normal",
            Self::Bulk => "bulk",
        }
    }
}

/// The language of texts, calls and guidance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Locale {
    Ja,
    En,
}

impl Locale {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ja => "ja",
            Self::En => "en",
        }
    }
}

/// When a call may carry the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Voice {
    OnFailure,
    /// Also when the code is not verified `after_ms` after acceptance.
    OnUnverified {
        after_ms: u64,
    },
    Never,
}

/// A code to be typed back, or a text to be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Code {
        /// Digits, 6 to 10.
        length: u8,
        /// The root this code is derived from, chosen when the row opens.
        kid: Kid,
        template: String,
        /// For the origin-bound last line, where the route carries it.
        domain: Option<String>,
    },
    Text,
}

/// The personal part of a message. Never printed, never at rest in the clear; erased some time after the end.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    pub to: PhoneNumber,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<Transaction>,
    /// The body of a `Kind::Text`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Person").field("to", &self.to).finish_non_exhaustive()
    }
}

/// One message with everything decided about it so far. `version` is the store's compare-and-set token.
///
/// Rows say fields by their places (`wire`), here and in everything within: a new one comes last and has a default, and
/// none is left out of what is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub id: MessageId,
    pub tenant: TenantId,
    pub purpose: Purpose,
    pub lane: Lane,
    pub kind: Kind,
    pub locale: Locale,
    pub country: Country,
    pub line: LineType,
    pub voice: Voice,
    pub accepted_at: Timestamp,
    pub useful_until: Timestamp,
    /// `None` once erased.
    pub sealed: Option<Sealed>,
    /// Keyed hash of tenant and number: the bucket of guesses, the living claim.
    pub number_tag: Tag,
    pub state: State,
    pub legs: Vec<Leg>,
    pub guesses_left: u8,
    /// Guesses that are paid and not judged yet.
    #[serde(default)]
    pub guesses_open: u8,
    /// When the last of them was paid.
    #[serde(default)]
    pub guess_paid_at: Option<Timestamp>,
    /// Lines of the journal that move nothing on: late events, and requests that joined.
    #[serde(default)]
    pub lines_beside: u8,
    pub resends: u8,
    pub last_resend_at: Option<Timestamp>,
    pub verified: Option<Verified>,
    /// When the sweep must look at this message next; `None` when never again.
    pub due: Option<Timestamp>,
    /// Counts saves; 0 for a message that no store has yet.
    pub version: u64,
    /// Whose save this is: tells a commit of unknown outcome from another's that looks alike.
    #[serde(default)]
    pub stamp: u32,
}

/// Who verified, so that the same request repeated within `Policy::verified_repeat_ms` gets the same answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    pub at: Timestamp,
    pub key: Option<Tag>,
}

/// Where a message stands. Which state follows which is `lifecycle`'s `step` to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Queued,
    Sending {
        leg: LegNumber,
    },
    Awaiting {
        leg: LegNumber,
        what: Awaited,
    },
    Retrying {
        want: Want,
    },
    /// A receipt says delivered; for a code the right answer is still to come.
    Delivered,
    /// No leg is left to try; the right code still verifies until the deadline.
    GaveUp {
        reason: Reason,
    },
    Ended {
        end: End,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Awaited {
    /// The provider may have it: its answer never came.
    Answer,
    /// The provider took it: a receipt is to come.
    Receipt,
}

/// What the next leg should be; `route::choose` turns it into a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Want {
    pub channel: Channel,
    /// Only routes of this class, where the reason demands it (a filtered international route wants a domestic one).
    pub only: Option<RouteClass>,
    /// Only routes with a sender that this message has not used (the person opted out of one).
    pub new_sender: bool,
    /// A route tried before may be used again where no other is left: the person asked.
    pub again: bool,
    pub trigger: Trigger,
}

/// What a leg is started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    First,
    Failed,
    Overdue,
    Unknown,
    Unverified,
    Asked,
}

impl Trigger {
    pub const fn word(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Failed => "failed",
            Self::Overdue => "overdue",
            Self::Unknown => "unknown",
            Self::Unverified => "unverified",
            Self::Asked => "asked",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    Delivered,
    Verified,
    Failed { reason: Reason },
    Expired { furthest: Furthest },
    Cancelled { by: CancelledBy },
}

/// How far an expired message had come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Furthest {
    NeverSent,
    Submitted,
    Delivered,
    GaveUp { reason: Reason },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelledBy {
    Caller,
    Operator,
}

impl Message {
    pub fn leg(&self, number: LegNumber) -> Option<&Leg> {
        self.legs.iter().find(|leg| leg.number == number)
    }

    pub const fn is_code(&self) -> bool {
        matches!(self.kind, Kind::Code { .. })
    }

    pub const fn is_live(&self) -> bool {
        !matches!(self.state, State::Ended { .. })
    }

    /// Whether it may still be sent and verified at `now`: its end may not have been written yet.
    pub fn lives_at(&self, now: Timestamp) -> bool {
        self.is_live() && now < self.useful_until
    }

    /// The word of the API for where this message stands.
    pub const fn status(&self) -> &'static str {
        match &self.state {
            State::Queued => "accepted",
            State::Sending { .. } | State::Retrying { .. } | State::Awaiting { what: Awaited::Answer, .. } => "sending",
            State::Awaiting { what: Awaited::Receipt, .. } => "submitted",
            State::Delivered | State::Ended { end: End::Delivered } => "delivered",
            State::GaveUp { .. } | State::Ended { end: End::Failed { .. } } => "failed",
            State::Ended { end: End::Verified } => "verified",
            State::Ended { end: End::Cancelled { .. } } => "cancelled",
            State::Ended { end: End::Expired { furthest } } => match furthest {
                Furthest::Delivered => "delivered",
                Furthest::GaveUp { .. } => "failed",
                Furthest::NeverSent | Furthest::Submitted => "expired",
            },
        }
    }

    /// Why it failed, where it did.
    pub const fn failure(&self) -> Option<Reason> {
        match &self.state {
            State::GaveUp { reason }
            | State::Ended { end: End::Failed { reason } | End::Expired { furthest: Furthest::GaveUp { reason } } } => {
                Some(*reason)
            }
            State::Queued
            | State::Sending { .. }
            | State::Awaiting { .. }
            | State::Retrying { .. }
            | State::Delivered
            | State::Ended { .. } => None,
        }
    }
}
