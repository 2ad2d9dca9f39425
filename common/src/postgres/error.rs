//! Why a process cannot begin with this database: each with what a person can do about it. Never the url's password.

use tokio_postgres::error::SqlState;
use tokio_postgres::{Config, Error};

use super::trouble::said;
use crate::tls;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostgresError {
    #[error(
        "the url of PostgreSQL cannot be read: it must look like postgres://user:password@host:5432/database, with \
         ?sslmode=require or disable behind it where that matters"
    )]
    Url,
    #[error("PostgreSQL at {at} cannot be reached: {why}; check that it runs, and the host and port of the url")]
    Unreachable { at: String, why: String },
    #[error("PostgreSQL at {at} took the connection and said nothing for {waited_ms} ms: check what listens there")]
    Silent { at: String, waited_ms: u64 },
    #[error("PostgreSQL at {at} does not take user {user:?} with this password: {why}; check both in the url")]
    Credentials { at: String, user: String, why: String },
    #[error("PostgreSQL at {at} has no database {database:?}: create it, for instance with `createdb {database}`")]
    NoDatabase { at: String, database: String },
    #[error("PostgreSQL at {at} takes no writes ({why}): name the primary in the url")]
    ReadOnly { at: String, why: String },
    #[error("PostgreSQL at {at} cannot take a connection now: {why}")]
    Busy { at: String, why: String },
    #[error("TLS to PostgreSQL cannot begin: {why}")]
    Trust { why: String },
    #[error("PostgreSQL at {at} cannot be spoken to with TLS: {why}; {remedy}")]
    Tls { at: String, why: String, remedy: &'static str },
    #[error(
        "PostgreSQL at {at} does not let user {user:?} in: {why}; check both in the url, and pg_hba.conf, which may also \
         demand TLS (sslmode=require)"
    )]
    NotLetIn { at: String, user: String, why: String },
    #[error("PostgreSQL at {at} is version {found}, at least {least} is needed")]
    TooOld { at: String, found: String, least: u32 },
    #[error("the database has no tables of Otodoke yet: start a door or a worker of this version, which makes them")]
    NoSchema,
    #[error(
        "the database has schema {found}, this program needs {needed}: start a door or a worker of this version, which \
         brings it up to date"
    )]
    SchemaOlder { found: i32, needed: i32 },
    #[error(
        "the database has schema {found}, which serves programs that know schema {oldest_program} or newer; this one \
         knows {known}: run a newer program"
    )]
    SchemaNewer { found: i32, oldest_program: i32, known: i32 },
    #[error("the schema could not be looked at, or brought up to date, just now: {why}")]
    Interrupted { why: String },
    #[error("the migrations did not finish: {why}")]
    Migration { why: String },
    #[error("PostgreSQL at {at} refused: {why}")]
    Refused { at: String, why: String },
}

impl PostgresError {
    /// Whether trying the same again later can help without anybody changing settings.
    pub const fn waiting_helps(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Silent { .. }
            | Self::ReadOnly { .. }
            | Self::Busy { .. }
            | Self::NoDatabase { .. }
            | Self::Interrupted { .. }
            | Self::NoSchema
            | Self::SchemaOlder { .. } => true,
            Self::Url
            | Self::Credentials { .. }
            | Self::NotLetIn { .. }
            | Self::Trust { .. }
            | Self::Tls { .. }
            | Self::TooOld { .. }
            | Self::SchemaNewer { .. }
            | Self::Migration { .. }
            | Self::Refused { .. } => false,
        }
    }

    pub(super) fn connecting(config: &Config, error: &Error) -> Self {
        let (at, why) = (place(config), said(error));
        let Some(refusal) = error.as_db_error() else {
            return match tls_remedy(error) {
                Some(remedy) => Self::Tls { at, why, remedy },
                None => Self::Unreachable { at, why },
            };
        };
        let user = config.get_user().unwrap_or_default().to_owned();
        let why = refusal.message().to_owned();
        match *refusal.code() {
            SqlState::INVALID_PASSWORD => Self::Credentials { at, user, why },
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION => Self::NotLetIn { at, user, why },
            SqlState::INVALID_CATALOG_NAME => {
                Self::NoDatabase { at, database: config.get_dbname().unwrap_or(&user).to_owned() }
            }
            SqlState::TOO_MANY_CONNECTIONS
            | SqlState::CANNOT_CONNECT_NOW
            | SqlState::ADMIN_SHUTDOWN
            | SqlState::CRASH_SHUTDOWN => Self::Busy { at, why },
            _ => Self::Refused { at, why },
        }
    }
}

/// A handshake that broke off with the connection is no fault of the certificates: the same may go well later.
fn tls_remedy(error: &Error) -> Option<&'static str> {
    let cause = std::error::Error::source(error)?;
    // The library's own word for a server that says no to TLS has no type.
    let refused = cause.to_string() == "server does not support TLS";
    if refused {
        return Some("switch ssl on in its settings, or say sslmode=disable in the url and set no ca_file");
    }
    tls::remedy(cause)
}

/// Host and port of the url, for people.
pub(super) fn place(config: &Config) -> String {
    let ports = config.get_ports();
    let hosts = config.get_hosts().iter().enumerate().map(|(index, host)| {
        let port = ports.get(index).or(ports.first()).copied().unwrap_or(5432);
        match host {
            tokio_postgres::config::Host::Tcp(name) => format!("{name}:{port}"),
            tokio_postgres::config::Host::Unix(path) => format!("{}:{port}", path.display()),
        }
    });
    hosts.collect::<Vec<_>>().join(", ")
}
