//! The row, the claims and the spends of an accepted request, as one opening that a store writes whole or not at all;
//! and the row of one that is not accepted, which ends as it opens and says why.

use super::{Content, Request};
use crate::bucket::Spend;
use crate::lifecycle::Note;
use crate::message::{End, Kid, Kind, Lane, Message, MessageId, State, Tag, TenantId};
use crate::outcome::Reason;
use crate::policy::Policy;
use crate::seal::{TagUse, Vault};
use crate::store::{Claim, ClaimKind, Opening};
use crate::time::{DAY_MS, MINUTE_MS, Timestamp};
use crate::transaction::Transaction;

/// How long an idempotency key is honoured.
const KEY_HELD_MS: u64 = 24 * 3_600_000;
const TEN_MINUTES_MS: u64 = 10 * MINUTE_MS;

/// Which cap each spend stands for, by its place in `Opening::spends`.
pub const CAPS: [&str; 2] = ["10 minutes", "a day"];

/// What opening a message needs to know of this system and of its tenant.
pub struct Opener<'a> {
    pub vault: &'a Vault,
    pub policy: &'a Policy,
    /// The root that new codes are derived from.
    pub kid: &'a Kid,
    pub tenant: &'a TenantId,
    pub terms: Terms,
}

/// What a tenant's settings say about messages of one purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    pub lane: Lane,
    pub messages_per_10_minutes: u32,
    pub messages_per_day: u32,
}

/// Which message a request becomes, and since when it counts.
#[derive(Clone, Copy, Debug)]
pub struct Birth {
    pub id: MessageId,
    /// Since then it is useful for as long as the request says.
    pub accepted_at: Timestamp,
    pub now: Timestamp,
}

impl Opener<'_> {
    pub fn opening(&self, birth: Birth, key: Option<&str>, request: &Request, expected_wait_ms: u64) -> Opening {
        let message = self.message(birth, request);
        let claims = claims(self.vault, &message, key, request, birth.now);
        let note = Note::Accepted { expected_wait_ms };
        Opening { spends: self.spends(request), claims, notes: vec![note], at: birth.now, message }
    }

    fn message(&self, birth: Birth, request: &Request) -> Message {
        let useful_until = birth.accepted_at.plus_ms(request.useful_ms);
        Message {
            id: birth.id,
            tenant: self.tenant.clone(),
            purpose: request.purpose,
            lane: self.terms.lane,
            kind: self.kind(request),
            locale: request.locale,
            country: request.country,
            line: request.line,
            voice: request.voice,
            accepted_at: birth.accepted_at,
            useful_until,
            sealed: Some(self.vault.seal(self.tenant, birth.id, &request.person)),
            number_tag: self.vault.number_tag(self.tenant, &request.person.to),
            state: State::Queued,
            legs: Vec::new(),
            guesses_left: self.policy.guesses,
            guesses_open: 0,
            guess_paid_at: None,
            lines_beside: 0,
            resends: 0,
            last_resend_at: None,
            verified: None,
            due: Some(useful_until),
            version: 0,
            stamp: 0,
        }
    }

    fn kind(&self, request: &Request) -> Kind {
        match &request.content {
            Content::Code { length, template, domain } => Kind::Code {
                length: *length,
                kid: self.kid.clone(),
                template: template.clone(),
                domain: domain.clone(),
            },
            Content::Text => Kind::Text,
        }
    }

    fn spends(&self, request: &Request) -> Vec<Spend> {
        let parts = [self.tenant.as_str().as_bytes(), request.person.to.as_e164().as_bytes()];
        let bucket = self.vault.tag(TagUse::Messages, &parts);
        // Looked at in the one window, where there must be room for one more, and paid in the other.
        let per_10_minutes = u64::from(self.terms.messages_per_10_minutes).saturating_sub(1);
        vec![
            Spend { bucket, cost: 0, limit: per_10_minutes, window_ms: TEN_MINUTES_MS },
            Spend { bucket, cost: 1, limit: self.terms.messages_per_day.into(), window_ms: DAY_MS },
        ]
    }
}

/// The same message, but ended: it holds no claim and pays for nothing, and its row says why.
pub fn ended(message: Message, reason: Reason, why: Option<Note>, now: Timestamp) -> Opening {
    let end = End::Failed { reason };
    let notes = why.into_iter().chain([Note::Ended { end: end.clone() }]).collect();
    let message = Message { state: State::Ended { end }, due: Some(now), ..message };
    Opening { message, claims: Vec::new(), spends: Vec::new(), notes, at: now }
}

/// The key comes first: a repeated request is told apart from one that joins.
fn claims(vault: &Vault, message: &Message, key: Option<&str>, request: &Request, now: Timestamp) -> Vec<Claim> {
    let same_key = key.map(|key| Claim {
        kind: ClaimKind::Key,
        tag: key_tag(vault, &message.tenant, key),
        fingerprint: fingerprint(vault, request),
        until: now.plus_ms(KEY_HELD_MS),
    });
    let living = request.joins.then(|| Claim {
        kind: ClaimKind::Living,
        tag: living_tag(vault, &message.tenant, request),
        fingerprint: vault.tag(TagUse::Living, &[]),
        until: message.useful_until,
    });
    same_key.into_iter().chain(living).collect()
}

/// What the key of a request is known by: the same for all addresses of the door.
pub fn key_tag(vault: &Vault, tenant: &TenantId, key: &str) -> Tag {
    vault.tag(TagUse::IdempotencyKey, &[tenant.as_str().as_bytes(), key.as_bytes()])
}

/// Keyed, so that a row does not tell who was written to.
pub fn fingerprint(vault: &Vault, request: &Request) -> Tag {
    let parsed = serde_json::to_vec(request).expect("a request has string keys and no failing fields");
    vault.tag(TagUse::Request, &[&parsed])
}

fn living_tag(vault: &Vault, tenant: &TenantId, request: &Request) -> Tag {
    let transaction = request.person.transaction.as_ref();
    let amount = transaction.map(|transaction| transaction.amount.to_be_bytes());
    let words = transaction.map_or(["", "", ""], transaction_words);
    vault.tag(
        TagUse::Living,
        &[
            tenant.as_str().as_bytes(),
            request.person.to.as_e164().as_bytes(),
            request.purpose.word().as_bytes(),
            amount.as_ref().map_or(&[], |bytes| bytes.as_slice()),
            words[0].as_bytes(),
            words[1].as_bytes(),
            words[2].as_bytes(),
        ],
    )
}

fn transaction_words(transaction: &Transaction) -> [&str; 3] {
    [transaction.currency.as_str(), &transaction.payee.name, &transaction.payee.account]
}
