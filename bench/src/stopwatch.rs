//! Microseconds of the machine's clock: what two processes on one machine measure one latency with. No time of day of a
//! message comes from here; those are `common::clock`'s.

use std::time::UNIX_EPOCH;

/// Since 1970, by the machine's own clock.
#[expect(clippy::disallowed_methods, reason = "finer than the clock of messages, and the same in two processes")]
pub(crate) fn micros() -> u64 {
    let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
