//! What other processes heard. Receipts of the legs that this process sent are heard by whichever takes them from the
//! queue; the rows say so. Without a look into them every route would seem late to a process that hears only its share.

use futures_util::future::join_all;
use otodoke_common::leg::{Leg, LegOutcome};
use otodoke_common::message::Message;

use crate::courier::Courier;

impl Courier {
    /// Before it is judged whether the receipts of a route are late. Callers take turns, so that nobody judges by what is
    /// being looked up.
    pub(crate) async fn catch_up(&self, message: &Message) {
        let now = self.desk.clock.now();
        let overdue = |leg: &&Leg| {
            leg.outcome == Some(LegOutcome::Submitted) && leg.overdue_at.is_some_and(|overdue_at| overdue_at <= now)
        };
        for leg in message.legs.iter().filter(overdue) {
            let _turn = self.catching_up.lock().await;
            let unheard = self.lock_health().unheard(leg, now);
            let rows = join_all(unheard.iter().map(|(id, _)| self.desk.store.load(*id))).await;
            let mut health = self.lock_health();
            for ((id, number), row) in unheard.into_iter().zip(rows) {
                // A row that cannot be read now tells nothing; the leg stays silent until it can.
                let row = row.ok().flatten();
                if row.as_ref().and_then(|row| row.leg(number)).is_some_and(was_heard_of) {
                    health.heard(&leg.route, (id, number));
                }
            }
        }
    }
}

/// Of a leg that a provider took: its end, or that the operator has it, where that is the last that is told.
fn was_heard_of(leg: &Leg) -> bool {
    match leg.outcome {
        Some(LegOutcome::Delivered | LegOutcome::Refused | LegOutcome::NotSent) => true,
        None | Some(LegOutcome::Submitted | LegOutcome::Unknown | LegOutcome::Overdue | LegOutcome::Cancelled) => {
            leg.is_at_operator()
        }
    }
}
