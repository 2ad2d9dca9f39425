//! The commands that need no door: they open the backends, or only read the settings.
//!
//! The backends are PostgreSQL and RabbitMQ where the settings name them, else the directory of the embedded ones. That
//! directory has one process at a time: while `otodoke up` runs, its refusal names that process.

mod codes;
mod explain;
mod keys;
mod parked;
mod settings;
mod topology;

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use otodoke_common::broker::Broker;
use otodoke_common::clock::Clock;
use otodoke_common::config::{Settings, Source};
use otodoke_common::dice::Dice;
use otodoke_common::embedded::{Embedded, EmbeddedLimits};
use otodoke_common::postgres::Postgres;
use otodoke_common::rabbit::{LinkState, Rabbit, RabbitSettings};
use otodoke_common::store::Store;
use tokio::time::{Duration, timeout};

use crate::cli::Place;
pub(crate) use codes::codes;
pub(crate) use explain::explain;
pub(crate) use keys::keys;
pub(crate) use parked::parked;
pub(crate) use settings::config;
pub(crate) use topology::topology;

const DATA_DEFAULT: &str = "./otodoke-data";
/// A person waits at the terminal.
const REACH_MS_MAX: u64 = 10_000;

/// Whatever a command does: it changes no schema that is there, while programs of another version may run on it.
async fn with_store<T>(place: &Place, work: impl AsyncFnOnce(&dyn Store) -> anyhow::Result<T>) -> anyhow::Result<T> {
    if let Some(postgres) = settings_of(place)?.and_then(|settings| settings.postgres) {
        refuse_data(place, "[postgres]")?;
        return work(&*Postgres::connect(&postgres).await?).await;
    }
    let embedded = open(place)?;
    let done = work(&*embedded.store()).await;
    embedded.close();
    done
}

/// The tables, where the database is new: a key may be made before the first door was started.
async fn begin(place: &Place) -> anyhow::Result<()> {
    if let Some(postgres) = settings_of(place)?.and_then(|settings| settings.postgres) {
        refuse_data(place, "[postgres]")?;
        Postgres::begin(&postgres).await?;
    }
    Ok(())
}

async fn with_broker<T>(place: &Place, work: impl AsyncFnOnce(&dyn Broker) -> anyhow::Result<T>) -> anyhow::Result<T> {
    if let Some(amqp) = settings_of(place)?.and_then(|settings| settings.amqp) {
        refuse_data(place, "[amqp]")?;
        let rabbit = reach(&amqp).await?;
        let done = work(&*rabbit).await;
        rabbit.close().await;
        return done;
    }
    let embedded = open(place)?;
    let done = work(&*embedded.broker()).await;
    embedded.close();
    done
}

async fn reach(amqp: &RabbitSettings) -> anyhow::Result<Arc<Rabbit>> {
    let rabbit = Rabbit::connect(amqp, Clock::system(), Arc::new(Dice::system()))?;
    let is_up = |state: &LinkState| matches!(state, LinkState::Up { .. });
    if timeout(Duration::from_millis(REACH_MS_MAX), rabbit.wait_for(is_up)).await.is_ok() {
        return Ok(rabbit);
    }
    let why = rabbit.trouble().unwrap_or_else(|| "it was reached too late".to_owned());
    anyhow::bail!("the broker cannot be used: {why}")
}

fn settings_of(place: &Place) -> anyhow::Result<Option<Settings>> {
    let file = place.config.config.as_deref();
    Ok(file.map(|file| Source::of_process(Some(file)).read()).transpose()?)
}

/// An option that would be ignored is a mistake.
fn refuse_data(place: &Place, section: &str) -> anyhow::Result<()> {
    match &place.data {
        Some(data) => anyhow::bail!(
            "the settings name the servers in {section}, so the directory {} would not be looked at; leave out --data and \
             OTODOKE_DATA, or --config and OTODOKE_CONFIG",
            data.display()
        ),
        None => Ok(()),
    }
}

/// A directory that is there: a mistyped name must not become a new, empty one.
fn open(place: &Place) -> anyhow::Result<Embedded> {
    let directory = place.data.as_deref().unwrap_or(Path::new(DATA_DEFAULT));
    anyhow::ensure!(
        directory.is_dir(),
        "{} is no directory; name the one that `otodoke up --data` was given",
        directory.display()
    );
    Embedded::open(directory, EmbeddedLimits::default())
        .with_context(|| format!("the data directory {} cannot be used", directory.display()))
}
