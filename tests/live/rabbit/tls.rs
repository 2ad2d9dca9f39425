//! `amqps`, to a broker with a certificate of a private authority: it must be the right one, for the right name.

use std::path::PathBuf;
use std::time::Duration;

use otodoke_common::broker::{Broker, Queue};
use otodoke_common::config::Secret;
use otodoke_common::message::Lane;
use otodoke_common::rabbit::{RabbitError, RabbitSettings, topology_check, topology_erase};
use otodoke_tests::servers::certificates::Authority;
use otodoke_tests::servers::rabbit::{connect, private_rabbit_with_tls};

const NORMAL: Queue = Queue::Lane(Lane::Normal);
const SOON: Duration = Duration::from_secs(20);

fn speaking(scheme: &str, host: &str, port: u16, ca_file: Option<PathBuf>) -> RabbitSettings {
    let url = format!("{scheme}://guest:guest@{host}:{port}/%2f");
    RabbitSettings { ca_file, ..RabbitSettings::new(vec![Secret::new(url)]) }
}

async fn refusal(settings: &RabbitSettings) -> String {
    let checked = tokio::time::timeout(SOON, topology_check(settings)).await;
    checked.expect("named within seconds").expect_err("nobody gets in like this").to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_is_spoken_to_with_tls_when_it_proves_who_it_is() {
    let (authority, stranger) = (Authority::default(), Authority::default());
    let (server, tls_port) = private_rabbit_with_tls(&authority.sign("127.0.0.1")).await;
    let right = speaking("amqps", "127.0.0.1", tls_port, Some(authority.file()));
    let broker = connect(&right);
    broker.publish(NORMAL, b"sealed".to_vec()).await.expect("published");
    let delivery = tokio::time::timeout(SOON, broker.take(NORMAL)).await.expect("in time").expect("taken");
    assert_eq!(delivery.body, b"sealed");
    let ciphers = server.control(&["list_connections", "ssl_protocol", "--silent"]);
    let protocols: Vec<&str> = ciphers.split_whitespace().collect();
    assert!(protocols.len() == 2 && protocols.iter().all(|protocol| protocol.starts_with("tlsv1.")), "{ciphers}");
    delivery.done().await.expect("settled");
    broker.close().await;
    topology_erase(&right).await.expect("one try works as well");

    let said = refusal(&speaking("amqps", "127.0.0.1", tls_port, Some(stranger.file()))).await;
    assert!(said.contains("name the certificate of the authority"), "{said}");
    let said = refusal(&speaking("amqps", "127.0.0.1", tls_port, None)).await;
    assert!(said.contains("ca_file"), "this machine does not trust the authority of a test: {said}");
    let said = refusal(&speaking("amqps", "localhost", tls_port, Some(authority.file()))).await;
    assert!(said.contains("use a host in the url that its certificate is for"), "{said}");
    let said = refusal(&speaking("amqps", "127.0.0.1", server.port(), Some(authority.file()))).await;
    assert!(said.contains("is that its TLS port?") || said.contains("is that its AMQP port"), "{said}");
    let said = refusal(&speaking("amqp", "127.0.0.1", tls_port, None)).await;
    assert!(said.contains("is that its AMQP port"), "{said}");
}

#[tokio::test]
async fn a_file_without_certificates_is_named_before_anything_is_connected() {
    let error = topology_check(&speaking("amqps", "127.0.0.1", 1, Some("/nowhere/ca.pem".into()))).await.err();
    let Some(RabbitError::Trust { number: 1, why }) = error else { panic!("{error:?}") };
    assert!(why.contains("/nowhere/ca.pem"), "{why}");
}
