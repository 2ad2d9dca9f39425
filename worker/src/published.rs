//! What other programs publish on the lanes: judged by the same rules as at the door, and opened under the id they gave it.
//!
//! Where a row has that id already, the row is what counts, never the body; where it is another tenant's, the publisher
//! changes nothing and learns nothing, and what it published waits for people.

use otodoke_common::broker::{Delivery, Label, Queue};
use otodoke_common::desk::{Applied, Routing};
use otodoke_common::lifecycle::{Event, Note, asked_again};
use otodoke_common::message::{Lane, Message, State};
use otodoke_common::metrics::RequestResult;
use otodoke_common::outcome::Reason;
use otodoke_common::request::opening::{self, Opener};
use otodoke_common::request::publication::{Publication, Unreadable, Wanted, reason};
use otodoke_common::request::{Request, RequestError, reach};
use otodoke_common::store::{Opened, Opening, StoreError};
use otodoke_common::time::Timestamp;

use crate::courier::Courier;
use crate::deliver::write_ended;
use crate::given_up;
use crate::parking::park_or_drop;

/// What is to be carried by another lane is woken there; where that wake is lost, the sweep carries it after this.
const OTHER_LANE_WAIT_MS: u64 = 5_000;
/// A living claim whose holder has ended a moment ago is gone at the next try.
const OPEN_TRIES_MAX: usize = 3;

/// What became of a publication.
enum Became {
    /// A row of its tenant, to be carried.
    Row(Box<Message>),
    /// A row that ended with it.
    Ended,
    /// Nothing that can be a message: for people.
    Parked(String),
}

pub(crate) async fn deliver(
    courier: &Courier,
    lane: Lane,
    label: &Label,
    delivery: Delivery,
) -> Result<(), StoreError> {
    let taken = courier.patiently(|| take(courier, lane, label, &delivery.body)).await;
    match taken {
        Ok(Became::Row(message)) if message.lane == lane => courier.carry(&message, Event::Taken, Some(delivery)).await,
        Ok(Became::Row(message)) => {
            courier.wake(&message).await;
            courier.settle(delivery).await;
            Ok(())
        }
        Ok(Became::Ended) => {
            courier.settle(delivery).await;
            Ok(())
        }
        Ok(Became::Parked(why)) => {
            park_or_drop(courier, lane.into(), delivery, &why).await;
            Ok(())
        }
        // Not now and not later.
        Err(StoreError::Refused { why }) => {
            park_or_drop(courier, lane.into(), delivery, &format!("the store refused it: {why}")).await;
            Ok(())
        }
        Err(error) => Err(error),
    }
}

async fn take(courier: &Courier, lane: Lane, label: &Label, body: &[u8]) -> Result<Became, StoreError> {
    let (publication, wanted) = match read(courier, label, body).await? {
        Ok(read) => read,
        Err(became) => return Ok(became),
    };
    let now = courier.desk.clock.now();
    let ended = match judge(courier, &publication, &wanted, now) {
        Ok((request, mut opening)) => {
            if opening.message.lane != lane {
                opening.message.due = Some(now.plus_ms(OTHER_LANE_WAIT_MS).min(opening.message.useful_until));
            }
            match open(courier, &request, opening).await? {
                Ok(row) => return Ok(of_row(&publication, row)),
                Err(ended) => ended,
            }
        }
        Err(ended) => ended,
    };
    Ok(write_ended(courier, *ended).await?.map_or(Became::Ended, |row| of_row(&publication, row)))
}

/// Whose it is and what it asks for; or what it is already, by its row or for want of anything to read.
async fn read(
    courier: &Courier,
    label: &Label,
    body: &[u8],
) -> Result<Result<(Publication, Wanted), Became>, StoreError> {
    let publication = match courier.publishers.address(label) {
        Ok(publication) => publication,
        Err(why) => return Ok(Err(Became::Parked(why.to_string()))),
    };
    if let Some(row) = courier.desk.store.load(publication.id).await? {
        return Ok(Err(of_row(&publication, row)));
    }
    let wanted = Wanted::read(body).map_err(|why| Became::Parked(why.to_string()));
    Ok(wanted.map(|wanted| (publication, wanted)))
}

/// A row of another tenant is not told from no row, but for whoever runs this: it cannot become a message.
fn of_row(publication: &Publication, row: Message) -> Became {
    if row.tenant == publication.tenant {
        Became::Row(Box::new(row))
    } else {
        Became::Parked(Unreadable::Taken.to_string())
    }
}

/// The request with its opening; or the row that it ends as.
fn judge(
    courier: &Courier,
    publication: &Publication,
    wanted: &Wanted,
    now: Timestamp,
) -> Result<(Request, Opening), Box<Opening>> {
    let refused = |message: Message, reason, note| {
        courier.desk.metrics.request(&message.tenant, message.purpose, Some(message.country), RequestResult::Refused);
        Box::new(opening::ended(message, reason, note, now))
    };
    let unreadable = |message, error: &RequestError| {
        let note = Note::Refused { code: error.code().to_owned(), field: error.field().map(str::to_owned) };
        refused(message, reason(error), Some(note))
    };
    let remains = || publication.remains(wanted, &courier.desk.vault, courier.codes.active(), now);
    let request = wanted.request().map_err(|error| unreadable(remains(), &error))?;
    let opening = opening(courier, publication, &request, now);
    reach::usual_ms(&courier.routes, &courier.templates, &publication.tenant, &request)
        .map_err(|error| unreadable(opening.message.clone(), &error))?;
    if opening.message.useful_until <= now {
        return Err(refused(opening.message, Reason::TooLate, None));
    }
    Ok((request, opening))
}

