//! What SQLite's refusals mean to callers: wait and try again, or this very row cannot be stored.

use rusqlite::ErrorCode;

use crate::broker::BrokerError;
use crate::store::StoreError;
use crate::wire::WireError;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nothing was written; it may work later.
    Unavailable { why: String },
    /// The commit itself failed in a way that does not say whether it happened.
    Unknown { why: String },
    /// This row's data.
    Refused { why: String },
}

impl Failure {
    pub(super) fn closed() -> Self {
        Self::Unavailable { why: "the data directory is being closed".to_owned() }
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        let why = error.to_string();
        let unavailable = |remedy: &str| Self::Unavailable { why: format!("{why}: {remedy}") };
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => unavailable("make room on the disk, or raise its limit"),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                unavailable("the file is damaged; keep it, and restore a copy into another directory")
            }
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => unavailable("make the data directory writable"),
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => unavailable("check the disk"),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::OutOfMemory) => {
                unavailable("it is tried again")
            }
            Some(_) | None => Self::Refused { why },
        }
    }
}

impl From<WireError> for Failure {
    fn from(error: WireError) -> Self {
        Self::Refused { why: error.to_string() }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unavailable { why } => Self::Unavailable { why },
            Failure::Unknown { why } => Self::UnknownOutcome { why },
            Failure::Refused { why } => Self::Refused { why },
        }
    }
}

impl From<Failure> for BrokerError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unavailable { why } | Failure::Refused { why } => Self::Unavailable { why },
            Failure::Unknown { why } => Self::Unconfirmed { why },
        }
    }
}
