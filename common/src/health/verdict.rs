//! What an answer says about its provider, and what that does to its circuit.

use super::{Circuit, FAILURES_BEFORE_REST, REST_DOUBLINGS_MAX, REST_FIRST_MS, THROTTLE_REST_MS, THROTTLE_REST_MS_MAX};
use crate::outcome::{Answer, Class, Scope};
use crate::time::Timestamp;

pub(super) const CLOSED: Circuit = Circuit::Closed { failures: 0 };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Worked,
    Failed,
    Throttled {
        for_ms: u64,
    },
    /// Says nothing about the provider: refused for the number's or the text's sake.
    Nothing,
}

pub(super) fn judge(answer: &Answer) -> Verdict {
    match answer {
        Answer::Submitted { .. } => Verdict::Worked,
        Answer::NotSent { .. } | Answer::Unknown { .. } => Verdict::Failed,
        Answer::Refused(refusal) if refusal.scope != Scope::Provider => Verdict::Nothing,
        Answer::Refused(refusal) if refusal.class == Class::Throttled => {
            let for_ms = refusal.retry_after_ms.unwrap_or(THROTTLE_REST_MS).min(THROTTLE_REST_MS_MAX);
            Verdict::Throttled { for_ms }
        }
        Answer::Refused(_) => Verdict::Failed,
    }
}

pub(super) fn turned(circuit: Circuit, verdict: Verdict, now: Timestamp) -> Circuit {
    match (verdict, circuit) {
        (Verdict::Worked, _) => CLOSED,
        (Verdict::Nothing | Verdict::Throttled { .. }, Circuit::Probing { .. }) => CLOSED,
        (Verdict::Nothing | Verdict::Throttled { .. }, Circuit::Closed { .. } | Circuit::Open { .. }) => circuit,
        (Verdict::Failed, Circuit::Closed { failures }) if failures + 1 < FAILURES_BEFORE_REST => {
            Circuit::Closed { failures: failures + 1 }
        }
        (Verdict::Failed, Circuit::Closed { .. }) => Circuit::Open { until: now.plus_ms(REST_FIRST_MS), rests: 0 },
        // Answers of calls that were out when it opened do not prolong the rest.
        (Verdict::Failed, Circuit::Open { .. }) => circuit,
        (Verdict::Failed, Circuit::Probing { rests, .. }) => {
            let rests = (rests + 1).min(REST_DOUBLINGS_MAX);
            Circuit::Open { until: now.plus_ms(REST_FIRST_MS << rests), rests }
        }
    }
}
