//! One function per verb of the store, on a connection within a group's transaction. Rules stay out of SQL: what a
//! bucket allows is `bucket`, when a message is due is in the message.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::failure::Failure;
use super::inbox;
use crate::bucket::{Bucket, Buckets, Refund, Spend, pay};
use crate::leg::{LegNumber, ProviderId};
use crate::message::{Message, MessageId, Tag};
use crate::store::{Claim, ClaimKind, Counts, Holder, JournalEntry, Opened, Opening, Save, Saved};
use crate::time::Timestamp;
use crate::wire::{decode_notes, decode_row, encode_notes, encode_row};

pub(super) fn open(db: &Connection, opening: &Opening) -> Result<Opened, Failure> {
    if let Some(message) = load(db, opening.message.id)? {
        return Ok(Opened::Repeat(Box::new(message)));
    }
    if let Some(held) = held(db, &opening.claims, opening.at)? {
        for (claim, by) in held.joining(&opening.claims) {
            put_claim(db, by, claim)?;
        }
        return Ok(held);
    }
    if let Some((index, free_at)) = spend(db, &opening.spends, &[], opening.at)? {
        return Ok(Opened::OverLimit { index, free_at });
    }
    let message = &opening.message;
    for claim in &opening.claims {
        put_claim(db, message.id, claim)?;
    }
    let living = opening.claims.iter().find(|claim| claim.kind == ClaimKind::Living).map(|claim| claim.tag.0.to_vec());
    let mut insert = db.prepare_cached(
        "INSERT INTO message (id, version, due, ended_at, living, body, notes) VALUES (?1, 1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let ended_at = (!message.is_live()).then_some(opening.at.unix_ms());
    let (body, notes) = (encode_row(message), encode_notes(&opening.notes, opening.at));
    insert.execute(params![message.id.bytes(), ms(message.due), ended_at, living, body, notes])?;
    put_due(db, message.id, Part::of(ended_at), message.due)?;
    put_references(db, message)?;
    Ok(Opened::New)
}

pub(super) fn save(db: &Connection, save: &Save) -> Result<Saved, Failure> {
    let message = &save.message;
    let Some(stored) = stored(db, message.id)?.filter(|stored| stored.version + 1 == message.version) else {
        return Ok(Saved::Lost);
    };
    if let Some((index, free_at)) = spend(db, &save.spends, &save.refunds, save.at)? {
        return Ok(Saved::OverLimit { index, free_at });
    }
    let ended_at = stored.ended_at.or_else(|| (!message.is_live()).then_some(save.at.unix_ms()));
    let living = if message.is_live() { stored.living } else { release(db, message.id, stored.living)? };
    let (body, notes) = (encode_row(message), encode_notes(&save.notes, save.at));
    db.prepare_cached(
        "UPDATE message SET version = ?2, due = ?3, ended_at = ?4, living = ?5, body = ?6, notes = notes || ?7
         WHERE id = ?1",
    )?
    .execute(params![message.id.bytes(), message.version, ms(message.due), ended_at, living, body, notes])?;
    let (before, after) = (Part::of(stored.ended_at), Part::of(ended_at));
    if (before, stored.due) != (after, ms(message.due)) {
        delete_due(db, message.id, before, stored.due)?;
        put_due(db, message.id, after, message.due)?;
    }
    put_references(db, message)?;
    Ok(Saved::Won)
}

pub(super) fn load(db: &Connection, id: MessageId) -> Result<Option<Message>, Failure> {
    let mut select = db.prepare_cached("SELECT version, body FROM message WHERE id = ?1")?;
    let found =
        select.query_row([id.bytes()], |row| Ok((row.get::<_, u64>(0)?, row.get::<_, Vec<u8>>(1)?))).optional()?;
    found.map(|(version, body)| Ok(Message { version, ..decode_row(&body)? })).transpose()
}

pub(super) fn by_reference(
    db: &Connection,
    provider: &ProviderId,
    reference: &str,
) -> Result<Option<(MessageId, LegNumber)>, Failure> {
    let mut select = db.prepare_cached("SELECT id, leg FROM reference WHERE provider = ?1 AND reference = ?2")?;
    let found =
        select.query_row([provider.as_str(), reference], |row| Ok((message_id(row, 0)?, row.get(1)?))).optional()?;
    Ok(found)
}

/// A part of the due list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Live = 0,
    Ended = 1,
}

impl Part {
    const fn of(ended_at: Option<i64>) -> Self {
        if ended_at.is_some() { Self::Ended } else { Self::Live }
    }
}

