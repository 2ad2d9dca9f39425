//! What went to a number: rows of some time that hold its tag, read one after the other.

use std::ops::Range;

use rusqlite::{Connection, params};

use super::failure::Failure;
use crate::message::{Message, MessageId, Tag};
use crate::time::Timestamp;
use crate::wire::decode_row;

/// A tag lies in a row as it is. Rows of version 1 have it in hex and are not found.
pub(super) fn of_number(
    db: &Connection,
    number: Tag,
    made: &Range<Timestamp>,
    limit: usize,
) -> Result<Vec<Message>, Failure> {
    let [from, to] = [made.start, made.end].map(MessageId::bound);
    let mut select = db.prepare_cached(
        "SELECT version, body FROM message
         WHERE id >= ?1 AND id < ?2 AND substr(hex(id), 13, 1) = '7' AND instr(body, ?3) > 0
         ORDER BY id DESC LIMIT ?4",
    )?;
    let found = select.query_map(params![from.bytes(), to.bytes(), number.0, limit], |row| {
        Ok((row.get::<_, u64>(0)?, row.get::<_, Vec<u8>>(1)?))
    })?;
    let rows: Vec<(u64, Vec<u8>)> = found.collect::<rusqlite::Result<_>>()?;
    let read = |(version, body): (u64, Vec<u8>)| {
        let message = decode_row(&body);
        // As in PostgreSQL: the others are found all the same.
        let message =
            message.inspect_err(|error| tracing::error!(%error, "a message that was searched cannot be read"));
        message.ok().map(|message| Message { version, ..message })
    };
    Ok(rows.into_iter().filter_map(read).collect())
}
