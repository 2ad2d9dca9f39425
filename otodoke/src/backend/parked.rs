//! `parked`: bodies that could not be handled, put aside with a reason until a person looks at them.
//!
//! Bodies are never shown: they may hold sealed or clear personal data.

use otodoke_common::broker::{Broker, Parked as ParkedBody, Unpark};
use serde::Serialize;

use super::with_broker;
use crate::cli::{Parked, ParkedVerb};
use crate::output::{Outcome, Output};

/// As many as a person reads at a time.
const SHOWN_MAX: usize = 1_000;

#[derive(Serialize)]
struct Entry {
    parked_id: i64,
    queue: &'static str,
    at: String,
    reason: String,
    bytes: usize,
}

impl From<ParkedBody> for Entry {
    fn from(parked: ParkedBody) -> Self {
        Self {
            parked_id: parked.parked_id,
            queue: parked.queue.word(),
            at: parked.at.rfc3339(),
            reason: parked.reason,
            bytes: parked.body.len(),
        }
    }
}

pub(crate) async fn parked(command: &Parked, output: &Output) -> anyhow::Result<Outcome> {
    match &command.verb {
        ParkedVerb::List { place } => with_broker(place, async |broker| list(broker, output).await).await,
        ParkedVerb::Replay { parked_id, place } => {
            with_broker(place, async |broker| unpark(broker, *parked_id, Unpark::Replay, output).await).await
        }
        ParkedVerb::Drop { parked_id, place } => {
            with_broker(place, async |broker| unpark(broker, *parked_id, Unpark::Drop, output).await).await
        }
    }
}

async fn list(broker: &dyn Broker, output: &Output) -> anyhow::Result<Outcome> {
    let entries: Vec<Entry> = broker.parked(SHOWN_MAX).await?.into_iter().map(Entry::from).collect();
    output.show(&entries, || {
        if entries.is_empty() {
            return "Nothing is parked.".to_owned();
        }
        let line = |entry: &Entry| {
            format!(
                "{:>8}  {:<9} {}  {} bytes: {}\n",
                entry.parked_id, entry.queue, entry.at, entry.bytes, entry.reason
            )
        };
        entries.iter().map(line).collect()
    })?;
    Ok(Outcome::Done)
}

async fn unpark(broker: &dyn Broker, parked_id: i64, how: Unpark, output: &Output) -> anyhow::Result<Outcome> {
    let found = broker.unpark(parked_id, how).await?;
    anyhow::ensure!(found, "nothing is parked under {parked_id}; `otodoke parked list` shows what is");
    let what = match how {
        Unpark::Replay => "is back in its queue",
        Unpark::Drop => "is gone",
    };
    output.answer(&serde_json::json!({ "parked_id": parked_id, "done": true }), || format!("{parked_id} {what}."))?;
    Ok(Outcome::Done)
}
