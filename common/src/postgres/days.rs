//! The partitions of messages: one per day, created ahead or when a first message needs it.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};

use deadpool_postgres::Client;
use tokio_postgres::Error;

use crate::message::{Message, MessageId};
use crate::time::Timestamp;

pub(super) const DAY_MS: i64 = 24 * 3_600_000;
/// Where ids live that say no day, or a day of another time.
pub(super) const OTHER: i32 = 0;
/// How far the day in an id may be from that of its message: a table per day must not be anybody's to invent.
const DAYS_APART_MAX: u32 = 2;
const DAYS_AHEAD: i32 = 2;
/// Looking for old partitions may read a whole one.
const LOOK_EVERY_MS: u64 = 3_600_000;
/// Who holds it creates or drops partitions.
pub(super) const DAYS_LOCK: i64 = 0x6f74_6f64_6f6b_6502;

/// The day of this message's partition. Whoever publishes chooses the id, and may have made it long before; when it was
/// accepted is ours to say.
pub(super) fn day_of(message: &Message) -> i32 {
    day_for(message.id, message.accepted_at)
}

fn day_for(id: MessageId, accepted_at: Timestamp) -> i32 {
    let made = id.made_at().map(day_at);
    made.filter(|day| day.abs_diff(day_at(accepted_at)) <= DAYS_APART_MAX).unwrap_or(OTHER)
}

/// The days whose partitions may hold a message of this id, of which one does at most: an id is due once.
pub(super) fn days_of(id: MessageId) -> impl Iterator<Item = i32> {
    let made = id.made_at().map(day_at).filter(|day| *day != OTHER);
    made.into_iter().chain([OTHER])
}

pub(super) fn day_at(at: Timestamp) -> i32 {
    i32::try_from(at.unix_ms().div_euclid(DAY_MS)).unwrap_or(i32::MAX)
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
        let id = MessageId::new(NOON.minus_ms(24 * 3_600_000), [7; 10]);
        assert_eq!(day_for(id, NOON), day_at(NOON) - 1);
        assert_eq!(table(day_for(id, NOON)), "message_2025_11_21");
        assert_eq!(days_of(id).collect::<Vec<_>>(), [day_at(NOON) - 1, OTHER]);
    }

    #[test]
    fn ids_of_another_kind_or_another_week_share_a_partition() {
        let other = MessageId::parse("936da01f-9abd-4d9d-80c7-02af85c822a8").expect("a UUIDv4");
        assert_eq!(days_of(other).collect::<Vec<_>>(), [OTHER]);
        let old = MessageId::new(NOON.minus_ms(7 * 24 * 3_600_000), [7; 10]);
        let ahead = MessageId::new(NOON.plus_ms(7 * 24 * 3_600_000), [7; 10]);
        assert_eq!([other, old, ahead].map(|id| day_for(id, NOON)), [OTHER; 3]);
    }
}
