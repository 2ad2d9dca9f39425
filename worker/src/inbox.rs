//! Reports that came before their leg was known: applied once it is, and only then taken out of the inbox.

use otodoke_common::leg::{Leg, LegOutcome};
use otodoke_common::message::Message;
use otodoke_common::store::StoreError;

use crate::courier::Courier;
use crate::receipts::apply;

/// What waits for this leg. Whoever dies in between leaves it to the sweep; applied twice, it is late the second time.
pub(crate) async fn match_waiting(courier: &Courier, message: &Message, leg: &Leg) -> Result<(), StoreError> {
    let Some(reference) = leg.reference.as_deref() else { return Ok(()) };
    for report in courier.desk.store.inbox_read(&leg.provider, reference).await? {
        Box::pin(apply(courier, message.id, leg.number, &report)).await?;
        courier.desk.store.inbox_drop(&report).await?;
    }
    Ok(())
}

/// Before silence is taken for silence: whoever saved a reference may have died before it looked into the inbox.
pub(crate) async fn match_silent(courier: &Courier, message: &Message) -> Result<(), StoreError> {
    let silent = |leg: &&Leg| matches!(leg.outcome, Some(LegOutcome::Submitted | LegOutcome::Unknown));
    for leg in message.legs.iter().filter(silent) {
        match_waiting(courier, message, leg).await?;
    }
    Ok(())
}
