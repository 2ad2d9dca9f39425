//! The partitions of messages: one per day, created ahead or when a first message needs it.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};

use deadpool_postgres::Client;
use tokio_postgres::Error;

use crate::message::MessageId;
use crate::store::StoreError;
use crate::time::Timestamp;

pub(super) const DAY_MS: i64 = 24 * 3_600_000;
/// Where ids live that say no day.
pub(super) const OTHER: i32 = 0;
/// How far the day in an id may be from the day it is opened on: a table per day must not be anybody's to invent.
const DAYS_APART_MAX: i32 = 2;
const DAYS_AHEAD: i32 = 2;
/// Looking for old partitions may read a whole one.
const LOOK_EVERY_MS: u64 = 3_600_000;
/// Who holds it creates or drops partitions.
pub(super) const DAYS_LOCK: i64 = 0x6f74_6f64_6f6b_6502;

/// The day that an id's partition is for.
pub(super) fn day_of(id: MessageId) -> i32 {
    id.made_at().map_or(OTHER, day_at)
}

pub(super) fn day_at(at: Timestamp) -> i32 {
    i32::try_from(at.unix_ms().div_euclid(DAY_MS)).unwrap_or(i32::MAX)
}

/// The day of an id that is opened at `at`.
pub(super) fn welcome(id: MessageId, at: Timestamp) -> Result<i32, StoreError> {
    let day = day_of(id);
    if day == OTHER || day.abs_diff(day_at(at)) <= DAYS_APART_MAX.unsigned_abs() {
        return Ok(day);
    }
    let why = format!("the time in id {id} is more than {DAYS_APART_MAX} days away from when it was opened");
    Err(StoreError::Refused { why })
}

/// `message_2026_11_23` and the like.
pub(super) fn table(day: i32) -> String {
    let date = time::OffsetDateTime::UNIX_EPOCH.checked_add(time::Duration::days(i64::from(day)));
    match date {
        Some(date) => format!("message_{:04}_{:02}_{:02}", date.year(), u8::from(date.month()), date.day()),
        None => format!("message_day_{day}"),
    }
}

/// What this process knows about partitions.
#[derive(Default)]
pub(super) struct Days {
    /// Days that have theirs.
    known: Mutex<BTreeSet<i32>>,
    /// When old ones were last looked for.
    looked_at: Mutex<Option<Timestamp>>,
}

impl Days {
    /// Creates what is missing for these days.
    pub(super) async fn ensure(&self, client: &mut Client, days: impl IntoIterator<Item = i32>) -> Result<(), Error> {
        let missing: BTreeSet<i32> = {
            let known = self.known();
            days.into_iter().filter(|day| *day != OTHER && !known.contains(day)).collect()
        };
        for day in missing {
            create(client, day).await?;
            self.known().insert(day);
        }
        Ok(())
    }

    pub(super) async fn ensure_ahead(&self, client: &mut Client, now: Timestamp) -> Result<(), Error> {
        let today = day_at(now);
        self.ensure(client, today..=today.saturating_add(DAYS_AHEAD)).await
    }

    /// After a partition was dropped, or turned out not to be there.
    pub(super) fn forget(&self, days: impl IntoIterator<Item = i32>) {
        let mut known = self.known();
        for day in days {
            known.remove(&day);
        }
    }

    /// Whether it is time again to look for old partitions; asked once per look.
    pub(super) fn is_time_to_look(&self, now: Timestamp) -> bool {
        let mut looked_at = self.looked_at.lock().expect("no code panics while it holds the time");
        let due = looked_at.is_none_or(|at| now.since_ms(at) >= LOOK_EVERY_MS);
        if due {
            *looked_at = Some(now);
        }
        due
    }

    fn known(&self) -> MutexGuard<'_, BTreeSet<i32>> {
        self.known.lock().expect("no code panics while it holds the days")
    }
}

/// Safe to run twice and by many: under a lock, and only what is not there. A table is made first and attached then,
/// because creating it as a partition would stop everybody who reads or writes.
async fn create(client: &mut Client, day: i32) -> Result<(), Error> {
    let message = table(day);
    let transaction = client.transaction().await?;
    transaction.query_one("SELECT pg_advisory_xact_lock($1)", &[&DAYS_LOCK]).await?;
    let there = transaction.query_one("SELECT to_regclass($1) IS NOT NULL", &[&message]).await?;
    if !there.get::<_, bool>(0) {
        let sql = format!(
            "CREATE TABLE {message} (LIKE message INCLUDING ALL)
                 WITH (fillfactor = 45, toast_tuple_target = 8160, autovacuum_vacuum_scale_factor = 0.02);
             ALTER TABLE message ATTACH PARTITION {message} FOR VALUES IN ({day});"
        );
        transaction.batch_execute(&sql).await?;
    }
    transaction.commit().await
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_unix_ms(1_763_805_900_123);

    #[test]
    fn a_day_is_read_from_the_id_and_names_its_tables() {
        let day = day_of(MessageId::new(NOON, [7; 10]));
        assert_eq!(day, day_at(NOON));
        assert_eq!(table(day), "message_2025_11_22");
    }

    #[test]
    fn an_id_of_another_kind_has_no_day_and_is_welcome() {
        let id = MessageId::parse("936da01f-9abd-4d9d-80c7-02af85c822a8").expect("a UUIDv4");
        assert_eq!(welcome(id, NOON), Ok(OTHER));
    }

    #[test]
    fn an_id_from_another_week_is_refused() {
        let id = MessageId::new(NOON.minus_ms(7 * 24 * 3_600_000), [7; 10]);
        assert!(matches!(welcome(id, NOON), Err(StoreError::Refused { .. })));
    }
}
