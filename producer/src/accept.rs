//! The way in: admit, open, publish, 202. What was committed is carried by its row whatever happens next.
//!
//! Before it: `request` and `reach`. After it: a worker takes the message from its lane.

use std::sync::Arc;

use otodoke_common::broker::Queue;
use otodoke_common::bucket::Spend;
use otodoke_common::desk::{Applied, Routing};
use otodoke_common::fallback;
use otodoke_common::lifecycle::{Cap, Note, asked_again};
use otodoke_common::message::{Message, MessageId, Purpose, State, Tag, Want};
use otodoke_common::metrics::{Metrics, RequestResult};
use otodoke_common::request::opening::{self, Birth, CAPS, Opener};
use otodoke_common::request::{Request, reach};
use otodoke_common::store::{ClaimKind, Opened, Opening, StoreError};
use otodoke_common::time::Timestamp;
use otodoke_common::trace;
use otodoke_common::wire::LaneMessage;

use crate::admission::{self, Candidate};
use crate::answer::Accepted;
use crate::carry::{carry_again, carry_new};
use crate::door::Door;
use crate::effects;
use crate::extract::Caller;
use crate::hands::BUSY_RETRY_S;
use crate::problem::Problem;
use crate::resend;
use crate::view;

/// A living claim whose holder has ended a moment ago is gone at the next try.
const OPEN_TRIES_MAX: usize = 3;

/// A request that was let in, with everything needed to answer it.
pub(crate) struct Entry {
    pub(crate) door: Arc<Door>,
    pub(crate) caller: Caller,
    pub(crate) key: Option<String>,
    pub(crate) request: Request,
}

/// Runs to its end even when the caller hangs up: a committed row is always published.
pub(crate) async fn accept(entry: Entry) -> Result<Accepted, Problem> {
    let (metrics, tenant) = (entry.door.desk.metrics.clone(), entry.caller.tenant.clone());
    let (purpose, country) = (entry.request.purpose, entry.request.country);
    // On the heap from the start: to spawn moves what is spawned a dozen times.
    let taking = trace::within(trace::current(), Box::pin(async move { take(&entry).await }));
    let taken = tokio::spawn(taking).await.unwrap_or_else(|error| {
        tracing::error!(%error, "accepting a request broke off");
        Err(Problem::unavailable())
    });
    let result = match &taken {
        Ok((_, result)) => *result,
        Err(problem) => refused_as(problem),
    };
    metrics.request(&tenant, purpose, Some(country), result);
    taken.map(|(accepted, _)| accepted)
}

/// How a refusal is counted.
pub(crate) fn refused_as(problem: &Problem) -> RequestResult {
    match problem.code {
        "too_many_messages" | "spend_cap_reached" => RequestResult::Limited,
        "busy" => RequestResult::Busy,
        "unavailable" => RequestResult::Unavailable,
        _ => RequestResult::Refused,
    }
}

async fn take(entry: &Entry) -> Result<(Accepted, RequestResult), Problem> {
    match admitted(entry).await {
        // What was accepted stays accepted, whatever the lanes and the settings say now.
        Err(refusal) => match Box::pin(accepted_before(entry)).await? {
            Some(accepted) => Ok((accepted, RequestResult::Repeated)),
            None => Err(refusal),
        },
        taken => taken,
    }
}

/// The answer that this key got with this request; `None` where it got none. It goes on though the caller hangs up, and has no
/// place among what is being accepted any more, so it has one of its own.
async fn accepted_before(entry: &Entry) -> Result<Option<Accepted>, Problem> {
    let door = &entry.door;
    let Some(key) = key_of(entry) else { return Ok(None) };
    let Ok(_place) = door.hands.repeats.try_acquire() else {
        // Not the refusal: nobody knows whether this request was accepted before.
        return Err(Problem::busy("too many requests are being looked up at this moment: try again", BUSY_RETRY_S));
    };
    let Some(holder) = door.desk.store.holder(ClaimKind::Key, key, door.now()).await? else { return Ok(None) };
    if holder.fingerprint != opening::fingerprint(&door.desk.vault, &entry.request) {
        return Err(key_reused());
    }
    match door.desk.store.load(holder.by).await? {
        Some(message) => repeated(entry, &message).await.map(Some),
        None => Ok(None),
    }
}

async fn admitted(entry: &Entry) -> Result<(Accepted, RequestResult), Problem> {
    let Entry { door, caller, request, .. } = entry;
    let usual_ms = reach::usual_ms(&door.routes, &door.templates, &caller.tenant, request)?;
    if request.purpose != Purpose::Notice && !door.codes.may_open() {
        // Nobody could verify it; readiness says what to do.
        return Err(Problem::unavailable());
    }
    let lane = door.settings(&caller.tenant).lane(request.purpose);
    let Some(_accepting) = door.hands.accepting(lane) else {
        return Err(Problem::busy("too much is being accepted at this moment: try again", BUSY_RETRY_S));
    };
    let candidate = Candidate { lane, useful_ms: request.useful_ms, usual_ms };
    let wait_ms = admission::admit(door, candidate)?;
    for _ in 0..OPEN_TRIES_MAX {
        if let Some(taken) = open(entry, wait_ms).await? {
            return Ok(taken);
        }
    }
    Err(Problem::unavailable())
}

