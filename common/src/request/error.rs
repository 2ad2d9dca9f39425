//! Why a request is refused, by its own fault: what is wrong, where, and what would be right. Values are not repeated where
//! they may be personal.

use super::strict::{Fault, ReadError};
use crate::phone::{Country, PhoneError};
use crate::text::TextError;
use crate::transaction::TransactionError;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// It is no JSON, or its fields are not those of its type.
    #[error("{}", read_words(.0))]
    Read(#[from] ReadError),
    #[error(transparent)]
    Phone(#[from] PhoneError),
    #[error(transparent)]
    Text(#[from] TextError),
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    /// A field that can be read, and cannot be so.
    #[error("{detail}")]
    Field { fault: FieldFault, field: &'static str, detail: String },
    #[error("numbers of {0} are not served: the settings must hold `[plan.{0}]` with a route, and {0} among the tenant's `countries` where it has some", .country.as_str())]
    UnsupportedCountry { country: Country },
    #[error(
        "this line takes no texts, and no call may reach it by this request's `voice`, its country's plan and what its tenant \
         may do: give a mobile number, or allow calls there"
    )]
    UnreachableLine,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldFault {
    Invalid,
    Missing,
    NotAllowed,
}

impl RequestError {
    pub(super) fn invalid(field: &'static str, detail: impl Into<String>) -> Self {
        Self::Field { fault: FieldFault::Invalid, field, detail: detail.into() }
    }

    pub(super) fn missing(field: &'static str, detail: impl Into<String>) -> Self {
        Self::Field { fault: FieldFault::Missing, field, detail: detail.into() }
    }

    pub(super) fn not_allowed(field: &'static str, detail: impl Into<String>) -> Self {
        Self::Field { fault: FieldFault::NotAllowed, field, detail: detail.into() }
    }

    /// The stable word of the API.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Read(ReadError::NotJson { .. }) => "invalid_json",
            Self::Read(ReadError::Field(error)) => match &error.fault {
                Fault::Unknown { .. } => "unknown_field",
                Fault::Missing => "missing_field",
                Fault::Twice => "duplicate_field",
                Fault::Invalid { .. } => "invalid_field",
            },
            Self::Phone(error) => error.code(),
            Self::Text(error) => error.code(),
            Self::Transaction(_) => "invalid_field",
            Self::Field { fault, .. } => match fault {
                FieldFault::Invalid => "invalid_field",
                FieldFault::Missing => "missing_field",
                FieldFault::NotAllowed => "field_not_allowed",
            },
            Self::UnsupportedCountry { .. } => "unsupported_country",
            Self::UnreachableLine => "unreachable_line",
        }
    }

    /// The field of the request to change, as a path; none where the whole body is meant.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Read(ReadError::NotJson { .. }) => None,
            Self::Read(ReadError::Field(error)) => Some(error.path.as_str()).filter(|path| !path.is_empty()),
            Self::Phone(error) => Some(error.field()),
            Self::Text(error) => Some(error.field()),
            Self::Transaction(error) => Some(error.field()),
            Self::Field { field, .. } => Some(field),
            Self::UnsupportedCountry { .. } | Self::UnreachableLine => Some("to"),
        }
    }
}

fn read_words(error: &ReadError) -> String {
    match error {
        ReadError::NotJson { .. } => format!("{error}: send one JSON object"),
        ReadError::Field(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::strict::FieldError;
    use super::*;

    #[test]
    fn an_error_about_the_whole_body_names_no_field() {
        let error = FieldError::new("", Fault::Invalid { expected: "a JSON object".into() });
        assert_eq!(RequestError::from(ReadError::Field(error)).field(), None);
    }
}
