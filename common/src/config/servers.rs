//! How RabbitMQ and PostgreSQL are reached: the sections `[amqp]` and `[postgres]`, which processes in production need.
//!
//! A URL holds a password, so it may come from a file (`url_file`) and is never shown. Limits left out are the backends' own.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Deserialize;

use super::problem::{Problem, Problems};
use super::unread::Unread;
use super::{Secret, Settings};
use crate::postgres::{PostgresError, PostgresSettings};
use crate::rabbit::{QueueLengths, RabbitError, RabbitSettings};

const AMQP_REMEDY: &str = "is missing; name the brokers by amqp.url_file, or amqp.url";
const POSTGRES_REMEDY: &str = "is missing; name the database by postgres.url_file, or postgres.url";
const POOL_SIZE_MIN: usize = 3;

#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "AmqpText")]
pub(super) struct Amqp(pub(super) RabbitSettings);

#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "PostgresText")]
pub(super) struct Postgres(pub(super) PostgresSettings);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AmqpText {
    url: Option<Secret>,
    /// The brokers of one cluster.
    urls: Option<Vec<Secret>>,
    /// One URL a line.
    url_file: Option<PathBuf>,
    /// Of the authority whose word is taken for who the brokers of `amqps://` are.
    ca_file: Option<PathBuf>,
    own_users: Option<BTreeSet<String>>,
    namespace: Option<String>,
    shards: Option<u16>,
    prefetch: Option<u16>,
    publishers: Option<usize>,
    window: Option<usize>,
    batch: Option<usize>,
    publish_deadline_ms: Option<u64>,
    lane_length: Option<u32>,
    receipts_length: Option<u32>,
    parked_length: Option<u32>,
}

impl TryFrom<AmqpText> for Amqp {
    type Error = String;
    fn try_from(text: AmqpText) -> Result<Self, String> {
        let urls = match (text.url, text.urls, text.url_file) {
            (Some(url), None, None) => vec![url],
            (None, Some(urls), None) => urls,
            (None, None, Some(path)) => lines(&Secret::read(&path).map_err(|problem| format!("url_file {problem}"))?),
            (None, None, None) => return Err("has no `url_file` (or `url`, or `urls`)".to_owned()),
            (_, _, _) => return Err("has more than one of `url`, `urls` and `url_file`; keep one".to_owned()),
        };
        let whole = RabbitSettings::new(urls);
        Ok(Self(RabbitSettings {
            ca_file: text.ca_file,
            other_own_users: text.own_users.unwrap_or_default(),
            namespace: text.namespace.unwrap_or_default(),
            shards: text.shards.unwrap_or(whole.shards),
            prefetch: text.prefetch.unwrap_or(whole.prefetch),
            publishers: text.publishers.unwrap_or(whole.publishers),
            window: text.window.unwrap_or(whole.window),
            batch: text.batch.unwrap_or(whole.batch),
            publish_deadline_ms: text.publish_deadline_ms.unwrap_or(whole.publish_deadline_ms),
            lengths: QueueLengths {
                lane: text.lane_length.unwrap_or(whole.lengths.lane),
                receipts: text.receipts_length.unwrap_or(whole.lengths.receipts),
                parked: text.parked_length.unwrap_or(whole.lengths.parked),
            },
            ..whole
        }))
    }
}

