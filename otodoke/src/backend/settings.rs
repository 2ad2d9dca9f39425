//! `config check`: everything that is wrong with the settings, before anything starts.

use std::sync::Arc;

use otodoke_common::code::CodeKeys;
use otodoke_common::config::{Problem, Problems, Settings, Source};
use otodoke_common::seal::Vault;
use serde::Serialize;

use crate::carriers;
use crate::cli::{Config, ConfigVerb};
use crate::output::{Outcome, Output};

#[derive(Serialize)]
struct Verdict {
    ok: bool,
    problems: Vec<Told>,
}

#[derive(Serialize)]
struct Told {
    key: String,
    value: Option<String>,
    remedy: String,
}

pub(crate) fn config(command: &Config, output: &Output) -> anyhow::Result<Outcome> {
    let ConfigVerb::Check { config } = &command.verb;
    let (problems, sentences) = match check(&Source::of_process(config.config.as_deref())) {
        Ok(settings) => (Vec::new(), praise(&settings)),
        Err(problems) => (problems.0.clone(), problems.to_string()),
    };
    let ok = problems.is_empty();
    let told = |Problem { key, value, remedy }: Problem| Told { key, value, remedy };
    output.answer(&Verdict { ok, problems: problems.into_iter().map(told).collect() }, || sentences)?;
    Ok(Outcome::of(ok))
}

/// What a start would do with the settings, short of starting.
fn check(source: &Source) -> Result<Settings, Problems> {
    let settings = source.read()?;
    let one = |key: &str, error: String| Problems(vec![Problem::missing(key, error)]);
    let roots = settings.codes.roots.iter().map(|(kid, root)| (kid.clone(), root.bytes().to_vec())).collect();
    CodeKeys::new(settings.codes.active.clone(), roots).map_err(|error| one("codes", error.to_string()))?;
    let vault = Vault::new(settings.seal.root.bytes()).map_err(|error| one("seal.root_file", error.to_string()))?;
    carriers::registry(&settings, &Arc::new(vault))?;
    Ok(settings)
}

fn praise(settings: &Settings) -> String {
    let countries: Vec<&str> = settings.plans.keys().map(otodoke_common::phone::Country::as_str).collect();
    format!(
        "The settings are good: {} providers, {} routes, plans for {}.",
        settings.providers.len(),
        settings.routes.len(),
        countries.join(", ")
    )
}
