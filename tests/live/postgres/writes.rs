//! Servers that take no writes: full, read-only for a while, or a standby until it is promoted. Nothing is answered that is
//! not there, and the work goes on by itself when it can.

use std::io::Write;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use otodoke_common::bucket::Spend;
use otodoke_common::postgres::{Postgres, PostgresError};
use otodoke_common::store::{Opened, Opening, Store, StoreError};
use otodoke_tests::servers::postgres::{
    postgres, private_postgres, private_postgres_on_small_disk, psql, session, settings,
};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::backend::{LIMITS, migrated, small};
use crate::sample::{id, message, opened, opening, spend};

/// Larger than any table of an empty cluster; half a page, so that the last one is torn.
const FILE_BYTES_MAX: u64 = 2 * 1_024 * 1_024 + 4_096;
/// More than fit.
const OPENINGS: u16 = 10_000;
const SOON: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(50);

async fn refusal(store: &dyn Store, number: u16) -> String {
    let answer = tokio::time::timeout(SOON, store.open(opening(message(number)))).await;
    let answer = answer.expect("named within seconds");
    let Err(StoreError::Unavailable { why }) = answer else { panic!("{answer:?}") };
    why
}

/// Once it is possible again, without anybody telling the store.
async fn opens_again(store: &dyn Store, number: u16) {
    let begun = Instant::now();
    loop {
        match store.open(opening(message(number))).await {
            Ok(Opened::New | Opened::Repeat(_)) => return,
            answer => assert!(begun.elapsed() < AGAIN, "{answer:?}"),
        }
        sleep(LOOK).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_named_and_what_was_answered_before_is_there() {
    let mut server = private_postgres_on_small_disk(FILE_BYTES_MAX).await;
    let store = migrated(&small(&server.url("postgres"), LIMITS.inbox_max)).await;
    let mut crowd = JoinSet::new();
    for number in 0..OPENINGS {
        let store = Arc::clone(&store);
        crowd.spawn(async move { (number, store.open(opening(message(number))).await) });
    }
    let answers = crowd.join_all().await;
    let why = refusal(&*store, OPENINGS).await;
    // Newer servers say it as a file that is too large.
    assert!(why.contains("53100") && why.contains("make room on its disk") || why.contains("too large"), "{why}");
    server.give_room().await;
    opens_again(&*store, OPENINGS).await;
    let mut refused = 0;
    for (number, answer) in answers {
        let there = store.load(id(number)).await.expect("the store answers").is_some();
        match answer {
            Ok(opened) => assert!(there && opened == Opened::New, "{number}: {opened:?}"),
            Err(StoreError::Unavailable { .. }) => {
                assert!(!there, "{number} was refused");
                refused += 1;
            }
            Err(error) => panic!("{number}: {error}"),
        }
    }
    assert!(refused > 0 && refused < OPENINGS, "{refused} of {OPENINGS} were refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_takes_no_writes_for_a_while_is_named_and_used_again() {
    let server = private_postgres().await;
    let url = server.url("postgres");
    let store = migrated(&small(&url, LIMITS.inbox_max)).await;
    opens_again(&*store, 1).await;
    let read_only = |word: &str| {
        psql(&url, &format!("ALTER SYSTEM SET default_transaction_read_only = {word}"));
        psql(&url, "SELECT pg_reload_conf()");
        while psql(&url, "SHOW default_transaction_read_only") != word {}
    };
    read_only("on");
    let begun = Instant::now();
    let why = loop {
        // Until every session has read its settings anew.
        match store.open(opening(message(2))).await {
            Err(StoreError::Unavailable { why }) => break why,
            Ok(Opened::New | Opened::Repeat(_)) => assert!(begun.elapsed() < SOON, "writes go on"),
            other => panic!("{other:?}"),
        }
    };
    assert!(why.contains("25006") && why.contains("name the primary"), "{why}");
    assert!(store.load(id(1)).await.expect("it can be read").is_some());
    read_only("off");
    opens_again(&*store, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_is_named_and_takes_over_once_it_is_promoted() {
    let mut primary = private_postgres().await;
    let standby = primary.standby().await;
    drop(migrated(&settings(&primary.url("postgres"))).await);
    let error = Postgres::connect(&settings(&standby.url("postgres"))).await.err();
    assert!(matches!(&error, Some(PostgresError::ReadOnly { why, .. }) if why == "it is a standby"), "{error:?}");

    let [first, second] = [standby.port(), primary.port()];
    let both = format!("postgres://postgres@127.0.0.1:{first},127.0.0.1:{second}/postgres");
    let store = migrated(&small(&both, LIMITS.inbox_max)).await;
    let written = opened(&*store, 1).await;
    let so_far = psql(&primary.url("postgres"), "SELECT pg_current_wal_flush_lsn()");
    while psql(&standby.url("postgres"), &format!("SELECT pg_last_wal_replay_lsn() >= '{so_far}'")) != "t" {}
    primary.stop();
    psql(&standby.url("postgres"), "SELECT pg_promote()");
    opens_again(&*store, 2).await;
    assert_eq!(store.load(written.id).await, Ok(Some(written)), "what was written went along");
}

/// As after a switch where the old primary keeps the connections that it has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_takes_no_writes_any_more_is_left_for_the_one_that_does() {
    let primary = private_postgres().await;
    let standby = primary.standby().await;
    let [first, second] = [primary.port(), standby.port()];
    let both = format!("postgres://postgres@127.0.0.1:{first},127.0.0.1:{second}/postgres");
    let store = migrated(&small(&both, LIMITS.inbox_max)).await;
    opened(&*store, 1).await;
    let so_far = psql(&primary.url("postgres"), "SELECT pg_current_wal_flush_lsn()");
    while psql(&standby.url("postgres"), &format!("SELECT pg_last_wal_replay_lsn() >= '{so_far}'")) != "t" {}
    psql(&primary.url("postgres"), "ALTER SYSTEM SET default_transaction_read_only = on");
    psql(&primary.url("postgres"), "SELECT pg_reload_conf()");
    while psql(&primary.url("postgres"), "SHOW default_transaction_read_only") != "on" {}
    psql(&standby.url("postgres"), "SELECT pg_promote()");
    let here = "SELECT count(*) FROM message";
    let begun = Instant::now();
    let mut number = 2;
    while psql(&standby.url("postgres"), here) == "1" {
        assert!(begun.elapsed() < SOON, "nothing is written to the new primary");
        drop(store.open(opening(message(number))).await);
        number += 1;
    }
    opens_again(&*store, number).await;
    // What is looked up beside messages, as whether a key was revoked, is looked up there as well.
    psql(&standby.url("postgres"), "INSERT INTO setting (name, value) VALUES ('told'::bytea, 'there'::bytea)");
    assert_eq!(store.setting("told").await, Ok(Some("there".to_owned())));
}

/// As another door or worker holds a tenant's bucket while it pays into it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_only_looks_into_a_bucket_does_not_wait_for_those_who_pay_into_it() {
    let server = postgres().await;
    let url = server.database();
    let store = migrated(&small(&url, LIMITS.inbox_max)).await;
    let paying = |number, cost| Opening { spends: vec![Spend { cost, ..spend(7, 5) }], ..opening(message(number)) };
    assert_eq!(store.open(paying(1, 1)).await, Ok(Opened::New));
    let mut holding = session(&url).stdin(Stdio::piped()).spawn().expect("a session");
    let mut typed = holding.stdin.take().expect("a pipe");
    writeln!(typed, "BEGIN; UPDATE bucket SET entries = entries;").expect("typed");
    // A row that is held has the transaction of its holder.
    let begun = Instant::now();
    while psql(&url, "SELECT count(*) FROM bucket WHERE xmax <> 0") == "0" {
        assert!(begun.elapsed() < SOON, "the row is held within seconds");
        sleep(LOOK).await;
    }
    let looking = tokio::time::timeout(SOON, store.open(paying(2, 0))).await;
    assert_eq!(looking.expect("at once"), Ok(Opened::New));
    let paid = tokio::spawn({
        let (store, opening) = (Arc::clone(&store), paying(3, 1));
        async move { store.open(opening).await }
    });
    sleep(LOOK).await;
    assert!(!paid.is_finished(), "who pays waits for the one before");
    drop(typed);
    holding.wait().expect("it ends with what is typed");
    assert_eq!(paid.await.expect("no panic"), Ok(Opened::New));
}
