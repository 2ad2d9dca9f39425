//! The counters of what happens to messages. What moves them is `notes`.

use prometheus::{HistogramVec, IntCounterVec, Registry};

use super::{catalogue, family};

pub(super) struct Journey {
    pub(super) queue_wait: HistogramVec,
    pub(super) waits: IntCounterVec,
    pub(super) legs: IntCounterVec,
    pub(super) failovers: IntCounterVec,
    pub(super) attempts: IntCounterVec,
    pub(super) attempt_failures: IntCounterVec,
    pub(super) submitted: IntCounterVec,
    pub(super) accept_to_submit: HistogramVec,
    pub(super) repeats: IntCounterVec,
    pub(super) duplicates_possible: IntCounterVec,
    pub(super) receipts: IntCounterVec,
    pub(super) receipt_arrival: HistogramVec,
    pub(super) time_to_handset: HistogramVec,
    pub(super) arrived_late: IntCounterVec,
    pub(super) receipts_overdue: IntCounterVec,
    pub(super) held_back: IntCounterVec,
    pub(super) ivr_calls: IntCounterVec,
    pub(super) ivr_ends: IntCounterVec,
    pub(super) ivr_stages: IntCounterVec,
    pub(super) resends: IntCounterVec,
    pub(super) guesses: IntCounterVec,
    pub(super) verified: IntCounterVec,
    pub(super) time_to_verify: HistogramVec,
    pub(super) security: IntCounterVec,
    pub(super) failures: IntCounterVec,
    pub(super) expired: IntCounterVec,
    pub(super) ended: IntCounterVec,
    pub(super) late: IntCounterVec,
}

impl Journey {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |family| family::counter(registry, family);
        let histogram = |family| family::histogram(registry, family);
        Ok(Self {
            queue_wait: histogram(catalogue::QUEUE_WAIT)?,
            waits: counter(catalogue::WAITS)?,
            legs: counter(catalogue::LEGS)?,
            failovers: counter(catalogue::FAILOVERS)?,
            attempts: counter(catalogue::ATTEMPTS)?,
            attempt_failures: counter(catalogue::ATTEMPT_CLASSES)?,
            submitted: counter(catalogue::SUBMITTED)?,
            accept_to_submit: histogram(catalogue::ACCEPT_TO_SUBMIT)?,
            repeats: counter(catalogue::REPEATS)?,
            duplicates_possible: counter(catalogue::DUPLICATES_POSSIBLE)?,
            receipts: counter(catalogue::RECEIPTS)?,
            receipt_arrival: histogram(catalogue::RECEIPT_ARRIVAL)?,
            time_to_handset: histogram(catalogue::TIME_TO_HANDSET)?,
            arrived_late: counter(catalogue::ARRIVED_LATE)?,
            receipts_overdue: counter(catalogue::RECEIPTS_OVERDUE)?,
            held_back: counter(catalogue::HELD_BACK)?,
            ivr_calls: counter(catalogue::IVR_CALLS)?,
            ivr_ends: counter(catalogue::IVR_ENDS)?,
            ivr_stages: counter(catalogue::IVR_STAGES)?,
            resends: counter(catalogue::RESENDS)?,
            guesses: counter(catalogue::GUESSES)?,
            verified: counter(catalogue::VERIFIED)?,
            time_to_verify: histogram(catalogue::TIME_TO_VERIFY)?,
            security: counter(catalogue::SECURITY)?,
            failures: counter(catalogue::FAILURES)?,
            expired: counter(catalogue::EXPIRED)?,
            ended: counter(catalogue::FINAL)?,
            late: counter(catalogue::LATE)?,
        })
    }
}
