//! Commands for those who run it: they start it, open its directory, or read its settings.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

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

/// Nothing is sent, and the number is shown masked. Without settings it explains those of `otodoke up`.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The number, as +819012345678, or national with --region
    pub(crate) number: String,
    /// The country of a national number, such as JP
    #[arg(long)]
    pub(crate) region: Option<String>,
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
        data: Data,
    },
    /// List the keys there are, by their ids
    List {
        /// Only those of one tenant
        #[arg(long)]
        tenant: Option<String>,
        #[command(flatten)]
        data: Data,
    },
    /// Make a key useless
    Revoke {
        /// Whose key it is
        #[arg(long)]
        tenant: String,
        /// Its id, as `keys list` shows it
        key_id: String,
        #[command(flatten)]
        data: Data,
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
        data: Data,
    },
    /// Put one back into its queue
    Replay {
        /// As `parked list` shows it
        parked_id: i64,
        #[command(flatten)]
        data: Data,
    },
    /// Throw one away
    Drop {
        /// As `parked list` shows it
        parked_id: i64,
        #[command(flatten)]
        data: Data,
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
