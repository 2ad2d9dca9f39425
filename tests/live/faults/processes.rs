//! Our own processes die, or are told to stop.

use crate::trial::try_fault;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_worker_loses_nothing() {
    let figures = try_fault("worker killed", async |house| {
        house.take_worker().await.kill();
        house.start_workers().await;
    });
    figures.await.account();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_door_loses_nothing_that_it_accepted() {
    let figures = try_fault("door killed", async |house| {
        house.take_door().await.kill();
        house.start_door().await;
    });
    figures.await.account();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_under_load_loses_nothing() {
    let figures = try_fault("rolling restart", async |house| {
        house.take_door().await.stop().await;
        house.start_door().await;
        for _ in 0..2 {
            house.take_worker().await.stop().await;
            house.start_workers().await;
        }
    });
    figures.await.account();
}
