//! What a group writes after the rules were applied, as arrays sorted by key: everything it adds in one statement, and one
//! statement for each kind of row that it changes.

use deadpool_postgres::Transaction;
use tokio::join;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::{Ask, Halt};
use crate::message::Tag;
use crate::postgres::draft::{BucketRow, Change, ClaimRow, Draft, Kept, encode_entries};
use crate::postgres::statements::{
    BUCKETS_DROP, BUCKETS_SET, CLAIMS_MOVE, DUE_DROP, DUE_SET, GROUP_ADD, MESSAGES_SAVE, REFERENCES_ADD, Statement,
};
use crate::time::Timestamp;

type Values<'a> = Vec<&'a (dyn ToSql + Sync)>;

/// All statements are sent together; the server works them off one after the other.
pub(super) async fn write(to: &Transaction<'_>, asks: &[Ask], draft: &Draft<'_>) -> Result<(), Halt> {
    let (opened, saved): (Vec<&Kept>, Vec<&Kept>) = draft.kept.iter().partition(|kept| asks[kept.ask].is_opening());
    let added = Added::of(asks, draft, &opened);
    let (claims, messages) = (Claims::of(draft, Change::Set), Messages::of(asks, &saved));
    let (buckets, emptied) = (Buckets::of(draft, Change::Set), Buckets::of(draft, Change::Drop));
    let (listed, unlisted): (Vec<&Ask>, Vec<&Ask>) = saved.iter().map(|kept| &asks[kept.ask]).partition(is_listed);
    let (listed, unlisted, references) = (Due::of(&listed), Due::of(&unlisted), References::of(asks, draft));
    let done = join!(
        run(to, added.is_something(), &GROUP_ADD, added.values()),
        run(to, !messages.ids.is_empty(), &MESSAGES_SAVE, messages.values()),
        run(to, !claims.ids.is_empty(), &CLAIMS_MOVE, claims.values()),
        run(to, !buckets.tags.is_empty(), &BUCKETS_SET, buckets.values()),
        run(to, !emptied.tags.is_empty(), &BUCKETS_DROP, vec![&emptied.tags]),
        run(to, !listed.ids.is_empty(), &DUE_SET, listed.values_of_saves()),
        run(to, !unlisted.ids.is_empty(), &DUE_DROP, vec![&unlisted.ids]),
        run(to, !references.ids.is_empty(), &REFERENCES_ADD, references.values()),
    );
    let [_, written, ..] = first_cause(<[Result<u64, Error>; 8]>::from(done))?;
    // They are locked since they were looked at, so each of them is there.
    if written == saved.len() as u64 { Ok(()) } else { Err(Halt::Raced) }
}

/// How many rows it wrote.
async fn run(
    transaction: &Transaction<'_>,
    wanted: bool,
    statement: &'static Statement,
    values: Values<'_>,
) -> Result<u64, Error> {
    if !wanted {
        return Ok(0);
    }
    let statement = transaction.prepare_cached(statement.sql).await?;
    transaction.execute(&statement, &values).await
}

/// Everything that is new: one statement.
struct Added<'a> {
    claims: Claims<'a>,
    buckets: Buckets<'a>,
    messages: Messages<'a>,
    due: Due,
}

impl<'a> Added<'a> {
    fn of(asks: &'a [Ask], draft: &'a Draft<'_>, opened: &[&'a Kept]) -> Self {
        let listed: Vec<&Ask> = opened.iter().map(|kept| &asks[kept.ask]).filter(is_listed).collect();
        Self {
            claims: Claims::of(draft, Change::Add),
            buckets: Buckets::of(draft, Change::Add),
            messages: Messages::of(asks, opened),
            due: Due::of(&listed),
        }
    }

    const fn is_something(&self) -> bool {
        let Self { claims, buckets, messages, .. } = self;
        !(claims.ids.is_empty() && buckets.tags.is_empty() && messages.ids.is_empty())
    }

    fn values(&self) -> Values<'_> {
        let Self { claims, buckets, messages, due } = self;
        [due.values(), messages.values(), buckets.values(), claims.values()].concat()
    }
}

/// A message that lives, or that the sweep must look at again, has an entry in the due list.
fn is_listed(ask: &&Ask) -> bool {
    ask.message().is_live() || ask.message().due.is_some()
}

/// What each of them counted. Of statements that were sent together, those after one that failed say only that their
/// transaction is over.
fn first_cause<const N: usize>(done: [Result<u64, Error>; N]) -> Result<[u64; N], Error> {
    let is_over = |error: &Error| error.code() == Some(&SqlState::IN_FAILED_SQL_TRANSACTION);
    let (mut counts, mut echo) = ([0; N], None);
    for (count, done) in counts.iter_mut().zip(done) {
        match done {
            Ok(rows) => *count = rows,
            Err(error) if is_over(&error) => echo = Some(error),
            Err(cause) => return Err(cause),
        }
    }
    echo.map_or(Ok(counts), Err)
}

/// Claims that change in one way.
struct Claims<'a> {
    kinds: Vec<i16>,
    tags: Vec<&'a [u8]>,
    fingerprints: Vec<&'a [u8]>,
    ids: Vec<Uuid>,
    untils: Vec<i64>,
}

