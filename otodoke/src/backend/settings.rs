//! `config check`: everything that is wrong with the settings, before anything starts.

use otodoke_common::config::{Problem, Problems, Settings, Source};
use serde::Serialize;

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
    otodoke_providers::assemble(&settings)?;
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
