//! When a vendor says something happened. What it says is believed only within reason.

use otodoke_common::time::Timestamp;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Vendors' clocks may run ahead of ours by this much.
const AHEAD_MS_MAX: u64 = 3_600_000;
/// Receipts come up to 72 hours late; a week is generous.
const BEHIND_MS_MAX: u64 = 7 * 24 * 3_600_000;

/// Reads `2026-11-22T10:05:00+09:00` and Infobip's `2026-11-22T01:05:00.000+0000`.
pub(crate) fn happened_at(raw: &str, now: Timestamp) -> Option<Timestamp> {
    let at = OffsetDateTime::parse(&with_colon(raw)?, &Rfc3339).ok()?;
    let ms = i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok()?;
    let at = Timestamp::from_unix_ms(ms);
    (now.minus_ms(BEHIND_MS_MAX)..=now.plus_ms(AHEAD_MS_MAX)).contains(&at).then_some(at)
}

/// RFC 3339 wants a colon in the offset; some vendors leave it out.
fn with_colon(raw: &str) -> Option<String> {
    let split = raw.len().checked_sub(5)?;
    let (head, offset) = raw.split_at_checked(split)?;
    if offset.starts_with(['+', '-']) && offset[1..].bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(format!("{head}{}:{}", &offset[..3], &offset[3..]));
    }
    Some(raw.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vendors_time_is_read_where_it_is_sane_and_left_out_where_not() {
        let now = Timestamp::from_unix_ms(1_763_805_900_000); // 2025-11-22T10:05:00Z
        let cases = [
            ("2025-11-22T19:04:58+09:00", Some(-2_000)),
            ("2025-11-22T10:04:58.500+0000", Some(-1_500)),
            ("2025-11-22T10:05:00Z", Some(0)),
            ("2025-11-22T12:05:00Z", None),
            ("2015-11-22T10:05:00Z", None),
            ("yesterday", None),
            ("", None),
            ("日本時間", None),
        ];
        for (raw, offset_ms) in cases {
            let want = offset_ms.map(|ms: i64| Timestamp::from_unix_ms(now.unix_ms() + ms));
            assert_eq!(happened_at(raw, now), want, "{raw}");
        }
    }
}
