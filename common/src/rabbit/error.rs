//! What can be wrong between us and the broker, each with what somebody can do about it.
//!
//! `RabbitError` is for whoever starts the process. `trouble` puts a failed attempt into words; the attempts go on.

use lapin::ErrorKind;

use crate::tls;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RabbitError {
    #[error("AMQP URL number {number} cannot be read; amqp://user:password@host:5672/%2f is a right one")]
    Url { number: usize },
    #[error("AMQP URL number {number} begins with amqps: {why}")]
    Trust { number: usize, why: String },
    #[error("namespace {namespace:?} must be at most 64 letters, digits, dots, dashes and underscores")]
    Namespace { namespace: String },
    #[error("{name} = {value}: must be {least} to {most}")]
    Setting { name: &'static str, value: u64, least: u64, most: u64 },
    /// Only from calls that try once; a `Rabbit` keeps trying.
    #[error("no broker can be used: {why}")]
    Unreachable { why: String },
}

/// Why an attempt failed, and what may help. Names no user and no password.
pub(super) fn trouble(error: &lapin::Error) -> String {
    match remedy(error) {
        Some(remedy) => format!("{error}; {remedy}"),
        None => error.to_string(),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library's kinds are many and grow; most have no remedy")]
fn remedy(error: &lapin::Error) -> Option<&'static str> {
    if let Some((number, _)) = said(error) {
        return match number {
            ACCESS_REFUSED => Some(
                "check user and password of the AMQP URL, and the user's permissions: SETTINGS.md has those it needs",
            ),
            NOT_ALLOWED => {
                Some("create the vhost that ends the AMQP URL (%2f is /), and give the user its permissions")
            }
            _ => None,
        };
    }
    match error.kind() {
        ErrorKind::IOError(io) => tls::remedy(&**io).or_else(|| of_socket(io)),
        ErrorKind::ParsingError(_) => {
            Some("what answers speaks no AMQP: is that its AMQP port (amqps has one of its own)?")
        }
        ErrorKind::MissingHeartbeatError => Some("the broker, or the network between, is stuck"),
        _ => None,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "most kinds have no remedy")]
fn of_socket(error: &std::io::Error) -> Option<&'static str> {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => Some("start the broker, or correct host and port of the AMQP URL"),
        std::io::ErrorKind::ConnectionAborted
        | std::io::ErrorKind::ConnectionReset
        | std::io::ErrorKind::UnexpectedEof => {
            Some("the broker hung up: is that its AMQP port (amqps has one of its own), and is the node up?")
        }
        _ => None,
    }
}

/// The number and the words of an error that the broker itself sent.
pub(super) fn said(error: &lapin::Error) -> Option<(u16, String)> {
    if let ErrorKind::ProtocolError(error) = error.kind() {
        return Some((error.get_id(), error.get_message().to_string()));
    }
    None
}

/// Reply codes of AMQP 0-9-1.
pub(super) const ACCESS_REFUSED: u16 = 403;
pub(super) const NOT_FOUND: u16 = 404;
pub(super) const PRECONDITION_FAILED: u16 = 406;
const NOT_ALLOWED: u16 = 530;
