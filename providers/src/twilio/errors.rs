//! Twilio's error codes, for texts and calls, at the request and in callbacks alike.
//!
//! Source: Twilio "Error and Warning Dictionary". The vendor says that codes may be adjusted: what is not listed
//! is read by the HTTP status, or is `Unknown` in a callback.

use otodoke_common::outcome::{Class, ReportStatus, Scope};

use crate::report::{self, Meaning};

pub(super) const fn meaning(code: u32) -> Option<Meaning> {
    Some(match code {
        // Too many concurrent requests; never processed.
        20429 => (Class::Throttled, Scope::Provider),
        // Credentials, and an account that is missing, inactive or suspended.
        10001 | 20003 | 20005 | 20404 | 30002 => (Class::Config, Scope::Provider),
        // The region is not enabled for texts (21408) or calls (13227, 21215).
        13227 | 21215 | 21408 => (Class::Config, Scope::Tenant),
        // `From` or the messaging service: missing, not owned, not usable, not for this destination.
        21212 | 21603 | 21606 | 21612 | 21659..=21661 | 21701 | 21703 | 21704 => (Class::Config, Scope::Sender),
        // The sender is not registered or not verified, or its campaign is suspended.
        30018 | 30024 | 30032..=30035 => (Class::Config, Scope::Sender),
        // `To` is no number, cannot be called, or is unknown to its network.
        21211 | 21214 | 21217 | 30005 => (Class::InvalidNumber, Scope::Number),
        // A landline, or a SIM for machines.
        21614 | 21635 | 30006 => (Class::NotSmsCapable, Scope::Number),
        // Off, without signal, or refused by the handset's network.
        30003 => (Class::Absent, Scope::Number),
        // Blocked by the person's carrier or list.
        21216 | 30004 => (Class::RecipientBlocked, Scope::Number),
        // Opted out of this sender.
        21610 => (Class::OptedOut, Scope::Number),
        // Filtered by Twilio or a carrier; for calls, the caller id's reputation.
        30007 | 32017 => (Class::FilteredRoute, Scope::Message),
        // Suspected of SMS pumping.
        30450 => (Class::FraudBlocked, Scope::Number),
        // The sender's queue is full, or its rate or daily cap is reached.
        21611 | 30001 | 30022 | 30023 | 30027 => (Class::Throttled, Scope::Sender),
        // More than 15 replies in 30 s between two numbers.
        14107 => (Class::Throttled, Scope::Number),
        // The body is missing, too long, or cannot be sent.
        21602 | 21617..=21619 => (Class::Content, Scope::Message),
        // The validity period is over.
        30036 => (Class::ExpiredAtProvider, Scope::Message),
        // An internal failure, or congestion at the carrier: this text is not out.
        30017 | 30021 => (Class::NotSent, Scope::Message),
        // None of the vendor's carriers could deliver the call, as where a network is out; or the number is none, but it
        // was read as a valid one before.
        13224 => (Class::NotSent, Scope::Message),
        // Unknown, and a carrier's timeout: failed here, not repeated "to avoid duplicate message delivery".
        30008 | 30410 => (Class::Unknown, Scope::Message),
        _ => return None,
    })
}

/// For statuses, which have no HTTP status to fall back on: the code where it is known, else what `word` means.
pub(super) fn failed(code: Option<u32>, word: &str, otherwise: Meaning) -> ReportStatus {
    let shown = code.map_or_else(|| word.to_owned(), |code| code.to_string());
    report::failed(code.and_then(meaning).unwrap_or(otherwise), shown)
}
