//! A provider that does what the body of a webhook says, for a bed whose door sends and asks nothing.

use async_trait::async_trait;
use otodoke_common::leg::{Abilities, Channel, ProviderId};
use otodoke_common::outcome::{About, Answer, Proof, Report, ReportStatus};
use otodoke_common::provider::{
    AskError, CallMoment, Provider, Question, SendRequest, Voice, WebhookReading, WebhookReply, WebhookRequest,
};
use otodoke_common::speech::{Part, Speech, Then};
use tokio::sync::mpsc;

/// A poke that anybody could send.
pub(in crate::tests) const UNPROVEN: &str = "unproven";

pub(super) struct Scripted {
    pub(super) id: ProviderId,
    /// References of the calls that were ended.
    pub(super) calls: mpsc::UnboundedSender<String>,
}

#[async_trait]
impl Provider for Scripted {
    fn id(&self) -> &ProviderId {
        &self.id
    }

    fn channel(&self) -> Channel {
        Channel::Voice
    }

    fn abilities(&self) -> Abilities {
        Abilities::default()
    }

    async fn send(&self, _: &SendRequest) -> Answer {
        panic!("the door sends nothing")
    }

    async fn ask(&self, _: &Question) -> Result<Vec<Report>, AskError> {
        panic!("the door asks nothing")
    }

    fn read_webhook(&self, request: &WebhookRequest<'_>) -> WebhookReading {
        let proof = match request.header("x-proof") {
            Some(UNPROVEN) => Proof::Nothing,
            Some(url) if url == request.url => Proof::Signature,
            Some(_) | None => {
                return WebhookReading::Rejected { status: 403, why: "the signature does not match" };
            }
        };
        let text = std::str::from_utf8(request.body).expect("tests send text");
        let report = |reference: &str| Report {
            provider: self.id.clone(),
            about: About::Reference(reference.to_owned()),
            status: ReportStatus::Delivered,
            proof,
            at: request.now,
            happened_at: None,
        };
        let reports = text.split_whitespace().map(report).collect();
        let body = format!("<taken tag=\"{}\"/>", request.tag.unwrap_or("none"));
        WebhookReading::Reports { reports, reply: WebhookReply { status: 200, content_type: "text/xml", body } }
    }

    fn voice(&self) -> Option<&dyn Voice> {
        Some(self)
    }
}

#[async_trait]
impl Voice for Scripted {
    async fn hang_up(&self, reference: &str) {
        self.calls.send(reference.to_owned()).expect("the bed listens");
    }

    fn read_call(&self, request: &WebhookRequest<'_>) -> Option<CallMoment> {
        let proven = request.header("x-proof") == Some(request.url);
        let moment = match request.body {
            b"answered" => CallMoment::Answered,
            b"silence" => CallMoment::Pressed(None),
            [digit @ b'0'..=b'9'] => CallMoment::Pressed(Some(digit - b'0')),
            _ => return None,
        };
        proven.then_some(moment)
    }

    fn speak(&self, speech: &Speech, next_url: &str) -> WebhookReply {
        let words: Vec<&str> = speech
            .parts
            .iter()
            .filter_map(|part| match part {
                Part::Say(words) => Some(words.as_str()),
                Part::PauseMs(_) => None,
            })
            .collect();
        let then = match speech.then {
            Then::Listen { .. } => next_url,
            Then::HangUp => "hang up",
        };
        WebhookReply { status: 200, content_type: "text/xml", body: format!("{} | {then}", words.join(" ")) }
    }
}
