//! What the RabbitMQ backend is told: where brokers are, what names begin with, and how much may be under way at once.
//!
//! Checked once, by `Settings::check`; everything below trusts it. URLs hold passwords and are never printed.

use std::collections::BTreeSet;
use std::path::PathBuf;

use lapin::uri::{AMQPScheme, AMQPUri};

use super::RabbitError;
use super::batch::PARTS_MAX;
use super::line::Address;
use crate::config::Secret;
use crate::tls::Tls;

const URLS_MAX: usize = 16;
const NAMESPACE_BYTES_MAX: usize = 64;
const SHARDS_MAX: u16 = 64;
/// The highest prefetch that quorum queues take.
const PREFETCH_MAX: u16 = 2_000;
const PUBLISHERS_MAX: usize = 64;
const WINDOW_MAX: usize = 4_096;
/// A door's caller waits for it.
pub const PUBLISH_DEADLINE_MS_MAX: u64 = 10_000;

/// As long as in the file of the embedded backend.
const PARKED_KEEP_MS: u64 = 24 * 3_600_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RabbitSettings {
    /// `amqp://user:password@host:port/vhost`, any number of brokers of one cluster. Tried in a shuffled order.
    pub urls: Vec<Secret>,
    /// Whose certificates are believed under `amqps`, instead of those this machine trusts.
    pub ca_file: Option<PathBuf>,
    /// Users that our programs log in as besides those of `urls`, where not all of them use the same: what they publish is
    /// ours as well. What anybody else publishes is a tenant's, or nobody's.
    pub other_own_users: BTreeSet<String>,
    /// Stands before every name, so that several systems share one broker.
    pub namespace: String,
    /// Queues per lane. One quorum queue has one leader; more queues spread a lane over more of them.
    pub shards: u16,
    /// AMQP messages a consumer holds unsettled, per queue; each may be a batch, so `batch` times as many bodies. Doors reckon
    /// with the same for all workers.
    pub prefetch: u16,
    /// Channels that publish, besides the one that is kept for `critical`. A queue always uses the same one, so that what
    /// waits for it can travel together; more than there are queues gain nothing.
    pub publishers: usize,
    /// Bodies that wait or are unconfirmed, of each queue: one that confirms nothing for a while keeps no other from the channel
    /// that they share.
    pub window: usize,
    /// Bodies in one AMQP message, where some wait. With 1 each travels alone: for as long as there are processes that know
    /// no batches.
    pub batch: usize,
    /// From the call of `publish` until its answer.
    pub publish_deadline_ms: u64,
    /// How long a parked body of another program stays, ms. Ours are sealed, and stay until people see to them.
    pub parked_keep_ms: u64,
    pub lengths: QueueLengths,
}

/// How many messages a queue holds before its publishers hear that it is full: bodies, by our estimate (`depth`); the broker
/// itself refuses at as many AMQP messages, of which each may be a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLengths {
    /// Of each queue of a lane.
    pub lane: u32,
    pub receipts: u32,
    pub parked: u32,
}

impl RabbitSettings {
    /// Defaults for everything but the brokers.
    pub fn new(urls: Vec<Secret>) -> Self {
        Self {
            urls,
            ca_file: None,
            other_own_users: BTreeSet::new(),
            namespace: String::new(),
            shards: 1,
            prefetch: 200,
            publishers: 4,
            window: 256,
            batch: PARTS_MAX,
            publish_deadline_ms: 5_000,
            parked_keep_ms: PARKED_KEEP_MS,
            lengths: QueueLengths { lane: 1_000_000, receipts: 1_000_000, parked: 100_000 },
        }
    }

    /// Every user whose messages are our own. A URL that cannot be read has none; `check` says so.
    pub fn own_users(&self) -> BTreeSet<String> {
        let of_urls = self.urls.iter().filter_map(|url| url.expose().parse::<AMQPUri>().ok());
        of_urls.map(|uri| uri.authority.userinfo.username).chain(self.other_own_users.iter().cloned()).collect()
    }

