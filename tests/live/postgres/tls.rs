//! TLS to a server with a certificate of a private authority: it must be the right one, for the right name, or nothing is said.

use std::path::PathBuf;

use otodoke_common::postgres::{Postgres, PostgresError, PostgresSettings};
use otodoke_common::store::Store;
use otodoke_tests::servers::certificates::Authority;
use otodoke_tests::servers::postgres::{PrivatePostgres, private_postgres, private_postgres_with_tls, settings};

use crate::backend::{LIMITS, migrated, small};
use crate::sample::{message, opening};

const HOST: &str = "127.0.0.1";

fn trusting(url: &str, ca_file: PathBuf) -> PostgresSettings {
    PostgresSettings { ca_file: Some(ca_file), ..small(url, LIMITS.inbox_max) }
}

async fn refusal(settings: &PostgresSettings) -> String {
    let error = Postgres::connect(settings).await.err().expect("nobody gets in like this");
    assert!(!error.waiting_helps(), "{error}");
    error.to_string()
}

fn url(server: &PrivatePostgres, more: &str) -> String {
    format!("{}{more}", server.url("postgres"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_connections_speak_tls_where_an_authority_is_named() {
    let authority = Authority::default();
    let server = private_postgres_with_tls(&authority.sign(HOST)).await;
    let keyed = server.url("postgres").replace("postgres@", "sealed:opened@");
    let wrong = keyed.replace(":opened", ":hunter2");
    let error = Postgres::connect(&trusting(&wrong, authority.file())).await.err().expect("the password is wrong");
    assert!(matches!(&error, PostgresError::Credentials { user, .. } if user == "sealed"), "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
    for url in [server.url("postgres"), keyed.clone(), format!("{keyed}?sslmode=verify-full&channel_binding=require")] {
        let store = migrated(&trusting(&url, authority.file())).await;
        store.counts(message(1).accepted_at).await.expect("people are answered");
        drop(store.open(opening(message(1))).await.expect("a row is written"));
        let sql = "SELECT bool_and(ssl) AND count(*) >= 2 FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                   WHERE application_name = 'otodoke'";
        assert_eq!(otodoke_tests::servers::postgres::psql(&server.url("postgres"), sql), "t", "{url}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_cannot_prove_who_it_is_is_told_nothing() {
    let (authority, stranger) = (Authority::default(), Authority::default());
    let server = private_postgres_with_tls(&authority.sign(HOST)).await;
    let said = refusal(&trusting(&server.url("postgres"), stranger.file())).await;
    assert!(said.contains("name the certificate of the authority"), "{said}");
    let said = refusal(&settings(&url(&server, "?sslmode=require"))).await;
    assert!(said.contains("ca_file"), "this machine does not trust the authority of a test: {said}");
    // Without TLS the server itself says no.
    let said = refusal(&settings(&server.url("postgres"))).await;
    assert!(said.contains("sslmode=require"), "{said}");

    let elsewhere = private_postgres_with_tls(&authority.sign("db.example.com")).await;
    let said = refusal(&trusting(&elsewhere.url("postgres"), authority.file())).await;
    assert!(said.contains("use a host in the url that its certificate is for"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_tls_is_named_with_the_remedy() {
    let server = private_postgres().await;
    let said = refusal(&trusting(&server.url("postgres"), Authority::default().file())).await;
    assert!(said.contains("switch ssl on in its settings"), "{said}");
}

#[tokio::test]
async fn a_file_without_certificates_is_named_before_anything_is_connected() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let missing = directory.path().join("missing.pem");
    let empty = directory.path().join("empty.pem");
    std::fs::write(&empty, "no certificate at all").expect("a new file");
    for (file, what) in [(missing, "cannot be read"), (empty, "holds no certificate")] {
        let error = Postgres::connect(&trusting("postgres://a@127.0.0.1:1/d", file.clone())).await.err();
        let Some(PostgresError::Trust { why }) = error else { panic!("{error:?}") };
        assert!(why.contains(what) && why.contains(&file.display().to_string()), "{why}");
    }
    let both = trusting("postgres://a@127.0.0.1:1/d?sslmode=disable", Authority::default().file());
    let error = Postgres::connect(&both).await.err();
    assert!(matches!(&error, Some(PostgresError::Trust { why }) if why.contains("sslmode=disable")), "{error:?}");
}
