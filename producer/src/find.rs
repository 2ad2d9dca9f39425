//! A message by its id, for the tenant that owns it; everybody else is told that there is none.

use axum::http::StatusCode;
use otodoke_common::lifecycle::Note;
use otodoke_common::message::{Kind, Message, MessageId};
use otodoke_common::outcome::Reason;

use crate::door::Door;
use crate::extract::Caller;
use crate::problem::Problem;

/// Under which address a message is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Face {
    /// Codes.
    Verifications,
    /// Texts.
    Messages,
    /// Both.
    Trace,
}

pub(crate) async fn find(door: &Door, caller: &Caller, face: Face, id: MessageId) -> Result<Message, Problem> {
    let message = door.desk.store.load(id).await?.ok_or_else(Problem::not_found)?;
    let here = match (face, &message.kind) {
        (Face::Verifications, Kind::Code { .. }) | (Face::Messages, Kind::Text) => true,
        (Face::Verifications, Kind::Text) | (Face::Messages, Kind::Code { .. }) => false,
        (Face::Trace, Kind::Code { .. } | Kind::Text) => true,
    };
    if here && message.tenant == caller.tenant { Ok(message) } else { Err(Problem::not_found()) }
}

/// The same for what acts on a code: one that was published while an equal one was alive never went out, and whoever holds its
/// id holds the code of the one that did. So it was with a request that came twice while the store was away.
pub(crate) async fn find_sent(door: &Door, caller: &Caller, id: MessageId) -> Result<Message, Problem> {
    let message = find(door, caller, Face::Verifications, id).await?;
    if message.failure() != Some(Reason::Duplicate) {
        return Ok(message);
    }
    let journal = door.desk.store.journal(id).await?;
    let of = journal.iter().find_map(|line| if let Note::Duplicate { of } = line.note { Some(of) } else { None });
    let Some(of) = of else { return Ok(message) };
    match find(door, caller, Face::Verifications, of).await {
        Ok(sent) if sent.purpose == message.purpose && sent.number_tag == message.number_tag => Ok(sent),
        // Its key was another request's.
        Ok(_) => Ok(message),
        Err(problem) if problem.status == StatusCode::NOT_FOUND => Ok(message),
        Err(problem) => Err(problem),
    }
}
