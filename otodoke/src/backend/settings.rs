//! `config check`: everything that is wrong with the settings, before anything starts; and where they name a PostgreSQL
//! that answers, whether they lack a route, or its provider, that living messages went out by, and whether their active root was
//! revoked.

use anyhow::Context;
use otodoke_common::code::revoked;
use otodoke_common::config::{Problem, Problems, Settings, Source};
use otodoke_common::in_use::{Way, in_use};
use otodoke_common::leg::RouteId;
use otodoke_common::message::Kid;
use otodoke_common::postgres::{Postgres, PostgresSettings};
use otodoke_common::time::Timestamp;
use serde::Serialize;
use tokio::time::{Duration, timeout};

use super::REACH_MS_MAX;
use crate::cli::{Config, ConfigVerb};
use crate::output::{Outcome, Output};

const UNCHECKED: &str = "which routes living messages still need was not looked up";

#[derive(Serialize)]
struct Verdict {
    ok: bool,
    problems: Vec<Told>,
    /// Why nobody looked which routes are in use; left out where somebody did, or there is no store to look into.
    #[serde(skip_serializing_if = "Option::is_none")]
    unchecked: Option<String>,
    /// Routes that `spend_per_hour` does not hold: what goes out by them costs nothing, as far as the settings say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    without_price: Vec<RouteId>,
    /// Sections that are missing and that no door or worker starts without; commands such as `explain` do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lacks: Vec<&'static str>,
}

#[derive(Serialize)]
struct Told {
    key: String,
    value: Option<String>,
    remedy: String,
}

pub(crate) async fn config(command: &Config, output: &Output) -> anyhow::Result<Outcome> {
    let ConfigVerb::Check { config } = &command.verb;
    let checked = check(&Source::of_process(config.config.as_deref()));
    let (found, unchecked) = match &checked {
        Ok(settings) => match against_store(settings).await {
            Ok(problems) => (problems, None),
            Err(error) => (Vec::new(), Some(format!("{UNCHECKED}: {error:#}"))),
        },
        Err(problems) => (problems.0.clone(), Some(format!("{UNCHECKED}: the settings are wrong"))),
    };
    let ok = found.is_empty();
    let without_price = checked.as_ref().map(without_price).unwrap_or_default();
    let lacks = checked.as_ref().map(lacks).unwrap_or_default();
    let sentences = match &checked {
        Ok(settings) if ok => {
            let parts = [Some(praise(settings)), no_start(&lacks), free(&without_price), unchecked.clone()];
            parts.into_iter().flatten().collect::<Vec<_>>().join("\n")
        }
        _ => Problems(found.clone()).to_string(),
    };
    let told = |Problem { key, value, remedy }: Problem| Told { key, value, remedy };
    let verdict = Verdict { ok, problems: found.into_iter().map(told).collect(), unchecked, without_price, lacks };
    output.show(&verdict, || sentences)?;
    Ok(Outcome::of(ok))
}

/// What a start would do with the settings, short of starting.
fn check(source: &Source) -> Result<Settings, Problems> {
    let settings = source.read()?;
    otodoke_providers::assemble(&settings)?;
    Ok(settings)
}

/// Routes that the settings lack, or have over another provider, and that living messages went out by; and an active root that
/// is worth nothing.
async fn against_store(settings: &Settings) -> anyhow::Result<Vec<Problem>> {
    let Some(postgres) = &settings.postgres else { return Ok(Vec::new()) };
    let looking = timeout(Duration::from_millis(REACH_MS_MAX), look(postgres));
    let seen = looking.await.with_context(|| format!("PostgreSQL did not answer within {REACH_MS_MAX} ms"))??;
    let known = |way: &Way| settings.routes.iter().any(|route| route.id == way.route && route.provider == way.provider);
    let missing = seen.ways.iter().filter(|(way, _)| !known(way)).map(|(way, until)| missing(way, *until));
    let active = &settings.codes.active;
    let worthless = seen.revoked.contains(active).then(|| {
        let remedy = "is revoked, and cannot be had back: name another root, and start all processes with it";
        Problem::new("codes.active", active.as_str(), remedy)
    });
    Ok(missing.chain(worthless).collect())
}

struct Seen {
    ways: Vec<(Way, Timestamp)>,
    revoked: Vec<Kid>,
}

/// Makes and changes nothing: whoever only checks is no reason to bring the schema up to date. By the store's clock, as the
/// times are.
async fn look(settings: &PostgresSettings) -> anyhow::Result<Seen> {
    let postgres = Postgres::connect(settings).await?;
    let now = postgres.server_time().await?;
    Ok(Seen { ways: in_use(&*postgres, now).await?, revoked: revoked(&*postgres).await? })
}

fn missing(Way { route, provider }: &Way, until: Timestamp) -> Problem {
    let remedy = format!(
        "is not among these routes over provider {provider}, and messages that went out so live until {}: keep both until \
         then; `retiring = true` lets nothing new go by the route",
        until.rfc3339()
    );
    Problem::new("route", route.as_str(), remedy)
}

fn lacks(settings: &Settings) -> Vec<&'static str> {
    let sections = [("amqp", settings.amqp.is_none()), ("postgres", settings.postgres.is_none())];
    sections.into_iter().filter_map(|(section, is_missing)| is_missing.then_some(section)).collect()
}

fn no_start(lacks: &[&str]) -> Option<String> {
    let names: Vec<String> = lacks.iter().map(|section| format!("[{section}]")).collect();
    (!names.is_empty()).then(|| format!("No {}: no door or worker starts with these settings.", names.join(" and no ")))
}

fn without_price(settings: &Settings) -> Vec<RouteId> {
    settings.routes.iter().filter(|route| route.price == 0).map(|route| route.id.clone()).collect()
}

fn free(routes: &[RouteId]) -> Option<String> {
    let names: Vec<&str> = routes.iter().map(RouteId::as_str).collect();
    (!names.is_empty())
        .then(|| format!("No `price`, so `spend_per_hour` does not limit what goes out by them: {}.", names.join(", ")))
}

fn praise(settings: &Settings) -> String {
    let countries: Vec<&str> = settings.plans.keys().map(otodoke_common::phone::Country::as_str).collect();
    let count = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    format!(
        "The settings are good: {}, {}, plans for {}.",
        count(settings.providers.len(), "provider"),
        count(settings.routes.len(), "route"),
        countries.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_that_no_limit_of_money_holds_are_named() {
        let routes = ["jp-a", "jp-b"].map(|id| RouteId::parse(id).expect("valid"));
        assert!(free(&routes).is_some_and(|sentence| sentence.ends_with("by them: jp-a, jp-b.")));
        assert_eq!(free(&[]), None);
    }

    #[test]
    fn sections_that_a_start_needs_are_named() {
        assert_eq!(
            no_start(&["amqp", "postgres"]).as_deref(),
            Some("No [amqp] and no [postgres]: no door or worker starts with these settings.")
        );
        assert_eq!(no_start(&[]), None);
    }
}
