//! The due list: which messages a sweep must look at, and when.
//!
//! An entry may come up before its message is due, but not after. A message is saved several times within seconds, each time
//! due at another moment, and to move its entry along costs as much as a third of such a save: so the entry begins early and
//! stays while the message is in hand, and the save after which it rests moves it to where it belongs. A look that finds a
//! message that is not due yet puts its entry off. Whoever dies between the two leaves it leased: what it looked at comes up
//! again when the lease is over.

use deadpool_postgres::Client;
use tokio::time::{Duration, Instant};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::exchange::{Effect, Exchanges};
use super::floor::{Floor, Floors};
use super::statements::{DUE_LEASE_ENDED, DUE_LEASE_LIVE, DUE_PUT_OFF, Statement};
use super::trouble::Trouble;
use crate::message::{Message, State};
use crate::store::StoreError;
use crate::time::Timestamp;
use crate::wire::decode_row;

/// A new message's entry comes up after so long, if the message is not due sooner: no later than the first question about a
/// text that went out at once.
const FIRST_LOOK_MS: u64 = 8_000;
/// An entry stays only where its message is due within this, so that no look finds the same one again and again.
const STAYS_MS_MAX: u64 = 30_000;
/// An entry that comes up sooner than this may be in a sweep's hands, for clocks differ and commits take their time.
const NEAR_MS: u64 = 2_000;
/// Entries that are leased at a time behind some that came up early, however few messages are wanted: those take nobody's place.
const LEASED_MIN: usize = 64;
/// How long a look goes on after entries that came up early, by a small part of its lease.
const LOOK_MS_MAX: u64 = 2_000;

/// When the entry of a message that was saved at `at` and rests now comes up. Never before the writer's time of day: sweeps
/// count on it (`floor`).
pub(super) fn listed_at(message: &Message, at: Timestamp) -> Option<Timestamp> {
    message.due.map(|due| due.max(at))
}

/// When the entry of a message that is opened at `at` comes up.
pub(super) fn first_look(message: &Message, at: Timestamp) -> Option<Timestamp> {
    let due = listed_at(message, at)?;
    Some(if message.is_live() { due.min(at.plus_ms(FIRST_LOOK_MS)) } else { due })
}

/// After when, and until when, an entry has to come up to stay where it is though its message is saved at `at`. One that was
/// leased lately comes up later than that: whoever leased it may be about to put it off.
pub(super) fn stays(message: &Message, at: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let is_in_hand = matches!(message.state, State::Sending { .. } | State::Awaiting { .. });
    let due = message.due.filter(|due| is_in_hand && due.since_ms(at) <= STAYS_MS_MAX)?;
    Some((at.plus_ms(NEAR_MS), due.min(at.plus_ms(FIRST_LOOK_MS + NEAR_MS))))
}

/// What a look for due messages is after.
#[derive(Clone, Copy)]
pub(super) struct Look {
    pub(super) now: Timestamp,
    pub(super) limit: usize,
    pub(super) leased_until: Timestamp,
}

/// What lives, and then, as far as there is room, what has ended.
pub(super) async fn due(hot: &Exchanges, floors: &Floors, look: &Look) -> Result<Vec<Message>, StoreError> {
    let mut messages = take(hot, &DUE_LEASE_LIVE, &floors.live, look).await?;
    let room = look.limit - messages.len();
    if room > 0 {
        match take(hot, &DUE_LEASE_ENDED, &floors.ended, &Look { limit: room, ..*look }).await {
            Ok(ended) => messages.extend(ended),
            Err(error) if messages.is_empty() => return Err(error),
            // Nobody else finds the live ones before their leases run out.
            Err(error) => tracing::warn!(%error, "what has ended could not be looked for"),
        }
    }
    Ok(messages)
}

/// As many as are wanted, or all; those that come up early are put off and count for nothing.
async fn take(
    hot: &Exchanges,
    statement: &'static Statement,
    floor: &Floor,
    look: &Look,
) -> Result<Vec<Message>, StoreError> {
    let (mut taken, mut most, begun) = (Vec::new(), look.limit, Instant::now());
    loop {
        let rest = Look { limit: look.limit - taken.len(), ..*look };
        let part = match take_part(hot, statement, floor, &rest, most).await {
            Ok(part) => part,
            Err(error) if taken.is_empty() => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "not all that is due could be looked for");
                return Ok(taken);
            }
        };
        taken.extend(part.due);
        let is_over = taken.len() >= look.limit || begun.elapsed() >= Duration::from_millis(LOOK_MS_MAX);
        if is_over || !part.may_be_followed {
            return Ok(taken);
        }
        most = LEASED_MIN.max(look.limit - taken.len());
    }
}

