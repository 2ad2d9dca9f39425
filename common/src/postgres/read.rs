//! Readings of the hot path: messages by id, legs by reference, and what is due.

use std::collections::{BTreeMap, BTreeSet};

use deadpool_postgres::Client;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::days::day_of;
use super::draft::{kind_code, tag};
use super::exchange::{Effect, Exchanges};
use super::floor::{Floor, Floors};
use super::group::Verb;
use super::statements::{CLAIMS_FIND, DUE_LEASE_ENDED, DUE_LEASE_LIVE, MESSAGES_LOAD, REFERENCES_FIND, Statement};
use super::trouble::Trouble;
use crate::leg::{LegNumber, ProviderId};
use crate::message::{Message, MessageId, Tag};
use crate::store::{ClaimKind, Holder, StoreError};
use crate::time::Timestamp;
use crate::wire::decode_row;

/// Bodies by id; callers decode them, each in its own task.
pub(super) struct Load;

impl Verb for Load {
    type Ask = MessageId;
    type Answer = Option<Vec<u8>>;
    const WRITES: bool = false;

    // Two callers may load one message in the same group.
    fn id(_: &MessageId) -> Option<MessageId> {
        None
    }

    async fn run(
        &self,
        client: &mut Client,
        asks: &[MessageId],
    ) -> Result<Vec<Result<Self::Answer, StoreError>>, Trouble> {
        let ids: BTreeSet<MessageId> = asks.iter().copied().collect();
        let found = bodies(client, &ids).await.map_err(|error| Trouble::before_commit(&error))?;
        Ok(asks.iter().map(|id| Ok(found.get(id).cloned())).collect())
    }
}

pub(super) async fn bodies(
    client: &Client,
    ids: &BTreeSet<MessageId>,
) -> Result<BTreeMap<MessageId, Vec<u8>>, tokio_postgres::Error> {
    let days: Vec<i32> = ids.iter().copied().map(day_of).collect();
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let statement = client.prepare_cached(MESSAGES_LOAD.sql).await?;
    let rows = client.query(&statement, &[&days, &ids]).await?;
    rows.iter().map(|row| Ok((MessageId(row.try_get(0)?), row.try_get(1)?))).collect()
}

pub(super) struct Find;

impl Verb for Find {
    type Ask = (ProviderId, String);
    type Answer = Option<(MessageId, LegNumber)>;
    const WRITES: bool = false;

    fn id(_: &Self::Ask) -> Option<MessageId> {
        None
    }

    async fn run(
        &self,
        client: &mut Client,
        asks: &[Self::Ask],
    ) -> Result<Vec<Result<Self::Answer, StoreError>>, Trouble> {
        let found = legs(client, asks).await.map_err(|error| Trouble::before_commit(&error))?;
        let answer = |(provider, reference): &(ProviderId, String)| {
            found.get(&(provider.as_str().to_owned(), reference.as_bytes().to_vec())).copied()
        };
        Ok(asks.iter().map(|ask| Ok(answer(ask))).collect())
    }
}

type Legs = BTreeMap<(String, Vec<u8>), (MessageId, LegNumber)>;

async fn legs(client: &Client, asks: &[(ProviderId, String)]) -> Result<Legs, tokio_postgres::Error> {
    let providers: Vec<&str> = asks.iter().map(|(provider, _)| provider.as_str()).collect();
    let references: Vec<&[u8]> = asks.iter().map(|(_, reference)| reference.as_bytes()).collect();
    let statement = client.prepare_cached(REFERENCES_FIND.sql).await?;
    let rows = client.query(&statement, &[&providers, &references]).await?;
    rows.iter()
        .map(|row| {
            let leg: i16 = row.try_get(3)?;
            let leg = LegNumber::try_from(leg).unwrap_or(LegNumber::MAX);
            Ok(((row.try_get(0)?, row.try_get(1)?), (MessageId(row.try_get(2)?), leg)))
        })
        .collect()
}

