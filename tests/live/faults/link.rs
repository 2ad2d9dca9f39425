//! The network between our processes and the broker breaks in the middle of what they say.

use std::time::Duration;

use tokio::time::sleep;

use crate::trial::try_fault;

const CUTS: u64 = 5;
const CUT_EVERY_MS: u64 = 1_000;
/// A link that nobody speaks on cannot be cut; the first cut always meets the load.
const CUTS_MIN: u64 = 2;
/// Within the body of the second or third publish from here: no frame ends there.
const CUT_AFTER_BYTES: u64 = 333;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_cut_in_mid_frame_lose_nothing() {
    let figures = try_fault("cut in mid-frame", async |house| {
        for _ in 0..CUTS {
            house.link.cut_after(CUT_AFTER_BYTES);
            sleep(Duration::from_millis(CUT_EVERY_MS)).await;
        }
        assert!(house.link.cuts() >= CUTS_MIN, "{} cuts", house.link.cuts());
    });
    figures.await.account();
}
