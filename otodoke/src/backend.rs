//! The commands that need no door: they open the directory of the embedded backends, or only read the settings.
//!
//! The directory has one process at a time: while `otodoke up` runs, its refusal names that process.

mod explain;
mod keys;
mod parked;
mod settings;

use std::path::Path;

use anyhow::Context;
use otodoke_common::embedded::{Embedded, EmbeddedLimits};

pub(crate) use explain::explain;
pub(crate) use keys::keys;
pub(crate) use parked::parked;
pub(crate) use settings::config;

/// A directory that is there: a mistyped name must not become a new, empty one.
fn open(directory: &Path) -> anyhow::Result<Embedded> {
    anyhow::ensure!(
        directory.is_dir(),
        "{} is no directory; name the one that `otodoke up --data` was given",
        directory.display()
    );
    Embedded::open(directory, EmbeddedLimits::default())
        .with_context(|| format!("the data directory {} cannot be used", directory.display()))
}
