//! What can go wrong with a group of rows, sorted by what helps: trying again, parting the group, waiting, or nothing.

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};

use crate::store::StoreError;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The connection went before the commit was asked for: nothing was written. Another connection may do.
    Lost { why: String },
    /// Somebody else was there first, or a day has no partition yet: nothing was written, and it looks different now.
    Raced { why: String },
    /// Something in the group was refused: nothing was written, and the other rows can be without it.
    Row { why: String },
    /// Nothing was written, and trying at once would not help.
    Unavailable { why: String },
    /// The server takes no writes any more: nothing was written. Another one that the url names may.
    ReadOnly { why: String },
    /// Nothing was asked: others of this process had all connections, and were answered.
    Crowded { why: String },
    /// The commit was asked for and not answered.
    Unknown { why: String },
}

impl Trouble {
    /// Of a statement before the commit.
    pub(super) fn before_commit(error: &Error) -> Self {
        match error.as_db_error() {
            Some(refusal) => Self::refused(refusal),
            None if is_connection(error) => Self::Lost { why: said(error) },
            // What is left never reached the server: a value that cannot be written as its type.
            None => Self::Row { why: said(error) },
        }
    }

    /// Of the commit itself, or of a statement that commits by itself. Only a refusal that rolls back is a known outcome:
    /// a server that is told to stop may have committed.
    pub(super) fn at_commit(error: &Error) -> Self {
        match error.as_db_error() {
            Some(refusal) => match Self::refused(refusal) {
                Self::Lost { why } | Self::Unknown { why } => Self::Unknown { why },
                known @ (Self::Raced { .. }
                | Self::Row { .. }
                | Self::Unavailable { .. }
                | Self::ReadOnly { .. }
                | Self::Crowded { .. }) => known,
            },
            None => Self::Unknown { why: said(error) },
        }
    }

    fn refused(refusal: &DbError) -> Self {
        let code = refusal.code();
        let why = format!("PostgreSQL said {}: {}", code.code(), refusal.message());
        if let Some(remedy) = remedy(code) {
            let why = format!("{why}; {remedy}");
            let is_read_only = *code == SqlState::READ_ONLY_SQL_TRANSACTION;
            return if is_read_only { Self::ReadOnly { why } } else { Self::Unavailable { why } };
        }
        if is_missing_day(refusal) || *code == SqlState::UNIQUE_VIOLATION || code.code().starts_with("40") {
            return Self::Raced { why };
        }
        match &code.code()[..2] {
            // Data, constraints, limits of the program.
            "22" | "23" | "54" => Self::Row { why },
            // A server that stops, a plan that outlived its table: another connection may do.
            "08" | "0A" | "26" => Self::Lost { why },
            "57" if *code != SqlState::QUERY_CANCELED => Self::Lost { why },
            // A session whose transaction could not be ended is no use to anybody.
            "25" if *code == SqlState::IN_FAILED_SQL_TRANSACTION => Self::Lost { why },
            _ => Self::Unavailable { why },
        }
    }
}

impl From<Trouble> for StoreError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Lost { why }
            | Trouble::Raced { why }
            | Trouble::Unavailable { why }
            | Trouble::ReadOnly { why }
            | Trouble::Crowded { why } => Self::Unavailable { why },
            Trouble::Row { why } => Self::Refused { why },
            Trouble::Unknown { why } => Self::UnknownOutcome { why },
        }
    }
}

pub(super) fn is_missing_day(refusal: &DbError) -> bool {
    // The one check that has no constraint name: no partition takes the row.
    *refusal.code() == SqlState::CHECK_VIOLATION && refusal.constraint().is_none()
}

/// What its own words and its cause say. Statements and values are in neither.
pub(super) fn said(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// Whether the same may go well later with nobody changing anything: the connection was lost, the server stops, or two
/// waited for each other.
pub(super) fn passes(error: &Error) -> bool {
    error.code().map_or_else(|| is_connection(error), is_passing)
}

/// A deadlock, a connection that failed, a server that stops or begins; never a statement that is wrong, nor one that a person
/// cancelled. Nor a lock that is not given: whoever waits for one makes others wait, so to try again soon is no way.
fn is_passing(code: &SqlState) -> bool {
    *code != SqlState::QUERY_CANCELED && ["08", "40", "57"].contains(&&code.code()[..2])
}

fn is_connection(error: &Error) -> bool {
    error.is_closed() || std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<std::io::Error>)
}

fn remedy(code: &SqlState) -> Option<&'static str> {
    Some(match *code {
        SqlState::DISK_FULL => "make room on its disk",
        SqlState::READ_ONLY_SQL_TRANSACTION => "it takes no writes: name the primary in the url",
        SqlState::TOO_MANY_CONNECTIONS => "raise max_connections, or lower pool_size",
        SqlState::OUT_OF_MEMORY => "give the server more memory",
        SqlState::INSUFFICIENT_PRIVILEGE => "let the user of the url own the tables",
        SqlState::UNDEFINED_TABLE | SqlState::UNDEFINED_COLUMN => {
            "start a door or a worker of this version, which brings the schema up to date"
        }
        SqlState::QUERY_CANCELED => "it took longer than statement_timeout_ms",
        SqlState::LOCK_NOT_AVAILABLE => "somebody holds a table or a row locked",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_connection_passes_and_a_wrong_statement_or_a_lock_that_is_not_given_does_not() {
        let passing = [
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CANNOT_CONNECT_NOW,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::CONNECTION_FAILURE,
        ];
        assert!(passing.iter().all(is_passing));
        let wrong = [
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::QUERY_CANCELED,
            SqlState::SYNTAX_ERROR,
            SqlState::UNDEFINED_TABLE,
            SqlState::INSUFFICIENT_PRIVILEGE,
            SqlState::DISK_FULL,
        ];
        assert!(!wrong.iter().any(is_passing));
    }
}
