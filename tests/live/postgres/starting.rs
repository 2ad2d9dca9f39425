//! A process that begins with a database it cannot use is told why within seconds.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use otodoke_common::lifecycle::Note;
use otodoke_common::message::MessageId;
use otodoke_common::postgres::{Postgres, PostgresError, PostgresSettings};
use otodoke_common::store::{JournalEntry, Store};
use otodoke_common::time::Timestamp;
use otodoke_tests::servers::postgres::{postgres, private_postgres, psql, session, settings, with_database};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::backend::{LIMITS, migrated, small};

const LOOK: Duration = Duration::from_millis(20);
const SOON: Duration = Duration::from_secs(8);
/// A day with a message that has a journal and one that has none, and one that was detached and not dropped.
const OLD_DAYS: &str = r#"
    CREATE TABLE message_2026_01_01 PARTITION OF message FOR VALUES IN (20454);
    CREATE TABLE journal_2026_01_01 PARTITION OF journal FOR VALUES IN (20454);
    CREATE TABLE journal_2025_12_31 (LIKE journal INCLUDING ALL);
    INSERT INTO message (day, id, version, body) VALUES
        (20454, '019b76da-a800-7000-8000-000000000001', 1, ''), (20454, '019b76da-a800-7000-8000-000000000002', 1, '');
    INSERT INTO journal VALUES (20454, '019b76da-a800-7000-8000-000000000001', 1, 3000, '[{"event":"erased"}]');
"#;
/// When journals had a table of their own.
const SCHEMA_2: &str = concat!(
    include_str!("../../../migrations/0001_rows.sql"),
    include_str!("../../../migrations/0002_references.sql"),
    "CREATE TABLE schema (version integer PRIMARY KEY, oldest_program integer NOT NULL, name text NOT NULL);
     INSERT INTO schema VALUES (1, 1, 'rows'), (2, 2, 'references');"
);

async fn refusal(settings: &PostgresSettings) -> PostgresError {
    let connecting = tokio::time::timeout(SOON, Postgres::connect(settings)).await;
    connecting.expect("the answer comes within seconds").err().expect("this database is of no use")
}

#[tokio::test]
async fn a_url_that_makes_no_sense_is_refused_without_being_printed() {
    for url in ["hunter2", "postgres://", "postgres://a:hunter2@h:notaport/d", "postgres://a:hunter2@h/d?no=thing"] {
        let error = refusal(&settings(url)).await;
        assert_eq!(error, PostgresError::Url, "{url}");
        assert!(!error.to_string().contains("hunter2"));
    }
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let error = refusal(&settings(&format!("postgres://a:hunter2@{address}/d"))).await;
    assert!(matches!(&error, PostgresError::Unreachable { at, .. } if *at == address.to_string()), "{error}");
    assert!(error.waiting_helps() && !error.to_string().contains("hunter2"));
}

#[tokio::test]
async fn a_server_that_takes_the_connection_and_says_nothing_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let silent = PostgresSettings { create_timeout_ms: 500, ..settings(&format!("postgres://a@{address}/d")) };
    let error = refusal(&silent).await;
    assert!(matches!(error, PostgresError::Silent { waited_ms: 500, .. }), "{error}");
}

