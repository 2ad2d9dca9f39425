//! Reports that match no leg yet, in the file; one function per verb. Their number is bounded by `store`.

use rusqlite::{Connection, params};

use super::failure::Failure;
use crate::leg::ProviderId;
use crate::outcome::{About, Report};
use crate::wire::{decode_reports, encode_reports};

/// `true` where it is new.
pub(super) fn put(db: &Connection, report: &Report, reference: &str) -> Result<bool, Failure> {
    let body = encode_reports(std::slice::from_ref(report));
    let mut insert =
        db.prepare_cached("INSERT OR IGNORE INTO inbox (provider, reference, at, body) VALUES (?1, ?2, ?3, ?4)")?;
    Ok(insert.execute(params![report.provider.as_str(), reference, report.at.unix_ms(), body])? > 0)
}

pub(super) fn holds(db: &Connection, report: &Report, reference: &str) -> Result<bool, Failure> {
    let body = encode_reports(std::slice::from_ref(report));
    let mut select =
        db.prepare_cached("SELECT EXISTS (SELECT 1 FROM inbox WHERE provider = ?1 AND reference = ?2 AND body = ?3)")?;
    Ok(select.query_row(params![report.provider.as_str(), reference, body], |row| row.get(0))?)
}

pub(super) fn read(db: &Connection, provider: &ProviderId, reference: &str) -> Result<Vec<Report>, Failure> {
    let mut select = db.prepare_cached("SELECT body FROM inbox WHERE provider = ?1 AND reference = ?2 ORDER BY seq")?;
    let found = select.query_map([provider.as_str(), reference], |row| row.get::<_, Vec<u8>>(0))?;
    let mut reports = Vec::new();
    for body in found {
        reports.extend(decode_reports(&body?)?);
    }
    Ok(reports)
}

/// How many went: one, or none.
pub(super) fn drop_one(db: &Connection, report: &Report) -> Result<usize, Failure> {
    let body = encode_reports(std::slice::from_ref(report));
    let mut delete = db.prepare_cached("DELETE FROM inbox WHERE provider = ?1 AND reference = ?2 AND body = ?3")?;
    Ok(delete.execute(params![report.provider.as_str(), waits_for(report), body])?)
}

pub(super) fn count(db: &Connection) -> rusqlite::Result<u64> {
    db.query_row("SELECT count(*) FROM inbox", [], |row| row.get(0))
}

/// The reference that a report waits for in the inbox.
pub(super) fn waits_for(report: &Report) -> String {
    match &report.about {
        About::Reference(reference) => reference.clone(),
        About::Leg { id, leg } => format!("{id}.{leg}"),
    }
}
