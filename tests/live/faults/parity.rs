//! What holds in one process holds in many: the rows of the sandbox's table, webhooks and the themes, over RabbitMQ and
//! PostgreSQL, with a door, a worker that delivers and sweeps, one that only hears receipts, and carriers, each a process.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::join_all;
use otodoke_common::message::MessageId;

use crate::house::{House, Plan};
use crate::remains::{Left, Run, assert_clean, collect, found, number};
use crate::settings::EVERYTHING;
use crate::stand::Stand;
use crate::{table, themes, webhooks};

/// Rows after which the first carrier is spared for a while: others would find their texts sent by the second.
const UNSETTLING: [&str; 2] = ["row_0007", "row_0010"];

/// A claim under its name, tried on a house.
pub(crate) type Claim = (&'static str, fn(Arc<Stand>) -> Pin<Box<dyn Future<Output = ()>>>);

/// All at once; a claim that does not hold says why by itself.
async fn hold(house: &House, claims: &[Claim]) {
    let stand = Arc::new(house.stand());
    let trials = claims.iter().map(|(name, claim)| {
        let trial = AssertUnwindSafe(claim(Arc::clone(&stand))).catch_unwind();
        async move { (*name, trial.await.is_ok()) }
    });
    let tried = join_all(trials).await;
    let failed: Vec<&str> = tried.into_iter().filter(|(_, held)| !held).map(|(name, _)| name).collect();
    assert!(failed.is_empty(), "{failed:#?} did not hold; {} did", claims.len() - failed.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_many_processes_all_holds_that_holds_in_one() {
    let plan = Plan { log_filter: "trace", journey: EVERYTHING, roles: ["deliver,sweep", "status"] };
    let mut house = House::open_as(plan).await;
    house.start_workers().await;
    let (unsettling, calm): (Vec<Claim>, Vec<Claim>) =
        table::ALL.iter().partition(|(name, _)| UNSETTLING.iter().any(|row| name.starts_with(row)));
    hold(&house, &calm).await;
    // Phones of the table are asked for again.
    hold(&house, &[themes::ALL, webhooks::ALL].concat()).await;
    for claim in unsettling {
        hold(&house, &[claim]).await;
    }

    let mut run = Run::all(house.stand().caller).await;
    let mut left = run.shown().await;
    house.query("CHECKPOINT");
    for directory in [house.rabbit.directory(), house.postgres.directory()] {
        collect(directory, &mut left);
    }
    let logs = house
        .logs()
        .map(|log| Left { name: log.display().to_string(), bytes: std::fs::read(log).expect("it is there") });
    assert!(logs.iter().all(|log| !log.bytes.is_empty()));
    left.extend(logs);
    let id = MessageId::parse(&run.ids[0]).expect("an id");
    let row = |file: &Left| file.name.contains("/base/") && found(id.bytes(), &file.bytes);
    assert!(left.iter().any(row), "the rows are in the files that were looked at");
    assert_clean(&left, &run.secrets);
    let mut book = Vec::new();
    collect(&house.book(), &mut book);
    let known = &number("+819012340001")[0].bytes;
    assert!(book.iter().any(|file| found(known, &file.bytes)), "the handsets hold what nobody else may");
    let claims = table::ALL.len() + themes::ALL.len() + webhooks::ALL.len();
    println!("| themes | {claims} claims held in many processes | {} secrets found nowhere |", run.secrets.len());
}
