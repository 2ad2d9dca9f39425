//! Every statement of the hot path. One statement does a group of any size: rows travel as arrays through `unnest`.
//!
//! Arrays are sorted by key and joined by nested loops over an index (`session` sees to it), so that rows are locked in
//! the order of the arrays and two groups cannot wait for each other. Casts say the types, whatever the server would guess.

/// One statement under the name that people see it by.
pub(super) struct Statement {
    pub(super) name: &'static str,
    pub(super) sql: &'static str,
}

pub(super) const HOT: [&Statement; 23] = [
    &MESSAGES_LOAD,
    &MESSAGES_LOCK,
    &GROUP_ADD,
    &MESSAGES_SAVE,
    &MESSAGES_SAVE_ALL,
    &CLAIMS_FIND,
    &CLAIMS_LOCK,
    &CLAIMS_MOVE,
    &BUCKETS_LOCK,
    &BUCKETS_LOOK,
    &BUCKETS_SET,
    &BUCKETS_DROP,
    &DUE_SET,
    &DUE_DROP,
    &DUE_LEASE_LIVE,
    &DUE_LEASE_ENDED,
    &DUE_PUT_OFF,
    &REFERENCES_ADD,
    &REFERENCES_FIND,
    &INBOX_COUNT,
    &INBOX_ADD,
    &INBOX_READ,
    &INBOX_DROP,
];

pub(super) const MESSAGES_LOAD: Statement = Statement {
    name: "messages_load",
    sql: "SELECT m.id, m.body
          FROM unnest($1::integer[], $2::uuid[]) AS u (day, id)
          JOIN message m ON m.day = u.day AND m.id = u.id",
};

pub(super) const MESSAGES_LOCK: Statement = Statement {
    name: "messages_lock",
    sql: "SELECT m.id, m.version
          FROM unnest($1::integer[], $2::uuid[]) AS u (day, id)
          JOIN message m ON m.day = u.day AND m.id = u.id
          FOR UPDATE OF m",
};

/// Everything that a group adds: one statement, and so one plan to start. What is new is added without looking for its like
/// first (13 us a row instead of 20 where that was measured). Where it is there already, the server says so, in its log too,
/// and the group is done again (`Trouble::Raced`). A due entry without its message could only be left of a day that was
/// dropped, whose ids nobody uses again. The server works such parts off from the last to the first: claims before buckets,
/// and both before messages, as everywhere.
pub(super) const GROUP_ADD: Statement = Statement {
    name: "group_add",
    sql: "WITH listed AS (
              INSERT INTO due (id, day, due_at, live)
              SELECT * FROM unnest($1::uuid[], $2::integer[], $3::bigint[], $4::boolean[])
          ), opened AS (
              INSERT INTO message (day, id, version, ended_at, body, notes)
              SELECT * FROM unnest($5::integer[], $6::uuid[], $7::bigint[], $8::bigint[], $9::bytea[], $10::text[])
          ), paid AS (
              INSERT INTO bucket (tag, entries, over_at)
              SELECT * FROM unnest($11::bytea[], $12::bytea[], $13::bigint[])
          ), claimed AS (
              INSERT INTO claim (kind, tag, fingerprint, id, until)
              SELECT * FROM unnest($14::smallint[], $15::bytea[], $16::bytea[], $17::uuid[], $18::bigint[])
          )
          INSERT INTO tally (messages) SELECT cardinality($6::uuid[]) WHERE cardinality($6::uuid[]) > 0",
};

