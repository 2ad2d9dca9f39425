//! On how many machines a queue is, as RabbitMQ's management API tells: `GET /api/queues/{vhost}/{name}` has `members` and
//! `online` of a quorum queue (its HTTP API reference).

use anyhow::Context;
use reqwest::{Client, Error, Response, Url};
use serde::Deserialize;
use tokio::time::Duration;

/// A person waits at the terminal.
const ANSWER_MS_MAX: u64 = 10_000;

pub(super) struct Management {
    client: Client,
    /// With its user and password, which the client makes a header of.
    url: Url,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Members {
    pub(super) all: usize,
    pub(super) online: usize,
}

#[derive(Deserialize)]
struct Told {
    members: Vec<String>,
    online: Vec<String>,
}

impl Management {
    pub(super) fn at(url: &Url) -> anyhow::Result<Self> {
        anyhow::ensure!(
            matches!(url.scheme(), "http" | "https"),
            "--management-url must be like http://user:password@127.0.0.1:15672"
        );
        let mut client = Client::builder().timeout(Duration::from_millis(ANSWER_MS_MAX)).no_proxy();
        if url.scheme() == "http" {
            // No TLS will be spoken: the machine's root certificates need not exist.
            client = client.tls_certs_only([]);
        }
        Ok(Self { client: client.build()?, url: url.clone() })
    }

    pub(super) async fn members(&self, vhost: &str, queue: &str) -> anyhow::Result<Members> {
        let mut url = self.url.clone();
        let path = url.path_segments_mut();
        path.expect("http and https URLs have a path").pop_if_empty().extend(["api", "queues", vhost, queue]);
        let place = format!("the management API at {}", self.url.origin().ascii_serialization());
        let asked = self.client.get(url).send().await.and_then(Response::error_for_status);
        let answer =
            asked.map_err(Error::without_url).with_context(|| format!("{place} tells nothing of queue {queue}"))?;
        let told = answer.json::<Told>().await.map_err(Error::without_url);
        let told = told.with_context(|| format!("{place} tells no members of {queue}; is it a quorum queue?"))?;
        Ok(Members { all: told.members.len(), online: told.online.len() })
    }
}
