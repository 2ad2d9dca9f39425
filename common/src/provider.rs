//! The seam to those who carry messages. One vendor, one file in `providers`; scripted ones in the tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::leg::{Abilities, Channel, LegNumber, ProviderId};
use crate::message::{Locale, MessageId};
use crate::outcome::{Answer, Report};
use crate::phone::PhoneNumber;
use crate::seal::LegTag;
use crate::speech::Speech;
use crate::text::Counting;
use crate::time::Timestamp;

#[async_trait]
pub trait Provider: Send + Sync + 'static {
    fn id(&self) -> &ProviderId;
    fn channel(&self) -> Channel;
    fn abilities(&self) -> Abilities;

    /// How it counts the segments that it bills.
    fn counting(&self) -> Counting {
        Counting::Standard
    }

    /// One request. Returns within the provider's timeout; sorts every failure into "may it be out already?".
    async fn send(&self, request: &SendRequest) -> Answer;

    /// What became of a leg. An empty list means no news. Only where `abilities().asks`.
    async fn ask(&self, question: &Question) -> Result<Vec<Report>, AskError>;

    /// Reads what the provider posted to us: authenticates, translates, and says what to reply once it is durable.
    fn read_webhook(&self, request: &WebhookRequest<'_>) -> WebhookReading;

    /// Whether what it proves may name a leg by the provider's reference alone. Then it can come before that reference is
    /// known here, and wait in the inbox: whoever saves the reference looks there.
    fn proves_by_reference(&self) -> bool {
        true
    }

    /// What only a provider of channel voice can do; `None` on channel sms.
    fn voice(&self) -> Option<&dyn Voice> {
        None
    }
}

/// The part of a provider that carries calls.
#[async_trait]
pub trait Voice: Send + Sync {
    /// Ends a call that was asked for. Best effort: a call that is answered anyway says goodbye.
    async fn hang_up(&self, reference: &str);

    /// Reads what the provider asks when a call is answered or a digit was pressed. `None`: not authentic.
    fn read_call(&self, request: &WebhookRequest<'_>) -> Option<CallMoment>;

    /// What to say, in the vendor's own form. `next_url` is where the pressed digit goes.
    fn speak(&self, speech: &Speech, next_url: &str) -> WebhookReply;
}

/// The providers of one process, by the names that routes use.
pub type Registry = BTreeMap<ProviderId, Arc<dyn Provider>>;

#[derive(Clone)]
pub struct SendRequest {
    pub id: MessageId,
    pub leg: LegNumber,
    /// Ours, the same for a repeat of this leg: the vendor's client reference, name or message id.
    pub our_reference: String,
    pub tag: LegTag,
    pub to: PhoneNumber,
    pub sender: String,
    pub locale: Locale,
    pub content: SendContent,
    /// The rest of the message's useful time, whole seconds, rounded down, for providers that take a validity.
    pub validity_s: u32,
}

#[derive(Clone)]
pub enum SendContent {
    Text(String),
    /// The words are fetched from us when the call is answered.
    Call,
}

#[derive(Clone, Debug)]
pub struct Question {
    pub id: MessageId,
    pub leg: LegNumber,
    pub our_reference: String,
    /// What the provider called it, where we learned that.
    pub reference: Option<String>,
    pub to: PhoneNumber,
    pub started_at: Timestamp,
    /// When it is asked: the time of the reports that come back.
    pub now: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{provider} could not be asked: {why}")]
pub struct AskError {
    pub provider: ProviderId,
    pub why: String,
}

/// A request as the door received it. Not `Debug`: its body may hold a number.
#[derive(Clone, Copy)]
pub struct WebhookRequest<'a> {
    /// The URL as the provider was given it: our public URL and the path with its query.
    pub url: &'a str,
    /// The tag of the path, where there is one.
    pub tag: Option<&'a str>,
    /// Names in lower case.
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
    pub now: Timestamp,
}

impl WebhookRequest<'_> {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookReading {
    /// Publish the reports, then reply.
    Reports { reports: Vec<Report>, reply: WebhookReply },
    /// Not authentic or not readable: nothing is kept. `why` is for our log, without personal data.
    Rejected { status: u16, why: &'static str },
}

#[derive(Clone, PartialEq, Eq)]
pub struct WebhookReply {
    pub status: u16,
    pub content_type: &'static str,
    pub body: String,
}

impl std::fmt::Debug for WebhookReply {
    /// Without the body: to a call, it speaks the code.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookReply")
            .field("status", &self.status)
            .field("content_type", &self.content_type)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallMoment {
    Answered,
    /// `None`: the time for pressing is over, or something that is no digit.
    Pressed(Option<u8>),
}
