//! Commands for those who run it: they start it, open its directory, or read its settings.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use otodoke_bench::Part;
use otodoke_common::config::Secret;

const DATA_DEFAULT: &str = "./otodoke-data";

/// The directory of the embedded backends.
#[derive(Clone, Debug, Args)]
pub(crate) struct Data {
    /// The directory that holds messages, keys and roots
    #[arg(long, env = "OTODOKE_DATA", value_name = "DIR", default_value = DATA_DEFAULT)]
    pub(crate) data: PathBuf,
}

/// The file with the settings.
#[derive(Clone, Debug, Args)]
pub(crate) struct ConfigFile {
    /// The file with the settings
    #[arg(long, env = "OTODOKE_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// Which backends a command works on: those that the settings name, else the embedded ones.
#[derive(Clone, Debug, Args)]
pub(crate) struct Place {
    /// The directory of the embedded backends [default: ./otodoke-data]
    #[arg(long, env = "OTODOKE_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) config: ConfigFile,
}

/// Nothing leaves this machine: the carriers are part of the process and speak the vendors' protocols on loopback ports.
/// It refuses to start beside a real provider.
#[derive(Debug, Args)]
pub(crate) struct Up {
    #[command(flatten)]
    pub(crate) data: Data,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    #[command(flatten)]
    pub(crate) config: ConfigFile,
}

/// Carriers and handsets that do not exist, for door and workers in processes of their own. It stands in for the providers
/// that the settings name, at their addresses on this machine, and serves the page with the handsets.
#[derive(Debug, Args)]
pub(crate) struct Sandbox {
    #[command(flatten)]
    pub(crate) data: Data,
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    /// Where to listen for the page; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8090")]
    pub(crate) listen: SocketAddr,
    /// Where carriers and the page reach the door, instead of the `public_url` of the settings
    #[arg(long, value_name = "URL")]
    pub(crate) public_url: Option<String>,
    /// The key that the page's form uses
    #[arg(long, env = "OTODOKE_API_KEY", value_name = "KEY", hide_env_values = true, default_value = "")]
    pub(crate) api_key: String,
}

/// Nothing is sent, and the number is shown masked. Without settings it explains those of `otodoke up`.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The number, as +819012345678, or national with --region
    pub(crate) number: String,
    /// The country of a national number, such as JP
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// Whose message it would be: where the settings narrow its countries, that counts
    #[arg(long, value_name = "TENANT")]
    pub(crate) tenant: Option<String>,
    #[command(flatten)]
    pub(crate) config: ConfigFile,
}

#[derive(Debug, Args)]
pub(crate) struct Keys {
    #[command(subcommand)]
    pub(crate) verb: KeysVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysVerb {
    /// Make a key; it is shown once and kept nowhere
    Create {
        /// Whose key it is
        #[arg(long)]
        tenant: String,
        #[command(flatten)]
        place: Place,
    },
    /// List the keys there are, by their ids
    List {
        /// Only those of one tenant
        #[arg(long)]
        tenant: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Make a key useless
    Revoke {
        /// Whose key it is
        #[arg(long)]
        tenant: String,
        /// Its id, as `keys list` shows it
        key_id: String,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Codes {
    #[command(subcommand)]
    pub(crate) verb: CodesVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CodesVerb {
    /// Make every code of a kid worthless, everywhere and for ever; its living messages end
    Revoke {
        /// As the settings name it
        kid: String,
        /// Also where it is the active one: no code is accepted until another is
        #[arg(long)]
        even_active: bool,
        #[command(flatten)]
        place: Place,
    },
    /// List the kids that are revoked
    Revoked {
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Parked {
    #[command(subcommand)]
    pub(crate) verb: ParkedVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ParkedVerb {
    /// List what is parked, oldest first, and why
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Put one back into its queue
    Replay {
        /// As `parked list` shows it
        parked_id: i64,
        #[command(flatten)]
        place: Place,
    },
    /// Throw one away
    Drop {
        /// As `parked list` shows it
        parked_id: i64,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Config {
    #[command(subcommand)]
    pub(crate) verb: ConfigVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigVerb {
    /// Tell everything that is wrong with the settings, before anything starts
    Check {
        #[command(flatten)]
        config: ConfigFile,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Topology {
    #[command(subcommand)]
    pub(crate) verb: TopologyVerb,
}

/// RabbitMQ's management API.
#[derive(Clone, Debug, Args)]
pub(crate) struct Management {
    /// RabbitMQ's management API, with a user who may look: AMQP does not tell on how many nodes a queue is
    #[arg(long, value_name = "URL", env = "OTODOKE_MANAGEMENT_URL", hide_env_values = true, value_parser = secret)]
    management_url: Option<Secret>,
    /// A file that holds the URL, so that its password is seen by nobody
    #[arg(long, value_name = "FILE", conflicts_with = "management_url")]
    management_url_file: Option<PathBuf>,
}

impl Management {
    pub(crate) fn url(&self) -> anyhow::Result<Option<Secret>> {
        match &self.management_url_file {
            Some(file) => Secret::read(file).map(Some).map_err(anyhow::Error::msg).context("--management-url-file"),
            None => Ok(self.management_url.clone()),
        }
    }
}

/// Any text: what is wrong with it is told by whoever reads it, without quoting it.
fn secret(typed: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(typed))
}

#[derive(Debug, Subcommand)]
pub(crate) enum TopologyVerb {
    /// Tell what at the broker is not as the programs would make it, and what rows and queues survive; changes nothing
    Check {
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        management: Management,
    },
}

/// It needs RabbitMQ, PostgreSQL and the release programs beside this one. It makes a database and queues of its own and takes
/// both away again. What else runs on the machine is part of what is measured.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  otodoke bench --out bench.json                   about half an hour
  otodoke bench --quick --out bench.json           under a minute
  otodoke bench --only pairs --out pairs.json")]
pub(crate) struct Bench {
    /// Where the JSON goes; plots go beside it
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Under a minute: says whether something is very wrong
    #[arg(long)]
    pub(crate) quick: bool,
    /// Only these parts
    #[arg(long, value_name = "PARTS", value_delimiter = ',')]
    pub(crate) only: Vec<Part>,
    /// How often the floor and the pipeline are measured in turn
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) pairs: Option<u16>,
    /// How long each measurement lasts
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub(crate) seconds: Option<u64>,
    /// With part growth: how many messages are stored at each point, more each time
    #[arg(long, value_name = "COUNTS", value_delimiter = ',')]
    pub(crate) stored: Vec<u64>,
    /// The broker
    #[arg(long, value_name = "URL", env = "OTODOKE_BENCH_AMQP_URL", hide_env_values = true)]
    #[arg(default_value = "amqp://guest:guest@127.0.0.1:5672/%2f")]
    pub(crate) amqp_url: String,
    /// Any database of the server, as a user who may make others
    #[arg(long, value_name = "URL", env = "OTODOKE_BENCH_POSTGRES_URL", hide_env_values = true)]
    #[arg(default_value = "postgres://postgres@127.0.0.1:5432/postgres")]
    pub(crate) postgres_url: String,
}

/// The carrier of the benchmark; `bench` starts it.
#[derive(Debug, Args)]
pub(crate) struct BenchCarrier {
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: SocketAddr,
    /// What callers must show
    #[arg(long)]
    pub(crate) key: String,
    /// Messages it takes per second
    #[arg(long)]
    pub(crate) rate_per_s: Option<u32>,
    /// How long it thinks before it answers
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0)]
    pub(crate) delay_ms: u64,
}