impl<'a> Claims<'a> {
    fn of(draft: &'a Draft<'_>, change: Change) -> Self {
        let rows: Vec<(&(i16, Tag), &ClaimRow)> = draft.claims.iter().filter(|(_, row)| row.change == change).collect();
        Self {
            kinds: rows.iter().map(|((kind, _), _)| *kind).collect(),
            tags: rows.iter().map(|((_, tag), _)| tag.0.as_slice()).collect(),
            fingerprints: rows.iter().map(|(_, row)| row.holder.fingerprint.0.as_slice()).collect(),
            ids: rows.iter().map(|(_, row)| row.holder.by.0).collect(),
            untils: rows.iter().map(|(_, row)| row.holder.until.unix_ms()).collect(),
        }
    }

    fn values(&self) -> Values<'_> {
        vec![&self.kinds, &self.tags, &self.fingerprints, &self.ids, &self.untils]
    }
}

/// Buckets that change in one way.
struct Buckets<'a> {
    tags: Vec<&'a [u8]>,
    entries: Vec<Vec<u8>>,
    untils: Vec<i64>,
}

impl<'a> Buckets<'a> {
    fn of(draft: &'a Draft<'_>, change: Change) -> Self {
        let rows: Vec<(&Tag, &BucketRow)> = draft.buckets.iter().filter(|(_, row)| row.change == change).collect();
        Self {
            tags: rows.iter().map(|(tag, _)| tag.0.as_slice()).collect(),
            entries: rows.iter().map(|(_, row)| encode_entries(&row.bucket)).collect(),
            untils: rows.iter().map(|(_, row)| row.until.unix_ms()).collect(),
        }
    }

    fn values(&self) -> Values<'_> {
        vec![&self.tags, &self.entries, &self.untils]
    }
}

struct Messages<'a> {
    days: Vec<i32>,
    ids: Vec<Uuid>,
    versions: Vec<i64>,
    ended: Vec<Option<i64>>,
    bodies: Vec<&'a [u8]>,
    notes: Vec<&'a str>,
}

impl<'a> Messages<'a> {
    fn of(asks: &'a [Ask], kept: &[&'a Kept]) -> Self {
        let asked = || kept.iter().map(|kept| &asks[kept.ask]);
        Self {
            days: asked().map(|ask| ask.day).collect(),
            ids: asked().map(|ask| ask.message().id.0).collect(),
            versions: asked().map(|ask| ask.message().version.cast_signed()).collect(),
            ended: kept.iter().map(|kept| kept.ended_at).collect(),
            bodies: asked().map(|ask| ask.body.as_slice()).collect(),
            notes: kept.iter().map(|kept| kept.notes.as_str()).collect(),
        }
    }

    fn values(&self) -> Values<'_> {
        vec![&self.days, &self.ids, &self.versions, &self.ended, &self.bodies, &self.notes]
    }
}

/// What was due before its writer's time of day is due from then on: sweeps count on it (`floor`).
struct Due {
    ids: Vec<Uuid>,
    days: Vec<i32>,
    at: Vec<Option<i64>>,
    lives: Vec<bool>,
    stay_after: Vec<Option<i64>>,
    stay_until: Vec<Option<i64>>,
}

impl Due {
    fn of(asks: &[&Ask]) -> Self {
        Self {
            ids: asks.iter().map(|ask| ask.message().id.0).collect(),
            days: asks.iter().map(|ask| ask.day).collect(),
            at: asks.iter().map(|ask| ask.listed_at().map(Timestamp::unix_ms)).collect(),
            lives: asks.iter().map(|ask| ask.message().is_live()).collect(),
            stay_after: asks.iter().map(|ask| Some(ask.stays()?.0.unix_ms())).collect(),
            stay_until: asks.iter().map(|ask| Some(ask.stays()?.1.unix_ms())).collect(),
        }
    }

    fn values(&self) -> Values<'_> {
        vec![&self.ids, &self.days, &self.at, &self.lives]
    }

    fn values_of_saves(&self) -> Values<'_> {
        [self.values(), vec![&self.stay_after, &self.stay_until]].concat()
    }
}

struct References<'a> {
    providers: Vec<&'a str>,
    references: Vec<&'a [u8]>,
    days: Vec<i32>,
    ids: Vec<Uuid>,
    legs: Vec<i16>,
}

impl<'a> References<'a> {
    fn of(asks: &[Ask], draft: &'a Draft<'_>) -> Self {
        let mut rows: Vec<_> = draft.references.iter().collect();
        rows.sort_by(|a, b| (&a.provider, &a.reference).cmp(&(&b.provider, &b.reference)));
        Self {
            providers: rows.iter().map(|row| row.provider.as_str()).collect(),
            references: rows.iter().map(|row| row.reference.as_bytes()).collect(),
            days: rows.iter().map(|row| asks[row.ask].day).collect(),
            ids: rows.iter().map(|row| asks[row.ask].message().id.0).collect(),
            legs: rows.iter().map(|row| i16::from(row.leg)).collect(),
        }
    }

    fn values(&self) -> Values<'_> {
        vec![&self.providers, &self.references, &self.days, &self.ids, &self.legs]
    }
}
