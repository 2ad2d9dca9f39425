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
use otodoke_tests::servers::postgres::{PrivatePostgres, postgres, private_postgres, session};
use otodoke_tests::servers::proxy::Proxy;
use tokio::task::JoinSet;

use crate::backend::{LIMITS, migrated, small};
use crate::sample::{START, claim, claiming, id, leg, loaded, message, opened, opening, save};

/// More than the patience of one exchange under the settings of these tests, and than the time of a new connection.
const SILENT_MS_MAX: u64 = 5_000;
const STATEMENT_TIMEOUT_MS: u64 = 300;
const SILENCE: &str = "PostgreSQL said nothing for 600 ms";

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

/// A server behind something that can fall silent, and a store that does not bear that for long.
async fn impatient() -> (PrivatePostgres, Proxy, Arc<Postgres>) {
    let server = private_postgres().await;
    let proxy = Proxy::start(SocketAddr::from(([127, 0, 0, 1], server.port()))).await;
    let url = server.url_through(proxy.address().port(), "postgres");
    let settings = small(&url, LIMITS.inbox_max);
    let impatient =
        PostgresSettings { statement_timeout_ms: STATEMENT_TIMEOUT_MS, create_timeout_ms: 2_000, ..settings };
    let store = migrated(&impatient).await;
    (server, proxy, store)
}

/// Nobody can know whether a server that falls silent has committed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_server_leaves_the_outcome_open_and_is_left_for_a_new_connection() {
    let (_server, proxy, store) = impatient().await;
    let known = opened(&*store, 1).await;
    proxy.stall();
    let silent = tokio::time::timeout(Duration::from_secs(5), store.open(opening(message(2)))).await;
    assert!(matches!(silent, Ok(Err(StoreError::UnknownOutcome { .. }))), "{silent:?}");
    proxy.flow();
    assert_eq!(store.load(known.id).await, Ok(Some(known)));
    let again = store.open(opening(message(2))).await;
    assert!(matches!(again, Ok(Opened::New | Opened::Repeat(_))), "{again:?}");
}

/// The sweep, the gauges and the look at revoked roots hear of it too, and go on afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_asks_a_silent_server_gets_an_answer_within_its_patience() {
    let (_server, proxy, store) = impatient().await;
    let known = opened(&*store, 1).await;
    let later = START.plus_ms(3_600_000);
    // Together, so that each has a connection of its own, which the server leaves without an answer from here on.
    let ask_all = async |now| {
        let (due, counts, settings) = tokio::join!(store.due(now, 10, 1), store.counts(now), store.settings("code."));
        (due.map(|due| due.len()), counts.map(|counts| counts.live), settings.map(|settings| settings.len()))
    };
    assert_eq!(ask_all(START).await, (Ok(0), Ok(1), Ok(0)));
    proxy.stall();
    let (due, counts, settings) = within(SILENT_MS_MAX, ask_all(later)).await;
    let why = SILENCE.to_owned();
    assert_eq!(due, Err(StoreError::UnknownOutcome { why: why.clone() }), "nobody knows what was leased");
    assert_eq!(counts, Err(StoreError::Unavailable { why: why.clone() }));
    assert_eq!(settings, Err(StoreError::Unavailable { why }));
    proxy.flow();
    assert_eq!(ask_all(later.plus_ms(1)).await.1, Ok(1), "new connections are answered");
    assert_eq!(store.load(known.id).await, Ok(Some(known)));
}

/// The pruning, the clock and whoever sets something.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upkeep_that_asks_a_silent_server_gets_an_answer_within_its_patience() {
    let (_server, proxy, store) = impatient().await;
    let prune = || store.prune(START, START, START, 10);
    let ask_both = async || tokio::join!(prune(), store.server_time());
    assert!(matches!(ask_both().await, (Ok(0), Ok(_))));
    proxy.stall();
    let why = SILENCE.to_owned();
    let both = within(SILENT_MS_MAX, ask_both()).await;
    let unavailable = StoreError::Unavailable { why: why.clone() };
    assert_eq!(both, (Err(unavailable.clone()), Err(unavailable)));
    proxy.flow();
    assert!(matches!(ask_both().await, (Ok(0), Ok(_))), "new connections are answered");
    proxy.stall();
    let put = within(SILENT_MS_MAX, store.setting_put("name", Some("value"))).await;
    assert_eq!(put, Err(StoreError::UnknownOutcome { why }));
}

async fn within<T>(ms: u64, asking: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_millis(ms), asking).await.expect("silence is not waited out")
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
