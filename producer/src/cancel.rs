//! Cancelling: what is still to come does not come. Safe to repeat: ends never change.

use otodoke_common::desk::{Applied, Routing};
use otodoke_common::lifecycle::Event;
use otodoke_common::message::{CancelledBy, Message};

use crate::answer::Cancelled;
use crate::door::Door;
use crate::effects;
use crate::problem::Problem;

pub(crate) async fn cancel(door: &Door, message: Message) -> Result<Cancelled, Problem> {
    let event = Event::CancelAsked { by: CancelledBy::Caller };
    let step = match door.desk.apply_to(message, &event, &Routing::ELSEWHERE, &[]).await? {
        Applied::Done(step) => step,
        Applied::Missing => return Err(Problem::not_found()),
        Applied::OverLimit { .. } => return Err(Problem::unavailable()),
    };
    effects::perform(door, &step).await;
    Ok(Cancelled { id: step.message.id.to_string(), status: step.message.status().to_owned() })
}
