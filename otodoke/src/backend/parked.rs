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
    /// Of the broker, where another program published it.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    bytes: usize,
}

impl From<ParkedBody> for Entry {
    fn from(parked: ParkedBody) -> Self {
        Self {
            parked_id: parked.parked_id,
            queue: parked.queue.word(),
            at: parked.at.rfc3339(),
            reason: parked.reason,
            user: parked.user,
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
    let mut entries: Vec<Entry> = broker.parked(SHOWN_MAX + 1).await?.into_iter().map(Entry::from).collect();
    let more = entries.len() > SHOWN_MAX;
    entries.truncate(SHOWN_MAX);
    output.show(&entries, || {
        if entries.is_empty() {
            return "Nothing is parked.".to_owned();
        }
        let line = |entry: &Entry| {
            let by = entry.user.as_ref().map_or_else(String::new, |user| format!(" by {user}"));
            let Entry { parked_id, queue, at, bytes, reason, .. } = entry;
            format!("{parked_id:>8}  {queue:<9} {at}  {bytes} bytes{by}: {reason}\n")
        };
        entries.iter().map(line).collect()
    })?;
    if more {
        let told = format!("only the first {SHOWN_MAX} are shown, and more are parked: see to these first");
        Output::complain("otodoke", &told);
    }
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
