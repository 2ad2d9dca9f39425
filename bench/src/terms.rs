//! On what terms it was measured: the servers' versions, and the settings that make what they say durable. Asked of the
//! servers, not assumed.

use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Duration, timeout};

use crate::bed::Bed;

/// Of PostgreSQL, in this order.
const SETTINGS: [&str; 7] = [
    "server_version",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "autovacuum",
    "shared_buffers",
    "max_wal_size",
];

/// Of them those without which a commit may be lost.
const DURABLE: [&str; 3] = ["fsync", "synchronous_commit", "full_page_writes"];

const GREETING_MS_MAX: u64 = 5_000;
const GREETING_BYTES_MAX: usize = 4_096;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Terms {
    pub(crate) postgres: Vec<(String, String)>,
    pub(crate) broker: String,
    /// How many of the pipeline's queues there are, by what the broker says of each.
    pub(crate) queues: String,
    pub(crate) processors: usize,
    pub(crate) durable: bool,
}

impl Terms {
    pub(crate) async fn read(bed: &Bed, shards: u16) -> anyhow::Result<Self> {
        let mut postgres = Vec::new();
        for setting in SETTINGS {
            let row = bed.client.query_one(&format!("SHOW {setting}"), &[]).await?;
            postgres.push((setting.to_owned(), row.get(0)));
        }
        let drifts = otodoke_common::rabbit::topology_check(&bed.rabbit(shards)).await?;
        let queues = if drifts.is_empty() {
            "all quorum, durable, reject-publish when full; published persistent, mandatory and confirmed".to_owned()
        } else {
            format!(
                "not as the programs make them: {}",
                drifts.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
            )
        };
        let on = |name: &str| postgres.iter().any(|(setting, value)| setting == name && value == "on");
        let durable = DURABLE.into_iter().all(on) && drifts.is_empty();
        let processors = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        let broker = broker(bed.amqp_url()).await?;
        Ok(Self { postgres, broker, queues, processors, durable })
    }

    pub(crate) fn sentences(&self) -> String {
        let postgres: Vec<String> = self.postgres.iter().map(|(name, value)| format!("{name} {value}")).collect();
        if self.postgres.is_empty() {
            return "without servers\n".to_owned();
        }
        let durable = if self.durable { "durable throughout" } else { "NOT durable: these figures do not count" };
        format!(
            "{durable}\n  PostgreSQL: {}\n  RabbitMQ: {}\n  queues: {}\n  processors: {}\n",
            postgres.join(", "),
            self.broker,
            self.queues,
            self.processors
        )
    }
}

/// What the broker says of itself before anybody logs in. The client library reads it and does not tell.
async fn broker(url: &str) -> anyhow::Result<String> {
    let uri: lapin::uri::AMQPUri = url.parse().map_err(anyhow::Error::msg)?;
    let mut stream = TcpStream::connect((uri.authority.host.as_str(), uri.authority.port)).await?;
    stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
    let mut said = vec![0; GREETING_BYTES_MAX];
    let count = timeout(Duration::from_millis(GREETING_MS_MAX), stream.read(&mut said)).await??;
    let of = |name: &str| long_string(&said[..count], name).unwrap_or_else(|| "unknown".to_owned());
    Ok(format!("{} {}, {}", of("product"), of("version"), of("platform")))
}

/// A field of an AMQP table that is a long string: its name, `S`, four bytes of length, the text.
fn long_string(table: &[u8], name: &str) -> Option<String> {
    let mark: Vec<u8> = [&[u8::try_from(name.len()).ok()?], name.as_bytes(), b"S"].concat();
    let at = table.windows(mark.len()).position(|window| window == mark)? + mark.len();
    let length = u32::from_be_bytes(table.get(at..at + 4)?.try_into().ok()?);
    let text = table.get(at + 4..at + 4 + usize::try_from(length).ok()?)?;
    Some(String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_read_by_its_whole_name() {
        let table = b"\x0aproductionS\x00\x00\x00\x01x\x07productS\x00\x00\x00\x08RabbitMQ";
        assert_eq!(long_string(table, "product").as_deref(), Some("RabbitMQ"));
        assert_eq!(long_string(table, "version"), None);
        assert_eq!(long_string(b"\x07productS\x00\x00\x00\x08Rab", "product"), None);
    }

    #[test]
    fn figures_that_are_not_durable_say_so() {
        let postgres = vec![("fsync".to_owned(), "off".to_owned())];
        let off = Terms { postgres, ..Terms::default() };
        assert!(off.sentences().contains("NOT durable") && off.sentences().contains("fsync off"));
        assert!(Terms { durable: true, ..off }.sentences().starts_with("durable throughout"));
        assert_eq!(Terms::default().sentences(), "without servers\n");
    }
}