/// Whoever was last written down as a claim's holder, and until when.
pub(super) struct FindHolder;

impl Verb for FindHolder {
    type Ask = (ClaimKind, Tag);
    type Answer = Option<(Holder, Timestamp)>;
    const WRITES: bool = false;

    fn id(_: &Self::Ask) -> Option<MessageId> {
        None
    }

    async fn run(
        &self,
        client: &mut Client,
        asks: &[Self::Ask],
    ) -> Result<Vec<Result<Self::Answer, StoreError>>, Trouble> {
        let found = holders(client, asks).await.map_err(|error| Trouble::before_commit(&error))?;
        Ok(asks.iter().map(|(kind, tag)| Ok(found.get(&(kind_code(*kind), *tag)).copied())).collect())
    }
}

type Holders = BTreeMap<(i16, Tag), (Holder, Timestamp)>;

async fn holders(client: &Client, asks: &[(ClaimKind, Tag)]) -> Result<Holders, tokio_postgres::Error> {
    let (kinds, tags): (Vec<i16>, Vec<&[u8]>) =
        asks.iter().map(|(kind, tag)| (kind_code(*kind), tag.0.as_slice())).unzip();
    let statement = client.prepare_cached(CLAIMS_FIND.sql).await?;
    let rows = client.query(&statement, &[&kinds, &tags]).await?;
    rows.iter()
        .map(|row| {
            let holder = Holder { by: MessageId(row.try_get(3)?), fingerprint: tag(row.try_get(2)?) };
            Ok(((row.try_get(0)?, tag(row.try_get(1)?)), (holder, Timestamp::from_unix_ms(row.try_get(4)?))))
        })
        .collect()
}

/// What a look for due messages is after.
pub(super) struct Look {
    pub(super) now: Timestamp,
    pub(super) limit: usize,
    pub(super) leased_until: Timestamp,
}

/// What lives, and then, as far as there is room, what has ended.
pub(super) async fn due(hot: &Exchanges, floors: &Floors, look: &Look) -> Result<Vec<Message>, StoreError> {
    let mut messages = lease(hot, &DUE_LEASE_LIVE, &floors.live, look).await?;
    let room = look.limit - messages.len();
    if room > 0 {
        match lease(hot, &DUE_LEASE_ENDED, &floors.ended, &Look { limit: room, ..*look }).await {
            Ok(ended) => messages.extend(ended),
            Err(error) if messages.is_empty() => return Err(error),
            // Nobody else finds the live ones before their leases run out.
            Err(error) => tracing::warn!(%error, "what has ended could not be looked for"),
        }
    }
    Ok(messages)
}

/// One statement that commits by itself. If its answer is lost, the leases run out.
async fn lease(
    hot: &Exchanges,
    statement: &'static Statement,
    floor: &Floor,
    look: &Look,
) -> Result<Vec<Message>, StoreError> {
    let (now, start) = (look.now, floor.start(look.now));
    let limit = i64::try_from(look.limit).unwrap_or(i64::MAX);
    let values: [&(dyn ToSql + Sync); 4] = [&now.unix_ms(), &limit, &look.leased_until.unix_ms(), &start.unix_ms()];
    let lease = async |client: &mut Client| {
        let statement = client.prepare_cached(statement.sql).await.map_err(|error| Trouble::before_commit(&error))?;
        client.query(&statement, &values).await.map_err(|error| Trouble::at_commit(&error))
    };
    let rows = hot.once(Effect::Writes, lease).await?;
    let is_full = rows.len() >= look.limit;
    let seen = rows.last().filter(|_| is_full).map_or(now, |row| Timestamp::from_unix_ms(row.get(1)));
    floor.looked(now, start, seen);
    let readable = rows.iter().filter_map(|row| {
        // One row that cannot be read must not hold up the others; its lease brings it back.
        decode_row(row.get(0)).inspect_err(|error| tracing::error!(%error, "a due message cannot be read")).ok()
    });
    Ok(readable.collect())
}
