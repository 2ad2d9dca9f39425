//! What the verbs mean, over a draft: an id opens once, claims before spends, compare and set.
//!
//! Every rule looks first and writes afterwards, so that a refusal has written nothing.

use super::draft::Draft;
use crate::bucket::{self, Buckets, Refund, Spend};
use crate::lifecycle::Note;
use crate::message::Message;
use crate::store::{Claim, ClaimKind, Opened, Opening, Save, Saved};
use crate::time::Timestamp;
use crate::wire::WireError;

/// `opening.message` is as it is to be stored.
pub(super) fn open(draft: &mut Draft<'_>, opening: &Opening) -> Result<Opened, WireError> {
    if let Some(message) = draft.message(opening.message.id)? {
        return Ok(Opened::Repeat(Box::new(message)));
    }
    if let Some(held) = held(draft, &opening.claims, opening.at)? {
        for (claim, by) in held.joining(&opening.claims) {
            draft.put_claim(claim, by);
        }
        return Ok(held);
    }
    let paid = match pay(draft, &opening.spends, &[], opening.at) {
        Ok(paid) => paid,
        Err((index, free_at)) => return Ok(Opened::OverLimit { index, free_at }),
    };
    for claim in &opening.claims {
        draft.put_claim(claim, opening.message.id);
    }
    write(draft, &opening.message, &opening.notes, paid, opening.at);
    Ok(Opened::New)
}

/// The stored version must be the one before the saved one.
pub(super) fn save(draft: &mut Draft<'_>, save: &Save) -> Saved {
    if draft.version().is_none_or(|stored| stored + 1 != save.message.version) {
        return Saved::Lost;
    }
    let paid = match pay(draft, &save.spends, &save.refunds, save.at) {
        Ok(paid) => paid,
        Err((index, free_at)) => return Saved::OverLimit { index, free_at },
    };
    write(draft, &save.message, &save.notes, paid, save.at);
    Saved::Won
}

/// The first claim that somebody else holds. A claim is free when its time is over, when its holder was pruned, and, for
/// a living claim, when its holder ended: ending a message has no claim to look for.
fn held(draft: &Draft<'_>, claims: &[Claim], now: Timestamp) -> Result<Option<Opened>, WireError> {
    for claim in claims {
        let Some(holder) = draft.holder(claim).filter(|holder| holder.until > now) else { continue };
        let Some(message) = draft.message(holder.by)? else { continue };
        let kind = claim.kind;
        match kind {
            ClaimKind::Living if !message.is_live() => {}
            ClaimKind::Living | ClaimKind::Key if holder.fingerprint == claim.fingerprint => {
                return Ok(Some(Opened::Held { kind, by: Box::new(message) }));
            }
            ClaimKind::Living | ClaimKind::Key => return Ok(Some(Opened::Conflict { kind, by: holder.by })),
        }
    }
    Ok(None)
}

/// Nothing is written yet.
fn pay(draft: &Draft<'_>, spends: &[Spend], refunds: &[Refund], now: Timestamp) -> Result<Buckets, (usize, Timestamp)> {
    let tags = spends.iter().map(|spend| spend.bucket).chain(refunds.iter().map(|refund| refund.bucket));
    let drafted = tags.map(|tag| (tag, (draft.bucket(&tag), now))).collect();
    bucket::pay(spends, refunds, drafted, now)
}

fn write(draft: &mut Draft<'_>, message: &Message, notes: &[Note], paid: Buckets, at: Timestamp) {
    draft.put_message(message, notes, at);
    for leg in &message.legs {
        if let Some(reference) = &leg.reference {
            draft.put_reference(leg, reference);
        }
    }
    for (tag, (bucket, until)) in paid {
        match bucket.0.is_empty() {
            true => draft.drop_bucket(&tag),
            false => draft.put_bucket(tag, bucket, until),
        }
    }
}
