//! Infobip's statuses and errors, as its pages "Message status and error codes" list them.
//!
//! A status says whether it is over; where it only says "not delivered", the error says why.

use otodoke_common::outcome::{Class, ReportStatus, Scope};

use super::{ErrorCode, Status};
use crate::report::{Meaning, failed};

/// `groupId` of a status: the vendor adds ids, the groups stay.
const ACCEPTED: u32 = 0;
const PENDING: u32 = 1;
const UNDELIVERABLE: u32 = 2;
const DELIVERED: u32 = 3;
const EXPIRED: u32 = 4;
const REJECTED: u32 = 5;

/// Not the handset yet, though of one group with `DELIVERED_TO_HANDSET`.
const DELIVERED_TO_OPERATOR: u32 = 2;
const DELIVERED_TO_HANDSET: u32 = 5;
/// `REJECTED_DUPLICATE_MESSAGE_ID`: our own repeat of a request that was taken the first time.
const DUPLICATE_MESSAGE_ID: u32 = 23;
/// Error 0 is `NO_ERROR`.
const NO_ERROR: u32 = 0;

/// Without its group or its id, a status says only that there is news.
pub(super) fn read(status: &Status, error: Option<&ErrorCode>) -> ReportStatus {
    let (Some(group), Some(id)) = (status.group_id, status.id) else { return ReportStatus::Hint };
    match (group, id) {
        (_, DUPLICATE_MESSAGE_ID) | (ACCEPTED | PENDING, _) => underway(),
        (_, DELIVERED_TO_HANDSET) => ReportStatus::Delivered,
        (DELIVERED, DELIVERED_TO_OPERATOR) => ReportStatus::Underway { reference: None, at_operator: true },
        (DELIVERED, _) => underway(),
        (group, id) => match error.and_then(ErrorCode::told).filter(|_| group == UNDELIVERABLE) {
            Some((error, permanent)) => failed(error_meaning(error, permanent), format!("error {error}")),
            None => failed(status_meaning(group, id), format!("status {id}")),
        },
    }
}

impl Status {
    /// Whether the vendor said that it did not take the message, whatever the reason.
    pub(super) fn is_rejection(&self) -> bool {
        self.group_id == Some(REJECTED)
    }
}

impl ErrorCode {
    /// Which error it is, and whether a repeat over the same route can never succeed.
    fn told(&self) -> Option<(u32, bool)> {
        let id = self.id.filter(|id| *id != NO_ERROR)?;
        Some((id, self.permanent.unwrap_or_default()))
    }
}

const fn underway() -> ReportStatus {
    ReportStatus::Underway { reference: None, at_operator: false }
}

/// Statuses that say why themselves.
const fn status_meaning(group: u32, id: u32) -> Meaning {
    match (group, id) {
        // REJECTED_OPERATOR.
        (_, 4) => (Class::FilteredRoute, Scope::Message),
        // NOT_SENT, REJECTED_SYSTEM_ERROR: nothing is out.
        (_, 31 | 21) => (Class::NotSent, Scope::Message),
        // SIGNALS_BLOCKED, which the vendor lists as rejected and, where it is charged, as expired.
        (_, 87) => (Class::FraudBlocked, Scope::Number),
        // EXPIRED_DLR_UNKNOWN: no receipt came from the operator; the text may have.
        (_, 29) => (Class::Unknown, Scope::Message),
        // EXPIRED, and what joins its group.
        (_, 15) | (EXPIRED, _) => (Class::ExpiredAtProvider, Scope::Message),
        // REJECTED_PREFIX_MISSING, REJECTED_DESTINATION and its kin.
        (_, 8 | 51 | 52) => (Class::InvalidNumber, Scope::Number),
        // REJECTED_DND: the person's own list, at the operator.
        (_, 10) => (Class::RecipientBlocked, Scope::Number),
        // REJECTED_DESTINATION_BLOCKLISTED: the list of this account, which says nothing about other vendors' texts.
        (_, 14) => (Class::Config, Scope::Number),
        // REJECTED_SOURCE, REJECTED_SENDER.
        (_, 11 | 13) => (Class::Config, Scope::Sender),
        // REJECTED_NOT_ENOUGH_CREDITS, REJECTED_PREPAID_PACKAGE_EXPIRED, REJECTED_DESTINATION_NOT_REGISTERED (demo).
        (_, 12 | 17 | 18) => (Class::Config, Scope::Provider),
        // REJECTED_NETWORK, REJECTED_ROUTE_NOT_AVAILABLE, REJECTED_BY_PLATFORM: for this destination only.
        (_, 6 | 19 | 100) => (Class::Config, Scope::Message),
        // REJECTED_FLOODING_FILTER: what this account may send to one number in an hour. No use to wait for it.
        (_, 20) => (Class::Config, Scope::Message),
        // REJECTED_INVALID_UDH, REJECTED_MESSAGE_TOO_LONG.
        (_, 24 | 25) => (Class::Content, Scope::Message),
        _ => (Class::Unknown, Scope::Message),
    }
}

