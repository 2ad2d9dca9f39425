//! How a vendor is connected to: TCP, and TLS where the URL says so, within one limit.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use otodoke_common::loopback::is_loopback;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tower::Service;
use url::Url;

type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;
type Failure = Box<dyn Error + Send + Sync>;

#[derive(Clone)]
pub(super) struct Connector {
    https: HttpsConnector<HttpConnector>,
    max: Duration,
}

impl Connector {
    pub(super) fn new(base: &Url, max: Duration) -> Result<Self, Failure> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        // A request is one packet or two: waiting to fill them only delays it.
        tcp.set_nodelay(true);
        // Shared by the addresses of a name: one that is silent leaves time for the others.
        tcp.set_connect_timeout(Some(max));
        let https = HttpsConnectorBuilder::new();
        let https = if base.scheme() == "http" && is_loopback(base) {
            // No TLS will be spoken: the machine's root certificates need not exist.
            let provider = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
            let versions = provider.with_safe_default_protocol_versions()?;
            let config = versions.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
            https.with_tls_config(config)
        } else {
            https.with_provider_and_platform_verifier(ring::default_provider())?
        };
        Ok(Self { https: https.https_or_http().enable_http1().wrap_connector(tcp), max })
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, Failure>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.https.poll_ready(context)
    }

    fn call(&mut self, place: Uri) -> Self::Future {
        let (connecting, max) = (self.https.call(place), self.max);
        Box::pin(async move { tokio::time::timeout(max, connecting).await? })
    }
}
