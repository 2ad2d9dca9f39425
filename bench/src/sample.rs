//! One message that went through the whole pipeline, as it lies in the store: what the rows of the floor and of growth
//! are made like, so that they have our sizes and not somebody's guess.

use anyhow::Context;
use otodoke_common::message::{Message, State};
use otodoke_common::wire::{decode_row, encode_row};
use tokio_postgres::Client;

#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) day: i32,
    /// Of a claim or a fingerprint.
    pub(crate) tag: Vec<u8>,
    pub(crate) bucket: Vec<u8>,
    pub(crate) until: i64,
    body: Vec<u8>,
    opened_body: Vec<u8>,
    notes: Vec<String>,
}

impl Sample {
    /// Of the newest message that was delivered.
    pub(crate) async fn read(client: &Client) -> anyhow::Result<Self> {
        let row = client
            .query_opt("SELECT day, id, body, notes FROM message WHERE version >= 4 ORDER BY id DESC LIMIT 1", &[])
            .await?
            .context("no message was delivered yet that could be looked at")?;
        let (day, id, body): (i32, uuid::Uuid, Vec<u8>) = (row.get(0), row.get(1), row.get(2));
        let notes: &str = row.get(3);
        let claim = client.query_one("SELECT fingerprint, until FROM claim WHERE id = $1", &[&id]).await?;
        let bucket = client.query_one("SELECT entries FROM bucket LIMIT 1", &[]).await?;
        Ok(Self {
            day,
            tag: claim.get(0),
            bucket: bucket.get(0),
            until: claim.get(1),
            opened_body: without_legs(&body)?,
            body,
            notes: notes.split_inclusive('\n').map(ToOwned::to_owned).collect(),
        })
    }

    /// Mean length of a row as it was opened, which is also what lies on its lane.
    pub(crate) async fn opened_bytes(client: &Client) -> anyhow::Result<usize> {
        let mean = "SELECT coalesce(round(avg(octet_length(body))), 0)::bigint FROM message WHERE version = 1";
        let mean: i64 = client.query_one(mean, &[]).await?.get(0);
        anyhow::ensure!(mean > 0, "no message was opened whose length could be looked at");
        Ok(usize::try_from(mean)?)
    }

    /// The row's body at this version. From the second on it has its leg; what it says there differs by a few letters.
    pub(crate) fn body(&self, version: i64) -> &[u8] {
        if version == 1 { &self.opened_body } else { &self.body }
    }

    /// The line of the journal that came with this version.
    pub(crate) fn notes(&self, version: i64) -> &str {
        let at = usize::try_from(version - 1).unwrap_or(0).min(self.notes.len().saturating_sub(1));
        self.notes.get(at).map_or("", String::as_str)
    }

    pub(crate) fn body_bytes(&self) -> usize {
        self.body.len()
    }

    pub(crate) fn notes_all(&self) -> String {
        self.notes.concat()
    }
}

/// As it was when it was opened: no leg yet.
fn without_legs(body: &[u8]) -> anyhow::Result<Vec<u8>> {
    let message = decode_row(body).context("a stored message")?;
    Ok(encode_row(&Message { legs: Vec::new(), state: State::Queued, ..message }))
}