/// Compare and set. When it ended stays what it was first, and what is noted comes behind what was.
pub(super) const MESSAGES_SAVE: Statement = Statement {
    name: "messages_save",
    sql: "UPDATE message m
          SET version = u.version, ended_at = coalesce(m.ended_at, u.ended_at), body = u.body, notes = m.notes || u.notes
          FROM unnest($1::integer[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bytea[], $6::text[])
               AS u (day, id, version, ended_at, body, notes)
          WHERE m.day = u.day AND m.id = u.id AND m.version = u.version - 1",
};

/// Saves that pay nothing, with their due times and references: one statement, one commit.
///
/// What is listed as due is moved there, also where nothing seems to change: a lease may have moved it meanwhile, and a save
/// sets it anew. Only an entry that comes early anyway may stay (`due`). Inserting over an entry would lock it first.
/// `IS TRUE` and `IS NOT TRUE` keep the server from turning a question about a list into a join: of two lists without an index
/// it walks the one for each of the other, and that grows with their product; and from walking an index by time for an entry
/// whose id is known.
pub(super) const MESSAGES_SAVE_ALL: Statement = Statement {
    name: "messages_save_all",
    sql: "WITH saved AS (
              UPDATE message m
              SET version = u.version, ended_at = coalesce(m.ended_at, u.ended_at), body = u.body,
                  notes = m.notes || u.notes
              FROM unnest($1::integer[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bytea[], $6::text[],
                          $7::bigint[], $8::boolean[], $9::bigint[], $10::bigint[])
                   AS u (day, id, version, ended_at, body, notes, due_at, live, stays_after, stays_until)
              WHERE m.day = u.day AND m.id = u.id AND m.version = u.version - 1
              RETURNING m.day, m.id, u.due_at, u.live, u.stays_after, u.stays_until
          ), early AS (
              SELECT d.id
              FROM saved s
              JOIN due d ON d.id = s.id
              WHERE s.stays_after IS NOT NULL AND (d.due_at > s.stays_after AND d.due_at <= s.stays_until) IS TRUE
          ), listed AS (
              SELECT id, day, due_at, live FROM saved WHERE (id IN (SELECT id FROM early)) IS NOT TRUE
          ), moved AS (
              UPDATE due d SET due_at = l.due_at, live = l.live
              FROM listed l
              WHERE d.id = l.id AND (l.live OR l.due_at IS NOT NULL)
              RETURNING d.id
          ), scheduled AS (
              INSERT INTO due (id, day, due_at, live)
              SELECT id, day, due_at, live FROM listed
              WHERE (live OR due_at IS NOT NULL) AND (id IN (SELECT id FROM moved)) IS NOT TRUE
              ON CONFLICT (id) DO UPDATE SET due_at = excluded.due_at, live = excluded.live
          ), dropped AS (
              DELETE FROM due d USING listed l WHERE d.id = l.id AND NOT l.live AND l.due_at IS NULL
          ), referred AS (
              INSERT INTO reference (provider, reference, day, id, leg)
              SELECT r.provider, r.reference, r.day, r.id, r.leg
              FROM unnest($11::integer[], $12::uuid[], $13::text[], $14::bytea[], $15::smallint[])
                   AS r (day, id, provider, reference, leg)
              WHERE (r.id IN (SELECT id FROM saved)) IS TRUE
              ON CONFLICT DO NOTHING
          )
          SELECT array_agg(id) FROM saved",
};

pub(super) const CLAIMS_FIND: Statement = Statement {
    name: "claims_find",
    sql: "SELECT c.kind, c.tag, c.fingerprint, c.id, c.until
          FROM unnest($1::smallint[], $2::bytea[]) AS u (kind, tag)
          JOIN claim c ON c.kind = u.kind AND c.tag = u.tag",
};

pub(super) const CLAIMS_LOCK: Statement = Statement {
    name: "claims_lock",
    sql: "SELECT c.kind, c.tag, c.fingerprint, c.id, c.until
          FROM unnest($1::smallint[], $2::bytea[]) AS u (kind, tag)
          JOIN claim c ON c.kind = u.kind AND c.tag = u.tag
          FOR UPDATE OF c",
};

/// Takes over claims that are locked and free.
pub(super) const CLAIMS_MOVE: Statement = Statement {
    name: "claims_move",
    sql: "UPDATE claim c
          SET fingerprint = u.fingerprint, id = u.id, until = u.until
          FROM unnest($1::smallint[], $2::bytea[], $3::bytea[], $4::uuid[], $5::bigint[])
               AS u (kind, tag, fingerprint, id, until)
          WHERE c.kind = u.kind AND c.tag = u.tag",
};

pub(super) const BUCKETS_LOCK: Statement = Statement {
    name: "buckets_lock",
    sql: "SELECT b.tag, b.entries
          FROM unnest($1::bytea[]) AS u (tag)
          JOIN bucket b ON b.tag = u.tag
          FOR UPDATE OF b",
};

/// Those that nothing is paid into: a tenant's own is looked into by each of its openings, which do not wait for each other.
pub(super) const BUCKETS_LOOK: Statement = Statement {
    name: "buckets_look",
    sql: "SELECT b.tag, b.entries
          FROM unnest($1::bytea[]) AS u (tag)
          JOIN bucket b ON b.tag = u.tag",
};

pub(super) const BUCKETS_SET: Statement = Statement {
    name: "buckets_set",
    sql: "UPDATE bucket b
          SET entries = u.entries, over_at = greatest(b.over_at, u.over_at)
          FROM unnest($1::bytea[], $2::bytea[], $3::bigint[]) AS u (tag, entries, over_at)
          WHERE b.tag = u.tag",
};

pub(super) const BUCKETS_DROP: Statement = Statement {
    name: "buckets_drop",
    sql: "DELETE FROM bucket b USING unnest($1::bytea[]) AS u (tag) WHERE b.tag = u.tag",
};

/// An entry that comes up early anyway may stay (`due`).
pub(super) const DUE_SET: Statement = Statement {
    name: "due_set",
    sql: "INSERT INTO due (id, day, due_at, live)
          SELECT u.id, u.day, u.due_at, u.live
          FROM unnest($1::uuid[], $2::integer[], $3::bigint[], $4::boolean[], $5::bigint[], $6::bigint[])
               AS u (id, day, due_at, live, stays_after, stays_until)
          WHERE NOT EXISTS (SELECT FROM due d
                            WHERE d.id = u.id AND (d.due_at > u.stays_after AND d.due_at <= u.stays_until) IS TRUE)
          ON CONFLICT (id) DO UPDATE SET due_at = excluded.due_at, live = excluded.live
          WHERE due.due_at IS DISTINCT FROM excluded.due_at OR due.live <> excluded.live",
};

pub(super) const DUE_DROP: Statement =
    Statement { name: "due_drop", sql: "DELETE FROM due d USING unnest($1::uuid[]) AS u (id) WHERE d.id = u.id" };

/// Takes what is due from the floor on, pushes it forward by the lease and reads the messages, without waiting for anybody.
macro_rules! due_lease {
    ($kind:literal) => {
        concat!(
            "WITH taken AS MATERIALIZED (
                 SELECT id, due_at FROM due WHERE ",
            $kind,
            " AND due_at >= $4::bigint AND due_at <= $1::bigint
                 ORDER BY due_at LIMIT $2::bigint
                 FOR UPDATE SKIP LOCKED
             ), leased AS (
                 UPDATE due d SET due_at = $3::bigint FROM taken t WHERE d.id = t.id
                 RETURNING d.id, d.day, t.due_at
             )
             SELECT m.body, l.due_at FROM leased l JOIN message m ON m.day = l.day AND m.id = l.id ORDER BY l.due_at"
        )
    };
}

