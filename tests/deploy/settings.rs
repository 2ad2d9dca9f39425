//! The settings files, and the least of README, are good once their secrets are there. `deploy/check` asks the program itself as well.

use std::fs;
use std::path::Path;

use otodoke_common::config::{Settings, Source};

use crate::secrets::{self, FROM_VENDORS};
use crate::{read, root};

#[test]
fn the_settings_of_compose_are_good_and_reach_no_real_carrier() {
    let settings = settings_of("deploy/otodoke.toml");
    assert!(settings.providers.iter().all(otodoke_common::config::ProviderSettings::is_loopback));
}

#[test]
fn the_settings_for_production_are_good_and_reach_no_sandbox() {
    let settings = settings_of("deploy/kubernetes/otodoke.toml");
    assert!(!settings.providers.iter().any(otodoke_common::config::ProviderSettings::is_loopback));
}

#[test]
fn for_production_every_route_has_a_price_so_that_the_limit_of_money_holds() {
    let settings = settings_of("deploy/kubernetes/otodoke.toml");
    assert!(settings.routes.iter().all(|route| route.price > 0));
}

#[test]
fn the_least_that_settings_must_say_is_enough() {
    let readme = read("README.md");
    let blocks = readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let least = blocks.filter(|block| block.contains("[codes]")).collect::<String>();
    // They name the folder that `deploy/make-secrets secrets` makes.
    settings_from("the least settings of README.md", &least.replace("\"secrets/", "\"deploy/secrets/"));
}

fn settings_of(file: &str) -> Settings {
    settings_from(file, &read(file))
}

fn settings_from(name: &str, text: &str) -> Settings {
    let place = tempfile::tempdir().expect("a temporary directory");
    secrets::make(&place.path().join("secrets"));
    for name in FROM_VENDORS {
        let example = root().join(format!("deploy/secrets/{name}.example"));
        fs::copy(example, place.path().join("secrets").join(name)).expect("an example can be copied");
    }
    // The paths of the file are relative to the root of the repository, where a developer may keep secrets of his own.
    let text = text.replace("deploy/secrets", &place.path().join("secrets").display().to_string());
    let source = Source { file: Some(write(place.path(), &text)), variables: Vec::new() };
    let settings = source.read().map_err(|problems| problems.to_string());
    settings.expect(name)
}

fn write(place: &Path, text: &str) -> std::path::PathBuf {
    let path = place.join("otodoke.toml");
    fs::write(&path, text).expect("the directory is ours");
    path
}
