//! A trace as a person reads it: when, and what happened, one line each; then where the message stands.

use std::fmt::Write;

use otodoke_common::time::Timestamp;
use otodoke_producer::answer::Trace;

pub(super) fn of(trace: &Trace, now: Timestamp) -> String {
    let message = &trace.message;
    let mut text = format!("{}  {} to {}: {}\n\n", message.id, message.purpose, message.to, message.status);
    for line in &trace.journal {
        writeln!(text, "  {:>10}  {}", after(line.after_ms), line.sentence).expect("writing to a string cannot fail");
    }
    match &message.failure {
        Some(failure) => write!(text, "\nIt failed: {}. {}", failure.reason, failure.guidance),
        None if Timestamp::parse_rfc3339(&message.useful_until).is_some_and(|until| until <= now) => {
            write!(text, "\nIt was useful until {}.", message.useful_until)
        }
        None => write!(text, "\nUseful until {}.", message.useful_until),
    }
    .expect("writing to a string cannot fail");
    text
}

/// `+0.213 s` within a minute of acceptance, `+4 min 07 s` after it.
fn after(ms: u64) -> String {
    if ms < 60_000 {
        return format!("+{}.{:03} s", ms / 1_000, ms % 1_000);
    }
    format!("+{} min {:02} s", ms / 60_000, ms / 1_000 % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_a_person_would() {
        assert_eq!(after(213), "+0.213 s");
        assert_eq!(after(59_999), "+59.999 s");
        assert_eq!(after(247_000), "+4 min 07 s");
    }
}