/// Errors of the operator, the handset and the vendor. What speaks against the number does so only where the
/// vendor calls it permanent; else the phone is merely away.
const fn error_meaning(error: u32, permanent: bool) -> Meaning {
    match (error, permanent) {
        // EC_UNKNOWN_SUBSCRIBER, a country code that is none, EC_DEACTIVATED_LIST.
        (1 | 352 | 3041, true) => (Class::InvalidNumber, Scope::Number),
        // EC_INVALID_DESTINATION_ADDRESS: not the operator's number, or not in use. Never listed as permanent.
        (351, _) => (Class::InvalidNumber, Scope::Number),
        // Illegal subscriber or equipment; no SMS in the contract; suspended by the operator.
        (9..=12 | 569, true) => (Class::Unreceivable, Scope::Number),
        // A line or network that has no SMS.
        (568 | 629, true) => (Class::NotSmsCapable, Scope::Number),
        (1 | 9..=12 | 352 | 568 | 569 | 629 | 3041, false) => (Class::Absent, Scope::Number),
        // Absent, paging failed, subscriber busy, no roaming, inbox full.
        (5 | 6 | 8 | 27 | 31 | 33 | 256, _) => (Class::Absent, Scope::Number),
        // EC_CALL_BARRED: the person, or the contract, refuses SMS.
        (13, _) => (Class::RecipientBlocked, Scope::Number),
        // The operator's do-not-disturb list.
        (2050, _) => (Class::RecipientBlocked, Scope::Number),
        // EC_BLACKLISTED_DESTINATIONADDRESS: the list of this account, as with status 14.
        (2052, _) => (Class::Config, Scope::Number),
        // Blocked by the person, or by the campaign's list.
        (573 | 603 | 604, _) => (Class::OptedOut, Scope::Number),
        // EC_SIGNALS_BLOCKED.
        (608, _) => (Class::FraudBlocked, Scope::Number),
        // EC_UNKNOWN_ERROR, EC_INVALID_RESPONSE_RECEIVED, EC_NO_RESPONSE: the operator may have taken it.
        (255 | 501 | 502, _) => (Class::Unknown, Scope::Message),
        // Failures of the network, or too much for it; not submitted. Nothing is out.
        (32 | 34..=36 | 500 | 503..=509 | 630 | 1024..=1796 | 4097 | 4102, _) => (Class::NotSent, Scope::Message),
        // The operator filters it.
        (561 | 566 | 607, _) => (Class::FilteredRoute, Scope::Message),
        // The sender is not registered or not allowed.
        (368 | 375 | 2053, _) => (Class::Config, Scope::Sender),
        // EC_MONTHLY_LIMIT_REACHED, of the account.
        (4099, _) => (Class::Config, Scope::Provider),
        // Too late at the operator, or, with EC_MESSAGE_CANCELED, before it was sent.
        (811 | 4098 | 4100 | 4101, _) => (Class::ExpiredAtProvider, Scope::Message),
        // Flooding filters, as with status 20; what a carrier or the vendor takes of one brand or account in a second or a day.
        (541 | 542 | 609 | 4103 | 4104 | 4202, _) => (Class::Config, Scope::Message),
        _ => (Class::Unknown, Scope::Message),
    }
}