/// `None`: the message it would join is ending; try again. Every request has a task of this future's size, so what is rare
/// is boxed.
async fn open(entry: &Entry, wait_ms: u64) -> Result<Option<(Accepted, RequestResult)>, Problem> {
    let door = &entry.door;
    let mut opening = opening(entry, wait_ms);
    opening.spends.extend(look_at_money(door, &opening.message));
    let accepted = |message: &Message| accepted(door, &entry.request, message, wait_ms);
    match opened(door, &opening).await {
        Ok(Opened::New) => {
            door.desk.tell_opened(&opening);
            // As the store wrote it: opened is saved once.
            opening.message.version += 1;
            carry_new(door, &opening.message).await?;
            Ok(Some((accepted(&opening.message), RequestResult::Accepted)))
        }
        Ok(Opened::Repeat(message)) => {
            Box::pin(carry_again(door, &message)).await?;
            Ok(Some((accepted(&message), RequestResult::Accepted)))
        }
        Ok(Opened::Held { kind: ClaimKind::Key, by }) => {
            Ok(Some((Box::pin(repeated(entry, &by)).await?, RequestResult::Repeated)))
        }
        Ok(Opened::Held { kind: ClaimKind::Living, by }) => Box::pin(join(entry, *by, wait_ms)).await,
        Ok(Opened::Conflict { kind: ClaimKind::Living, by }) => match door.desk.store.load(by).await? {
            Some(by) => Box::pin(join(entry, by, wait_ms)).await,
            None => Ok(None),
        },
        Ok(Opened::Conflict { kind: ClaimKind::Key, .. }) => Err(key_reused()),
        Ok(Opened::OverLimit { index, free_at }) => {
            Err(too_many(&entry.door.desk.metrics, &opening.message, index, free_at, door.now()))
        }
        Err(error) => {
            Box::pin(without_store(door, &opening, &error)).await?;
            Ok(Some((accepted(&opening.message), RequestResult::Accepted)))
        }
    }
}

fn opening(entry: &Entry, wait_ms: u64) -> Opening {
    let Entry { door, caller, key, request } = entry;
    let now = door.now();
    let opener = Opener {
        vault: &door.desk.vault,
        policy: &door.desk.policy,
        kid: door.codes.active(),
        tenant: &caller.tenant,
        terms: door.settings(&caller.tenant).terms(request.purpose, &door.desk.policy),
    };
    let birth = Birth { id: MessageId::new(now, door.desk.dice.id_bits()), accepted_at: now, now };
    opener.opening(birth, key.as_deref(), request, wait_ms)
}

/// Nothing is paid here: a leg pays when it begins. But what no leg could be paid for is not taken either.
fn look_at_money(door: &Door, message: &Message) -> Option<Spend> {
    let channel = fallback::first(message).channel;
    let routes = door.routes.open_to(&message.tenant, message.country, channel);
    let cheapest = routes.map(|route| u64::from(route.price)).min().filter(|price| *price > 0)?;
    let spend = door.desk.spend(message, 0);
    Some(Spend { limit: spend.limit.saturating_sub(cheapest), ..spend })
}

/// A commit of unknown outcome is looked up: its row is there or it is not.
async fn opened(door: &Door, opening: &Opening) -> Result<Opened, StoreError> {
    let opened = opened_or_found(door, opening).await;
    door.desk.writes.told(&opened, door.now());
    opened
}

async fn opened_or_found(door: &Door, opening: &Opening) -> Result<Opened, StoreError> {
    let error = match door.desk.store.open(opening.clone()).await {
        Ok(opened) => return Ok(opened),
        Err(error) => error,
    };
    door.desk.metrics.store_error(&error);
    match error {
        StoreError::UnknownOutcome { why } => match door.desk.store.load(opening.message.id).await? {
            Some(message) => Ok(Opened::Repeat(Box::new(message))),
            None => Err(StoreError::Unavailable { why }),
        },
        StoreError::Unavailable { .. } | StoreError::Refused { .. } | StoreError::Full { .. } => Err(error),
    }
}

/// With the store away the broker alone carries the whole opening, but never a payment.
async fn without_store(door: &Door, opening: &Opening, error: &StoreError) -> Result<(), Problem> {
    let away = match error {
        StoreError::Unavailable { .. } | StoreError::UnknownOutcome { .. } => true,
        StoreError::Refused { .. } | StoreError::Full { .. } => false,
    };
    let alone = door.broker.outlives_the_store() && opening.message.purpose != Purpose::Payment;
    if !away || !alone {
        return Err(Problem::unavailable());
    }
    let body = LaneMessage::Send(Box::new(opening.clone())).encode();
    effects::publish(door, Queue::Lane(opening.message.lane), body).await.map_err(|_| Problem::unavailable())?;
    door.desk.tell_opened(opening);
    Ok(())
}

