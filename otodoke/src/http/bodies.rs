//! Request bodies, from what was typed and from lines of a file. What the values may be is for the door to say.

use std::collections::BTreeMap;

use anyhow::Context;
use otodoke_common::request::strict::{self, ReadError};
use otodoke_producer::answer::Accepted;
use otodoke_producer::body::{CodePurpose, NewText, NewVerification, PayeeBody, TransactionBody, VoiceWhen};
use otodoke_producer::client::{Client, ClientError};
use serde::de::IgnoredAny;

use crate::cli::{Purpose, Send, Transaction, Voice};

/// The body of a POST.
pub(super) enum Body {
    Code(Box<NewVerification>),
    Text(Box<NewText>),
}

impl Body {
    /// A line of a file: with a `text` it is one, else a code.
    pub(super) fn read(line: &str) -> Result<Self, ReadError> {
        let holds_text = serde_json::from_str::<BTreeMap<String, IgnoredAny>>(line);
        if holds_text.is_ok_and(|fields| fields.contains_key("text")) {
            return strict::read(line.as_bytes()).map(Self::Text);
        }
        strict::read(line.as_bytes()).map(Self::Code)
    }

    pub(super) async fn send(&self, client: &Client, key: Option<&str>) -> Result<Accepted, ClientError> {
        match self {
            Self::Code(body) => client.send(body, key).await,
            Self::Text(body) => client.send_text(body, key).await,
        }
    }
}

/// What was typed after `send`.
pub(super) fn of(command: &Send) -> anyhow::Result<Body> {
    let to = command.number.clone().context("a number is missing: `otodoke send NUMBER --purpose login`")?;
    let locale = command.locale.as_deref().map(|word| serde_json::from_value(word.into())).transpose();
    let locale = locale.context("--locale must be ja or en")?;
    let voice = command.voice.map(voice);
    if let Some(text) = command.text.clone() {
        let body = NewText {
            to,
            region: command.region.clone(),
            text,
            purpose: None,
            locale,
            ttl_seconds: command.ttl,
            voice,
            metadata: BTreeMap::new(),
        };
        return Ok(Body::Text(Box::new(body)));
    }
    let purpose = command.purpose.context("--purpose is missing: login, signup or payment")?;
    Ok(Body::Code(Box::new(NewVerification {
        region: command.region.clone(),
        locale,
        code_length: command.code_length,
        ttl_seconds: command.ttl,
        transaction: transaction(&command.transaction),
        template: command.template.clone(),
        domain: command.domain.clone(),
        voice,
        voice_after_seconds: command.voice_after,
        separate: command.separate.then_some(true),
        ..NewVerification::new(to, code_purpose(purpose))
    })))
}

/// Whole or absent: the command line asks for all parts together.
pub(super) fn transaction(typed: &Transaction) -> Option<TransactionBody> {
    let payee = PayeeBody { name: typed.payee_name.clone()?, account: typed.payee_account.clone()? };
    Some(TransactionBody { amount: typed.amount.clone()?, currency: typed.currency.clone()?, payee })
}

const fn code_purpose(purpose: Purpose) -> CodePurpose {
    match purpose {
        Purpose::Login => CodePurpose::Login,
        Purpose::Signup => CodePurpose::Signup,
        Purpose::Payment => CodePurpose::Payment,
    }
}

const fn voice(voice: Voice) -> VoiceWhen {
    match voice {
        Voice::OnFailure => VoiceWhen::OnFailure,
        Voice::OnUnverified => VoiceWhen::OnUnverified,
        Voice::Never => VoiceWhen::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_a_text_is_a_message_and_any_other_a_verification() {
        let kind = |line| match Body::read(line) {
            Ok(Body::Code(_)) => "code",
            Ok(Body::Text(_)) => "text",
            Err(_) => "wrong",
        };
        assert_eq!(kind(r#"{"to": "+819012345678", "purpose": "login"}"#), "code");
        assert_eq!(kind(r#"{"to": "+819012345678", "text": "hello"}"#), "text");
        assert_eq!(kind(r#"{"to": "+819012345678", "purpose": "login", "colour": "red"}"#), "wrong");
        assert_eq!(kind("not JSON"), "wrong");
    }

    #[test]
    fn a_field_that_is_there_twice_is_told_as_the_door_would() {
        let line = r#"{"to": "+819012345678", "to": "+819012345679", "purpose": "login"}"#;
        let Err(error) = Body::read(line) else { unreachable!("which of the two is meant?") };
        assert!(error.to_string().contains("`to`"), "{error}");
    }
}
