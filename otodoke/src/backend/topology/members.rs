//! On how many machines a queue is, as RabbitMQ's management API tells: `GET /api/queues/{vhost}/{name}` has `members` and
//! `online` of a quorum queue (its HTTP API reference).

use std::path::Path;

use anyhow::Context;
use otodoke_common::config::Secret;
use reqwest::{Certificate, Client, Error, Response, Url};
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
    /// Under https the broker's certificate is held against the same authority as under amqps.
    pub(super) fn at(url: &Secret, ca_file: Option<&Path>) -> anyhow::Result<Self> {
        let url = read(url)?;
        let mut client = Client::builder().timeout(Duration::from_millis(ANSWER_MS_MAX)).no_proxy();
        if url.scheme() == "http" {
            // No TLS will be spoken: the machine's root certificates need not exist.
            client = client.tls_certs_only([]);
        } else if let Some(file) = ca_file {
            let pem = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
            client = client.tls_certs_only(Certificate::from_pem_bundle(&pem)?);
        }
        Ok(Self { client: client.build()?, url })
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

/// Never quotes it: a password with a `/`, `?`, `#` or `@` that is not escaped makes another URL of it, and would be shown as
/// its host or path.
fn read(url: &Secret) -> anyhow::Result<Url> {
    let read = Url::parse(url.expose()).ok().filter(|url| {
        let plain = url.query().is_none() && url.fragment().is_none() && !url.path().contains('@');
        plain && matches!(url.scheme(), "http" | "https")
    });
    read.context(
        "--management-url must be like http://user:password@127.0.0.1:15672, with %23 for # and so on in its password",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_url_is_refused_and_never_quoted() {
        for url in [
            "127.0.0.1:15672",
            "amqp://guest:hunter2@127.0.0.1",
            "http://guest:hunter2#more@127.0.0.1:15672",
            "http://guest:12#hunter2@127.0.0.1:15672",
            "http://guest:12/hunter2@127.0.0.1:15672",
            "http://guest:12?hunter2@127.0.0.1:15672",
        ] {
            let said = format!("{:#}", read(&Secret::new(url)).expect_err(url));
            assert!(said.contains("%23") && !said.contains("hunter2") && !said.contains(":12"), "{said}");
        }
        assert!(read(&Secret::new("http://guest:hunter%232@127.0.0.1:15672/behind/a/proxy")).is_ok());
    }
}
