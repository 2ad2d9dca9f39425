//! Reports that match no leg yet: kept until their reference is known, bounded.

use std::collections::{BTreeMap, BTreeSet};

use deadpool_postgres::Client;
use tokio_postgres::Error;

use super::group::Verb;
use super::statements::{INBOX_ADD, INBOX_COUNT, INBOX_DROP, INBOX_READ};
use super::trouble::Trouble;
use crate::leg::ProviderId;
use crate::message::MessageId;
use crate::outcome::{About, Report};
use crate::store::StoreError;
use crate::wire::encode_reports;

/// One report as its row says it, to be put or dropped.
pub(super) struct Put {
    provider: ProviderId,
    reference: String,
    at: i64,
    body: Vec<u8>,
    /// Of the body: one news told twice waits once.
    digest: Vec<u8>,
}

impl Put {
    pub(super) fn new(report: &Report) -> Self {
        let reference = match &report.about {
            About::Reference(reference) => reference.clone(),
            About::Leg { id, leg } => format!("{id}.{leg}"),
        };
        let body = encode_reports(std::slice::from_ref(report));
        let digest = ring::digest::digest(&ring::digest::SHA256, &body).as_ref().to_vec();
        Self { provider: report.provider.clone(), reference, at: report.at.unix_ms(), body, digest }
    }
}

pub(super) struct InboxPut {
    pub(super) inbox_max: u64,
}

impl Verb for InboxPut {
    type Ask = Put;
    type Answer = ();
    const WRITES: bool = true;

    fn id(_: &Put) -> Option<MessageId> {
        None
    }

    /// Written first and counted with it, so that a report told twice is welcome even when the inbox is full.
    async fn run(&self, client: &mut Client, asks: &[Put]) -> Result<Vec<Result<(), StoreError>>, Trouble> {
        let before = |error: Error| Trouble::before_commit(&error);
        let transaction = client.transaction().await.map_err(before)?;
        let add = transaction.prepare_cached(INBOX_ADD.sql).await.map_err(before)?;
        let count = transaction.prepare_cached(INBOX_COUNT.sql).await.map_err(before)?;
        let providers: Vec<&str> = asks.iter().map(|put| put.provider.as_str()).collect();
        let references: Vec<&[u8]> = asks.iter().map(|put| put.reference.as_bytes()).collect();
        let digests: Vec<&[u8]> = asks.iter().map(|put| put.digest.as_slice()).collect();
        let ats: Vec<i64> = asks.iter().map(|put| put.at).collect();
        let bodies: Vec<&[u8]> = asks.iter().map(|put| put.body.as_slice()).collect();
        let added = transaction.execute(&add, &[&providers, &references, &digests, &ats, &bodies]).await;
        let added = added.map_err(before)?;
        if added > 0 {
            let past_limit = i64::try_from(self.inbox_max.saturating_add(1)).unwrap_or(i64::MAX);
            let counted: i64 = transaction.query_one(&count, &[&past_limit]).await.map_err(before)?.get(0);
            if counted == past_limit {
                transaction.rollback().await.map_err(before)?;
                return self.over(asks);
            }
        }
        transaction.commit().await.map_err(|error| Trouble::at_commit(&error))?;
        Ok(asks.iter().map(|_| Ok(())).collect())
    }
}

impl InboxPut {
    /// Some of a group may still fit: one by one they find out.
    fn over(&self, asks: &[Put]) -> Result<Vec<Result<(), StoreError>>, Trouble> {
        if asks.len() > 1 {
            return Err(Trouble::Row { why: "the inbox has no room for all of them".to_owned() });
        }
        Ok(vec![Err(StoreError::Full { what: "the inbox", limit: self.inbox_max })])
    }
}

pub(super) struct InboxRead;

impl Verb for InboxRead {
    type Ask = (ProviderId, String);
    type Answer = Vec<Vec<u8>>;
    const WRITES: bool = false;

    fn id(_: &Self::Ask) -> Option<MessageId> {
        None
    }

    async fn run(
        &self,
        client: &mut Client,
        asks: &[Self::Ask],
    ) -> Result<Vec<Result<Self::Answer, StoreError>>, Trouble> {
        let before = |error: Error| Trouble::before_commit(&error);
        // Two callers may ask for one reference in the same group.
        let wanted: BTreeSet<(&str, &[u8])> =
            asks.iter().map(|(provider, reference)| (provider.as_str(), reference.as_bytes())).collect();
        let (providers, references): (Vec<&str>, Vec<&[u8]>) = wanted.into_iter().unzip();
        let read = client.prepare_cached(INBOX_READ.sql).await.map_err(before)?;
        let mut found: BTreeMap<(String, Vec<u8>), BTreeMap<i64, Vec<u8>>> = BTreeMap::new();
        for row in client.query(&read, &[&providers, &references]).await.map_err(before)? {
            found.entry((row.get(0), row.get(1))).or_default().insert(row.get(2), row.get(3));
        }
        let answer = |(provider, reference): &(ProviderId, String)| {
            let waiting = found.get(&(provider.as_str().to_owned(), reference.as_bytes().to_vec()));
            Ok(waiting.map(|reports| reports.values().cloned().collect()).unwrap_or_default())
        };
        Ok(asks.iter().map(answer).collect())
    }
}

pub(super) struct InboxDrop;

impl Verb for InboxDrop {
    type Ask = Put;
    type Answer = ();
    const WRITES: bool = true;

    fn id(_: &Put) -> Option<MessageId> {
        None
    }

    /// One statement that commits by itself; what is gone already does not come back.
    async fn run(&self, client: &mut Client, asks: &[Put]) -> Result<Vec<Result<(), StoreError>>, Trouble> {
        let drop = client.prepare_cached(INBOX_DROP.sql).await.map_err(|error| Trouble::before_commit(&error))?;
        let providers: Vec<&str> = asks.iter().map(|put| put.provider.as_str()).collect();
        let references: Vec<&[u8]> = asks.iter().map(|put| put.reference.as_bytes()).collect();
        let digests: Vec<&[u8]> = asks.iter().map(|put| put.digest.as_slice()).collect();
        let dropped = client.execute(&drop, &[&providers, &references, &digests]).await;
        dropped.map_err(|error| Trouble::at_commit(&error))?;
        Ok(asks.iter().map(|_| Ok(())).collect())
    }
}
