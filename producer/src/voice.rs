//! `/voice/...`: what a call shall say, asked by the provider when it is answered or a digit was pressed.
//!
//! Whatever goes wrong after the provider has proven itself, the call says goodbye and never the code.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use otodoke_common::code::Code;
use otodoke_common::desk::{Applied, Routing};
use otodoke_common::leg::{LegNumber, ProviderId};
use otodoke_common::lifecycle::{Event, Utterance};
use otodoke_common::message::{Kind, Locale, Message, MessageId, Person};
use otodoke_common::metrics::ReceiptMatch;
use otodoke_common::provider::CallMoment;
use otodoke_common::speech::{self, Speech, Subject};

use crate::check::{NoCode, sent_code};
use crate::documented::{Busy, NotFound, WebhookRefused};
use crate::door::Door;
use crate::effects;
use crate::extract::Known;
use crate::problem::Problem;
use crate::webhook::{self, Received};

/// What to say in a call.
#[utoipa::path(
    post, path = "/voice/{provider}/{leg}/{tag}", tag = "providers",
    params(("provider" = String, Path), ("leg" = u8, Path), ("tag" = String, Path)),
    responses((status = 200, description = "the words, in the vendor's own form"), WebhookRefused, NotFound, Busy),
    security(()),
)]
pub(crate) async fn speak(
    State(door): State<Arc<Door>>,
    Known { id, provider, path }: Known<(String, LegNumber, String)>,
    received: Received,
) -> Result<Response, Problem> {
    let (_, leg, tag) = path;
    let voice = provider.voice().ok_or_else(Problem::not_found)?;
    let about = door.desk.vault.read_leg_tag(&tag).filter(|(_, tagged)| *tagged == leg);
    let moment = received.read(&door, Some(&tag), |request| voice.read_call(request));
    let (Some((message, _)), Some(moment)) = (about, moment) else {
        door.desk.metrics.receipt_match(&id, ReceiptMatch::Forged);
        let detail = "this request does not prove that it is about a call of ours";
        return Err(Problem::new(StatusCode::FORBIDDEN, "webhook_refused", detail));
    };
    let speech = speech(&door, message, leg, &id, moment).await;
    let next_url = format!("{}/voice/{id}/{leg}/{tag}", door.public_url.trim_end_matches('/'));
    Ok(webhook::reply(voice.speak(&speech, &next_url)))
}

async fn speech(door: &Door, id: MessageId, leg: LegNumber, provider: &ProviderId, moment: CallMoment) -> Speech {
    let event = match moment {
        CallMoment::Answered => Event::CallAnswered { leg },
        CallMoment::Pressed(digit) => Event::Pressed { leg, digit },
    };
    let message = match door.desk.store.load(id).await {
        Ok(Some(message)) if message.leg(leg).is_some_and(|leg| leg.provider == *provider) => message,
        Ok(_) => return speech::goodbye(Locale::En),
        Err(error) => {
            tracing::warn!(%id, leg, %error, "a call asks what to say and the store is away: it says goodbye");
            return speech::goodbye(Locale::En);
        }
    };
    let locale = message.locale;
    // Before the step: what could not be said must not count as spoken.
    let content = match Content::of(door, &message) {
        Ok(content) => content,
        Err(why) => {
            if matches!(why, NoCode::Revoked) && message.is_live() {
                end_void(door, message).await;
            }
            return speech::goodbye(locale);
        }
    };
    let step = match door.desk.apply_to(message, &event, &Routing::ELSEWHERE, &[]).await {
        Ok(Applied::Done(step)) => step,
        Ok(Applied::Missing | Applied::OverLimit { .. }) => return speech::goodbye(locale),
        Err(error) => {
            tracing::warn!(%id, leg, %error, "a call could not be moved on: it says goodbye");
            return speech::goodbye(locale);
        }
    };
    match effects::perform(door, &step).await {
        Some(utterance) => content.words(&step.message, utterance),
        None => speech::goodbye(locale),
    }
}

async fn end_void(door: &Door, message: Message) {
    let id = message.id;
    if let Err(error) = effects::end_void(door, message).await {
        tracing::warn!(%id, %error, "a message whose root was revoked could not be ended");
    }
}

/// All that a call may come to say.
struct Content {
    person: Person,
    /// Of a text none.
    code: Option<Code>,
}

impl Content {
    fn of(door: &Door, message: &Message) -> Result<Self, NoCode> {
        let person = door.desk.vault.open(message).map_err(|_| NoCode::Now(Problem::unavailable()))?;
        let code = if message.is_code() { Some(sent_code(door, message, &person)?) } else { None };
        Ok(Self { person, code })
    }

    fn words(&self, message: &Message, utterance: Utterance) -> Speech {
        let (locale, payment) = (message.locale, self.person.transaction.as_ref());
        match utterance {
            Utterance::Announce { digit } => {
                let subject = match (&message.kind, payment) {
                    (Kind::Text, _) => Subject::Text,
                    (Kind::Code { .. }, Some(payment)) => Subject::Payment(payment),
                    (Kind::Code { .. }, None) => Subject::Code,
                };
                speech::announce(locale, digit, subject)
            }
            Utterance::Content => match (&self.code, &self.person.text) {
                (Some(code), _) => speech::speak_code(locale, code.digits(), payment),
                (None, Some(text)) => speech::speak_text(locale, text),
                (None, None) => speech::goodbye(locale),
            },
            Utterance::WrongDigit => speech::wrong_digit(locale),
            Utterance::Goodbye => speech::goodbye(locale),
        }
    }
}
