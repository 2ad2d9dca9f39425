//! The commands that people type beside programs that run: they change no schema, whatever they are to do.

use std::process::Output;

use otodoke_tests::servers::postgres::{postgres, psql};
use tempfile::TempDir;

use crate::process::program;
use crate::settings::{self, Ports};

/// None of these listens.
const NOWHERE: Ports = Ports { door: 9, carriers: [9; 4] };
const VERSION: &str = "SELECT max(version) FROM schema";

/// Settings for this database, in a directory of their own.
fn settings_for(url: &str) -> (TempDir, String) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = settings::write(directory.path(), &NOWHERE, ("amqp://127.0.0.1:9", url), settings::TEXTS);
    (directory, file.display().to_string())
}

fn type_in(file: &str, words: &str) -> Output {
    program("otodoke").args(words.split(' ')).args(["--config", file]).output().expect("the program runs")
}

fn complaint(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_key_may_come_before_the_first_door() {
    let server = postgres().await;
    let url = server.database();
    let (_directory, file) = settings_for(&url);
    for words in ["keys list", "codes revoked", "codes revoke 1 --even-active"] {
        let said = complaint(&type_in(&file, words));
        assert!(said.contains("no tables of Otodoke yet: start a door or a worker"), "{words}: {said}");
        assert_eq!(psql(&url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), "0", "{words}");
    }
    for words in ["keys create --tenant acme", "keys list", "codes revoked"] {
        let output = type_in(&file, words);
        assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_command_brings_an_older_schema_up_to_date() {
    let server = postgres().await;
    let url = server.database();
    let (_directory, file) = settings_for(&url);
    assert!(type_in(&file, "keys create --tenant acme").status.success());
    // As a program before the last migration left it.
    psql(&url, "DELETE FROM schema WHERE version = (SELECT max(version) FROM schema)");
    let before = psql(&url, VERSION);
    for words in [
        "keys list",
        "keys create --tenant acme",
        "keys revoke --tenant acme k",
        "codes revoked",
        "codes revoke 1 --even-active",
    ] {
        let said = complaint(&type_in(&file, words));
        assert!(
            said.contains("start a door or a worker of this version, which brings it up to date"),
            "{words}: {said}"
        );
        assert_eq!(psql(&url, VERSION), before, "{words}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_whose_active_root_was_revoked_are_wrong() {
    let server = postgres().await;
    let (_directory, file) = settings_for(&server.database());
    assert!(type_in(&file, "keys create --tenant acme").status.success());
    let said = complaint(&type_in(&file, "codes revoke 1"));
    assert!(said.contains("no door accepts a code") && said.contains("--even-active"), "{said}");
    for words in ["config check", "codes revoke 1 --even-active"] {
        let output = type_in(&file, words);
        assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let checked = type_in(&file, "config check");
    let said = String::from_utf8_lossy(&checked.stdout);
    assert_eq!(checked.status.code(), Some(1), "{said}");
    assert!(said.contains("codes.active") && said.contains("is revoked"), "{said}");
}