/// What lives, and then, as far as there is room, what has ended.
pub(super) fn lease(db: &Connection, now: Timestamp, limit: usize, lease_ms: u64) -> Result<Vec<Message>, Failure> {
    let until = now.plus_ms(lease_ms);
    let mut messages = lease_part(db, Part::Live, now, limit, until)?;
    let room = limit.saturating_sub(messages.len());
    messages.extend(lease_part(db, Part::Ended, now, room, until)?);
    Ok(messages)
}

/// A lease moves the entry in `due` and the row's note of it; the version stays.
fn lease_part(
    db: &Connection,
    part: Part,
    now: Timestamp,
    limit: usize,
    until: Timestamp,
) -> Result<Vec<Message>, Failure> {
    let mut select =
        db.prepare_cached("SELECT at, id FROM due WHERE ended = ?1 AND at <= ?2 ORDER BY at, id LIMIT ?3")?;
    let found = select.query_map(params![part as i64, now.unix_ms(), limit], |row| {
        Ok((row.get::<_, i64>(0)?, message_id(row, 1)?))
    })?;
    let due: Vec<(i64, MessageId)> = found.collect::<rusqlite::Result<_>>()?;
    let mut messages = Vec::with_capacity(due.len());
    for (at, id) in due {
        delete_due(db, id, part, Some(at))?;
        let message = match load(db, id) {
            Ok(Some(message)) => Some(message),
            Ok(None) => continue,
            // One row that cannot be read must not hold up the others; its lease brings it back.
            Err(Failure::Refused { why }) => {
                tracing::error!(%id, why, "a due message cannot be read");
                None
            }
            Err(failure @ (Failure::Unavailable { .. } | Failure::Unknown { .. })) => return Err(failure),
        };
        put_due(db, id, part, Some(until))?;
        db.prepare_cached("UPDATE message SET due = ?2 WHERE id = ?1")?
            .execute(params![id.bytes(), until.unix_ms()])?;
        messages.extend(message);
    }
    Ok(messages)
}

pub(super) fn holder(db: &Connection, kind: ClaimKind, tag: Tag, now: Timestamp) -> Result<Option<Holder>, Failure> {
    let mut select =
        db.prepare_cached("SELECT id, fingerprint FROM claim WHERE kind = ?1 AND tag = ?2 AND until > ?3")?;
    let holder = |row: &Row<'_>| Ok(Holder { by: message_id(row, 0)?, fingerprint: Tag(row.get(1)?) });
    Ok(select.query_row(params![word(kind), tag.0, now.unix_ms()], holder).optional()?)
}

/// Rows that went, and how many of them were reports of the inbox.
pub(super) struct Pruned {
    pub(super) rows: usize,
    pub(super) inbox: usize,
}

pub(super) fn prune(
    db: &Connection,
    now: Timestamp,
    ended_before: Timestamp,
    inbox_before: Timestamp,
    limit: usize,
) -> Result<Pruned, Failure> {
    let mut rows = prune_messages(db, ended_before, limit)?;
    rows += db
        .prepare_cached(
            "DELETE FROM claim WHERE (kind, tag) IN (SELECT kind, tag FROM claim WHERE until <= ?1 ORDER BY until LIMIT ?2)",
        )?
        .execute(params![now.unix_ms(), limit])?;
    rows += db
        .prepare_cached(
            "DELETE FROM bucket WHERE tag IN (SELECT tag FROM bucket WHERE until <= ?1 ORDER BY until LIMIT ?2)",
        )?
        .execute(params![now.unix_ms(), limit])?;
    let inbox = db
        .prepare_cached("DELETE FROM inbox WHERE seq IN (SELECT seq FROM inbox WHERE at < ?1 ORDER BY seq LIMIT ?2)")?
        .execute(params![inbox_before.unix_ms(), limit])?;
    Ok(Pruned { rows: rows + inbox, inbox })
}

fn prune_messages(db: &Connection, ended_before: Timestamp, limit: usize) -> Result<usize, Failure> {
    let mut select = db.prepare_cached("SELECT id FROM message WHERE ended_at < ?1 ORDER BY ended_at LIMIT ?2")?;
    let found = select.query_map(params![ended_before.unix_ms(), limit], |row| message_id(row, 0))?;
    let gone: Vec<MessageId> = found.collect::<rusqlite::Result<_>>()?;
    for id in &gone {
        let Some(stored) = stored(db, *id)? else { continue };
        delete_due(db, *id, Part::of(stored.ended_at), stored.due)?;
        if let Some(message) = load(db, *id)? {
            delete_references(db, &message)?;
        }
        db.prepare_cached("DELETE FROM message WHERE id = ?1")?.execute([id.bytes()])?;
    }
    Ok(gone.len())
}