/// The same key with the same body: the answer that was given then, to the letter.
async fn repeated(entry: &Entry, by: &Message) -> Result<Accepted, Problem> {
    let door = &entry.door;
    carry_again(door, by).await?;
    let journal = door.desk.store.journal(by.id).await?;
    if let Some(joined) = journal.iter().find_map(|line| joined_by(entry, by, &line.note)) {
        return Ok(joined);
    }
    let wait_ms = journal.iter().find_map(|line| {
        if let Note::Accepted { expected_wait_ms } = line.note { Some(expected_wait_ms) } else { None }
    });
    let then = Message { resends: 0, last_resend_at: None, state: State::Queued, ..by.clone() };
    Ok(accepted(door, &entry.request, &then, wait_ms.unwrap_or(0)))
}

/// The answer that this note keeps, where it is about the request's key.
fn joined_by(entry: &Entry, by: &Message, note: &Note) -> Option<Accepted> {
    let Note::Joined { key, status, expected_wait_ms, next_resend_at } = note else { return None };
    let then = accepted(&entry.door, &entry.request, by, *expected_wait_ms);
    let next_resend_at = next_resend_at.map(Timestamp::rfc3339);
    (Some(*key) == key_of(entry)).then(|| Accepted { status: status.clone(), joined: true, next_resend_at, ..then })
}

fn key_of(entry: &Entry) -> Option<Tag> {
    let tag = |key: &String| opening::key_tag(&entry.door.desk.vault, &entry.caller.tenant, key);
    entry.key.as_ref().map(tag)
}

/// An equal verification is alive: this request is a resend of it, within a resend's limits.
async fn join(entry: &Entry, by: Message, wait_ms: u64) -> Result<Option<(Accepted, RequestResult)>, Problem> {
    let door = &entry.door;
    if !by.lives_at(door.now()) {
        return Ok(None);
    }
    let mut message = by;
    if let Some(event) = asked_again(&message, door.codes.is_void(&message), door.now(), &door.desk.policy) {
        let choose = |message: &Message, want: &Want| resend::elsewhere(door, message, want);
        let routing = Routing { choose: &choose, ..Routing::ELSEWHERE };
        match door.desk.apply_to(message, &event, &routing, &[]).await? {
            Applied::Done(step) => {
                effects::perform(door, &step).await;
                message = step.message;
            }
            Applied::Missing | Applied::OverLimit { .. } => return Ok(None),
        }
    }
    if !message.is_live() {
        return Ok(None);
    }
    // Whoever opened it may have died before its row was published: from here on this answer is a promise too.
    carry_again(door, &message).await?;
    if let Some(key) = key_of(entry) {
        // The key was claimed with the look that found this message: repeated, it finds this answer.
        let status = message.status().to_owned();
        let next_resend_at = view::next_resend(door, &message);
        door.desk.tell(&message, &Note::Joined { key, status, expected_wait_ms: wait_ms, next_resend_at }).await?;
    }
    let joined = Accepted { joined: true, ..accepted(door, &entry.request, &message, wait_ms) };
    Ok(Some((joined, RequestResult::Joined)))
}

fn accepted(door: &Door, request: &Request, message: &Message, expected_wait_ms: u64) -> Accepted {
    Accepted {
        id: message.id.to_string(),
        status: message.status().to_owned(),
        to: request.person.to.masked(),
        useful_until: message.useful_until.rfc3339(),
        expected_wait_ms,
        joined: false,
        next_resend_at: view::next_resend(door, message).map(Timestamp::rfc3339),
    }
}

fn key_reused() -> Problem {
    let detail = "this `Idempotency-Key` came with another body before: use a new key for a new request";
    let status = axum::http::StatusCode::CONFLICT;
    Problem { field: Some("Idempotency-Key".to_owned()), ..Problem::new(status, "key_reused", detail) }
}

fn too_many(metrics: &Metrics, message: &Message, index: usize, free_at: Timestamp, now: Timestamp) -> Problem {
    let Some(window) = CAPS.get(index) else {
        metrics.guarded(Cap::SpendPerHour.word(), message);
        let detail =
            "what may be spent on this country in an hour is spent: wait, or raise the tenant's `spend_per_hour`";
        let status = axum::http::StatusCode::TOO_MANY_REQUESTS;
        return Problem::new(status, "spend_cap_reached", detail).retry_at(free_at, now);
    };
    let instead = if message.is_code() { "wait, or use `resend`" } else { "wait" };
    let detail = format!("this number was sent as many messages as it may get in {window}: {instead}");
    let status = axum::http::StatusCode::TOO_MANY_REQUESTS;
    let problem = Problem::new(status, "too_many_messages", detail).retry_at(free_at, now);
    Problem { field: Some("to".to_owned()), ..problem }
}
