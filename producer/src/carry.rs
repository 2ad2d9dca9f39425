//! From the row to the lane: for the first time, and again where nobody knows whether it got there.

use otodoke_common::broker::Queue;
use otodoke_common::message::{Message, State};
use otodoke_common::store::Save;
use otodoke_common::time::Timestamp;
use otodoke_common::wire::{LaneMessage, encode_row};

use crate::admission;
use crate::door::Door;
use crate::effects;
use crate::problem::Problem;

/// A lane that is worked off sooner may be given a message twice.
const SHORT_WAIT_MS_MAX: u64 = 1_000;

/// Gives a message that was just opened to its lane, for the first time: nobody can have moved it on, so its row goes along.
pub(crate) async fn carry_new(door: &Door, message: &Message) -> Result<(), Problem> {
    // Where queue and rows are one file, to read the row there costs less than to write it twice.
    if door.broker.outlives_the_store() {
        give(door, message, encode_row(message)).await
    } else {
        carry(door, message).await
    }
}

/// Sees to it that a message is carried which is on its lane, unless whoever opened it died before. Safe to repeat.
pub(crate) async fn carry_again(door: &Door, message: &Message) -> Result<(), Problem> {
    let wait_ms = admission::wait_ms(door.broker.backlog(Queue::Lane(message.lane)));
    if wait_ms <= SHORT_WAIT_MS_MAX {
        return carry(door, message).await;
    }
    // Behind all that waits a second body would come no sooner, and people who press again would fill the lane with them:
    // the sweep looks at the row when whatever is on the lane now was taken.
    let taken_by = door.now().plus_ms(wait_ms.saturating_add(SHORT_WAIT_MS_MAX));
    if message.due.is_some_and(|due| due <= taken_by) {
        return Ok(());
    }
    due_at(door, message.clone(), taken_by).await
}

/// Gives a stored message to its lane, where it may be already. Safe to repeat.
async fn carry(door: &Door, message: &Message) -> Result<(), Problem> {
    give(door, message, LaneMessage::Wake { id: message.id }.encode()).await
}

/// With the broker away the row is made due now and the sweep carries it; so it is when the lane filled up after admission
/// looked at it.
async fn give(door: &Door, message: &Message, body: Vec<u8>) -> Result<(), Problem> {
    if effects::publish(door, Queue::Lane(message.lane), body).await.is_ok() {
        return Ok(());
    }
    let Some(stored) = door.desk.store.load(message.id).await? else { return Err(Problem::unavailable()) };
    if stored.state != State::Queued {
        return Ok(());
    }
    due_at(door, stored, door.now()).await
}

/// Lost means that somebody has it in hand already.
async fn due_at(door: &Door, message: Message, at: Timestamp) -> Result<(), Problem> {
    let message = Message { due: Some(at), ..message };
    door.desk.store.save(Save { message, notes: vec![], spends: vec![], refunds: vec![], at: door.now() }).await?;
    Ok(())
}
