//! Puts a leg into words: opens what is sealed, derives the code, renders the text. The code lives only from here to the call.

use otodoke_common::code::{CodeError, CodeFields, CodeKeys};
use otodoke_common::leg::{Channel, Leg};
use otodoke_common::message::{Kind, Message, Person};
use otodoke_common::outcome::{Answer, Class, Refusal, Scope};
use otodoke_common::provider::{Question, SendContent, SendRequest};
use otodoke_common::route::{Route, RouteTable};
use otodoke_common::seal::Vault;
use otodoke_common::text::{self, Counting, RenderInput, Templates, lint};
use otodoke_common::time::Timestamp;

/// A text that goes out so soon says the whole life of its code, which people know: nobody reads "4 minutes" of five.
const PROMPT_MS: u64 = 15_000;

/// What putting legs into words needs.
pub(crate) struct Words<'a> {
    pub(crate) vault: &'a Vault,
    pub(crate) codes: &'a CodeKeys,
    pub(crate) templates: &'a Templates,
    pub(crate) routes: &'a RouteTable,
}

/// Why a leg cannot be sent at all.
pub(crate) enum Unsendable {
    /// The root of its code was revoked.
    Revoked,
    /// Refused by ourselves, with a reason for the journal.
    Refused(Answer),
}

impl<'a> Words<'a> {
    pub(crate) fn request(&self, message: &Message, leg: &Leg, now: Timestamp) -> Result<SendRequest, Unsendable> {
        let person = self.vault.open(message).map_err(|_| refused("the sealed part cannot be opened"))?;
        let content = match leg.channel {
            Channel::Voice => SendContent::Call,
            Channel::Sms => SendContent::Text(self.fitting(message, leg, &person)?),
        };
        let left_s = message.useful_until.since_ms(now) / 1_000;
        Ok(SendRequest {
            id: message.id,
            leg: leg.number,
            our_reference: our_reference(message, leg),
            tag: self.vault.leg_tag(message.id, leg.number),
            to: person.to,
            sender: leg.sender.clone(),
            locale: message.locale,
            content,
            validity_s: u32::try_from(left_s).unwrap_or(u32::MAX),
        })
    }

    pub(crate) fn question(&self, message: &Message, leg: &Leg, now: Timestamp) -> Option<Question> {
        let person = self.vault.open(message).ok()?;
        Some(Question {
            id: message.id,
            leg: leg.number,
            our_reference: our_reference(message, leg),
            reference: leg.reference.clone(),
            to: person.to,
            started_at: leg.started_at,
            now,
        })
    }

    /// How many segments the text of this leg takes. One that cannot be written is told where it is sent.
    pub(crate) fn segments(&self, message: &Message, leg: &Leg) -> u32 {
        let person = self.vault.open(message).ok();
        let text = person.and_then(|person| self.fitting(message, leg, &person).ok());
        text.map_or(1, |text| self.count(leg, &text))
    }

    /// As its provider counts.
    pub(crate) fn count(&self, leg: &Leg, text: &str) -> u32 {
        text::segments(text, self.route(leg).map_or(Counting::Standard, |route| route.counting)).count
    }

    pub(crate) fn route(&self, leg: &Leg) -> Option<&'a Route> {
        self.routes.routes.iter().find(|route| route.id == leg.route)
    }

    fn text(&self, message: &Message, leg: &Leg, person: &Person, useful_ms: u64) -> Result<String, Unsendable> {
        let Kind::Code { length, kid, template, domain } = &message.kind else {
            return person.text.clone().ok_or_else(|| refused("a text without its words"));
        };
        let fields = CodeFields {
            tenant: &message.tenant,
            id: message.id,
            accepted_at: message.accepted_at,
            number: &person.to,
            transaction: person.transaction.as_ref(),
        };
        let code = self.codes.derive(kid, &fields, *length).map_err(|error| match error {
            CodeError::Revoked { .. } => Unsendable::Revoked,
            CodeError::NotLooked { .. } | CodeError::UnknownKid { .. } => not_here(&error),
            CodeError::Length { .. } => refused("a code of that length cannot be derived"),
        })?;
        let origin_line = self.route(leg).is_some_and(|route| route.origin_line);
        let input = RenderInput {
            template,
            locale: message.locale,
            purpose: message.purpose,
            code: code.digits(),
            useful_ms,
            transaction: person.transaction.as_ref(),
            origin: domain.as_deref().filter(|_| origin_line),
        };
        self.templates.render(&input).map_err(|_| refused("the template cannot be rendered"))
    }

    /// A text that goes out later says how long its code is still valid, unless only the words for its whole life fit: those
    /// are what was accepted.
    fn fitting(&self, message: &Message, leg: &Leg, person: &Person) -> Result<String, Unsendable> {
        let whole_ms = message.useful_until.since_ms(message.accepted_at);
        let left_ms = message.useful_until.since_ms(leg.started_at);
        if left_ms + PROMPT_MS >= whole_ms {
            return self.fitting_for(message, leg, person, whole_ms);
        }
        let fits = self.fitting_for(message, leg, person, left_ms);
        fits.or_else(|_| self.fitting_for(message, leg, person, whole_ms))
    }

    /// Accepted was what fits some route; this one may take less. Another may take it.
    fn fitting_for(&self, message: &Message, leg: &Leg, person: &Person, useful_ms: u64) -> Result<String, Unsendable> {
        let text = self.text(message, leg, person, useful_ms)?;
        let (counting, most) =
            self.route(leg).map_or((Counting::Standard, u32::MAX), |route| (route.counting, route.segments_max));
        match lint(&text, message.purpose, person.transaction.as_ref(), counting, most) {
            Ok(()) => Ok(text),
            Err(error) => Err(refused(&error.to_string())),
        }
    }
}

/// What we call a leg towards its provider: the same for a repeat, so that a provider can dedupe on it.
fn our_reference(message: &Message, leg: &Leg) -> String {
    format!("{}.{}", message.id, leg.number)
}

/// Nothing goes out from a process without the root; another has it.
fn not_here(why: &CodeError) -> Unsendable {
    Unsendable::Refused(Answer::NotSent { why: why.to_string() })
}

fn refused(why: &str) -> Unsendable {
    let refusal = Refusal { class: Class::Content, scope: Scope::Message, code: why.to_owned(), retry_after_ms: None };
    Unsendable::Refused(Answer::Refused(refusal))
}
