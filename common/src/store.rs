//! The seam to the rows. A backend is done when it passes the contract suite (`tests`) unchanged.
//!
//! Surfaces are per message; a backend groups what concurrent callers bring into one commit.

use std::ops::Range;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::bucket::{Refund, Spend};
use crate::leg::{LegNumber, ProviderId};
use crate::lifecycle::Note;
use crate::message::{Message, MessageId, Tag, TenantId};
use crate::outcome::Report;
use crate::time::Timestamp;

#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Row, claims, spends and journal in one commit, or nothing of it. An id that is there already is a repeat, whatever else
    /// would refuse it; then claims are looked at, then spends. An opening whose living claim is held joins its holder: its
    /// keys are claimed for that message. A new row's version is one more than its opening's.
    async fn open(&self, opening: Opening) -> Result<Opened, StoreError>;

    async fn load(&self, id: MessageId) -> Result<Option<Message>, StoreError>;

    /// Who holds a claim at `now`, without claiming anything.
    async fn holder(&self, kind: ClaimKind, tag: Tag, now: Timestamp) -> Result<Option<Holder>, StoreError>;

    /// Writes `save.message` if the stored version is still the one before its own. References of legs become findable; an
    /// ended message's living claim is released.
    async fn save(&self, save: &Save) -> Result<Saved, StoreError>;

    /// Which leg of which message a provider's reference belongs to.
    async fn by_reference(
        &self,
        provider: &ProviderId,
        reference: &str,
    ) -> Result<Option<(MessageId, LegNumber)>, StoreError>;

    /// Messages to the number with this tag whose ids were made within `made`, newest first, and no more than `limit`. Ids of
    /// other kinds than UUIDv7 do not tell and are not looked at. Rows have no index for it, so all of that time are looked
    /// through: for people, not for what a message passes.
    async fn of_number(&self, number: Tag, made: Range<Timestamp>, limit: usize) -> Result<Vec<Message>, StoreError>;

    /// Messages due at `now`, those that live before those that have ended, most overdue first, each leased until
    /// `now + lease_ms` so that no other sweep gets it.
    /// Whoever wins the compare-and-set acts; a save sets the due time anew.
    async fn due(&self, now: Timestamp, limit: usize, lease_ms: u64) -> Result<Vec<Message>, StoreError>;

    /// Keeps a report that matches no leg yet. `Full` when the inbox holds its limit.
    async fn inbox_put(&self, report: &Report) -> Result<(), StoreError>;

    /// The reports waiting for this reference, in the order they were put. They stay until they are dropped, so that whoever
    /// dies with them in hand loses none.
    async fn inbox_read(&self, provider: &ProviderId, reference: &str) -> Result<Vec<Report>, StoreError>;

    /// Takes out a report that was applied. One that is gone already is no error.
    async fn inbox_drop(&self, report: &Report) -> Result<(), StoreError>;

    /// Deletes up to `limit` of each: messages ended before `ended_before`, claims and buckets over, inbox reports older
    /// than `inbox_before`. Returns how many rows went.
    async fn prune(
        &self,
        now: Timestamp,
        ended_before: Timestamp,
        inbox_before: Timestamp,
        limit: usize,
    ) -> Result<usize, StoreError>;

    /// What happened to a message, oldest first.
    async fn journal(&self, id: MessageId) -> Result<Vec<JournalEntry>, StoreError>;

    /// Live and ended messages, due ones, waiting reports: for people and for tests of "accepted = ended + live".
    async fn counts(&self, now: Timestamp) -> Result<Counts, StoreError>;

    /// A small value kept under a name: keys of tenants, revoked kids. `None` deletes.
    async fn setting_put(&self, name: &str, value: Option<&str>) -> Result<(), StoreError>;
    /// `Full` where the store is there and too many of this process asked it at once.
    async fn setting(&self, name: &str) -> Result<Option<String>, StoreError>;
    /// All settings whose name begins with `prefix`, by name.
    async fn settings(&self, prefix: &str) -> Result<Vec<(String, String)>, StoreError>;
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    pub message: Message,
    pub claims: Vec<Claim>,
    pub spends: Vec<Spend>,
    pub notes: Vec<Note>,
    pub at: Timestamp,
}

/// Something only one message may hold at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    pub kind: ClaimKind,
    pub tag: Tag,
    /// Of the request: the same key with another fingerprint is a conflict.
    pub fingerprint: Tag,
    pub until: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimKind {
    /// The caller's `Idempotency-Key`, held until its time is over.
    Key,
    /// (tenant, number, purpose, transaction), held until the message ends.
    Living,
}

/// Of a claim: whose it is, and for which request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    pub by: MessageId,
    pub fingerprint: Tag,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Opened {
    New,
    /// A row with this id is there already: a repeat, harmless.
    Repeat(Box<Message>),
    /// Another message holds this claim with the same fingerprint.
    Held {
        kind: ClaimKind,
        by: Box<Message>,
    },
    /// Another message holds this claim with another fingerprint.
    Conflict {
        kind: ClaimKind,
        by: MessageId,
    },
    /// `opening.spends[index]` would go over its limit; free again at `free_at`.
    OverLimit {
        index: usize,
        free_at: Timestamp,
    },
}

impl Opened {
    /// The claims of the opening that this answers which its holder gets, for the backends: its keys, where it joins. Keys
    /// are looked at before, so nobody else holds them.
    pub(crate) fn joining<'a>(&self, claims: &'a [Claim]) -> impl Iterator<Item = (&'a Claim, MessageId)> + use<'a> {
        let joined = match self {
            Self::Held { kind: ClaimKind::Living, by } => Some(by.id),
            Self::New
            | Self::Repeat(_)
            | Self::Held { kind: ClaimKind::Key, .. }
            | Self::Conflict { .. }
            | Self::OverLimit { .. } => None,
        };
        let keys = claims.iter().filter(|claim| claim.kind == ClaimKind::Key);
        joined.into_iter().flat_map(move |by| keys.clone().map(move |claim| (claim, by)))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Save {
    /// As it is to be stored: its version is one more than what was read.
    pub message: Message,
    pub notes: Vec<Note>,
    pub spends: Vec<Spend>,
    /// Given back before anything is spent.
    pub refunds: Vec<Refund>,
    pub at: Timestamp,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Saved {
    /// `save.message` is stored.
    Won,
    /// Somebody saved first: load again and decide anew.
    Lost,
    OverLimit {
        index: usize,
        free_at: Timestamp,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    pub at: Timestamp,
    pub note: Note,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub live: u64,
    pub ended: u64,
    pub due: u64,
    pub inbox: u64,
    /// How long the most overdue message has waited for the sweep, milliseconds.
    pub oldest_due_ms: u64,
    /// How long the oldest report has waited in the inbox, milliseconds.
    pub oldest_inbox_ms: u64,
}

/// Which tenant a key names. Stored under the setting `key/<sha256>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    pub tenant: TenantId,
    pub key_id: String,
    pub created_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Nothing was written.
    #[error("the store cannot be used now: {why}")]
    Unavailable { why: String },
    /// The commit may or may not have happened: load again.
    #[error("the outcome of a commit is not known: {why}")]
    UnknownOutcome { why: String },
    /// This row's data was refused; others in its group were not touched.
    #[error("the store refused this row: {why}")]
    Refused { why: String },
    #[error("{what} is full at {limit}")]
    Full { what: &'static str, limit: u64 },
}
