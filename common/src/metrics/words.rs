//! The words of labels that no other module has: results at the door, matches of receipts, states of a provider.

use crate::broker::BrokerError;
use crate::lifecycle::Verdict;
use crate::message::{End, Furthest};
use crate::outcome::{Answer, Proof};
use crate::store::StoreError;

/// How a request to send ended at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestResult {
    Accepted,
    /// A living verification for the same thing was there.
    Joined,
    /// The same idempotency key, the same body: the same answer.
    Repeated,
    /// Something about the request is wrong.
    Refused,
    /// A cap: 429.
    Limited,
    /// It could not arrive in time: 503.
    Busy,
    /// Nothing durable would have come of it: 503.
    Unavailable,
}

impl RequestResult {
    pub(super) const ALL: [Self; 7] =
        [Self::Accepted, Self::Joined, Self::Repeated, Self::Refused, Self::Limited, Self::Busy, Self::Unavailable];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Joined => "joined",
            Self::Repeated => "repeated",
            Self::Refused => "refused",
            Self::Limited => "limited",
            Self::Busy => "busy",
            Self::Unavailable => "unavailable",
        }
    }
}

/// What a report was matched to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptMatch {
    Matched,
    /// Waits in the inbox.
    Orphan,
    /// Matches nothing and waits for nothing: unproven, or its message is gone, or the inbox is full.
    Unkept,
    Duplicate,
    /// Its proof of origin is wrong.
    Forged,
    /// Without any proof, while too many reports wait.
    Flooded,
}

impl ReceiptMatch {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Matched => "matched",
            Self::Orphan => "orphan",
            Self::Unkept => "unkept",
            Self::Duplicate => "duplicate",
            Self::Forged => "forged",
            Self::Flooded => "flooded",
        }
    }
}

/// Whether a provider is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Circuit {
    Closed,
    HalfOpen,
    Open,
}

impl Circuit {
    pub(super) const ALL: [Self; 3] = [Self::Closed, Self::HalfOpen, Self::Open];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }
}

pub(super) const fn answer(answer: &Answer) -> &'static str {
    match answer {
        Answer::Submitted { .. } => "submitted",
        Answer::Refused(_) => "refused",
        Answer::NotSent { .. } => "not_sent",
        Answer::Unknown { .. } => "unknown",
    }
}

/// The class of an answer that took nothing, and what was said with it.
pub(super) fn answer_why(answer: &Answer) -> (&'static str, &str) {
    match answer {
        Answer::Submitted { .. } => (self::answer(answer), ""),
        Answer::Refused(refusal) => (refusal.class.word(), &refusal.code),
        Answer::NotSent { why } | Answer::Unknown { why } => (self::answer(answer), why),
    }
}

pub(super) const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Right => "right",
        Verdict::Wrong => "wrong",
        Verdict::TransactionChanged => "transaction_changed",
    }
}

pub(super) const fn proof(proof: Proof) -> &'static str {
    match proof {
        Proof::Signature => "signature",
        Proof::Tag => "tag",
        Proof::Asked => "asked",
        Proof::Nothing => "nothing",
    }
}

pub(super) const fn end(end: &End) -> &'static str {
    match end {
        End::Delivered => "delivered",
        End::Verified => "verified",
        End::Failed { .. } => "failed",
        End::Expired { .. } => "expired",
        End::Cancelled { .. } => "cancelled",
    }
}

pub(super) const fn furthest(furthest: &Furthest) -> &'static str {
    match furthest {
        Furthest::NeverSent => "never_sent",
        Furthest::Submitted => "submitted",
        Furthest::Delivered => "delivered",
        Furthest::GaveUp { .. } => "gave_up",
    }
}

/// The limit that a check meets; the others are those of `Cap`.
pub const GUESSES_PER_NUMBER: &str = "guesses_per_number";
/// By whose clock something was late.
pub(super) const PROVIDERS_CLOCK: &str = "provider";
pub(super) const OUR_CLOCK: &str = "ours";

pub(super) const BROKER_ERRORS: [&str; 4] = ["unavailable", "full", "parked_full", "unconfirmed"];
pub(super) const STORE_ERRORS: [&str; 4] = ["unavailable", "unknown_outcome", "refused", "full"];

pub(super) const fn broker_error(error: &BrokerError) -> &'static str {
    match error {
        BrokerError::Unavailable { .. } => "unavailable",
        BrokerError::Full { .. } => "full",
        BrokerError::ParkedFull { .. } => "parked_full",
        BrokerError::Unconfirmed { .. } => "unconfirmed",
    }
}

pub(super) const fn store_error(error: &StoreError) -> &'static str {
    match error {
        StoreError::Unavailable { .. } => "unavailable",
        StoreError::UnknownOutcome { .. } => "unknown_outcome",
        StoreError::Refused { .. } => "refused",
        StoreError::Full { .. } => "full",
    }
}