pub(super) fn journal(db: &Connection, id: MessageId) -> Result<Vec<JournalEntry>, Failure> {
    let mut select = db.prepare_cached("SELECT notes FROM message WHERE id = ?1")?;
    let found = select.query_row([id.bytes()], |row| row.get::<_, String>(0)).optional()?;
    Ok(found.map_or(Ok(Vec::new()), |lines| decode_notes(&lines))?)
}

pub(super) fn counts(db: &Connection, now: Timestamp) -> Result<Counts, Failure> {
    let (live, ended) = db
        .prepare_cached("SELECT live, ended FROM tally")?
        .query_row([], |row| Ok((row.get::<_, u64>(0)?, row.get::<_, u64>(1)?)))?;
    let due = db
        .prepare_cached("SELECT count(*), min(at) FROM due WHERE ended IN (0, 1) AND at <= ?1")?
        .query_row([now.unix_ms()], |row| Ok((row.get::<_, u64>(0)?, row.get::<_, Option<i64>>(1)?)))?;
    let oldest_report: Option<i64> =
        db.prepare_cached("SELECT at FROM inbox ORDER BY seq LIMIT 1")?.query_row([], |row| row.get(0)).optional()?;
    let waited_ms = |since: Option<i64>| since.map_or(0, |at| now.since_ms(Timestamp::from_unix_ms(at)));
    Ok(Counts {
        live,
        ended,
        due: due.0,
        inbox: inbox::count(db)?,
        oldest_due_ms: waited_ms(due.1),
        oldest_inbox_ms: waited_ms(oldest_report),
    })
}

pub(super) fn setting_put(db: &Connection, name: &str, value: Option<&str>) -> Result<(), Failure> {
    match value {
        Some(value) => db
            .prepare_cached(
                "INSERT INTO setting (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2",
            )?
            .execute([name, value])?,
        None => db.prepare_cached("DELETE FROM setting WHERE name = ?1")?.execute([name])?,
    };
    Ok(())
}

pub(super) fn setting(db: &Connection, name: &str) -> Result<Option<String>, Failure> {
    let mut select = db.prepare_cached("SELECT value FROM setting WHERE name = ?1")?;
    Ok(select.query_row([name], |row| row.get(0)).optional()?)
}

