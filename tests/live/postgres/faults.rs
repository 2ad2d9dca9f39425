//! Bad days: a guilty row, a server that stops in the middle, a transaction that somebody holds open.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use otodoke_common::message::MessageId;
use otodoke_common::postgres::{Postgres, PostgresSettings};
use otodoke_common::store::{Opened, Saved, Store, StoreError};
use otodoke_tests::servers::postgres::{postgres, private_postgres, session};
use otodoke_tests::servers::proxy::Proxy;
use tokio::task::JoinSet;

use crate::backend::{LIMITS, migrated, small};
use crate::sample::{START, claim, claiming, id, leg, loaded, message, opened, opening, save};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_is_refused_hurts_only_its_own_caller() {
    let server = postgres().await;
    let store = migrated(&small(&server.database(), LIMITS.inbox_max)).await;
    let mut crowd = JoinSet::new();
    for number in 0..64 {
        let mut current = opened(&*store, number).await;
        // No index takes a key of this size, and this one cannot be made smaller.
        let reference = if number == 13 { noise() } else { format!("reference-{number}") };
        current.legs.push(leg(1, Some(&reference)));
        let store = Arc::clone(&store);
        crowd.spawn(async move { (number, store.save(&save(current)).await) });
    }
    let answers: BTreeMap<u16, Result<Saved, StoreError>> = crowd.join_all().await.into_iter().collect();
    for (number, answer) in answers {
        match number {
            13 => assert!(matches!(answer, Err(StoreError::Refused { .. })), "{answer:?}"),
            _ => assert_eq!(answer, Ok(Saved::Won)),
        }
    }
    assert_eq!(loaded(&*store, 13).await.version, 1, "nothing of it was written");
    assert_eq!(loaded(&*store, 14).await.version, 2);
}

/// Letters in an order that no compression finds, by Marsaglia's xorshift.
fn noise() -> String {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let letter = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'!' + u8::try_from(state % 90).expect("less than 90"))
    };
    (0..8_000).map(letter).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_before_the_server_stopped_is_there_when_it_is_back() {
    let mut server = private_postgres().await;
    let store = migrated(&small(&server.url("postgres"), LIMITS.inbox_max)).await;
    let mut crowd = JoinSet::new();
    for number in 0..2_000 {
        let store = Arc::clone(&store);
        crowd.spawn(async move { (id(number), store.open(opening(message(number))).await) });
    }
    let first = crowd.join_next().await.expect("somebody is first").expect("no task panics");
    server.stop();
    let mut answers: BTreeMap<MessageId, Result<Opened, StoreError>> = crowd.join_all().await.into_iter().collect();
    answers.insert(first.0, first.1);
    let refused = store.open(opening(message(3_000))).await;
    assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
    server.start().await;
    for (id, answer) in &answers {
        let there = store.load(*id).await.expect("the pool finds the server again").is_some();
        match answer {
            Ok(opened) => assert!(there && *opened == Opened::New, "{opened:?}"),
            Err(StoreError::UnknownOutcome { .. }) => {}
            Err(StoreError::Unavailable { why }) => assert!(!there, "nothing was to be written: {why}"),
            Err(other @ (StoreError::Refused { .. } | StoreError::Full { .. })) => panic!("{other}"),
        }
    }
}

/// Nobody can know whether a server that falls silent has committed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_server_leaves_the_outcome_open_and_is_left_for_a_new_connection() {
    let server = private_postgres().await;
    let proxy = Proxy::start(SocketAddr::from(([127, 0, 0, 1], server.port()))).await;
    let url = server.url_through(proxy.address().port(), "postgres");
    let impatient = PostgresSettings { statement_timeout_ms: 300, ..small(&url, LIMITS.inbox_max) };
    let store = migrated(&impatient).await;
    let known = opened(&*store, 1).await;
    proxy.stall();
    let silent = tokio::time::timeout(Duration::from_secs(5), store.open(opening(message(2)))).await;
    assert!(matches!(silent, Ok(Err(StoreError::UnknownOutcome { .. }))), "{silent:?}");
    proxy.flow();
    assert_eq!(store.load(known.id).await, Ok(Some(known)));
    let again = store.open(opening(message(2))).await;
    assert!(matches!(again, Ok(Opened::New | Opened::Repeat(_))), "{again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_processes_with_one_claim_one_wins() {
    let server = postgres().await;
    let settings = small(&server.database(), LIMITS.inbox_max);
    let mut stores = vec![migrated(&settings).await];
    stores.push(Postgres::connect(&settings).await.expect("a second process connects"));
    let mut crowd = JoinSet::new();
    for number in 0..400 {
        let store = Arc::clone(&stores[usize::from(number % 2)]);
        let claim = claim(otodoke_common::store::ClaimKind::Key, 1);
        crowd.spawn(async move { store.open(claiming(number, claim, START)).await });
    }
    let answers = crowd.join_all().await;
    assert_eq!(answers.iter().filter(|answer| **answer == Ok(Opened::New)).count(), 1);
    assert!(answers.iter().all(|answer| matches!(answer, Ok(Opened::New | Opened::Held { .. }))), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_work_goes_on_while_somebody_holds_a_transaction_open() {
    let server = postgres().await;
    let url = server.database();
    let store = migrated(&small(&url, LIMITS.inbox_max)).await;
    let mut holding = session(&url).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("psql runs");
    let mut said = holding.stdin.take().expect("its input is ours");
    said.write_all(b"BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM message;\n").expect("it listens");
    let work = async {
        for number in 0..200 {
            let mut current = opened(&*store, number).await;
            for _ in 0..5 {
                assert_eq!(store.save(&save(current.clone())).await, Ok(Saved::Won));
                current.version += 1;
            }
        }
        let after_all = START.plus_ms(3_600_000);
        store.due(after_all, 1_000, 1).await.expect("the sweep goes on").len()
    };
    let due = tokio::time::timeout(Duration::from_secs(30), work).await;
    assert_eq!(due, Ok(200));
    drop(said);
    holding.wait().expect("psql ends with its input");
}
