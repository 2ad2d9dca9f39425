//! What can go wrong in memory: either side away, and commits whose outcome is not known.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::broker::BrokerError;
use crate::store::StoreError;

#[derive(Debug, Default)]
pub struct Faults {
    store_away: AtomicBool,
    broker_away: AtomicBool,
    applied_unknown: AtomicU32,
    lost_unknown: AtomicU32,
    away_after_unknown: AtomicBool,
    parking_refused: AtomicU32,
    settings_crowded: AtomicU32,
}

/// What happens to one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Write {
    Clear,
    /// Written, but its writer is told that the outcome is not known.
    AppliedUnknown,
    /// Not written, and its writer is told that the outcome is not known.
    LostUnknown,
}

impl Faults {
    pub fn set_store_away(&self, away: bool) {
        self.store_away.store(away, Ordering::SeqCst);
    }

    pub fn set_broker_away(&self, away: bool) {
        self.broker_away.store(away, Ordering::SeqCst);
    }

    /// The next `count` opens and saves are written and reported as unknown.
    pub fn apply_but_report_unknown(&self, count: u32) {
        self.applied_unknown.store(count, Ordering::SeqCst);
    }

    /// The next `count` opens and saves are lost and reported as unknown.
    pub fn lose_and_report_unknown(&self, count: u32) {
        self.lost_unknown.store(count, Ordering::SeqCst);
    }

    /// With the next write whose outcome is not known the store goes away: nobody can look what became of it.
    pub fn go_away_after_unknown(&self) {
        self.away_after_unknown.store(true, Ordering::SeqCst);
    }

    /// The next `count` bodies find no room among the parked.
    pub fn refuse_parking(&self, count: u32) {
        self.parking_refused.store(count, Ordering::SeqCst);
    }

    /// The next `count` looks for a setting find too many others before them.
    pub fn crowd_settings(&self, count: u32) {
        self.settings_crowded.store(count, Ordering::SeqCst);
    }

    pub(super) fn setting(&self) -> Result<(), StoreError> {
        if take_one(&self.settings_crowded) {
            return Err(StoreError::Full { what: "a pool", limit: 0 });
        }
        Ok(())
    }

    pub(super) fn parking(&self) -> Result<(), BrokerError> {
        if take_one(&self.parking_refused) {
            return Err(BrokerError::ParkedFull { limit: 0 });
        }
        Ok(())
    }

    pub(super) fn store(&self) -> Result<(), StoreError> {
        if self.store_away.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable { why: "it was switched off".to_owned() });
        }
        Ok(())
    }

    pub(super) fn broker(&self) -> Result<(), BrokerError> {
        if self.broker_away.load(Ordering::SeqCst) {
            return Err(BrokerError::Unavailable { why: "it was switched off".to_owned() });
        }
        Ok(())
    }

    pub(super) fn write(&self) -> Write {
        let write = if take_one(&self.applied_unknown) {
            Write::AppliedUnknown
        } else if take_one(&self.lost_unknown) {
            Write::LostUnknown
        } else {
            return Write::Clear;
        };
        if self.away_after_unknown.swap(false, Ordering::SeqCst) {
            self.set_store_away(true);
        }
        write
    }
}

fn take_one(count: &AtomicU32) -> bool {
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}
