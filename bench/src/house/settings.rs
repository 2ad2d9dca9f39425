//! The settings of a house, as one file for door and workers, secrets in files beside it.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use otodoke_common::config::{Root, Secret};

use crate::bed::Bed;

pub(crate) const TENANT: &str = "bench";
/// What a carrier believes us by.
pub(crate) const CARRIER_KEY: &str = "secret-of-a-carrier-that-does-not-exist";
/// More than this machine could do: the benchmark looks for the pipeline's limit, not for one of the settings.
const RATE_PER_S_UNLIMITED: u32 = 1_000_000;
const CONCURRENCY_UNLIMITED: u32 = 256;

/// How a house is laid out.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) workers: usize,
    pub(crate) shards: u16,
    pub(crate) carriers: Vec<Carrier>,
    /// Useful time that is asked for, where a part needs its own.
    pub(crate) ttl_s: u32,
}

/// One carrier, and what a worker is told about it.
#[derive(Clone, Debug)]
pub(crate) struct Carrier {
    pub(crate) name: &'static str,
    /// Whose numbers it carries.
    pub(crate) country: &'static str,
    /// What it takes; more is answered 429.
    pub(crate) rate_per_s: Option<u32>,
    pub(crate) concurrency: u32,
    /// How long it thinks before each answer.
    pub(crate) delay_ms: u64,
}

impl Carrier {
    /// Answers at once, and takes whatever comes.
    pub(crate) const fn fast() -> Self {
        Self { name: "fast", country: "JP", rate_per_s: None, concurrency: CONCURRENCY_UNLIMITED, delay_ms: 0 }
    }
}

impl Default for Layout {
    fn default() -> Self {
        Self { workers: 1, shards: 1, carriers: vec![Carrier::fast()], ttl_s: 1_800 }
    }
}

/// Writes the file and what it names, or writes it again; returns its path. `door` and `carriers` are where they listen,
/// the door at port 0 while it has not chosen one.
pub(super) fn write(bed: &Bed, layout: &Layout, door: SocketAddr, carriers: &[SocketAddr]) -> anyhow::Result<PathBuf> {
    let directory = bed.directory.path();
    for root in ["code-root", "seal-root"] {
        Root::read_or_create(&directory.join(root)).map_err(anyhow::Error::msg)?;
    }
    let mut text = format!(
        "public_url = \"http://{door}\"\nlisten = \"{door}\"\n\
         [amqp]\nurl_file = \"{amqp}\"\nnamespace = \"{namespace}\"\nshards = {shards}\n\
         [postgres]\nurl_file = \"{postgres}\"\n\
         [codes]\nactive = \"1\"\nroots = {{ 1 = \"{place}/code-root\" }}\n[seal]\nroot_file = \"{place}/seal-root\"\n\
         [lanes.normal]\nwindow = 1000000\n[tenant.{TENANT}]\n",
        amqp = secret(directory, "amqp-url", bed.amqp_url())?,
        namespace = bed.namespace(),
        shards = layout.shards,
        postgres = secret(directory, "postgres-url", &bed.postgres_url)?,
        place = directory.display(),
    );
    let key = secret(directory, "carrier-key", CARRIER_KEY)?;
    for (carrier, address) in layout.carriers.iter().zip(carriers) {
        let Carrier { name, country, rate_per_s, concurrency, .. } = carrier;
        let rate_per_s = rate_per_s.unwrap_or(RATE_PER_S_UNLIMITED);
        write!(
            text,
            "[plan.{country}]\ninternational = \"never\"\nvoice = false\n\
             [[provider]]\nid = \"{name}\"\nkind = \"infobip\"\nsecret_file = \"{key}\"\n\
             base_url = \"http://{address}\"\nrate_per_s = {rate_per_s}\nconcurrency = {concurrency}\n\
             [[route]]\nid = \"{name}\"\nprovider = \"{name}\"\ncountry = \"{country}\"\nclass = \"domestic\"\n\
             channel = \"sms\"\nrank = 1\nsender = \"Otodoke\"\nreceipt = \"handset\"\nusual_s = 1\noverdue_after_s = 120\n"
        )?;
    }
    let path = directory.join("otodoke.toml");
    std::fs::write(&path, text)?;
    Ok(path)
}

fn secret(directory: &Path, name: &str, value: &str) -> anyhow::Result<String> {
    let path = directory.join(name);
    if !path.exists() {
        Secret::new(value).write(&path).map_err(anyhow::Error::msg)?;
    }
    Ok(path.display().to_string())
}
