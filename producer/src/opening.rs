//! The row, the claims and the spends of an accepted request, as one opening that a store writes whole or not at all.

use otodoke_common::bucket::Spend;
use otodoke_common::lifecycle::Note;
use otodoke_common::message::{Kind, Message, MessageId, State, Tag, TenantId};
use otodoke_common::seal::Vault;
use otodoke_common::store::{Claim, ClaimKind, Opening};
use otodoke_common::time::Timestamp;
use otodoke_common::transaction::Transaction;

use crate::door::Door;
use crate::extract::Caller;
use crate::request::{Content, Request};

/// How long an idempotency key is honoured.
const KEY_HELD_MS: u64 = 24 * 3_600_000;
const TEN_MINUTES_MS: u64 = 600_000;
const DAY_MS: u64 = 24 * 3_600_000;

/// Which cap each spend stands for, by its place in `Opening::spends`.
pub(crate) const CAPS: [&str; 2] = ["10 minutes", "a day"];

pub(crate) fn opening(
    door: &Door,
    caller: &Caller,
    key: Option<&str>,
    request: &Request,
    expected_wait_ms: u64,
) -> Opening {
    let now = door.now();
    let message = message(door, caller, request, now);
    let claims = claims(&door.desk.vault, &message, key, request, now);
    let note = Note::Accepted { expected_wait_ms };
    Opening { spends: spends(door, caller, request), claims, notes: vec![note], at: now, message }
}

fn message(door: &Door, caller: &Caller, request: &Request, now: Timestamp) -> Message {
    let id = MessageId::new(now, door.desk.dice.id_bits());
    let useful_until = now.plus_ms(request.useful_ms);
    let vault = &door.desk.vault;
    Message {
        id,
        tenant: caller.tenant.clone(),
        purpose: request.purpose,
        lane: caller.settings.lane(request.purpose),
        kind: kind(door, request),
        locale: request.locale,
        country: request.country,
        line: request.line,
        voice: request.voice,
        accepted_at: now,
        useful_until,
        sealed: Some(vault.seal(&caller.tenant, id, &request.person)),
        number_tag: vault.number_tag(&caller.tenant, &request.person.to),
        state: State::Queued,
        legs: Vec::new(),
        guesses_left: door.desk.policy.guesses,
        guesses_open: 0,
        resends: 0,
        last_resend_at: None,
        verified: None,
        due: Some(useful_until),
        version: 0,
        stamp: 0,
    }
}

fn kind(door: &Door, request: &Request) -> Kind {
    match &request.content {
        Content::Code { length, template, domain } => Kind::Code {
            length: *length,
            kid: door.codes.active().clone(),
            template: template.clone(),
            domain: domain.clone(),
        },
        Content::Text => Kind::Text,
    }
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
        fingerprint: vault.tag("living", &[]),
        until: message.useful_until,
    });
    same_key.into_iter().chain(living).collect()
}

/// What the key of a request is known by: the same for all addresses of the door.
pub(crate) fn key_tag(vault: &Vault, tenant: &TenantId, key: &str) -> Tag {
    vault.tag("idempotency key", &[tenant.as_str().as_bytes(), key.as_bytes()])
}

/// Keyed, so that a row does not tell who was written to.
pub(crate) fn fingerprint(vault: &Vault, request: &Request) -> Tag {
    let parsed = serde_json::to_vec(request).expect("a request has string keys and no failing fields");
    vault.tag("request", &[&parsed])
}

fn living_tag(vault: &Vault, tenant: &TenantId, request: &Request) -> Tag {
    let transaction = request.person.transaction.as_ref();
    let amount = transaction.map(|transaction| transaction.amount.to_be_bytes());
    let words = transaction.map_or(["", "", ""], transaction_words);
    vault.tag(
        "living",
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

fn spends(door: &Door, caller: &Caller, request: &Request) -> Vec<Spend> {
    let (policy, settings) = (&door.desk.policy, &caller.settings);
    let bucket = |label: &str| {
        let parts = [caller.tenant.as_str().as_bytes(), request.person.to.as_e164().as_bytes()];
        door.desk.vault.tag(label, &parts)
    };
    vec![
        Spend {
            bucket: bucket("messages in 10 minutes"),
            cost: 1,
            limit: settings.messages_per_10_minutes(policy),
            window_ms: TEN_MINUTES_MS,
        },
        Spend {
            bucket: bucket("messages in a day"),
            cost: 1,
            limit: settings.messages_per_day(policy),
            window_ms: DAY_MS,
        },
    ]
}
