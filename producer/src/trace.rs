//! `/v1/trace/{id}`: everything that happened to a message, as sentences for people and fields for programs.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use otodoke_common::lifecycle::{Hold, Note, Verdict};
use otodoke_common::message::{CancelledBy, End, Furthest, Message};
use otodoke_common::outcome::Class;
use otodoke_common::route::PassedOver;
use otodoke_common::store::JournalEntry;

use crate::answer::{Trace, TraceLine};
use crate::documented::{Busy, KeyRefused, NotFound};
use crate::door::Door;
use crate::extract::{Caller, Id};
use crate::find::{self, Face};
use crate::problem::Problem;
use crate::view;

/// Why it did, or did not, arrive.
#[utoipa::path(
    get, path = "/v1/trace/{id}", tag = "trace", operation_id = "read_trace",
    params(("id" = String, Path)),
    responses((status = 200, body = Trace), KeyRefused, NotFound, Busy),
)]
pub(crate) async fn read(State(door): State<Arc<Door>>, caller: Caller, Id(id): Id) -> Result<Json<Trace>, Problem> {
    let message = find::find(&door, &caller, Face::Trace, id).await?;
    let journal = door.desk.store.journal(id).await?;
    let journal = journal.iter().map(|entry| line(&message, entry)).collect();
    Ok(Json(Trace { message: view::of(&door, &message), journal }))
}

fn line(message: &Message, entry: &JournalEntry) -> TraceLine {
    TraceLine {
        at: entry.at.rfc3339(),
        after_ms: entry.at.since_ms(message.accepted_at),
        sentence: sentence(&entry.note),
        fields: serde_json::to_value(&entry.note).expect("a note has string keys and no failing fields"),
    }
}

/// One note as a person would say it.
pub fn sentence(note: &Note) -> String {
    match note {
        Note::Accepted { expected_wait_ms } => format!("Accepted; a wait of {expected_wait_ms} ms was expected."),
        Note::Refused { code, field: Some(field) } => format!("Published, and refused: {code} (`{field}`)."),
        Note::Refused { code, field: None } => format!("Published, and refused: {code}."),
        Note::Duplicate { of } => format!("Published while an equal message was alive: {of} goes on instead."),
        Note::Joined { .. } => "Asked for again while it was alive: joined.".to_owned(),
        Note::LegBegan { leg, channel, route, trigger, passed_over } => {
            let (channel, cause) = (channel.word(), trigger.word());
            format!("Leg {leg} began: {channel} by route {route} (cause: {cause}{}).", passed(passed_over))
        }
        Note::Answered { leg, outcome, class, code } => {
            format!("The provider answered leg {leg}: {}{}.", outcome.word(), because(*class, code.as_deref()))
        }
        Note::Receipt { leg, status, class, code, .. } => {
            format!("A receipt for leg {leg} says {}{}.", status.word(), because(*class, code.as_deref()))
        }
        Note::Asked { leg } => format!("The provider was asked about leg {leg}."),
        Note::Repeated { leg } => format!("The request of leg {leg} was repeated: the provider dedupes it."),
        Note::Overdue { leg } => format!("The receipt of leg {leg} is overdue."),
        Note::HeldBack { leg } => {
            format!("Leg {leg} is overdue, but so are others of its route: nothing more was sent for it.")
        }
        Note::DuplicatePossible { leg, cause } => {
            format!(
                "With leg {leg} a second text may reach the person: an earlier one may still arrive ({}).",
                cause.word()
            )
        }
        Note::Waiting { until, why } => {
            let why = why.map_or("no fitting route is free", Hold::sentence);
            format!("Waiting, at first until {}: {why}.", until.rfc3339())
        }
        Note::OverLimit { cap } => {
            format!("No leg began: the tenant's `{}` is used up for now.", cap.word())
        }
        Note::GuessPaid { left } => format!("A guess was paid; {left} left."),
        Note::Guessed { verdict } => guessed(*verdict).to_owned(),
        Note::ResendAsked { leg: true } => "A resend was asked for: a new leg follows.".to_owned(),
        Note::ResendAsked { leg: false } => "A resend was asked for: no new leg follows, for one is on its way or nothing is left that could reach the person.".to_owned(),
        Note::CallAnswered { leg } => format!("The call of leg {leg} was answered."),
        Note::Pressed { leg, right: true } => format!("The announced digit was pressed in the call of leg {leg}."),
        Note::Pressed { leg, right: false } => format!("Not the announced digit in the call of leg {leg}."),
        Note::Spoken { leg } => format!("The call of leg {leg} spoke its content."),
        Note::GaveUp { reason } => format!("No leg is left to try: {}.", reason.word()),
        Note::Ended { end } => ended(end),
        Note::ArrivedLate { leg, happened_at } => {
            let at = happened_at.map_or_else(String::new, |at| format!(", at {}", at.rfc3339()));
            format!("Leg {leg} was on the handset after its deadline{at}.")
        }
        Note::Late { what } => format!("Too late to change anything: {what}."),
        Note::Erased => "The number and everything personal was erased.".to_owned(),
    }
}

/// Those that the settings put before it.
fn passed(over: &[PassedOver]) -> String {
    over.iter().map(|PassedOver { route, why }| format!("; not by {route}: {}", why.sentence())).collect()
}

fn because(class: Option<Class>, code: Option<&str>) -> String {
    match (class, code) {
        (Some(class), Some(code)) => format!(", {} ({code})", class.word()),
        (Some(class), None) => format!(", {}", class.word()),
        (None, Some(code)) => format!(" ({code})"),
        (None, None) => String::new(),
    }
}

const fn guessed(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Right => "The code was right.",
        Verdict::Wrong => "The code was wrong.",
        Verdict::TransactionChanged => "The transaction was not the one that was sent.",
    }
}

fn ended(end: &End) -> String {
    match end {
        End::Delivered => "Ended: delivered.".to_owned(),
        End::Verified => "Ended: verified.".to_owned(),
        End::Failed { reason } => format!("Ended: failed, {}.", reason.word()),
        End::Expired { furthest } => match furthest {
            Furthest::NeverSent => "Ended: expired before anything was sent.".to_owned(),
            Furthest::Submitted => "Ended: expired after a provider took it.".to_owned(),
            Furthest::Delivered => "Ended: expired after it was delivered.".to_owned(),
            Furthest::GaveUp { reason } => format!("Ended: expired after it failed, {}.", reason.word()),
        },
        End::Cancelled { by: CancelledBy::Caller } => "Ended: cancelled by the caller.".to_owned(),
        End::Cancelled { by: CancelledBy::Operator } => "Ended: cancelled by an operator.".to_owned(),
    }
}
