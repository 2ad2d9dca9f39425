//! Readings of the hot path: messages by id, legs by reference, and what is due.

use std::collections::{BTreeMap, BTreeSet};

use deadpool_postgres::Client;
use uuid::Uuid;

use super::days::days_of;
use super::draft::{kind_code, tag};
use super::group::Verb;
use super::statements::{CLAIMS_FIND, MESSAGES_LOAD, REFERENCES_FIND};
use super::trouble::Trouble;
use crate::leg::{LegNumber, ProviderId};
use crate::message::{MessageId, Tag};
use crate::store::{ClaimKind, Holder, StoreError};
use crate::time::Timestamp;

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

/// Wherever messages of these ids may be.
pub(super) fn places(ids: impl Iterator<Item = MessageId>) -> (Vec<i32>, Vec<Uuid>) {
    ids.flat_map(|id| days_of(id).map(move |day| (day, id.0))).unzip()
}

pub(super) async fn bodies(
    client: &Client,
    ids: &BTreeSet<MessageId>,
) -> Result<BTreeMap<MessageId, Vec<u8>>, tokio_postgres::Error> {
    let (days, ids) = places(ids.iter().copied());
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
