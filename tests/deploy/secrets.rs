//! Secrets are made by a script, for their owner alone, once; what is in the repository are examples.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use otodoke_common::config::{Root, Secret};

use crate::{read, root};

/// Vendors give these; no script can make them.
pub(crate) const FROM_VENDORS: [&str; 3] = ["infobip-key", "smslink-token", "twilio-token"];
/// Whatever may name a secret.
const NAMERS: [&str; 4] =
    ["docker-compose.yml", "deploy/compose.carriers.yml", "deploy/otodoke.toml", "deploy/kubernetes/otodoke.toml"];

pub(crate) fn make(place: &Path) {
    let status = Command::new(root().join("deploy/make-secrets")).arg(place).output().expect("bash is here").status;
    assert!(status.success(), "deploy/make-secrets failed");
}

#[test]
fn secrets_are_for_their_owner_alone() {
    let place = tempfile::tempdir().expect("a temporary directory");
    make(place.path());
    for (name, mode) in made(place.path()).iter().map(|name| (name, mode_of(&place.path().join(name)))) {
        assert_eq!(mode, 0o600, "{name}");
    }
}

/// Older versions of KEDA take a file as it is, and a newline would become a part of the URL or the password.
#[test]
fn nothing_stands_behind_a_secret_and_ours_are_read_all_the_same() {
    let place = tempfile::tempdir().expect("a temporary directory");
    make(place.path());
    for name in made(place.path()) {
        let path = place.path().join(&name);
        let text = fs::read_to_string(&path).expect("readable");
        assert_eq!(text.ends_with('\n'), name == "rabbitmq.conf", "{name}");
        assert_eq!(Secret::read(&path).expect("not empty").expose(), text.trim_end(), "{name}");
    }
    Root::read(&place.path().join("seal-root")).expect("a root");
}

#[test]
fn no_two_secrets_are_alike_and_a_second_run_keeps_them() {
    let place = tempfile::tempdir().expect("a temporary directory");
    make(place.path());
    let all = |names: &BTreeSet<String>| -> Vec<String> {
        names.iter().map(|name| fs::read_to_string(place.path().join(name)).expect("readable")).collect()
    };
    let names = made(place.path());
    let first = all(&names);
    assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), names.len());
    make(place.path());
    assert_eq!(all(&made(place.path())), first);
}

#[test]
fn every_secret_that_is_named_is_made_or_given_and_has_an_example() {
    let place = tempfile::tempdir().expect("a temporary directory");
    make(place.path());
    let mut there = made(place.path());
    there.extend(FROM_VENDORS.map(str::to_owned));
    let named: BTreeSet<String> = NAMERS.iter().flat_map(|file| named_in(&read(file))).collect();
    assert!(named.len() > 10, "only {} secrets were found", named.len());
    for name in &named {
        assert!(there.contains(name), "nobody makes or gives the secret {name}");
    }
    for name in &there {
        assert!(root().join(format!("deploy/secrets/{name}.example")).exists(), "the secret {name} has no example");
    }
}

#[test]
fn the_repository_takes_no_secret() {
    let listed = Command::new("git").arg("-C").arg(root()).args(["ls-files", "deploy/secrets", ".env"]).output();
    let listed = String::from_utf8(listed.expect("git is here").stdout).expect("names are text");
    for file in listed.lines() {
        assert!(file.ends_with(".example") || file.ends_with("/.gitignore"), "{file} is in the repository");
    }
    assert!(read("deploy/secrets/.gitignore").lines().any(|line| line == "*"), "new secrets are kept out");
    assert!(read(".gitignore").lines().any(|line| line == "/.env"), ".env is kept out");
}

/// `deploy/secrets/NAME`, wherever it stands.
fn named_in(text: &str) -> Vec<String> {
    let ends = |c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '.');
    let names = text.split("deploy/secrets/").skip(1).map(|rest| rest.split(ends).next().unwrap_or_default());
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn made(place: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(place).expect("it was made");
    entries.map(|entry| entry.expect("readable").file_name().into_string().expect("a name is text")).collect()
}

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}
