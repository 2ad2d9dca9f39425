//! The door is away, and with it the way in for receipts, while workers deliver.

use std::time::Duration;

use tokio::time::sleep;

use crate::trial::try_fault;

/// Twice as long as a route waits for a receipt.
const AWAY_MS: u64 = 20_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gets_a_second_text_because_receipts_could_not_come_in() {
    let figures = try_fault("receipt door away", async |house| {
        house.take_door().await.stop().await;
        sleep(Duration::from_millis(AWAY_MS)).await;
        house.start_door().await;
    });
    let figures = figures.await;
    figures.account();
    assert_eq!(figures.extra_texts, 0, "a receipt that cannot come in is no reason for a second text");
}
