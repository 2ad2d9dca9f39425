//! The tables, and how a connection is set up: WAL, every commit flushed to the disk before it is answered.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::{EmbeddedError, unreadable};

/// Counts up with every change of the tables, and of what rows look like; written into the file. From 3 on rows are
/// `MessagePack` (`wire`), which earlier programs cannot read; from 4 on journals lie in them; from 5 on
/// the due list has what lives before what has ended.
const SCHEMA_VERSION: i64 = 5;
const PAGE_BYTES: u64 = 4_096;
/// Pages kept in memory by the one that writes, and by each that reads: those forget all of them at every commit.
const CACHE_KIB: i64 = 16_384;
const READER_CACHE_KIB: i64 = 2_048;
const STATEMENTS_CACHED: usize = 64;

/// `due` holds when a row is looked at next, apart from the rows: a lease moves an entry without rewriting a message.
const TABLES: &str = "
    CREATE TABLE message (
        id BLOB NOT NULL UNIQUE, version INTEGER NOT NULL, due INTEGER, ended_at INTEGER, living BLOB, body BLOB NOT NULL,
        notes TEXT NOT NULL DEFAULT ''
    );
    CREATE INDEX message_ended ON message (ended_at) WHERE ended_at IS NOT NULL;
    CREATE TABLE claim (
        kind TEXT NOT NULL, tag BLOB NOT NULL, fingerprint BLOB NOT NULL, id BLOB NOT NULL, until INTEGER NOT NULL,
        PRIMARY KEY (kind, tag)
    ) WITHOUT ROWID;
    CREATE INDEX claim_until ON claim (until);
    CREATE TABLE reference (
        provider TEXT NOT NULL, reference TEXT NOT NULL, id BLOB NOT NULL, leg INTEGER NOT NULL,
        PRIMARY KEY (provider, reference)
    ) WITHOUT ROWID;
    CREATE TABLE bucket (tag BLOB PRIMARY KEY, body TEXT NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;
    CREATE INDEX bucket_until ON bucket (until);
    CREATE TABLE inbox (
        seq INTEGER PRIMARY KEY, provider TEXT NOT NULL, reference TEXT NOT NULL, at INTEGER NOT NULL, body BLOB NOT NULL,
        UNIQUE (provider, reference, body)
    );
    CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE queue (
        queue TEXT NOT NULL, seq INTEGER NOT NULL, taken INTEGER NOT NULL DEFAULT 0, body BLOB NOT NULL,
        trace TEXT, PRIMARY KEY (queue, seq)
    ) WITHOUT ROWID;
    CREATE TABLE handed_out (queue TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE parked (
        parked_id INTEGER PRIMARY KEY, queue TEXT NOT NULL, at INTEGER NOT NULL, reason TEXT NOT NULL, body BLOB NOT NULL,
        trace TEXT
    );
";

/// `ended` is 0 for what lives and 1 for what is to be erased.
const DUE: &str = "
    CREATE TABLE due (
        ended INTEGER NOT NULL, at INTEGER NOT NULL, id BLOB NOT NULL, PRIMARY KEY (ended, at, id)
    ) WITHOUT ROWID;
";

/// To version 5, around the making of the new one.
const DUE_GOES: &str = "DROP TABLE due;";
const DUE_ANEW: &str =
    "INSERT INTO due (ended, at, id) SELECT ended_at IS NOT NULL, due, id FROM message WHERE due IS NOT NULL;";

/// Counts rows as they open, end and go, so that nobody has to count them all; ends never change.
const TALLY: &str = "
    CREATE TABLE tally (live INTEGER NOT NULL, ended INTEGER NOT NULL);
    INSERT INTO tally (live, ended) SELECT count(*) - count(ended_at), count(ended_at) FROM message;
    CREATE TRIGGER message_opens AFTER INSERT ON message BEGIN
        UPDATE tally SET live = live + (NEW.ended_at IS NULL), ended = ended + (NEW.ended_at IS NOT NULL);
    END;
    CREATE TRIGGER message_ends AFTER UPDATE OF ended_at ON message
    WHEN OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL BEGIN
        UPDATE tally SET live = live - 1, ended = ended + 1;
    END;
    CREATE TRIGGER message_goes AFTER DELETE ON message BEGIN
        UPDATE tally SET live = live - (OLD.ended_at IS NULL), ended = ended - (OLD.ended_at IS NOT NULL);
    END;
";

/// From version 1, with the tally: what is queued says which trace it belongs to.
const TRACES: &str = "ALTER TABLE queue ADD COLUMN trace TEXT; ALTER TABLE parked ADD COLUMN trace TEXT;";

/// To version 4: each note becomes a line of its message's row.
const NOTES: &str = "
    ALTER TABLE message ADD COLUMN notes TEXT NOT NULL DEFAULT '';
    UPDATE message SET notes = coalesce((
        SELECT group_concat(at || ' [' || note || ']' || char(10), '')
        FROM (SELECT at, note FROM journal WHERE journal.id = message.id ORDER BY place)
    ), '');
    DROP TABLE journal;
";

pub(super) fn open_for_writing(path: &Path, size_max_mib: Option<u64>) -> Result<Connection, EmbeddedError> {
    let failed = |error: rusqlite::Error| unreadable(path, &error);
    let db = Connection::open(path).map_err(failed)?;
    let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    if found > SCHEMA_VERSION {
        let path = path.to_owned();
        return Err(EmbeddedError::NewerSchema { path, found, known: SCHEMA_VERSION });
    }
    set_up(&db).map_err(failed)?;
    if found < SCHEMA_VERSION {
        let changes: &[&str] = match found {
            0 => &[TABLES, DUE, TALLY],
            1 => &[TRACES, TALLY, NOTES, DUE_GOES, DUE, DUE_ANEW],
            2 | 3 => &[NOTES, DUE_GOES, DUE, DUE_ANEW],
            _ => &[DUE_GOES, DUE, DUE_ANEW],
        };
        if found > 0 {
            tracing::info!(
                from = found,
                to = SCHEMA_VERSION,
                "the data file is brought up to date; large ones take a while"
            );
        }
        make(&db, &changes.concat()).map_err(failed)?;
    }
    if let Some(mib) = size_max_mib {
        let pages = i64::try_from(mib * 1024 * 1024 / PAGE_BYTES).unwrap_or(i64::MAX);
        db.pragma_update(None, "max_page_count", pages).map_err(failed)?;
    }
    Ok(db)
}

pub(super) fn open_for_reading(path: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    db.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    Ok(db)
}

fn set_up(db: &Connection) -> rusqlite::Result<()> {
    db.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    db.pragma_update(None, "page_size", i64::try_from(PAGE_BYTES).expect("a page is small"))?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    // FULL: the log is flushed to the disk at every commit. NORMAL would lose the last ones to a power failure.
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "cache_size", -CACHE_KIB)
}

/// In one transaction: a process killed in the middle leaves the file as it was.
fn make(db: &Connection, changes: &str) -> rusqlite::Result<()> {
    db.execute_batch(&format!("BEGIN IMMEDIATE; {changes} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::Note;
    use crate::store::JournalEntry;
    use crate::time::Timestamp;
    use crate::wire::decode_notes;

    #[test]
    fn a_file_of_the_first_version_is_brought_up_to_date_with_what_it_holds() {
        const JOURNAL: &str = "CREATE TABLE journal (
            id BLOB NOT NULL, place INTEGER NOT NULL, at INTEGER NOT NULL, note TEXT NOT NULL, PRIMARY KEY (id, place)
        ) WITHOUT ROWID;";
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("data");
        let old = open_for_writing(&path, None).expect("a new file");
        let then = "ALTER TABLE queue DROP COLUMN trace; ALTER TABLE parked DROP COLUMN trace;
             ALTER TABLE message DROP COLUMN notes;
             DROP TRIGGER message_opens; DROP TRIGGER message_ends; DROP TRIGGER message_goes; DROP TABLE tally;
             INSERT INTO message (id, version, due, ended_at, body) VALUES (x'01', 1, 70, NULL, x'00'), (x'02', 1, 60, 7, x'00');
             DROP TABLE due; CREATE TABLE due (at INTEGER NOT NULL, id BLOB NOT NULL, PRIMARY KEY (at, id)) WITHOUT ROWID;
             INSERT INTO due VALUES (70, x'01'), (60, x'02');
             INSERT INTO journal VALUES (x'01', 2000, 8, '{\"event\":\"erased\"}'),
                                        (x'01', 1000, 5, '{\"event\":\"asked\",\"leg\":1}');
             PRAGMA user_version = 1;";
        old.execute_batch(&[JOURNAL, then].concat()).expect("the tables of then");
        old.execute("INSERT INTO queue (queue, seq, body) VALUES ('normal', 1, x'00')", []).expect("a body");
        drop(old);
        let new = open_for_writing(&path, None).expect("it opens");
        let read = |column: usize, of: &str| {
            new.query_row(of, [], |row| row.get::<_, Option<i64>>(column)).expect("what is asked for is there")
        };
        assert_eq!(read(0, "SELECT count(trace) + count(seq) FROM queue"), Some(1));
        assert_eq!(read(0, "SELECT count(trace) FROM parked"), Some(0));
        assert_eq!(read(0, "SELECT live * 10 + ended FROM tally"), Some(11), "one lives, one has ended");
        assert_eq!(read(0, "SELECT at FROM due WHERE ended = 0 AND id = x'01'"), Some(70));
        assert_eq!(read(0, "SELECT at FROM due WHERE ended = 1 AND id = x'02'"), Some(60));
        let lines: Vec<String> = ["01", "02"]
            .map(|id| format!("SELECT notes FROM message WHERE id = x'{id}'"))
            .map(|sql| new.query_row(&sql, [], |row| row.get(0)).expect("its notes"))
            .into();
        let told = [(5, Note::Asked { leg: 1 }), (8, Note::Erased)];
        let told = told.map(|(at, note)| JournalEntry { at: Timestamp::from_unix_ms(at), note });
        assert_eq!((decode_notes(&lines[0]), lines[1].as_str()), (Ok(told.to_vec()), ""));
        new.execute("DELETE FROM message WHERE id = x'02'", []).expect("it goes");
        assert_eq!(read(0, "SELECT live * 10 + ended FROM tally"), Some(10));
        assert_eq!(read(0, "PRAGMA user_version"), Some(SCHEMA_VERSION));
    }
}
