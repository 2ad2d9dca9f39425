//! Connections of a served door, over real sockets on loopback: whatever way requests come in, each is answered, and
//! between them a connection is little more than its socket.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::routing::post;
use otodoke_common::request::BODY_BYTES_MAX;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

use crate::connection::{self, HEAD_BYTES_MAX, LINGER_MS, LINGERING_MAX};
use crate::extract::WEBHOOK_BYTES_MAX;
use crate::server::serve;

/// What is kept of a connection that nothing is on: a buffer of HTTP alone would be 8,192.
const IDLE_BYTES_MAX: usize = 1_024;
const REQUESTS: usize = 3;

struct Served {
    address: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Served {
    async fn new(router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, router, stop.clone()));
        Self { address, stop, serving }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("it listens")
    }
}

/// Says what it is told.
fn echo() -> Router {
    Router::new().route("/", post(async |body: String| body))
}

fn request(body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: door\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// Reads until so many bodies that end in a full stop have come.
async fn hear(stream: &mut (impl AsyncRead + Unpin), answers: usize) -> String {
    let mut heard = String::new();
    while heard.matches('.').count() < answers + heard.matches("HTTP/1.1").count() {
        let mut part = [0; 512];
        let read = stream.read(&mut part).await.expect("an open connection");
        assert!(read > 0, "it was closed after {heard:?}");
        heard.push_str(std::str::from_utf8(&part[..read]).expect("text"));
    }
    heard
}

/// One connection that is attended to, with room for so many on which HTTP lingers.
async fn attended(lingering: usize) -> (TcpStream, CancellationToken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let caller = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("it listens");
    caller.set_nodelay(true).expect("an option of TCP");
    let (stream, _) = listener.accept().await.expect("the caller");
    let (lingering, stop) = (Arc::new(Semaphore::new(lingering)), CancellationToken::new());
    tokio::spawn(connection::attend(stream, echo().with_state(()), lingering, stop.clone()));
    (caller, stop)
}

#[tokio::test]
async fn requests_are_answered_in_turn_wherever_they_are_cut_in_two() {
    let bodies: Vec<String> = (0..REQUESTS).map(|index| format!("body {index}.")).collect();
    let whole: String = bodies.iter().map(|body| request(body)).collect();
    let ends: Vec<usize> =
        (1..=REQUESTS).map(|count| bodies[..count].iter().map(|body| request(body).len()).sum()).collect();
    // Where HTTP lingers, and where the next one takes over what came.
    for (lingering, cut) in [0, 1].into_iter().flat_map(|lingering| (0..=whole.len()).map(move |cut| (lingering, cut)))
    {
        let (mut stream, _stop) = attended(lingering).await;
        stream.write_all(&whole.as_bytes()[..cut]).await.expect("written");
        let before = ends.iter().filter(|end| **end <= cut).count();
        let mut heard = hear(&mut stream, before).await;
        stream.write_all(&whole.as_bytes()[cut..]).await.expect("written");
        heard.push_str(&hear(&mut stream, REQUESTS - before).await);
        let places: Vec<_> = bodies.iter().map(|body| heard.find(body)).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "cut at {cut}: {heard:?}");
        assert_eq!(heard.matches("HTTP/1.1 200").count(), REQUESTS, "cut at {cut}: {heard:?}");
        assert!(!heard.contains("connection: close"), "cut at {cut}: {heard:?}");
    }
}

#[tokio::test]
async fn a_connection_between_requests_is_closed_at_a_stop_whether_http_lingers_or_not() {
    for lingering in [0, 1] {
        let (mut stream, stop) = attended(lingering).await;
        stream.write_all(request("early.").as_bytes()).await.expect("written");
        hear(&mut stream, 1).await;
        stop.cancel();
        assert_eq!(stream.read(&mut [0; 1]).await.expect("a goodbye"), 0);
    }
}

