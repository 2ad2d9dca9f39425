//! What is reported of a leg, applied to its message. `receipts`, `inbox` and questions to a provider bring it here; a next leg is
//! begun by whoever takes the wake.
//!
//! The row is often at hand as a copy (`recent`), and then it is read only where the copy knows no better.

use otodoke_common::desk::{Applied, Routing};
use otodoke_common::leg::{Leg, LegNumber};
use otodoke_common::lifecycle::Event;
use otodoke_common::message::{Message, MessageId};
use otodoke_common::outcome::{Proof, Report, ReportStatus};
use otodoke_common::store::StoreError;

use crate::courier::Courier;

/// What a report did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    News,
    Known,
    /// Its message is not there (any more).
    Nothing,
}

impl Courier {
    /// Applies a report to its leg, if it comes from that leg's provider. The next leg, where one follows, is left to whoever
    /// takes the wake.
    pub(crate) async fn hear(&self, id: MessageId, number: LegNumber, report: &Report) -> Result<Heard, StoreError> {
        // A copy may be old. What it takes for news is saved by compare-and-set; that something is none, only the row can say.
        if let Some(copy) = self.recent.take(id)
            && self.hear_of(copy, number, report).await? == Heard::News
        {
            return Ok(Heard::News);
        }
        let stored = self.desk.store.load(id).await?.map(Box::new);
        match stored {
            Some(message) => self.hear_of(message, number, report).await,
            None => Ok(Heard::Nothing),
        }
    }

    async fn hear_of(&self, message: Box<Message>, number: LegNumber, report: &Report) -> Result<Heard, StoreError> {
        let id = message.id;
        let Some(leg) = message.leg(number).filter(|leg| leg.provider == report.provider) else {
            return Ok(Heard::Nothing);
        };
        if tells_the_last(report, leg) {
            self.lock_health().heard(&leg.route, (id, number));
        }
        let event = Event::reported(number, report);
        let asks_in_ms = |leg: &Leg| self.questions.asks_in_ms(&leg.provider);
        let routing = Routing { asks_in_ms: &asks_in_ms, ..Routing::ELSEWHERE };
        match self.desk.apply_to(*message, &event, &routing, &[]).await? {
            Applied::Done(step) => {
                self.perform(&step, None).await;
                let heard = if step.save { Heard::News } else { Heard::Known };
                self.recent.put(step.message);
                Ok(heard)
            }
            Applied::Missing | Applied::OverLimit { .. } => Ok(Heard::Nothing),
        }
    }
}

/// Only a proven end tells that receipts of a route come: pokes can be forged, and "underway" is what is said while they do
/// not. Where they end at the operator, its word is the last that is told of most legs.
const fn tells_the_last(report: &Report, leg: &Leg) -> bool {
    let last = match report.status {
        ReportStatus::Delivered | ReportStatus::Failed(_) => true,
        ReportStatus::Underway { at_operator, .. } => at_operator && leg.operator.is_some(),
        ReportStatus::Absent | ReportStatus::Hint => false,
    };
    last && !matches!(report.proof, Proof::Nothing)
}