pub(super) const DUE_LEASE_LIVE: Statement = Statement { name: "due_lease_live", sql: due_lease!("live") };

pub(super) const DUE_LEASE_ENDED: Statement = Statement { name: "due_lease_ended", sql: due_lease!("NOT live") };

/// Moves entries that were leased to when they are to be looked at again, unless somebody moved them since.
pub(super) const DUE_PUT_OFF: Statement = Statement {
    name: "due_put_off",
    sql: "UPDATE due d SET due_at = u.due_at
          FROM unnest($1::uuid[], $2::bigint[]) AS u (id, due_at)
          WHERE d.id = u.id AND (d.due_at = $3::bigint) IS TRUE",
};

/// The first leg with a reference keeps it.
pub(super) const REFERENCES_ADD: Statement = Statement {
    name: "references_add",
    sql: "INSERT INTO reference (provider, reference, day, id, leg)
          SELECT * FROM unnest($1::text[], $2::bytea[], $3::integer[], $4::uuid[], $5::smallint[])
          ON CONFLICT DO NOTHING",
};

pub(super) const REFERENCES_FIND: Statement = Statement {
    name: "references_find",
    sql: "SELECT r.provider, r.reference, r.id, r.leg
          FROM unnest($1::text[], $2::bytea[]) AS u (provider, reference)
          JOIN reference r ON r.provider = u.provider AND r.reference = u.reference",
};

/// Counts no further than past the limit.
pub(super) const INBOX_COUNT: Statement = Statement {
    name: "inbox_count",
    sql: "SELECT count(*) FROM (SELECT FROM inbox ORDER BY at LIMIT $1::bigint) waiting",
};

/// The same news told twice waits once.
pub(super) const INBOX_ADD: Statement = Statement {
    name: "inbox_add",
    sql: "INSERT INTO inbox (provider, reference, digest, at, body)
          SELECT * FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::bigint[], $5::bytea[])
          ON CONFLICT DO NOTHING",
};

pub(super) const INBOX_READ: Statement = Statement {
    name: "inbox_read",
    sql: "SELECT i.provider, i.reference, i.seq, i.body
          FROM unnest($1::text[], $2::bytea[]) AS u (provider, reference)
          JOIN inbox i ON i.provider = u.provider AND i.reference = u.reference",
};

pub(super) const INBOX_DROP: Statement = Statement {
    name: "inbox_drop",
    sql: "DELETE FROM inbox i USING unnest($1::text[], $2::bytea[], $3::bytea[]) AS u (provider, reference, digest)
          WHERE i.provider = u.provider AND i.reference = u.reference AND i.digest = u.digest",
};

/// What the gauges show, every few seconds in every process that sweeps. Whatever lives has a due time, and with these words
/// the index of the living will do: the table holds what has ended, too, until it is erased.
pub(super) const COUNTS: Statement = Statement {
    name: "counts",
    sql: "SELECT (SELECT coalesce(sum(messages), 0)::bigint FROM tally),
                 (SELECT count(*) FROM due WHERE live AND due_at IS NOT NULL),
                 (SELECT count(*) FROM due WHERE live AND due_at >= $2 AND due_at <= $1)
                 + (SELECT count(*) FROM due WHERE NOT live AND due_at >= $3 AND due_at <= $1),
                 least((SELECT min(due_at) FROM due WHERE live AND due_at >= $2),
                       (SELECT min(due_at) FROM due WHERE NOT live AND due_at >= $3)),
                 (SELECT count(*) FROM inbox), (SELECT min(at) FROM inbox)",
};