fn lines(file: &Secret) -> Vec<Secret> {
    file.expose().lines().map(str::trim).filter(|line| !line.is_empty()).map(Secret::new).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PostgresText {
    url: Option<Secret>,
    url_file: Option<PathBuf>,
    /// Of the authority whose word is taken for who the server is.
    ca_file: Option<PathBuf>,
    pool_size: Option<usize>,
    statement_timeout_ms: Option<u64>,
    wait_timeout_ms: Option<u64>,
    create_timeout_ms: Option<u64>,
    recycle_timeout_ms: Option<u64>,
    inbox_max: Option<u64>,
}

impl TryFrom<PostgresText> for Postgres {
    type Error = String;
    fn try_from(text: PostgresText) -> Result<Self, String> {
        let url = match (text.url, text.url_file) {
            (Some(url), None) => url,
            (None, Some(path)) => Secret::read(&path).map_err(|problem| format!("url_file {problem}"))?,
            (Some(_), Some(_)) => return Err("has `url` and `url_file`; keep one".to_owned()),
            (None, None) => return Err("has no `url_file` (or `url`)".to_owned()),
        };
        let whole = PostgresSettings::new(url);
        Ok(Self(PostgresSettings {
            ca_file: text.ca_file,
            pool_size: text.pool_size.unwrap_or(whole.pool_size),
            statement_timeout_ms: text.statement_timeout_ms.unwrap_or(whole.statement_timeout_ms),
            wait_timeout_ms: text.wait_timeout_ms.unwrap_or(whole.wait_timeout_ms),
            create_timeout_ms: text.create_timeout_ms.unwrap_or(whole.create_timeout_ms),
            recycle_timeout_ms: text.recycle_timeout_ms.unwrap_or(whole.recycle_timeout_ms),
            inbox_max: text.inbox_max.unwrap_or(whole.inbox_max),
            ..whole
        }))
    }
}

impl Settings {
    /// Both servers, for a process that cannot be without them.
    pub fn servers(&self) -> Result<(&RabbitSettings, &PostgresSettings), Problems> {
        match (&self.amqp, &self.postgres) {
            (Some(amqp), Some(postgres)) => Ok((amqp, postgres)),
            (amqp, postgres) => {
                let missing =
                    [("amqp", amqp.is_none(), AMQP_REMEDY), ("postgres", postgres.is_none(), POSTGRES_REMEDY)];
                let missing = missing.into_iter().filter(|(_, missing, _)| *missing);
                Err(Problems(missing.map(|(key, _, remedy)| Problem::missing(key, remedy)).collect()))
            }
        }
    }
}

pub(super) fn problems(settings: &Settings, unread: &Unread) -> Vec<Problem> {
    let amqp = settings.amqp.iter().flat_map(|amqp| amqp_problems(amqp, unread));
    amqp.chain(settings.postgres.iter().flat_map(postgres_problems)).collect()
}

/// A list of URLs that is too short may be so for those that could not be read.
fn amqp_problems(amqp: &RabbitSettings, unread: &Unread) -> Vec<Problem> {
    let mut found: Vec<Problem> = amqp.out_of_range().iter().map(amqp_problem).collect();
    found.retain(|problem| !unread.touches(&problem.key));
    let is_number = |error: &RabbitError| matches!(error, RabbitError::Setting { .. });
    found.extend(amqp.check().err().filter(|error| !is_number(error)).map(|error| amqp_problem(&error)));
    found
}

fn amqp_problem(error: &RabbitError) -> Problem {
    match error {
        RabbitError::Setting { name, value, least, most } => {
            Problem::new(format!("amqp.{name}"), value, format!("must be {least} to {most}"))
        }
        RabbitError::Url { .. }
        | RabbitError::Trust { .. }
        | RabbitError::Namespace { .. }
        | RabbitError::Unreachable { .. } => Problem::missing("amqp", error.to_string()),
    }
}

fn postgres_problems(postgres: &PostgresSettings) -> Vec<Problem> {
    let mut found = Vec::new();
    if let Err(error) = postgres.check() {
        let key = if matches!(error, PostgresError::Trust { .. }) { "postgres" } else { "postgres.url" };
        found.push(Problem::missing(key, error.to_string()));
    }
    if postgres.pool_size < POOL_SIZE_MIN {
        let remedy = format!("must be at least {POOL_SIZE_MIN}");
        found.push(Problem::new("postgres.pool_size", &postgres.pool_size, remedy));
    }
    let waits = [
        ("statement_timeout_ms", postgres.statement_timeout_ms),
        ("wait_timeout_ms", postgres.wait_timeout_ms),
        ("create_timeout_ms", postgres.create_timeout_ms),
        ("recycle_timeout_ms", postgres.recycle_timeout_ms),
        ("inbox_max", postgres.inbox_max),
    ];
    for (field, value) in waits {
        super::check::positive(&mut found, &format!("postgres.{field}"), value);
    }
    found
}

#[cfg(test)]
mod tests {
    use figment::Figment;
    use figment::error::Kind;
    use figment::providers::{Format, Toml};
    use serde::de::DeserializeOwned;

    use super::*;

    /// The keys that the section takes, as its reader lists them where one is unknown.
    fn keys<T: DeserializeOwned>() -> &'static [&'static str] {
        let refused = Figment::from(Toml::string("no_such_key = 1")).extract::<T>().err();
        match refused.map(|error| error.kind) {
            Some(Kind::UnknownField(_, known)) => known,
            other => panic!("no list of keys: {other:?}"),
        }
    }

    #[test]
    fn every_key_of_the_servers_is_where_people_look_for_it() {
        let listed = include_str!("../config.rs");
        for (section, keys) in [("AMQP", keys::<AmqpText>()), ("POSTGRES", keys::<PostgresText>())] {
            let (_, rest) = listed.split_once(&format!("`OTODOKE_{section}__<KEY>`")).expect("the section is listed");
            let of_section = rest.split("OTODOKE_").next().unwrap_or(rest);
            for key in keys {
                assert!(of_section.contains(&format!("`{}`", key.to_uppercase())), "{section}: {key}");
            }
        }
    }
}
