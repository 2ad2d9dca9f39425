//! Our own processes die, or are told to stop.

use serde_json::json;

use crate::house::House;
use crate::load;
use crate::trial::try_fault;
use crate::until::until;

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

/// What a worker writes that goes through a thousand a second.
const TELL: &str = "INSERT INTO setting VALUES (convert_to('lane/throughput/test', 'UTF8'), \
    convert_to(format('{\"at\":%s,\"per_s\":{\"normal\":1000.0}}', (extract(epoch FROM now()) * 1000)::bigint), 'UTF8')) \
    ON CONFLICT (name) DO UPDATE SET value = excluded.value";
/// More than go in half a minute at the pace that is assumed of workers nobody has seen.
const QUEUED: usize = 1_600;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_door_hears_how_fast_workers_go() {
    let house = House::open().await;
    let caller = house.caller();
    load::ask(caller.clone(), 0..QUEUED).await;
    let short = json!({ "to": load::phone(QUEUED), "purpose": "login", "ttl_seconds": 30 });
    let refused = caller.post("/v1/verifications", &short).await;
    assert_eq!((refused.status, &refused.json()["code"]), (503, &json!("busy")), "{}", refused.text);
    let hears = async || {
        house.query(TELL);
        Some(caller.post("/v1/verifications", &short).await).filter(|answer| answer.status == 202)
    };
    until("a door accepts by the pace that is told", hears, async || String::new()).await;
}
