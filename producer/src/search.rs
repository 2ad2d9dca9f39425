//! `POST /v1/trace`: which messages a number got, for whoever was told a number and knows no id.
//!
//! No message pays for an index by number: rows are looked through, a stretch of time after the other from the newest on, for
//! as long as a person waits. The answer says how far back that was. Time is that in the ids of messages. The number comes in
//! a body, because addresses end up in the logs of everything between.

use std::cmp::Reverse;
use std::ops::Range;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use otodoke_common::message::Message;
use otodoke_common::request;
use otodoke_common::store::StoreError;
use otodoke_common::time::{HOUR_MS, Timestamp};
use tokio::time::{Duration, Instant};

use crate::answer::{Found, FoundMessage};
use crate::body::SearchBody;
use crate::documented::{BodyRefused, Busy, KeyRefused};
use crate::door::Door;
use crate::extract::{Caller, Strict};
use crate::problem::Problem;
use crate::view;

/// Messages told of in one answer.
pub const FOUND_MAX: usize = 50;
pub const HOURS_MAX: u64 = 168;
const HOURS_DEFAULT: u64 = 24;
/// What one statement looks through: first little, then as much as goes quickly, for nobody knows how many rows there are.
const STRETCH_MS_MIN: u64 = 10_000;
const STRETCH_MS_MAX: u64 = HOUR_MS;
const QUICK: Duration = Duration::from_millis(100);
const SLOW: Duration = Duration::from_millis(500);
/// Past that no further stretch is begun.
const SEARCH_MAX: Duration = Duration::from_secs(5);
/// The clocks of other doors may be ahead of ours.
const AHEAD_MS: u64 = 60_000;
const RETRY_SEARCH_S: u64 = 1;

/// Which messages went to a number, newest first, by the time in their ids.
#[utoipa::path(
    post, path = "/v1/trace", tag = "trace", request_body = SearchBody,
    responses((status = 200, body = Found), KeyRefused, BodyRefused, Busy),
)]
pub(crate) async fn search(
    State(door): State<Arc<Door>>,
    caller: Caller,
    Strict(body): Strict<SearchBody>,
) -> Result<Json<Found>, Problem> {
    let number = request::number(&body.to, body.region.as_deref())?.number;
    let asked = span(&body, door.now())?;
    let Ok(one_at_a_time) = door.hands.searches.clone().try_acquire_owned() else {
        return Err(Problem::busy("another search is under way at this door: try again", RETRY_SEARCH_S));
    };
    // It goes on though the caller hangs up, as the database does with what it was asked: else one who always hangs up would
    // have any number of searches under way.
    let searching = tokio::spawn(async move {
        let _one_at_a_time = one_at_a_time;
        let tag = door.desk.vault.number_tag(&caller.tenant, &number);
        // One more than is told of says whether that is all.
        let ask = |made| door.desk.store.of_number(tag, made, FOUND_MAX + 1);
        look(ask, asked).await.map(|looked| told(&door, &looked))
    });
    let found = searching.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a search broke off");
        Err(Problem::unavailable())
    });
    found.map(Json)
}

/// The time that is asked for.
fn span(body: &SearchBody, now: Timestamp) -> Result<Range<Timestamp>, Problem> {
    let hours = body.hours.unwrap_or(HOURS_DEFAULT);
    if !(1..=HOURS_MAX).contains(&hours) {
        let detail = format!("`hours` must be 1 to {HOURS_MAX}; for what is older say `before`");
        return Err(Problem::input("invalid_field", "hours", detail));
    }
    let latest = now.plus_ms(AHEAD_MS);
    let Some(raw) = &body.before else { return Ok(now.minus_ms(hours * HOUR_MS)..latest) };
    let before = Timestamp::parse_rfc3339(raw).filter(|at| at.unix_ms() >= 0).ok_or_else(|| {
        let detail = "`before` must be a time since 1970 as RFC 3339 writes it, such as \"2026-11-22T10:05:00Z\"";
        Problem::input("invalid_field", "before", detail)
    })?;
    let before = before.min(latest);
    Ok(before.minus_ms(hours * HOUR_MS)..before)
}

/// What was found, newest first.
pub(crate) struct Looked {
    pub(crate) messages: Vec<Message>,
    /// From here on these are all.
    pub(crate) back: Timestamp,
    pub(crate) complete: bool,
}

/// `ask` answers for one stretch.
pub(crate) async fn look<A>(ask: impl Fn(Range<Timestamp>) -> A, asked: Range<Timestamp>) -> Result<Looked, Problem>
where
    A: Future<Output = Result<Vec<Message>, StoreError>>,
{
    let began = Instant::now();
    let (mut messages, mut back, mut stretch_ms) = (Vec::new(), asked.end, STRETCH_MS_MIN);
    while back > asked.start && messages.len() <= FOUND_MAX && began.elapsed() < SEARCH_MAX {
        let from = back.minus_ms(stretch_ms).max(asked.start);
        let looked = Instant::now();
        match ask(from..back).await {
            Ok(found) => messages.extend(found),
            Err(error) if back < asked.end => {
                tracing::warn!(%error, stretch_ms, "a search ended early");
                break;
            }
            Err(error) => return Err(error.into()),
        }
        back = from;
        stretch_ms = next_stretch_ms(stretch_ms, looked.elapsed());
    }
    messages.sort_by_key(|message| Reverse(made_at(message)));
    // All of one millisecond are told together, or with the next answer.
    if let Some(cut) = messages.get(FOUND_MAX).map(made_at) {
        messages.retain(|message| made_at(message) > cut);
        back = cut.plus_ms(1);
    }
    Ok(Looked { messages, back, complete: back <= asked.start })
}

fn next_stretch_ms(stretch_ms: u64, took: Duration) -> u64 {
    let next = match took {
        took if took < QUICK => stretch_ms * 2,
        took if took > SLOW => stretch_ms / 2,
        _ => stretch_ms,
    };
    next.clamp(STRETCH_MS_MIN, STRETCH_MS_MAX)
}

/// A store finds only ids that tell.
fn made_at(message: &Message) -> Timestamp {
    message.id.made_at().unwrap_or(message.accepted_at)
}

fn told(door: &Door, looked: &Looked) -> Found {
    let told = |message: &Message| FoundMessage {
        accepted_at: message.accepted_at.rfc3339(),
        message: view::of(door, message),
    };
    let Looked { messages, back, complete } = looked;
    Found { messages: messages.iter().map(told).collect(), looked_back_to: back.rfc3339(), complete: *complete }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_grows_while_it_goes_quickly_and_shrinks_where_there_is_much() {
        let after = |stretch_ms, took_ms| next_stretch_ms(stretch_ms, Duration::from_millis(took_ms));
        assert_eq!((after(10_000, 2), after(20_000, 300), after(40_000, 900)), (20_000, 20_000, 20_000));
        assert_eq!((after(STRETCH_MS_MIN, 4_000), after(STRETCH_MS_MAX, 0)), (STRETCH_MS_MIN, STRETCH_MS_MAX));
    }
}
