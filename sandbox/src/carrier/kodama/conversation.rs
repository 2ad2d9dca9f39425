//! What happens while a call is answered: the carrier fetches and performs documents, a person or a machine hears them, and
//! the transcript keeps what was said and pressed.

use std::sync::Arc;
use std::time::Duration;

use super::call_fields;
use super::person::announced_digit;
use super::twiml::{self, Gather, Verb};
use crate::call::{CallEntry, CallStatus, Instructions};
use crate::carrier::twilio::{fields, signed};
use crate::exchange::{Exchange, pause};
use crate::scenario::AnsweredBy;

/// Documents one call may fetch.
const DOCUMENTS_MAX: usize = 10;
/// The tone in the machine's recorded greeting: a menu key, played whatever is announced.
const RECORDED_TONE: char = '1';

/// Talks until the documents end, or until one cannot be had.
pub(super) async fn hold(exchange: &Arc<Exchange>, entry: &Arc<CallEntry>, answered_by: AnsweredBy) {
    let mut ear = Ear::Listening;
    if answered_by == AnsweredBy::Voicemail {
        exchange.book.hear(entry, "[a recorded greeting]");
    }
    let mut conversation = Conversation { exchange, entry, answered_by, ear: &mut ear };
    let mut next = match &entry.call.instructions {
        Instructions::Url(url) => Some(Step { url: url.clone(), digits: None }),
        Instructions::Twiml(twiml) => conversation.perform(twiml, "").await,
    };
    for _ in 0..DOCUMENTS_MAX {
        let Some(step) = next else { return };
        let Some(document) = conversation.fetch(&step).await else {
            exchange.book.hear(entry, "[an application error has occurred: nothing to say was received]");
            return;
        };
        next = conversation.perform(&document, &step.url).await;
    }
    exchange.book.hear(entry, "[the call was ended: too many documents]");
}

/// Where the next document comes from.
struct Step {
    url: String,
    /// What was pressed; empty when nothing was. `None` for the first document.
    digits: Option<String>,
}

/// Whether whoever answered still has something to press.
#[derive(PartialEq, Eq)]
enum Ear {
    Listening,
    Pressed,
}

struct Conversation<'a> {
    exchange: &'a Arc<Exchange>,
    entry: &'a Arc<CallEntry>,
    answered_by: AnsweredBy,
    ear: &'a mut Ear,
}

impl Conversation<'_> {
    async fn fetch(&self, step: &Step) -> Option<String> {
        let mut form = call_fields(self.exchange, &self.entry.call, CallStatus::InProgress);
        if let Some(digits) = &step.digits {
            form.extend(fields([("Digits", digits), ("msg", "Gather End")]));
        }
        let reply = self.exchange.courier.post(&signed(&self.exchange.secrets.kodama, &step.url, &form)).await?;
        if reply.is_success() { String::from_utf8(reply.body).ok() } else { None }
    }

    /// Performs one document; says where the next one is, if there is one.
    async fn perform(&mut self, document: &str, url: &str) -> Option<Step> {
        let verbs = match twiml::read(document) {
            Ok(verbs) => verbs,
            Err(error) => {
                self.exchange.book.hear(self.entry, &format!("[an application error has occurred: {error}]"));
                return None;
            }
        };
        for verb in verbs {
            match verb {
                Verb::Say { text, times } => self.hear(&text, times),
                Verb::Pause | Verb::Redirect => {}
                Verb::Hangup => return None,
                Verb::Gather(gather) => {
                    if let Some(digits) = self.gather(&gather).await {
                        let action = gather.action.as_deref().unwrap_or(url);
                        return Some(Step { url: resolve(url, action)?, digits: Some(digits) });
                    }
                }
            }
        }
        None
    }

    fn hear(&self, text: &str, times: u32) {
        for _ in 0..times {
            self.exchange.book.hear(self.entry, text);
        }
    }

    /// Plays the prompts and waits for a press. `None`: nothing was pressed and the document goes on.
    async fn gather(&mut self, gather: &Gather) -> Option<String> {
        let mut heard = String::new();
        for prompt in &gather.prompts {
            if let Verb::Say { text, times } = prompt {
                self.hear(text, *times);
                heard.push_str(text);
                heard.push(' ');
            }
        }
        let pressed = match (self.answered_by, &self.ear) {
            (_, Ear::Pressed) => None,
            (AnsweredBy::Voicemail, Ear::Listening) => Some(RECORDED_TONE),
            (AnsweredBy::Person, Ear::Listening) => announced_digit(&heard),
        };
        let Some(digit) = pressed.filter(|_| gather.digits_max.is_none_or(|most| most >= 1)) else {
            let silence = Duration::from_millis(self.exchange.waits.silence_ms);
            tokio::time::sleep(silence.min(Duration::from_secs(gather.timeout_s))).await;
            return gather.action_on_empty.then(String::new);
        };
        *self.ear = Ear::Pressed;
        if self.answered_by == AnsweredBy::Person {
            pause(self.exchange.waits.press_ms).await;
            self.exchange.book.hear(self.entry, &format!("[presses {digit}]"));
        } else {
            self.exchange.book.hear(self.entry, &format!("[a recorded tone: {digit}]"));
        }
        Some(digit.to_string())
    }
}

/// An action may be given relative to the document it stands in.
fn resolve(base: &str, action: &str) -> Option<String> {
    match reqwest::Url::parse(action) {
        Ok(url) if url.has_host() => Some(action.to_owned()),
        Ok(_) | Err(_) => reqwest::Url::parse(base).ok()?.join(action).ok().map(String::from),
    }
}
