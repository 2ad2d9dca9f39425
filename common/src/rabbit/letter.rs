//! A body with what stands on it, as it is published: by itself or, where it may, together with others.

use lapin::BasicProperties;

use super::batch::{self, Part};
use super::envelope::{self, Identity};
use crate::message::MessageId;
use crate::trace::TraceContext;

#[derive(Clone)]
pub(super) enum Letter {
    /// Of ours: may travel with others of its queue.
    Part(Part),
    /// Under an envelope of its own: travels alone.
    Whole { properties: Box<BasicProperties>, body: Vec<u8> },
}

impl Letter {
    /// Several parts as one, under the first one's id and time.
    pub(super) fn of_batch(identity: &Identity, parts: &[Part]) -> Self {
        let first = parts.first().expect("a batch has parts");
        Self::whole(envelope::of_batch(identity, first), batch::pack(parts))
    }

    pub(super) fn whole(properties: BasicProperties, body: Vec<u8>) -> Self {
        Self::Whole { properties: Box::new(properties), body }
    }

    /// `None` where its publisher gave it none, or not one of ours.
    pub(super) fn id(&self) -> Option<MessageId> {
        match self {
            Self::Part(part) => Some(part.id),
            Self::Whole { properties, .. } => MessageId::parse(envelope::message_id(properties).as_str()),
        }
    }

    pub(super) fn body(&self) -> &[u8] {
        match self {
            Self::Part(part) => &part.body,
            Self::Whole { body, .. } => body,
        }
    }

    pub(super) fn trace(&self) -> Option<TraceContext> {
        match self {
            Self::Part(part) => part.trace.clone(),
            Self::Whole { properties, .. } => envelope::trace(properties),
        }
    }

    /// As it travels alone: a part looks as if it had never been one.
    pub(super) fn alone(self, identity: &Identity) -> (BasicProperties, Vec<u8>) {
        match self {
            Self::Part(part) => (envelope::of(identity, &part), part.body),
            Self::Whole { properties, body } => (*properties, body),
        }
    }
}