    /// The brokers' addresses, when every setting makes sense.
    pub(crate) fn check(&self) -> Result<Vec<Address>, RabbitError> {
        self.check_namespace()?;
        if let Some(error) = self.out_of_range().into_iter().next() {
            return Err(error);
        }
        self.urls.iter().enumerate().map(|(index, url)| self.read(index + 1, url)).collect()
    }

    /// Every number that is too small or too large.
    pub(crate) fn out_of_range(&self) -> Vec<RabbitError> {
        let lengths = self.lengths;
        let ranges: [(&'static str, u64, u64, u64); 10] = [
            ("shards", self.shards.into(), 1, SHARDS_MAX.into()),
            ("prefetch", self.prefetch.into(), 1, PREFETCH_MAX.into()),
            ("publishers", self.publishers as u64, 1, PUBLISHERS_MAX as u64),
            ("window", self.window as u64, 1, WINDOW_MAX as u64),
            ("batch", self.batch as u64, 1, PARTS_MAX as u64),
            ("publish_deadline_ms", self.publish_deadline_ms, 1, PUBLISH_DEADLINE_MS_MAX),
            ("lane_length", lengths.lane.into(), 1, u32::MAX.into()),
            ("receipts_length", lengths.receipts.into(), 1, u32::MAX.into()),
            ("parked_length", lengths.parked.into(), 1, u32::MAX.into()),
            ("urls", self.urls.len() as u64, 1, URLS_MAX as u64),
        ];
        let wrong = ranges.into_iter().filter(|(_, value, least, most)| !(*least..=*most).contains(value));
        wrong.map(|(name, value, least, most)| RabbitError::Setting { name, value, least, most }).collect()
    }

    /// The parser's own words are kept out of the error: they may quote the URL.
    fn read(&self, number: usize, url: &Secret) -> Result<Address, RabbitError> {
        let uri: AMQPUri = url.expose().parse().map_err(|_| RabbitError::Url { number })?;
        let tls = match uri.scheme {
            AMQPScheme::AMQP => None,
            AMQPScheme::AMQPS => {
                let tls = Tls::read(self.ca_file.as_deref());
                Some(tls.map_err(|error| RabbitError::Trust { number, why: error.to_string() })?)
            }
        };
        Ok(Address { uri, tls })
    }

    fn check_namespace(&self) -> Result<(), RabbitError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if self.namespace.len() <= NAMESPACE_BYTES_MAX && self.namespace.bytes().all(allowed) {
            return Ok(());
        }
        Err(RabbitError::Namespace { namespace: self.namespace.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str) -> RabbitSettings {
        RabbitSettings::new(vec![Secret::new(url)])
    }

    #[test]
    fn a_wrong_setting_is_named_with_what_is_right() {
        let good = settings("amqp://guest:hunter2@127.0.0.1:5672/%2f");
        assert!(good.check().is_ok());
        let said = |change: fn(&mut RabbitSettings)| {
            let mut settings = good.clone();
            change(&mut settings);
            settings.check().expect_err("wrong").to_string()
        };
        assert_eq!(said(|settings| settings.shards = 0), "shards = 0: must be 1 to 64");
        assert_eq!(said(|settings| settings.prefetch = 3_000), "prefetch = 3000: must be 1 to 2000");
        assert_eq!(said(|settings| settings.batch = 65), "batch = 65: must be 1 to 64");
        assert_eq!(said(|settings| settings.urls.clear()), "urls = 0: must be 1 to 16");
        assert!(said(|settings| settings.namespace = "a/b".to_owned()).contains("\"a/b\""));
    }

    #[test]
    fn a_wrong_url_is_counted_and_never_quoted() {
        for url in ["http://guest:hunter2@host", "amqp://guest:hunter2@host:port", "hunter2"] {
            let said = settings(url).check().expect_err("wrong").to_string();
            assert!(said.contains("number 1") && !said.contains("hunter2"), "{said}");
        }
        assert!(!format!("{:?}", settings("amqp://guest:hunter2@host")).contains("hunter2"));
    }
}
