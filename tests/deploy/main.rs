//! What is below `deploy/`, as far as no container engine is needed: the dashboard names metrics that exist, settings are
//! good once their secrets are made, secrets are private, health is what the program says, and images are built from every
//! crate. `deploy/check` holds the compose files and manifests against their schemas.

mod dashboard;
mod health;
mod image;
mod secrets;
mod settings;

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a member of the workspace").to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).expect(path)
}
