//! A message by its id, for the tenant that owns it; everybody else is told that there is none.

use otodoke_common::message::{Kind, Message, MessageId};

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
