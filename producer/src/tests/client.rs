//! The client library against a served door, over a real socket on loopback.

use std::net::SocketAddr;

use otodoke_common::leg::Channel;
use otodoke_common::message::MessageId;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::bed::{Bed, NUMBER};
use crate::answer::CheckStatus;
use crate::body::{CheckBody, CodePurpose, NewText, NewVerification};
use crate::client::{Client, ClientError};
use crate::server::serve;

struct Served {
    bed: Bed,
    address: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Served {
    async fn new() -> Self {
        let bed = Bed::new().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, bed.router.clone(), stop.clone()));
        Self { bed, address, stop, serving }
    }

    fn client(&self, key: &str) -> Client {
        Client::new(&format!("http://{}/", self.address), key).expect("a client")
    }

    fn own_client(&self) -> Client {
        self.client(self.bed.key.strip_prefix("Bearer ").expect("a bearer key"))
    }
}

#[tokio::test]
async fn a_client_sends_checks_traces_and_the_server_stops_when_told() {
    let served = Served::new().await;
    let client = served.own_client();
    let accepted = client.send(&NewVerification::new(NUMBER, CodePurpose::Login), Some("a")).await.expect("accepted");
    let id = MessageId::parse(&accepted.id).expect("an id");
    served.bed.begin(id, Channel::Sms).await;
    let body = CheckBody { code: served.bed.code(id).await, to: None, transaction: None };
    let checked = client.check(&accepted.id, &body, None).await.expect("checked");
    assert_eq!((checked.status, checked.verified), (CheckStatus::Verified, true));
    assert_eq!(client.get(&accepted.id).await.expect("read").status, "verified");
    assert_eq!(client.cancel(&accepted.id).await.expect("cancelled").status, "verified");
    assert_eq!(client.trace(&accepted.id).await.expect("traced").journal[0].fields["event"], "accepted");
    drop(client);
    served.stop.cancel();
    served.serving.await.expect("no panic").expect("served to the end");
}

#[tokio::test]
async fn a_client_sends_texts() {
    let served = Served::new().await;
    let client = served.own_client();
    let body: NewText =
        serde_json::from_value(serde_json::json!({"to": NUMBER, "text": "Your parcel is here."})).expect("a body");
    let accepted = client.send_text(&body, None).await.expect("accepted");
    assert_eq!(client.get_text(&accepted.id).await.expect("read").purpose, "notice");
}

#[tokio::test]
async fn a_client_is_told_code_remedy_and_when_to_come_again() {
    let served = Served::new().await;
    let refused = served.client("unknown").send(&NewVerification::new(NUMBER, CodePurpose::Login), None).await;
    assert!(matches!(refused, Err(ClientError::Refused { body, .. }) if body.code == "unauthorized"));
    let client = served.own_client();
    let accepted = client.send(&NewVerification::new(NUMBER, CodePurpose::Login), None).await.expect("accepted");
    match client.resend(&accepted.id, None).await {
        Err(ClientError::Refused { body, retry_after_s: Some(1..=20) }) => assert_eq!(body.code, "too_soon"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(client.get("../metrics").await, Err(ClientError::NotAnId { .. })));
}

#[tokio::test]
async fn a_client_without_a_door_says_that_nobody_answered() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let client = Client::new(&format!("http://{address}"), "key").expect("a client");
    let answer = client.send(&NewVerification::new(NUMBER, CodePurpose::Login), None).await;
    assert!(matches!(answer, Err(ClientError::Unreachable { .. })), "{answer:?}");
}

#[test]
fn what_is_no_url_is_refused_before_anything_is_sent() {
    for url in ["", "foo", "localhost:8080", "ftp://127.0.0.1", "http://"] {
        let refused = Client::new(url, "key").err().map(|error| error.to_string()).unwrap_or_default();
        assert!(refused.contains("http://127.0.0.1:8080"), "{url}: {refused}");
    }
}
