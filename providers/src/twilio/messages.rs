//! Texts over Twilio: `POST Messages.json`, its status callbacks, `GET Messages/{Sid}.json`.

use std::sync::Arc;

use async_trait::async_trait;
use otodoke_common::leg::{Abilities, Channel, ProviderId};
use otodoke_common::outcome::{Answer, Class, Report, ReportStatus, Scope};
use otodoke_common::provider::{
    AskError, Provider, Question, SendContent, SendRequest, WebhookReading, WebhookRequest,
};
use otodoke_common::seal::Vault;

use super::{Account, Told, errors, read_answer};
use crate::report::{failed, refused};
use crate::settings::{ProviderError, ProviderSettings};

/// `ValidityPeriod` as the API allows it.
const VALIDITY_S_MIN: u32 = 1;
const VALIDITY_S_MAX: u32 = 36_000;

pub(crate) struct Messages(Account);

impl Messages {
    pub(crate) fn new(settings: &ProviderSettings, vault: Arc<Vault>) -> Result<Self, ProviderError> {
        Account::new(settings, vault).map(Self)
    }
}

#[async_trait]
impl Provider for Messages {
    fn id(&self) -> &ProviderId {
        &self.0.id
    }

    fn channel(&self) -> Channel {
        Channel::Sms
    }

    fn abilities(&self) -> Abilities {
        Abilities { dedupes: false, asks: true, asks_by_our_id: false, validity: true }
    }

    async fn send(&self, request: &SendRequest) -> Answer {
        let SendContent::Text(text) = &request.content else {
            return refused((Class::Config, Scope::Message), "carries texts only");
        };
        let form = [
            ("To", request.to.as_e164()),
            (sender_field(&request.sender), &request.sender),
            ("Body", text),
            ("StatusCallback", &self.0.receipts_url(request)),
            ("ValidityPeriod", &request.validity_s.clamp(VALIDITY_S_MIN, VALIDITY_S_MAX).to_string()),
        ];
        match self.0.post("Messages", None, &form).await {
            Ok(reply) => read_answer(&reply, read_status),
            Err(lost) => lost.into(),
        }
    }

    async fn ask(&self, question: &Question) -> Result<Vec<Report>, AskError> {
        self.0.ask("Messages", question, read_status).await
    }

    fn read_webhook(&self, request: &WebhookRequest<'_>) -> WebhookReading {
        self.0.read_callback(request, "Message", read_status)
    }
}

/// Messaging services are named MG and 32 hex digits; all else is a number or a name to send from.
fn sender_field(sender: &str) -> &'static str {
    let service = sender.len() == 34 && sender.starts_with("MG");
    if service { "MessagingServiceSid" } else { "From" }
}

/// `sent` means that the nearest carrier on the way accepted it, not the handset. `None`: words of inbound messages, and new ones.
fn read_status(told: Told<'_>) -> Option<ReportStatus> {
    let Told { word, error, sid, .. } = told;
    Some(match word {
        "accepted" | "scheduled" | "queued" | "sending" => {
            ReportStatus::Underway { reference: sid, at_operator: false }
        }
        "sent" => ReportStatus::Underway { reference: sid, at_operator: true },
        "delivered" | "read" => ReportStatus::Delivered,
        "undelivered" | "failed" => errors::failed(error, word, (Class::Unknown, Scope::Message)),
        // Taken back before it left, by somebody with access to the account.
        "canceled" => failed((Class::NotSent, Scope::Message), word),
        _ => return None,
    })
}