pub(super) fn settings(db: &Connection, prefix: &str) -> Result<Vec<(String, String)>, Failure> {
    let mut select =
        db.prepare_cached("SELECT name, value FROM setting WHERE substr(name, 1, length(?1)) = ?1 ORDER BY name")?;
    let found = select.query_map([prefix], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// What a row says besides its body.
struct Stored {
    version: u64,
    due: Option<i64>,
    ended_at: Option<i64>,
    living: Option<Vec<u8>>,
}

fn stored(db: &Connection, id: MessageId) -> Result<Option<Stored>, Failure> {
    let mut select = db.prepare_cached("SELECT version, due, ended_at, living FROM message WHERE id = ?1")?;
    let read = |row: &Row<'_>| {
        Ok(Stored { version: row.get(0)?, due: row.get(1)?, ended_at: row.get(2)?, living: row.get(3)? })
    };
    Ok(select.query_row([id.bytes()], read).optional()?)
}

fn held(db: &Connection, claims: &[Claim], now: Timestamp) -> Result<Option<Opened>, Failure> {
    let mut select =
        db.prepare_cached("SELECT fingerprint, id FROM claim WHERE kind = ?1 AND tag = ?2 AND until > ?3")?;
    for claim in claims {
        let kind = claim.kind;
        let found = select
            .query_row(params![word(kind), claim.tag.0, now.unix_ms()], |row| {
                Ok((row.get::<_, [u8; 32]>(0)?, message_id(row, 1)?))
            })
            .optional()?;
        let Some((fingerprint, by)) = found else { continue };
        if fingerprint != claim.fingerprint.0 {
            return Ok(Some(Opened::Conflict { kind, by }));
        }
        // A claim outlives its row only after pruning: then it holds nothing any more.
        if let Some(message) = load(db, by)? {
            return Ok(Some(Opened::Held { kind, by: Box::new(message) }));
        }
    }
    Ok(None)
}

fn put_claim(db: &Connection, id: MessageId, claim: &Claim) -> Result<(), Failure> {
    let mut insert = db.prepare_cached(
        "INSERT OR REPLACE INTO claim (kind, tag, fingerprint, id, until) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    insert.execute(params![word(claim.kind), claim.tag.0, claim.fingerprint.0, id.bytes(), claim.until.unix_ms()])?;
    Ok(())
}

/// An ended message lives no more: whoever asks next gets a message of their own.
fn release(db: &Connection, id: MessageId, living: Option<Vec<u8>>) -> Result<Option<Vec<u8>>, Failure> {
    if let Some(tag) = living {
        db.prepare_cached("DELETE FROM claim WHERE kind = ?1 AND tag = ?2 AND id = ?3")?.execute(params![
            word(ClaimKind::Living),
            tag,
            id.bytes()
        ])?;
    }
    Ok(None)
}

/// All of them, or none: the first that goes over its limit is named.
fn spend(
    db: &Connection,
    spends: &[Spend],
    refunds: &[Refund],
    now: Timestamp,
) -> Result<Option<(usize, Timestamp)>, Failure> {
    let mut stored = Buckets::new();
    for tag in spends.iter().map(|spend| spend.bucket).chain(refunds.iter().map(|refund| refund.bucket)) {
        if let Some(found) = bucket(db, tag)? {
            stored.insert(tag, found);
        }
    }
    let paid = match pay(spends, refunds, stored, now) {
        Ok(paid) => paid,
        Err(over) => return Ok(Some(over)),
    };
    let mut put = db.prepare_cached("INSERT OR REPLACE INTO bucket (tag, body, until) VALUES (?1, ?2, ?3)")?;
    for (tag, (bucket, until)) in paid {
        if bucket.0.is_empty() {
            db.prepare_cached("DELETE FROM bucket WHERE tag = ?1")?.execute([tag.0])?;
            continue;
        }
        let body = serde_json::to_string(&bucket).expect("a bucket is numbers");
        put.execute(params![tag.0, body, until.unix_ms()])?;
    }
    Ok(None)
}

fn bucket(db: &Connection, tag: Tag) -> Result<Option<(Bucket, Timestamp)>, Failure> {
    let mut select = db.prepare_cached("SELECT body, until FROM bucket WHERE tag = ?1")?;
    let found = select.query_row([tag.0], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))).optional()?;
    let Some((body, until)) = found else { return Ok(None) };
    let bucket = serde_json::from_str(&body).map_err(|error| Failure::Refused { why: error.to_string() })?;
    Ok(Some((bucket, Timestamp::from_unix_ms(until))))
}

fn put_due(db: &Connection, id: MessageId, part: Part, due: Option<Timestamp>) -> Result<(), Failure> {
    if let Some(due) = due {
        db.prepare_cached("INSERT OR REPLACE INTO due (ended, at, id) VALUES (?1, ?2, ?3)")?.execute(params![
            part as i64,
            due.unix_ms(),
            id.bytes()
        ])?;
    }
    Ok(())
}

fn delete_due(db: &Connection, id: MessageId, part: Part, due: Option<i64>) -> Result<(), Failure> {
    if let Some(due) = due {
        db.prepare_cached("DELETE FROM due WHERE ended = ?1 AND at = ?2 AND id = ?3")?.execute(params![
            part as i64,
            due,
            id.bytes()
        ])?;
    }
    Ok(())
}

fn put_references(db: &Connection, message: &Message) -> Result<(), Failure> {
    let mut put =
        db.prepare_cached("INSERT OR IGNORE INTO reference (provider, reference, id, leg) VALUES (?1, ?2, ?3, ?4)")?;
    for leg in &message.legs {
        if let Some(reference) = &leg.reference {
            put.execute(params![leg.provider.as_str(), reference, message.id.bytes(), leg.number])?;
        }
    }
    Ok(())
}

fn delete_references(db: &Connection, message: &Message) -> Result<(), Failure> {
    let mut delete = db.prepare_cached("DELETE FROM reference WHERE provider = ?1 AND reference = ?2 AND id = ?3")?;
    for leg in &message.legs {
        if let Some(reference) = &leg.reference {
            delete.execute(params![leg.provider.as_str(), reference, message.id.bytes()])?;
        }
    }
    Ok(())
}

fn message_id(row: &Row<'_>, column: usize) -> rusqlite::Result<MessageId> {
    row.get::<_, [u8; 16]>(column).map(|bytes| MessageId(uuid::Uuid::from_bytes(bytes)))
}

const fn word(kind: ClaimKind) -> &'static str {
    match kind {
        ClaimKind::Key => "key",
        ClaimKind::Living => "living",
    }
}

fn ms(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::unix_ms)
}
