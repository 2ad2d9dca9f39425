//! From the row to the lane: for the first time, and again where nobody knows whether it got there.

use otodoke_common::broker::Queue;
use otodoke_common::message::{Message, State};
use otodoke_common::time::Timestamp;
use otodoke_common::wire::{LaneMessage, encode_row};

use crate::admission;
use crate::door::Door;
use crate::effects;
use crate::problem::Problem;
use crate::rates;

/// A lane that is worked off sooner may be given a message twice.
const SHORT_WAIT_MS_MAX: u64 = 1_000;
/// How much longer than it is expected to take a lane is given: a moment, and a part of that, percent.
const LATE_MS: u64 = 1_000;
const LATE_PERCENT: u64 = 25;

/// Gives a message that was just opened to its lane, for the first time: nobody can have moved it on, so its row goes along.
pub(crate) async fn carry_new(door: &Door, message: &Message) -> Result<(), Problem> {
    // Where queue and rows are one file, to read the row there costs less than to write it twice.
    let given = if door.broker.outlives_the_store() {
        give(door, message, encode_row(message)).await?
    } else {
        carry(door, message).await?
    };
    if given == Given::ToTheSweep {
        door.spill.add(door.now());
    }
    Ok(())
}

/// Who takes a message on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Given {
    ToItsLane,
    ToTheSweep,
}

/// Sees to it that a queued message is carried: it is on its lane, unless whoever opened it died before. Safe to repeat.
pub(crate) async fn carry_again(door: &Door, message: &Message) -> Result<(), Problem> {
    if message.state != State::Queued {
        return Ok(());
    }
    let Some(wait_ms) = long_wait_ms(door, message) else { return carry(door, message).await.map(|_| ()) };
    // Behind all that waits a second body would come no sooner, and people who press again would fill the lane with them:
    // the sweep looks at the row when whatever is on the lane now was taken. A lane that is longer than what is left of the
    // message's life would bring a second body too late as well, and its deadline is due already.
    let late_ms = LATE_MS.saturating_add(wait_ms / 100 * LATE_PERCENT);
    due_by(door, message.clone(), door.now().plus_ms(wait_ms.saturating_add(late_ms))).await
}

/// How long its lane takes for what waits in it now; `None` where that is short, or not known.
fn long_wait_ms(door: &Door, message: &Message) -> Option<u64> {
    let backlog = rates::measured(door, message.lane);
    let known = backlog.is_measured() && door.broker.trouble().is_none();
    Some(admission::wait_ms(backlog)).filter(|wait_ms| known && *wait_ms > SHORT_WAIT_MS_MAX)
}

/// Gives a stored message to its lane, where it may be already. Safe to repeat.
async fn carry(door: &Door, message: &Message) -> Result<Given, Problem> {
    give(door, message, LaneMessage::Wake { id: message.id }.encode()).await
}

/// With the broker away the row is made due now and the sweep carries it; so it is when the lane filled up after admission
/// looked at it.
async fn give(door: &Door, message: &Message, body: Vec<u8>) -> Result<Given, Problem> {
    if effects::publish(door, Queue::Lane(message.lane), body).await.is_ok() {
        return Ok(Given::ToItsLane);
    }
    // Every request has a task of this future's size, so what is rare is boxed.
    Box::pin(give_to_the_sweep(door, message)).await
}

async fn give_to_the_sweep(door: &Door, message: &Message) -> Result<Given, Problem> {
    let Some(stored) = door.desk.store.load(message.id).await? else { return Err(Problem::unavailable()) };
    due_by(door, stored, door.now()).await?;
    Ok(Given::ToTheSweep)
}

/// Lets the sweep look at a message by then, if it is queued still.
async fn due_by(door: &Door, message: Message, at: Timestamp) -> Result<(), Problem> {
    if door.desk.due_by(message, at).await? { Ok(()) } else { Err(Problem::unavailable()) }
}
