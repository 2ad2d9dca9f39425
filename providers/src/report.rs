//! The pieces of a report that every vendor builds alike. What a vendor's words mean is in that vendor's file.

use otodoke_common::leg::ProviderId;
use otodoke_common::outcome::{About, Answer, Class, Proof, Refusal, Report, ReportStatus, Scope};
use otodoke_common::provider::{Question, WebhookReply};
use otodoke_common::time::Timestamp;

/// The longest name a vendor of ours gives: Infobip's message id.
const REFERENCE_BYTES_MAX: usize = 200;

/// What a vendor's code means.
pub(crate) type Meaning = (Class, Scope);

/// A report about the leg that was asked about: nobody else can have answered.
pub(crate) fn asked(
    provider: &ProviderId,
    question: &Question,
    status: ReportStatus,
    happened_at: Option<Timestamp>,
) -> Report {
    Report {
        provider: provider.clone(),
        about: About::Leg { id: question.id, leg: question.leg },
        status,
        proof: Proof::Asked,
        at: question.now,
        happened_at,
    }
}

pub(crate) fn refusal((class, scope): Meaning, code: impl Into<String>) -> Refusal {
    Refusal { class, scope, code: code.into(), retry_after_ms: None }
}

pub(crate) fn refused(meaning: Meaning, code: impl Into<String>) -> Answer {
    Answer::Refused(refusal(meaning, code))
}

pub(crate) fn failed(meaning: Meaning, code: impl Into<String>) -> ReportStatus {
    ReportStatus::Failed(refusal(meaning, code))
}

/// What a vendor calls a leg, where it is a name that we are willing to keep.
pub(crate) fn reference(raw: &str) -> Option<String> {
    let good = (1..=REFERENCE_BYTES_MAX).contains(&raw.len()) && raw.bytes().all(|byte| byte.is_ascii_graphic());
    good.then(|| raw.to_owned())
}

/// 200 with nothing to say, for vendors that look at the status alone.
pub(crate) fn received() -> WebhookReply {
    WebhookReply { status: 200, content_type: "text/plain", body: String::new() }
}
