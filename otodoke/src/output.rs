//! How a command ended. What it says on the way is `Output`'s.

use otodoke_producer::client::ClientError;
use serde::Serialize;

pub(crate) use otodoke_common::output::Output;

/// How a command ended when nothing was in its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// It did its work, and the answer is no: a wrong code, a setting that is wrong.
    Failed,
}

impl Outcome {
    pub(crate) const fn of(good: bool) -> Self {
        if good { Self::Done } else { Self::Failed }
    }
}

/// What was in the way, for programs.
#[derive(Serialize)]
struct Told<'a> {
    error: String,
    /// As the door gave them.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_s: Option<u64>,
}

/// Where programs look for the answer.
pub(crate) fn tell_programs(output: &Output, error: &anyhow::Error) {
    let told = match error.downcast_ref::<ClientError>() {
        Some(ClientError::Refused { body, retry_after_s }) => Told {
            error: body.detail.clone(),
            code: Some(&body.code),
            field: body.field.as_deref(),
            retry_after_s: *retry_after_s,
        },
        Some(_) | None => Told { error: format!("{error:#}"), code: None, field: None, retry_after_s: None },
    };
    // Nobody is left to tell when this fails.
    drop(output.answer(&told, String::new));
}