struct Part {
    due: Vec<Message>,
    /// Entries came up early, and there may be more behind them.
    may_be_followed: bool,
}

/// Looks at so many entries at most.
async fn take_part(
    hot: &Exchanges,
    statement: &'static Statement,
    floor: &Floor,
    look: &Look,
    most: usize,
) -> Result<Part, StoreError> {
    let leased = lease(hot, statement, floor, look, most).await?;
    let (early, mut due): (Vec<_>, Vec<_>) =
        leased.messages.into_iter().partition(|message| is_early(message, look.now));
    let unwanted = due.split_off(due.len().min(look.limit));
    let may_be_followed = leased.is_full && !early.is_empty();
    let moves = early.iter().map(|message| (message.id.0, looked_at_again(message, look.now)));
    // What is not wanted comes up at once, and not before the floor of others who looked meanwhile.
    let moves = moves.chain(unwanted.iter().map(|message| (message.id.0, look.now)));
    match put_off(hot, moves.collect(), look).await {
        Err(error) if due.is_empty() => return Err(error),
        // Nobody else finds the due ones before their leases run out; the others come up again then.
        Err(error) => tracing::warn!(%error, "what came up early could not be put off"),
        Ok(()) => {}
    }
    Ok(Part { due, may_be_followed })
}

fn is_early(message: &Message, now: Timestamp) -> bool {
    message.due.is_some_and(|due| due > now)
}

/// After no more than the message is old: a save that was held up for seconds may have left the entry where it was just leased,
/// and its message is due sooner than the row said that was read here.
fn looked_at_again(message: &Message, now: Timestamp) -> Timestamp {
    let again = now.plus_ms(now.since_ms(message.accepted_at).max(FIRST_LOOK_MS));
    message.due.map_or(again, |due| due.min(again))
}

struct Leased {
    messages: Vec<Message>,
    /// As many as could be, so there may be more.
    is_full: bool,
}

/// One statement that commits by itself. If its answer is lost, the leases run out.
async fn lease(
    hot: &Exchanges,
    statement: &'static Statement,
    floor: &Floor,
    look: &Look,
    most: usize,
) -> Result<Leased, StoreError> {
    let (now, start) = (look.now, floor.start(look.now));
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    let values: [&(dyn ToSql + Sync); 4] = [&now.unix_ms(), &limit, &look.leased_until.unix_ms(), &start.unix_ms()];
    let lease = async |client: &mut Client| {
        let statement = client.prepare_cached(statement.sql).await.map_err(|error| Trouble::before_commit(&error))?;
        client.query(&statement, &values).await.map_err(|error| Trouble::at_commit(&error))
    };
    let rows = hot.once(Effect::Writes, lease).await?;
    let is_full = rows.len() >= most;
    let seen = rows.last().filter(|_| is_full).map_or(now, |row| Timestamp::from_unix_ms(row.get(1)));
    floor.looked(now, start, seen);
    let readable = rows.iter().filter_map(|row| {
        // One row that cannot be read must not hold up the others; its lease brings it back.
        decode_row(row.get(0)).inspect_err(|error| tracing::error!(%error, "a due message cannot be read")).ok()
    });
    Ok(Leased { messages: readable.collect(), is_full })
}

/// Moves leased entries to these times, Unix milliseconds.
async fn put_off(hot: &Exchanges, mut entries: Vec<(Uuid, Timestamp)>, look: &Look) -> Result<(), StoreError> {
    if entries.is_empty() {
        return Ok(());
    }
    // Locked in the order in which saves lock them.
    entries.sort_unstable();
    let (ids, times): (Vec<Uuid>, Vec<i64>) = entries.into_iter().map(|(id, at)| (id, at.unix_ms())).unzip();
    let values: [&(dyn ToSql + Sync); 3] = [&ids, &times, &look.leased_until.unix_ms()];
    let move_them = async |client: &mut Client| {
        let statement = client.prepare_cached(DUE_PUT_OFF.sql).await.map_err(|error| Trouble::before_commit(&error))?;
        client.execute(&statement, &values).await.map_err(|error| Trouble::at_commit(&error))
    };
    hot.once(Effect::Writes, move_them).await?;
    Ok(())
}