/// All that is said until the door has enough.
async fn hear_all(stream: &mut TcpStream) -> String {
    let mut heard = Vec::new();
    // A door that closes with something unread resets the connection.
    drop(stream.read_to_end(&mut heard).await);
    String::from_utf8(heard).expect("text")
}

#[tokio::test]
async fn what_is_left_of_a_body_is_never_taken_for_a_request() {
    let served = Served::new(echo().route("/early", post(async || "early."))).await;
    let hidden = request("hidden.");
    let head = format!("POST /early HTTP/1.1\r\nHost: door\r\nContent-Length: {}\r\n", hidden.len());
    for (after, comes) in [("\r\n", ""), ("\r\n", &hidden[..9]), ("Connection: close\r\n\r\n", "")] {
        let mut stream = served.connect().await;
        stream.write_all(format!("{head}{after}{comes}").as_bytes()).await.expect("written");
        hear(&mut stream, 1).await;
        // It may be closed by now.
        drop(stream.write_all(&hidden.as_bytes()[comes.len()..]).await);
        let heard = hear_all(&mut stream).await;
        assert_eq!(heard, "", "after {comes:?}");
    }
}

/// A request whose head is so many bytes long.
fn with_head(bytes: usize, body: &str) -> String {
    let head = format!("POST / HTTP/1.1\r\nHost: door\r\nContent-Length: {}\r\nX: ", body.len());
    format!("{head}{}\r\n\r\n{body}", "x".repeat(bytes - head.len() - 4))
}

#[tokio::test]
async fn a_head_has_a_limit_and_bodies_have_their_own() {
    let limit = DefaultBodyLimit::max(WEBHOOK_BYTES_MAX);
    let length = post(async |body: Bytes| format!("{} came.", body.len())).layer(limit);
    let served = Served::new(Router::new().route("/", length)).await;
    let mut stream = served.connect().await;
    for length in [BODY_BYTES_MAX, WEBHOOK_BYTES_MAX] {
        for head in [100, HEAD_BYTES_MAX - 1] {
            let asked = with_head(head, &"b".repeat(length));
            stream.write_all(asked.as_bytes()).await.expect("written");
            let heard = hear(&mut stream, 1).await;
            assert!(heard.contains(&format!("{length} came.")), "{heard:?}");
        }
    }
    stream.write_all(with_head(HEAD_BYTES_MAX + 1, "").as_bytes()).await.expect("written");
    let heard = hear_all(&mut stream).await;
    assert!(heard.starts_with("HTTP/1.1 431 "), "{heard:?}");
}

#[tokio::test]
async fn a_connection_that_nothing_is_on_is_closed_at_a_stop_and_a_request_on_one_is_answered_first() {
    let (came, mut comes) = mpsc::channel(1);
    let go = CancellationToken::new();
    let goes = go.clone();
    let slow = post(async move || {
        came.send(()).await.expect("the test waits for it");
        goes.cancelled().await;
        "late."
    });
    let served = Served::new(echo().route("/slow", slow)).await;
    let (mut idle, mut busy) = (served.connect().await, served.connect().await);
    idle.write_all(request("early.").as_bytes()).await.expect("written");
    hear(&mut idle, 1).await;
    busy.write_all(request("").replace("POST /", "POST /slow").as_bytes()).await.expect("written");
    comes.recv().await.expect("the request is in hand");
    served.stop.cancel();
    assert_eq!(idle.read(&mut [0; 1]).await.expect("a goodbye"), 0);
    go.cancel();
    assert!(hear(&mut busy, 1).await.contains("late."));
    assert_eq!(busy.read(&mut [0; 1]).await.expect("a goodbye"), 0);
    served.serving.await.expect("no panic").expect("served to the end");
}