#[tokio::test]
async fn a_missing_database_and_a_wrong_user_are_told_apart() {
    let server = private_postgres().await;
    let error = refusal(&settings(&server.url("nowhere"))).await;
    assert!(matches!(&error, PostgresError::NoDatabase { database, .. } if database == "nowhere"), "{error}");
    let stranger = server.url("postgres").replace("postgres@", "stranger@");
    let error = refusal(&settings(&stranger)).await;
    assert!(matches!(&error, PostgresError::NotLetIn { user, .. } if user == "stranger"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_takes_no_writes_is_named() {
    let server = postgres().await;
    let url = server.database();
    let name = url.rsplit('/').next().expect("a url names its database");
    psql(&with_database(&url, "postgres"), &format!("ALTER DATABASE {name} SET default_transaction_read_only = on"));
    let error = refusal(&settings(&url)).await;
    assert!(matches!(error, PostgresError::ReadOnly { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_that_is_missing_older_or_newer_is_named() {
    let server = postgres().await;
    let url = server.database();
    assert_eq!(refusal(&settings(&url)).await, PostgresError::NoSchema);
    drop(migrated(&small(&url, LIMITS.inbox_max)).await);
    psql(&url, "INSERT INTO schema VALUES (7001, 1, 'grown')");
    Postgres::connect(&settings(&url)).await.expect("a newer schema may still serve this program");
    psql(&url, "INSERT INTO schema VALUES (7002, 7000, 'changed')");
    let error = refusal(&settings(&url)).await;
    assert!(matches!(error, PostgresError::SchemaNewer { found: 7002, oldest_program: 7000, .. }), "{error}");
    assert!(Postgres::migrate(&settings(&url)).await.is_err(), "an old program does not touch a newer schema");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_whose_connection_is_lost_is_tried_again() {
    let server = postgres().await;
    let url = server.database();
    psql(&url, SCHEMA_2);
    let mut holding = session(&url).stdin(Stdio::piped()).spawn().expect("a session");
    let mut typed = holding.stdin.take().expect("a pipe");
    writeln!(typed, "BEGIN; LOCK TABLE message;").expect("typed");
    let held = "SELECT count(*) FROM pg_locks
                WHERE relation = 'message'::regclass AND mode = 'AccessExclusiveLock' AND granted";
    while psql(&url, held) == "0" {
        tokio::time::sleep(LOOK).await;
    }
    let migrating = settings(&url);
    let migration = tokio::spawn(async move { Postgres::migrate(&migrating).await });
    let end_it = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                  WHERE datname = current_database() AND application_name = 'otodoke' AND wait_event_type = 'Lock'";
    while psql(&url, end_it) == "0" {
        assert!(!migration.is_finished(), "the table is held");
        tokio::time::sleep(LOOK).await;
    }
    let error = migration.await.expect("no panic").expect_err("its session was ended");
    assert!(matches!(error, PostgresError::Interrupted { .. }) && error.waiting_helps(), "{error}");
    drop(typed);
    holding.wait().expect("it ends with what is typed");
    Postgres::migrate(&settings(&url)).await.expect("it goes on where it stopped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_is_begun_and_never_changed_for_a_command() {
    let server = postgres().await;
    let (new, old) = (server.database(), server.database());
    Postgres::begin(&settings(&new)).await.expect("a new database takes the schema");
    Postgres::connect(&settings(&new)).await.expect("it is the one of this program");
    psql(&old, SCHEMA_2);
    Postgres::begin(&settings(&old)).await.expect("there is nothing to begin");
    let error = refusal(&settings(&old)).await;
    assert!(matches!(error, PostgresError::SchemaOlder { found: 2, .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_processes_may_migrate_at_once() {
    let server = postgres().await;
    let settings = settings(&server.database());
    let mut crowd = JoinSet::new();
    for _ in 0..8 {
        let settings = settings.clone();
        crowd.spawn(async move { Postgres::migrate(&settings).await });
    }
    assert!(crowd.join_all().await.into_iter().all(|migrated| migrated.is_ok()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_from_before_it_was_in_the_rows_is_kept() {
    let server = postgres().await;
    let url = server.database();
    psql(&url, SCHEMA_2);
    psql(&url, OLD_DAYS);
    let id = MessageId::parse("936da01f-9abd-4d9d-80c7-02af85c822a8").expect("a UUIDv4");
    let rows = format!(
        r#"INSERT INTO message (day, id, version, body) VALUES (0, '{id}', 2, '');
           INSERT INTO journal VALUES (0, '{id}', 2, 2000, '[{{"event":"repeated","leg":1}},{{"event":"erased"}}]'),
                                      (0, '{id}', 1, 1000, '[{{"event":"asked","leg":1}}]')"#
    );
    psql(&url, &rows);
    let store = migrated(&small(&url, LIMITS.inbox_max)).await;
    let leg = 1;
    let told = [(1_000, Note::Asked { leg }), (2_000, Note::Repeated { leg }), (2_000, Note::Erased)];
    let told = told.map(|(at, note)| JournalEntry { at: Timestamp::from_unix_ms(at), note });
    assert_eq!(store.journal(id).await, Ok(told.to_vec()));
    let of_a_day = MessageId::parse("019b76da-a800-7000-8000-000000000001").expect("a UUIDv7");
    let erased = JournalEntry { at: Timestamp::from_unix_ms(3_000), note: Note::Erased };
    assert_eq!(store.journal(of_a_day).await, Ok(vec![erased]));
    let untold = MessageId::parse("019b76da-a800-7000-8000-000000000002").expect("a UUIDv7");
    assert_eq!(store.journal(untold).await, Ok(Vec::new()));
    assert_eq!(
        psql(&url, "SELECT count(*) FROM pg_class WHERE relname LIKE 'journal%'"),
        "0",
        "nothing is left behind"
    );
}
