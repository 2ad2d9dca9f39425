//! The sandbox's one door to the time of day, and the ways its vendors write it.

use time::format_description::well_known::{Rfc2822, Rfc3339};
use time::{OffsetDateTime, UtcOffset};

/// Milliseconds since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "this crate stands alone; this is its own door to the time of day")]
pub(crate) fn now_ms() -> i64 {
    let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}

/// `2026-11-22T10:05:00.123Z`.
pub(crate) fn rfc3339(ms: i64) -> String {
    at(ms).format(&Rfc3339).unwrap_or_default()
}

/// `Sun, 22 Nov 2026 10:05:00 +0000`, as Twilio writes it.
pub(crate) fn rfc2822(ms: i64) -> String {
    at(ms).format(&Rfc2822).unwrap_or_default()
}

/// `2026-11-22T19:05:00+09:00`, as SMSLINK writes it.
pub(crate) fn japan(ms: i64) -> String {
    let at = at(ms).to_offset(UtcOffset::from_hms(9, 0, 0).unwrap_or(UtcOffset::UTC));
    at.replace_nanosecond(0).unwrap_or(at).format(&Rfc3339).unwrap_or_default()
}

/// `2026-11-22T10:05:00.123+0000`, as Infobip writes it.
pub(crate) fn infobip(ms: i64) -> String {
    let at = at(ms);
    let (year, month, day) = at.to_calendar_date();
    let (hour, minute, second, milli) = at.time().as_hms_milli();
    format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}+0000", u8::from(month))
}

/// `2611221005`, the `RawDlrDoneDate` of Twilio.
pub(crate) fn dlr_done(ms: i64) -> String {
    let at = at(ms);
    let (year, month, day) = at.to_calendar_date();
    format!("{:02}{:02}{day:02}{:02}{:02}", year % 100, u8::from(month), at.hour(), at.minute())
}

/// Reads an ISO 8601 time with an offset.
pub(crate) fn parse_ms(raw: &str) -> Option<i64> {
    let at = OffsetDateTime::parse(raw, &Rfc3339).ok()?;
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok()
}

fn at(ms: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_vendor_writes_time_its_own_way() {
        let ms = 1_763_805_900_123;
        assert_eq!(rfc3339(ms), "2025-11-22T10:05:00.123Z");
        assert_eq!(rfc2822(ms), "Sat, 22 Nov 2025 10:05:00 +0000");
        assert_eq!(japan(ms), "2025-11-22T19:05:00+09:00");
        assert_eq!(infobip(ms), "2025-11-22T10:05:00.123+0000");
        assert_eq!(dlr_done(ms), "2511221005");
        assert_eq!(parse_ms(&japan(ms)), Some(1_763_805_900_000));
    }
}
