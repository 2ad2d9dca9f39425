//! Points in time as the rows store them. Where "now" comes from is `clock`; nothing here reads a clock.

use serde::{Deserialize, Serialize};

const NANOS_PER_MS: i128 = 1_000_000;
pub const MINUTE_MS: u64 = 60_000;
pub const HOUR_MS: u64 = 60 * MINUTE_MS;
pub const DAY_MS: u64 = 24 * HOUR_MS;

/// Milliseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const fn from_unix_ms(ms: i64) -> Self {
        Self(ms)
    }

    pub const fn unix_ms(self) -> i64 {
        self.0
    }

    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add_unsigned(ms))
    }

    pub const fn minus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_sub_unsigned(ms))
    }

    /// Milliseconds from `earlier` to here; zero when `earlier` is later.
    pub fn since_ms(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }

    /// What RFC 3339 writes, whatever its offset; anything finer than a millisecond is left out.
    pub fn parse_rfc3339(raw: &str) -> Option<Self> {
        let at = time::OffsetDateTime::parse(raw, &time::format_description::well_known::Rfc3339).ok()?;
        i64::try_from(at.unix_timestamp_nanos().div_euclid(NANOS_PER_MS)).ok().map(Self)
    }

    /// `2026-11-22T10:05:00.123Z`, as RFC 3339 writes it.
    pub fn rfc3339(self) -> String {
        let nanos = i128::from(self.0) * NANOS_PER_MS;
        time::OffsetDateTime::from_unix_timestamp_nanos(nanos)
            .ok()
            .and_then(|at| at.format(&time::format_description::well_known::Rfc3339).ok())
            .unwrap_or_else(|| format!("{} ms after the Unix epoch", self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_prints_as_rfc_3339() {
        assert_eq!(Timestamp::from_unix_ms(1_763_805_900_123).rfc3339(), "2025-11-22T10:05:00.123Z");
    }

    #[test]
    fn what_is_printed_is_read_back_and_other_offsets_are_the_same_moment() {
        let at = Timestamp::from_unix_ms(1_763_805_900_123);
        for raw in ["2025-11-22T10:05:00.123Z", "2025-11-22T19:05:00.1239+09:00"] {
            assert_eq!(Timestamp::parse_rfc3339(raw), Some(at), "{raw}");
        }
        for wrong in ["", "2025-11-22", "2025-11-22T10:05:00", "1763805900123"] {
            assert_eq!(Timestamp::parse_rfc3339(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_difference_never_goes_below_zero() {
        let early = Timestamp::from_unix_ms(5);
        assert_eq!(early.since_ms(early.plus_ms(9)), 0);
        assert_eq!(early.plus_ms(9).since_ms(early), 9);
    }
}
