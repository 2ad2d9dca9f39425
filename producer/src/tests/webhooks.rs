//! Receipts: durable before they are acknowledged, in the vendor's own form; forged ones leave nothing.

use axum::http::Method;
use otodoke_common::broker::Queue;
use otodoke_common::outcome::About;
use otodoke_common::wire::{decode_reports, encode_reports};

use super::bed::{Bed, Reply, UNPROVEN};
use crate::extract::WEBHOOK_BYTES_MAX;
use crate::receipts::UNPROVEN_WAITING_MAX;

async fn post(bed: &Bed, path: &str, proof: &str, body: &str) -> Reply {
    bed.raw(Method::POST, path, &[("x-proof", proof)], body.as_bytes().to_vec()).await
}

#[tokio::test(start_paused = true)]
async fn receipts_are_on_their_queue_before_they_are_acknowledged() {
    let bed = Bed::new().await;
    let path = "/receipts/kodama/a-tag?bodySHA256=1";
    let reply = post(&bed, path, "https://otp.example.com/receipts/kodama/a-tag?bodySHA256=1", "one two").await;
    assert_eq!((reply.status.as_u16(), reply.text.as_str()), (200, "<taken tag=\"a-tag\"/>"));
    assert_eq!(reply.header("content-type"), Some("text/xml"));
    let reports = decode_reports(&bed.taken(Queue::Receipts).await).expect("reports");
    let about: Vec<_> = reports.into_iter().map(|report| report.about).collect();
    assert_eq!(about, ["one", "two"].map(|reference| About::Reference(reference.to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_webhook_without_news_is_acknowledged_and_leaves_nothing() {
    let bed = Bed::new().await;
    let reply = post(&bed, "/receipts/kodama", "https://otp.example.com/receipts/kodama", "").await;
    assert_eq!(reply.status.as_u16(), 200);
    assert_eq!(bed.waiting(Queue::Receipts), 0);
}

#[tokio::test(start_paused = true)]
async fn a_forged_webhook_is_refused_counted_and_leaves_nothing() {
    let bed = Bed::new().await;
    let reply = post(&bed, "/receipts/kodama", "forged", "one").await;
    assert_eq!(reply.problem(), (403, "webhook_refused".to_owned(), None));
    assert_eq!(bed.waiting(Queue::Receipts), 0);
    let counted = bed.door.desk.metrics.text();
    assert!(counted.lines().any(|line| line.contains("forged") && line.ends_with(" 1")), "{counted}");
}

#[tokio::test(start_paused = true)]
async fn of_a_flood_of_unproven_pokes_only_so_many_wait_and_what_is_proven_still_does() {
    let bed = Bed::new().await;
    let unproven = encode_reports(&[]);
    for _ in 0..=UNPROVEN_WAITING_MAX {
        bed.door.broker.publish(Queue::Receipts, unproven.clone()).await.expect("memory takes it");
    }
    let waiting = bed.waiting(Queue::Receipts);
    let url = "https://otp.example.com/receipts/kodama";
    assert_eq!(post(&bed, "/receipts/kodama", UNPROVEN, "one").await.status.as_u16(), 200, "the vendor's own form");
    assert_eq!(bed.waiting(Queue::Receipts), waiting);
    assert_eq!(post(&bed, "/receipts/kodama", url, "one").await.status.as_u16(), 200);
    assert_eq!(bed.waiting(Queue::Receipts), waiting + 1);
}

#[tokio::test(start_paused = true)]
async fn a_provider_nobody_knows_has_no_address() {
    let bed = Bed::new().await;
    for path in ["/receipts/nobody", "/receipts/NOBODY/tag", "/voice/nobody/1/tag"] {
        assert_eq!(post(&bed, path, "", "one").await.problem(), (404, "not_found".to_owned(), None));
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_read_for_a_provider_nobody_knows() {
    let bed = Bed::new().await;
    let endless = "r".repeat(WEBHOOK_BYTES_MAX + 1);
    for path in ["/receipts/nobody", "/receipts/nobody/tag", "/voice/nobody/1/tag"] {
        assert_eq!(post(&bed, path, "", &endless).await.problem(), (404, "not_found".to_owned(), None), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_providers_body_may_be_larger_than_a_callers_but_not_endless() {
    let bed = Bed::new().await;
    let proof = "https://otp.example.com/receipts/kodama";
    let batch = "r ".repeat(WEBHOOK_BYTES_MAX / 2);
    assert_eq!(post(&bed, "/receipts/kodama", proof, &batch).await.status.as_u16(), 200);
    let reply = post(&bed, "/receipts/kodama", proof, &format!("{batch}r")).await;
    assert_eq!(reply.problem(), (413, "body_too_large".to_owned(), None));
}