#[tokio::test]
async fn whoever_has_said_all_and_listens_is_answered_and_then_let_go() {
    let (came, mut comes) = mpsc::channel(1);
    let go = CancellationToken::new();
    let goes = go.clone();
    let slow = post(async move || {
        came.send(()).await.expect("the test waits for it");
        goes.cancelled().await;
        "late."
    });
    let served = Served::new(Router::new().route("/", slow)).await;
    let mut stream = served.connect().await;
    stream.write_all(request("").as_bytes()).await.expect("written");
    comes.recv().await.expect("the request is in hand");
    stream.shutdown().await.expect("nothing more to say");
    go.cancel();
    assert!(hear(&mut stream, 1).await.contains("late."));
    assert_eq!(stream.read(&mut [0; 1]).await.expect("a goodbye"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_given_up() {
    let served = Served::new(echo()).await;
    let begun = Instant::now();
    let mut stream = served.connect().await;
    assert_eq!(stream.read(&mut [0; 1]).await.expect("a goodbye"), 0);
    assert!(begun.elapsed() >= Duration::from_secs(60), "after {:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn http_lingers_for_the_next_request_and_is_then_laid_aside() {
    let (mut stream, mut caller) = tokio::io::duplex(HEAD_BYTES_MAX);
    let (router, stop) = (echo().with_state(()), CancellationToken::new());
    // With room for one that lingers, twice; then without. Each request comes in the middle of what it lingers for.
    for (room, requests, expected_ms) in
        [(1, 2, LINGER_MS / 2 + LINGER_MS), (1, 2, LINGER_MS / 2 + LINGER_MS), (0, 1, 0)]
    {
        let (lingering, begun) = (Semaphore::new(room), Instant::now());
        let exchanging = async {
            let rested = connection::exchange(stream, Bytes::new(), &router, &lingering, &stop).await;
            (rested.expect("it is open"), begun.elapsed())
        };
        let asking = async {
            for number in 0..requests {
                let body = format!("body {number}.");
                caller.write_all(request(&body).as_bytes()).await.expect("written");
                assert!(hear(&mut caller, 1).await.contains(&body));
                tokio::time::sleep(Duration::from_millis(LINGER_MS / 2)).await;
                assert_eq!(lingering.available_permits(), 0, "whoever lingers takes up the room");
            }
        };
        let (((kept, begun_with), took), ()) = tokio::join!(exchanging, asking);
        assert_eq!(begun_with, "");
        // Timers may be late by a millisecond.
        let expected = Duration::from_millis(expected_ms)..=Duration::from_millis(expected_ms + 3);
        assert!(expected.contains(&took), "{took:?} instead of {expected:?}");
        stream = kept;
    }
}

#[tokio::test(start_paused = true)]
async fn what_came_of_the_next_request_lies_aside_together_with_http() {
    let (stream, mut caller) = tokio::io::duplex(HEAD_BYTES_MAX);
    let (router, stop) = (echo().with_state(()), CancellationToken::new());
    let both = format!("{}{}", request("first."), request("second."));
    let (come, rest) = both.split_at(both.len() - 20);
    caller.write_all(come.as_bytes()).await.expect("written");
    let (kept, begun) =
        connection::exchange(stream, Bytes::new(), &router, &Semaphore::new(0), &stop).await.expect("it is open");
    assert!(hear(&mut caller, 1).await.contains("first."));
    assert!(come.as_bytes().ends_with(&begun) && !begun.is_empty(), "{begun:?}");
    caller.write_all(rest.as_bytes()).await.expect("written");
    let taken_up = connection::exchange(kept, begun, &router, &Semaphore::new(0), &stop).await;
    assert!(taken_up.is_some() && hear(&mut caller, 1).await.contains("second."));
}

#[tokio::test]
async fn a_connection_that_nothing_is_on_holds_no_http() {
    let served = Served::new(echo()).await;
    let lingering = Arc::new(Semaphore::new(LINGERING_MAX));
    let attended = connection::attend(served.connect().await, echo(), lingering, CancellationToken::new());
    let bytes = size_of_val(&attended);
    assert!(bytes <= IDLE_BYTES_MAX, "{bytes} bytes");
}
