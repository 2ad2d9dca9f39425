//! The status consumer: reports from the receipts queue are matched to their legs, or wait in the inbox.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use otodoke_common::broker::{Delivery, Origin, Queue};
use otodoke_common::leg::{LegNumber, ProviderId};
use otodoke_common::message::MessageId;
use otodoke_common::metrics::ReceiptMatch;
use otodoke_common::outcome::{About, Proof, Report};
use otodoke_common::store::StoreError;
use otodoke_common::wire::decode_reports;

use crate::courier::Courier;
use crate::hearing::Heard;
use crate::parking::{park, park_or_drop};

/// Deliveries of reports in hand at once, each of one webhook, and so mostly one report; a question to a provider holds one of
/// them. So many fill several of the store's groups. What they hold is bounded again by what RabbitMQ hands out unsettled:
/// `prefetch` messages, each of one body or of 64 KiB of them.
pub(crate) const IN_HAND_MAX: usize = 2_048;

const NOT_OURS: &str = "reports are published by our own programs alone, and this was by another user of the broker";

pub(crate) async fn handle(courier: Arc<Courier>, delivery: Delivery) {
    // Whoever may write to any queue by its name could else say that anything was delivered.
    let ours = delivery.origin == Origin::Ours;
    let read =
        if ours { decode_reports(&delivery.body).map_err(|error| error.to_string()) } else { Err(NOT_OURS.into()) };
    let reports = match read {
        Ok(reports) => reports,
        Err(why) if ours => return park(&courier, Queue::Receipts, delivery, &why).await,
        Err(why) => return park_or_drop(&courier, Queue::Receipts, delivery, &why).await,
    };
    let heard = join_all(by_leg(&reports).into_values().map(|of_one| hear_in_order(&courier, of_one))).await;
    if let Some(error) = heard.into_iter().find_map(Result::err) {
        courier.desk.metrics.store_error(&error);
        // Dropped unsettled: all of its reports come again, and those that were heard are late.
        return;
    }
    courier.settle(delivery).await;
}

/// Reports of one webhook are heard together, but what is told of one leg in the order in which it was told.
fn by_leg(reports: &[Report]) -> BTreeMap<(&ProviderId, &About), Vec<&Report>> {
    let mut legs: BTreeMap<_, Vec<&Report>> = BTreeMap::new();
    for report in reports {
        legs.entry((&report.provider, &report.about)).or_default().push(report);
    }
    legs
}

async fn hear_in_order(courier: &Courier, reports: Vec<&Report>) -> Result<(), StoreError> {
    for report in reports {
        courier.patiently(|| hear(courier, report)).await?;
    }
    Ok(())
}

/// Matched by our tag, or by the provider's reference. What matches nothing is written to the inbox first and looked up
/// once more after: the worker that saves the reference looks into the inbox in its turn, where what is proven may wait there.
async fn hear(courier: &Courier, report: &Report) -> Result<(), StoreError> {
    match &report.about {
        About::Leg { id, leg } => apply_at_rest(courier, *id, *leg, report).await,
        About::Reference(reference) => {
            let store = &courier.desk.store;
            if let Some((id, leg)) = store.by_reference(&report.provider, reference).await? {
                return apply_at_rest(courier, id, leg, report).await;
            }
            keep(courier, report).await?;
            let Some((id, leg)) = store.by_reference(&report.provider, reference).await? else { return Ok(()) };
            for waiting in store.inbox_read(&report.provider, reference).await? {
                apply(courier, id, leg, &waiting).await?;
                store.inbox_drop(&waiting).await?;
            }
            Ok(())
        }
    }
}

/// What nobody proved is not kept: it could only cause a question that the sweep asks anyway, and anybody could fill the
/// inbox with it. An inbox that is full refuses: it is bounded, and what overflows it matches nothing.
async fn keep(courier: &Courier, report: &Report) -> Result<(), StoreError> {
    let metrics = &courier.desk.metrics;
    let kept = if report.proof == Proof::Nothing { None } else { Some(courier.desk.store.inbox_put(report).await) };
    let found = match kept {
        Some(Ok(())) => ReceiptMatch::Orphan,
        Some(Err(error @ StoreError::Full { .. })) => {
            metrics.store_error(&error);
            ReceiptMatch::Unkept
        }
        Some(Err(error)) => return Err(error),
        None => ReceiptMatch::Unkept,
    };
    metrics.receipt_match(&report.provider, found);
    Ok(())
}

/// Once the answer of its call is saved, if that happens here and soon.
async fn apply_at_rest(courier: &Courier, id: MessageId, leg: LegNumber, report: &Report) -> Result<(), StoreError> {
    courier.recent.rests(id).await;
    apply(courier, id, leg, report).await
}

pub(crate) async fn apply(courier: &Courier, id: MessageId, leg: LegNumber, report: &Report) -> Result<(), StoreError> {
    let found = match courier.hear(id, leg, report).await? {
        Heard::News => ReceiptMatch::Matched,
        Heard::Known => ReceiptMatch::Duplicate,
        Heard::Nothing => ReceiptMatch::Unkept,
    };
    courier.desk.metrics.receipt_match(&report.provider, found);
    Ok(())
}
