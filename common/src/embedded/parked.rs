//! How long bodies that wait for people stay in the file, and how many: they may hold a sealed number.

use rusqlite::{Connection, params};

use super::failure::Failure;
use crate::time::Timestamp;

/// Deletes up to `limit` bodies that were put aside before then, or before the newest `most`. Returns how many went.
pub(super) fn prune(db: &Connection, before: Timestamp, most: u64, limit: usize) -> Result<usize, Failure> {
    let mut over = db.prepare_cached(
        "SELECT coalesce(max(parked_id), 0) FROM
             (SELECT parked_id FROM parked ORDER BY parked_id DESC LIMIT -1 OFFSET ?1)",
    )?;
    let last_over: i64 = over.query_row([most], |row| row.get(0))?;
    let mut delete = db.prepare_cached(
        "DELETE FROM parked WHERE parked_id IN
             (SELECT parked_id FROM parked WHERE at < ?1 OR parked_id <= ?2 ORDER BY parked_id LIMIT ?3)",
    )?;
    let gone = delete.execute(params![before.unix_ms(), last_over, limit])?;
    if gone > 0 {
        tracing::warn!(gone, "parked bodies that nobody saw to were deleted: too old, or too many");
    }
    Ok(gone)
}
