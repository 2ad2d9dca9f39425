//! The operator's word, on a route whose receipts end there: nothing more is to be expected of the leg, so from then on nothing of
//! it is overdue and nobody is asked about it unasked. Receipts, questions and overdue times are `awaiting`.
//!
//! It withdraws nothing: where the leg was overdue before and its next one waits for a free route, that one is sent all the same.

use super::turn::Turn;
use crate::leg::{Leg, LegNumber, LegOutcome, OperatorReceipt};
use crate::outcome::ReportStatus;

/// Whether a proven report is the word that was awaited of this leg. Told twice, it is no news.
pub(super) fn is_heard(turn: &mut Turn<'_>, number: LegNumber, status: &ReportStatus) -> bool {
    let told = matches!(status, ReportStatus::Underway { at_operator: true, .. });
    if !told || !turn.leg(number).is_some_and(awaits) {
        return false;
    }
    if let Some(leg) = turn.leg_mut(number) {
        leg.operator = Some(OperatorReceipt::Came);
        leg.overdue_at = None;
        leg.ask_at = None;
    }
    true
}

/// Of a leg that is over for another reason it would tell nothing.
fn awaits(leg: &Leg) -> bool {
    let open = match leg.outcome {
        None | Some(LegOutcome::Submitted | LegOutcome::Unknown | LegOutcome::Overdue) => true,
        Some(LegOutcome::Delivered | LegOutcome::Refused | LegOutcome::NotSent | LegOutcome::Cancelled) => false,
    };
    open && leg.operator == Some(OperatorReceipt::Awaited)
}
