//! What a part of the benchmark lies on: a database and a namespace at the broker that nobody else has, and a directory.
//! Made for one part and taken away after it, whatever became of it.

use std::sync::{Arc, Mutex};

use anyhow::Context;
use otodoke_common::clock::Clock;
use otodoke_common::config::Secret;
use otodoke_common::dice::Dice;
use otodoke_common::message::MessageId;
use otodoke_common::rabbit::{RabbitSettings, topology_erase};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

use crate::{chain, usage};

pub(crate) const PREFIX: &str = "otodoke_bench_";
/// Processes of the servers: in a container of its own a server's numbers of processes are not this machine's.
const DATABASE: &str = "postgres";
const BROKER: &str = "beam.smp";
/// More than any part uses: queues of shards that were not there are not missed.
const SHARDS_MAX: u16 = 4;

/// Where the servers are.
#[derive(Clone, Debug)]
pub struct Servers {
    pub amqp_url: Secret,
    /// Of a database that is there; others are made beside it.
    pub postgres_url: Secret,
}

/// All beds of one run.
pub(crate) struct Beds {
    servers: Servers,
    made: Mutex<Vec<String>>,
    /// Names of those that were made and are gone.
    gone: Mutex<Vec<String>>,
}

pub(crate) struct Bed {
    /// Also of the database; the namespace is this and a dot.
    name: String,
    servers: Servers,
    pub(crate) postgres_url: String,
    /// On the bed's own database.
    pub(crate) client: Arc<Client>,
    pub(crate) directory: TempDir,
    /// The first process of each server, where it runs on this machine and may be seen.
    pub(crate) broker_pid: Option<u32>,
    pub(crate) database_pid: Option<u32>,
}

impl Beds {
    pub(crate) const fn new(servers: Servers) -> Self {
        Self { servers, made: Mutex::new(Vec::new()), gone: Mutex::new(Vec::new()) }
    }

    pub(crate) async fn make(&self) -> anyhow::Result<Bed> {
        let id = MessageId::new(Clock::system().now(), Dice::system().id_bits()).0.simple().to_string();
        let name = format!("{PREFIX}{}", &id[id.len() - 12..]);
        let admin = connect(self.servers.postgres_url.expose()).await?;
        // Kept before it is made, so that it goes even when this is cut off in the middle.
        self.made.lock().expect("no code panics while it holds the names").push(name.clone());
        admin.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0")).await.context("no new database")?;
        let postgres_url = with_database(self.servers.postgres_url.expose(), &name)?;
        let client = Arc::new(connect(&postgres_url).await?);
        let backend: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await?.get(0);
        let backend = u32::try_from(backend).ok().filter(|_| is_here(&postgres_url));
        let database_pid = backend.and_then(usage::parent_of).filter(|pid| usage::is_called(*pid, DATABASE));
        let port = amqp_port(self.servers.amqp_url.expose());
        let broker_pid = port.and_then(usage::listener_on).filter(|pid| usage::is_called(*pid, BROKER));
        Ok(Bed {
            name,
            servers: self.servers.clone(),
            postgres_url,
            client,
            directory: tempfile::Builder::new().prefix(PREFIX).tempdir().context("no temporary directory")?,
            broker_pid,
            database_pid,
        })
    }

    /// Everything that was made and is still there. Nothing may be running on it.
    pub(crate) async fn remove(&self) -> anyhow::Result<()> {
        let made = self.made.lock().expect("no code panics while it holds the names").clone();
        let mut all = Ok(());
        for name in made {
            // One that cannot be taken away is no reason to leave the others.
            let removed = self.remove_one(&name).await;
            if removed.is_ok() {
                self.made.lock().expect("no code panics while it holds the names").retain(|made| *made != name);
                self.gone.lock().expect("no code panics while it holds the names").push(name);
            }
            all = all.and(removed);
        }
        all
    }

    async fn remove_one(&self, name: &str) -> anyhow::Result<()> {
        let settings = RabbitSettings { namespace: namespace(name), shards: SHARDS_MAX, ..self.broker() };
        topology_erase(&settings).await.with_context(|| format!("the queues of {name} are left at the broker"))?;
        chain::erase(self.servers.amqp_url.expose(), &namespace(name)).await?;
        let admin = connect(self.servers.postgres_url.expose()).await?;
        let dropped = admin.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
        dropped.with_context(|| format!("the database {name} is left"))
    }

    /// What was made, used and taken away, so that somebody may look whether it is.
    pub(crate) fn gone(&self) -> Vec<String> {
        self.gone.lock().expect("no code panics while it holds the names").clone()
    }

    fn broker(&self) -> RabbitSettings {
        RabbitSettings::new(vec![self.servers.amqp_url.clone()])
    }
}

impl Bed {
    /// What all names at the broker begin with.
    pub(crate) fn namespace(&self) -> String {
        namespace(&self.name)
    }

    pub(crate) fn amqp_url(&self) -> &str {
        self.servers.amqp_url.expose()
    }

    /// As the pipeline's own programs use it.
    pub(crate) fn rabbit(&self, shards: u16) -> RabbitSettings {
        let settings = RabbitSettings::new(vec![self.servers.amqp_url.clone()]);
        RabbitSettings { namespace: self.namespace(), shards, ..settings }
    }
}

fn namespace(name: &str) -> String {
    format!("{name}.")
}

pub(crate) async fn connect(url: &str) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.context("PostgreSQL cannot be reached")?;
    tokio::spawn(async move {
        // The client's next statement says what broke it.
        drop(connection.await);
    });
    Ok(client)
}

/// The same server, another database.
fn with_database(url: &str, name: &str) -> anyhow::Result<String> {
    let (place, parameters) = url.split_once('?').map_or((url, ""), |(place, parameters)| (place, parameters));
    let (scheme, rest) = place.split_once("://").context("the URL of PostgreSQL has no scheme")?;
    let server = rest.split_once('/').map_or(rest, |(server, _database)| server);
    let parameters = if parameters.is_empty() { String::new() } else { format!("?{parameters}") };
    Ok(format!("{scheme}://{server}/{name}{parameters}"))
}

fn is_here(url: &str) -> bool {
    ["@localhost", "@127.0.0.1", "@[::1]", "//localhost", "//127.0.0.1"].iter().any(|host| url.contains(host))
}

/// Of a broker on this machine.
fn amqp_port(url: &str) -> Option<u16> {
    let uri: lapin::uri::AMQPUri = url.parse().ok()?;
    let here = ["localhost", "127.0.0.1", "::1"].contains(&uri.authority.host.as_str());
    here.then_some(uri.authority.port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_database_is_on_the_same_server() {
        let of = |url| with_database(url, "x").expect("a good URL");
        assert_eq!(of("postgres://postgres@127.0.0.1:5432/postgres"), "postgres://postgres@127.0.0.1:5432/x");
        assert_eq!(of("postgres://a:b@h?sslmode=disable"), "postgres://a:b@h/x?sslmode=disable");
        assert!(with_database("nowhere", "x").is_err());
    }

    #[test]
    fn only_servers_of_this_machine_are_looked_at() {
        assert_eq!(amqp_port("amqp://guest:guest@127.0.0.1:5672/%2f"), Some(5_672));
        assert_eq!(amqp_port("amqp://guest:guest@example.com/%2f"), None);
        assert!(is_here("postgres://postgres@127.0.0.1:5432/postgres") && !is_here("postgres://a@db.example.com/x"));
    }
}
