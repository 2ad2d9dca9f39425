//! Infobip's statuses and errors, as its pages "Message status and error codes" list them.
//!
//! A status says whether it is over; where it only says "not delivered", the error says why.

use otodoke_common::outcome::{Class, ReportStatus, Scope};

use super::{ErrorCode, Status};
use crate::report::{Meaning, failed};

/// `groupId` of a status: the vendor adds ids, the groups stay.
const PENDING: u32 = 1;
const UNDELIVERABLE: u32 = 2;
const DELIVERED: u32 = 3;
const EXPIRED: u32 = 4;

/// `DELIVERED_TO_HANDSET`. Its neighbour in the group, 2 `DELIVERED_TO_OPERATOR`, is not the handset yet.
const DELIVERED_TO_HANDSET: u32 = 5;
/// `REJECTED_DUPLICATE_MESSAGE_ID`: our own repeat of a request that was taken the first time.
const DUPLICATE_MESSAGE_ID: u32 = 23;
/// Error 0 is `NO_ERROR`.
const NO_ERROR: u32 = 0;

pub(super) fn read(status: &Status, error: Option<&ErrorCode>) -> ReportStatus {
    match (status.group_id, status.id) {
        (_, DUPLICATE_MESSAGE_ID) | (PENDING, _) => underway(),
        (_, DELIVERED_TO_HANDSET) => ReportStatus::Delivered,
        (DELIVERED, _) => underway(),
        (group, id) => match error.filter(|error| error.id != NO_ERROR && group == UNDELIVERABLE) {
            Some(error) => failed(error_meaning(*error), format!("error {}", error.id)),
            None => failed(status_meaning(group, id), format!("status {id}")),
        },
    }
}

const fn underway() -> ReportStatus {
    ReportStatus::Underway { reference: None }
}

/// Statuses that say why themselves.
const fn status_meaning(group: u32, id: u32) -> Meaning {
    match (group, id) {
        // REJECTED_OPERATOR.
        (_, 4) => (Class::FilteredRoute, Scope::Message),
        // NOT_SENT, REJECTED_SYSTEM_ERROR: nothing is out.
        (_, 31 | 21) => (Class::NotSent, Scope::Message),
        // EXPIRED_DLR_UNKNOWN: no receipt came from the operator; the text may have.
        (_, 29) => (Class::Unknown, Scope::Message),
        // EXPIRED, and what joins its group.
        (_, 15) | (EXPIRED, _) => (Class::ExpiredAtProvider, Scope::Message),
        // REJECTED_PREFIX_MISSING, REJECTED_DESTINATION and its kin.
        (_, 8 | 51 | 52) => (Class::InvalidNumber, Scope::Number),
        // REJECTED_DND, REJECTED_DESTINATION_BLOCKLISTED.
        (_, 10 | 14) => (Class::RecipientBlocked, Scope::Number),
        // REJECTED_SOURCE, REJECTED_SENDER.
        (_, 11 | 13) => (Class::Config, Scope::Sender),
        // REJECTED_NOT_ENOUGH_CREDITS, REJECTED_PREPAID_PACKAGE_EXPIRED, REJECTED_DESTINATION_NOT_REGISTERED (demo).
        (_, 12 | 17 | 18) => (Class::Config, Scope::Provider),
        // REJECTED_NETWORK, REJECTED_ROUTE_NOT_AVAILABLE, REJECTED_BY_PLATFORM: for this destination only.
        (_, 6 | 19 | 100) => (Class::Config, Scope::Message),
        // REJECTED_FLOODING_FILTER: the same text to the same number too often.
        (_, 20) => (Class::Throttled, Scope::Number),
        // REJECTED_INVALID_UDH, REJECTED_MESSAGE_TOO_LONG.
        (_, 24 | 25) => (Class::Content, Scope::Message),
        // REJECTED_SIGNALS_BLOCKED.
        (_, 87) => (Class::FraudBlocked, Scope::Number),
        _ => (Class::Unknown, Scope::Message),
    }
}

/// Errors of the operator, the handset and the vendor. What speaks against the number does so only where the
/// vendor calls it permanent; else the phone is merely away.
const fn error_meaning(error: ErrorCode) -> Meaning {
    match (error.id, error.permanent) {
        // EC_UNKNOWN_SUBSCRIBER, wrong destinations, EC_DEACTIVATED.
        (1 | 351 | 352 | 3041, true) => (Class::InvalidNumber, Scope::Number),
        // Illegal subscriber or equipment; no SMS in the contract.
        (9 | 11 | 12, true) => (Class::Unreceivable, Scope::Number),
        // A line or network that has no SMS.
        (568 | 629, true) => (Class::NotSmsCapable, Scope::Number),
        (1 | 9 | 11 | 12 | 351 | 352 | 568 | 629 | 3041, false) => (Class::Absent, Scope::Number),
        // Absent, paging failed, subscriber busy, no roaming.
        (5 | 6 | 8 | 27 | 31 | 33, _) => (Class::Absent, Scope::Number),
        // EC_CALL_BARRED: the person, or the contract, refuses SMS.
        (13, _) => (Class::RecipientBlocked, Scope::Number),
        // Do-not-disturb and block lists.
        (2050 | 2052, _) => (Class::RecipientBlocked, Scope::Number),
        (603 | 604, _) => (Class::OptedOut, Scope::Number),
        // Failures of the network; not submitted. Nothing is out.
        (32 | 34..=36 | 255 | 500..=509 | 1024..=1796 | 4097, _) => (Class::NotSent, Scope::Message),
        // The operator filters it.
        (561 | 566 | 607, _) => (Class::FilteredRoute, Scope::Message),
        // The sender is not registered or not allowed.
        (368 | 375 | 2053, _) => (Class::Config, Scope::Sender),
        (811 | 4098 | 4101, _) => (Class::ExpiredAtProvider, Scope::Message),
        // Flooding filters.
        (4103 | 4104, _) => (Class::Throttled, Scope::Number),
        _ => (Class::Unknown, Scope::Message),
    }
}
