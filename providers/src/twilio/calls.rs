//! Calls over Twilio: `POST Calls.json`, its status callback, what it fetches when the call is answered.
//!
//! The words are fetched from us (`Url`), never handed over before. Whether the code was spoken is known to the
//! lifecycle: here the end of a call is always "unanswered", which means nothing once the words were spoken.

use std::sync::Arc;

use async_trait::async_trait;
use otodoke_common::leg::{Abilities, Channel, ProviderId};
use otodoke_common::outcome::{Answer, Class, Report, ReportStatus, Scope};
use otodoke_common::provider::{
    AskError, CallMoment, Provider, Question, SendContent, SendRequest, Voice, WebhookReading, WebhookReply,
    WebhookRequest,
};
use otodoke_common::seal::Vault;
use otodoke_common::speech::Speech;

use super::{Account, Told, errors, read_answer, twiml};
use crate::report::{failed, refused};
use crate::settings::{ProviderError, ProviderSettings};

/// How long the phone rings: half of the vendor's default, for mailboxes answer late.
const RING_S: &str = "30";
/// Longest call: the longest text is spoken twice in half of it, and four hours, the vendor's own limit, cost their price.
const CALL_S_MAX: &str = "600";

pub(crate) struct Calls(Account);

impl Calls {
    pub(crate) fn new(settings: &ProviderSettings, vault: Arc<Vault>) -> Result<Self, ProviderError> {
        Account::new(settings, vault).map(Self)
    }

    /// Where Twilio asks what to say, first and after every digit.
    fn voice_url(&self, request: &SendRequest) -> String {
        let Account { public_url, id, .. } = &self.0;
        format!("{public_url}/voice/{id}/{}/{}", request.leg, request.tag.as_str())
    }
}

#[async_trait]
impl Provider for Calls {
    fn id(&self) -> &ProviderId {
        &self.0.id
    }

    fn channel(&self) -> Channel {
        Channel::Voice
    }

    fn abilities(&self) -> Abilities {
        Abilities { dedupes: false, asks: true, asks_by_our_id: false, validity: false }
    }

    /// Without `MachineDetection`: the digit that a person must press keeps mailboxes out, and detection delays
    /// the first word.
    async fn send(&self, request: &SendRequest) -> Answer {
        if !matches!(request.content, SendContent::Call) {
            return refused((Class::Config, Scope::Message), "carries calls only");
        }
        let form = [
            ("To", request.to.as_e164()),
            ("From", &request.sender),
            ("Url", &self.voice_url(request)),
            ("Method", "POST"),
            ("StatusCallback", &self.0.receipts_url(request)),
            ("StatusCallbackEvent", "completed"),
            ("StatusCallbackMethod", "POST"),
            ("Timeout", RING_S),
            ("TimeLimit", CALL_S_MAX),
            ("Record", "false"),
        ];
        match self.0.post("Calls", None, &form).await {
            Ok(reply) => read_answer(&reply, read_status),
            Err(lost) => lost.into(),
        }
    }

    async fn ask(&self, question: &Question) -> Result<Vec<Report>, AskError> {
        self.0.ask("Calls", question, read_status).await
    }

    fn read_webhook(&self, request: &WebhookRequest<'_>) -> WebhookReading {
        self.0.read_callback(request, "Call", read_status)
    }

    fn voice(&self) -> Option<&dyn Voice> {
        Some(self)
    }
}

#[async_trait]
impl Voice for Calls {
    /// `completed` ends a call that is queued, ringing or in progress. Twice is once: an ended call stays ended.
    async fn hang_up(&self, reference: &str) {
        let provider = &self.0.id;
        match self.0.post("Calls", Some(reference), &[("Status", "completed")]).await {
            Ok(reply) if reply.status.is_success() => {}
            Ok(reply) => {
                let status = reply.status.as_u16();
                tracing::warn!(%provider, status, "a call could not be ended: it says goodbye if it is answered");
            }
            Err(lost) => {
                tracing::warn!(%provider, ?lost, "a call could not be ended: it says goodbye if it is answered");
            }
        }
    }

    /// The first fetch has no `Digits`. After a `Gather` they are always there, and empty when time ran out.
    fn read_call(&self, request: &WebhookRequest<'_>) -> Option<CallMoment> {
        let form = self.0.signed_form(request)?;
        Some(match form.get("Digits").map(str::as_bytes) {
            None => CallMoment::Answered,
            Some([digit @ b'0'..=b'9']) => CallMoment::Pressed(Some(digit - b'0')),
            Some(_) => CallMoment::Pressed(None),
        })
    }

    fn speak(&self, speech: &Speech, next_url: &str) -> WebhookReply {
        WebhookReply { status: 200, content_type: "text/xml", body: twiml::write(speech, next_url) }
    }
}

fn read_status(told: Told<'_>) -> Option<ReportStatus> {
    let Told { word, error, sip, sid } = told;
    Some(match word {
        "queued" | "initiated" | "ringing" | "in-progress" => {
            ReportStatus::Underway { reference: sid, at_operator: false }
        }
        "completed" | "busy" | "no-answer" | "canceled" => failed((Class::Unanswered, Scope::Number), word),
        "failed" => match (error.and_then(errors::meaning), sip) {
            // A network on the way failed, not the number (RFC 3261, section 21.5): another provider's calls may get there.
            (None, Some(sip @ 500..=599)) => failed((Class::NotSent, Scope::Message), format!("sip {sip}")),
            // "Could not be completed as dialled": a number that no call reaches.
            (_, _) => errors::failed(error, word, (Class::Unreceivable, Scope::Number)),
        },
        _ => return None,
    })
}
