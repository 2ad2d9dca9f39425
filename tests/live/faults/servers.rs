//! The servers die and come back, or say that they are full.

use std::time::Duration;

use tokio::time::sleep;

use crate::trial::try_fault;

/// How long an alarm lasts.
const ALARM_MS: u64 = 5_000;
/// Below what any node uses, and what RabbitMQ itself starts with.
const WATERMARKS: [&str; 2] = ["0.00001", "0.4"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_killed_and_started_again_loses_nothing() {
    let figures = try_fault("RabbitMQ killed", async |house| {
        house.rabbit.kill();
        house.rabbit.start().await;
    });
    figures.await.account();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_stopped_at_once_and_started_again_loses_nothing() {
    let figures = try_fault("PostgreSQL stopped", async |house| {
        house.postgres.stop();
        house.postgres.start().await;
    });
    figures.await.account();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_memory_alarm_loses_nothing() {
    let figures = try_fault("memory alarm", async |house| {
        let [full, usual] = WATERMARKS;
        house.rabbit.control(&["set_vm_memory_high_watermark", full]);
        sleep(Duration::from_millis(ALARM_MS)).await;
        house.rabbit.control(&["set_vm_memory_high_watermark", usual]);
    });
    figures.await.account();
}