fn opening(courier: &Courier, publication: &Publication, request: &Request, now: Timestamp) -> Opening {
    let opener = Opener {
        vault: &courier.desk.vault,
        policy: &courier.desk.policy,
        kid: courier.codes.active(),
        tenant: &publication.tenant,
        terms: publication.settings.terms(request.purpose, &courier.desk.policy),
    };
    // Its id is what tells a repeat: it needs no other key.
    opener.opening(publication.birth(request.useful_ms, now), None, request, 0)
}

/// The row that is there now; or the one that it ends as, where a cap or a living message holds it off.
async fn open(
    courier: &Courier,
    request: &Request,
    opening: Opening,
) -> Result<Result<Message, Box<Opening>>, StoreError> {
    let tenant = &opening.message.tenant;
    let counted = |result| courier.desk.metrics.request(tenant, request.purpose, Some(request.country), result);
    let store = &courier.desk.store;
    for _ in 0..OPEN_TRIES_MAX {
        let by = match store.open(opening.clone()).await? {
            Opened::New => {
                courier.desk.tell_opened(&opening);
                counted(RequestResult::Accepted);
                match store.load(opening.message.id).await? {
                    Some(row) => return Ok(Ok(row)),
                    None => continue,
                }
            }
            Opened::Repeat(row) => return Ok(Ok(*row)),
            Opened::OverLimit { .. } => {
                counted(RequestResult::Limited);
                let now = courier.desk.clock.now();
                return Ok(Err(Box::new(opening::ended(opening.message, Reason::OverLimit, None, now))));
            }
            Opened::Held { by, .. } => Some(*by),
            Opened::Conflict { by, .. } => store.load(by).await?,
        };
        let Some(by) = by.filter(|by| by.lives_at(courier.desk.clock.now())) else { continue };
        let of = by.id;
        if !join(courier, by, courier.desk.clock.now()).await? {
            continue;
        }
        counted(RequestResult::Joined);
        let now = courier.desk.clock.now();
        let note = Note::Duplicate { of };
        return Ok(Err(Box::new(opening::ended(opening.message, Reason::Duplicate, Some(note), now))));
    }
    Err(StoreError::Unavailable { why: format!("message {} is held off by one that is ending", opening.message.id) })
}

/// As at the door: whoever asks while an equal message lives asks for that one again, within a resend's limits at `asked_at`.
/// `false` where it lives no more.
pub(crate) async fn join(courier: &Courier, living: Message, asked_at: Timestamp) -> Result<bool, StoreError> {
    let policy = &courier.desk.policy;
    let Some(event) = asked_again(&living, courier.codes.is_void(&living), asked_at, policy) else {
        if living.state == State::Queued {
            // Whoever opened it may have died before its wake was published.
            courier.wake(&living).await;
        }
        return Ok(true);
    };
    let applied = courier.desk.apply_to(living, &event, &Routing::ELSEWHERE, &[]).await?;
    let Applied::Done(step) = applied else { return Ok(false) };
    courier.perform(&step, None).await;
    Ok(step.message.is_live())
}

/// Handed out too often: the message that it is, or would have been, ends.
pub(crate) async fn give_up(courier: &Courier, label: &Label, delivery: Delivery, why: &str) -> Result<(), StoreError> {
    let ended = courier.patiently(|| end(courier, label, &delivery.body)).await;
    match ended {
        Ok(Became::Row(message)) => given_up::end_row(courier, Some(*message), delivery).await,
        Ok(Became::Ended) => given_up::end_row(courier, None, delivery).await,
        Ok(Became::Parked(more)) => {
            park_or_drop(courier, Queue::GivenUp, delivery, &format!("{why}; {more}")).await;
            Ok(())
        }
        Err(StoreError::Refused { why: more }) => {
            park_or_drop(courier, Queue::GivenUp, delivery, &format!("{why}; the store refused it: {more}")).await;
            Ok(())
        }
        Err(error) => Err(error),
    }
}

async fn end(courier: &Courier, label: &Label, body: &[u8]) -> Result<Became, StoreError> {
    let (publication, wanted) = match read(courier, label, body).await? {
        Ok(read) => read,
        Err(became) => return Ok(became),
    };
    let now = courier.desk.clock.now();
    let message = match wanted.request() {
        Ok(request) => opening(courier, &publication, &request, now).message,
        Err(_) => publication.remains(&wanted, &courier.desk.vault, courier.codes.active(), now),
    };
    let ended = opening::ended(message, Reason::Parked, None, now);
    Ok(write_ended(courier, ended).await?.map_or(Became::Ended, |row| of_row(&publication, row)))
}
