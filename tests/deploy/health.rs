//! The health check of the images, against a program that answers well, one that does not, and none.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::Command;
use std::thread::JoinHandle;

use crate::root;

#[test]
fn a_container_is_healthy_when_its_program_says_so() {
    let (port, asked) = answering("HTTP/1.1 200 OK");
    assert!(is_healthy(port));
    assert_eq!(asked.join().expect("it answered"), "GET /healthz HTTP/1.1");
}

#[test]
fn a_container_whose_program_complains_is_not_healthy() {
    let (port, asked) = answering("HTTP/1.1 503 Service Unavailable");
    assert!(!is_healthy(port));
    asked.join().expect("it answered");
}

#[test]
fn a_container_where_nothing_listens_is_not_healthy() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    drop(listener);
    assert!(!is_healthy(port));
}

fn is_healthy(port: u16) -> bool {
    let script = root().join("deploy/container/healthy");
    let output = Command::new(script).arg(port.to_string()).output().expect("bash is here, as it is in the image");
    output.status.success()
}

/// Answers one request with this status line; gives back what was asked.
fn answering(status: &'static str) -> (u16, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody asks");
        let mut lines = BufReader::new(stream.try_clone().expect("a second handle")).lines();
        let request = lines.next().expect("a first line").expect("it is text");
        // What is left unread when a socket closes would make it a reset, and the answer might be lost.
        for line in lines.map_while(Result::ok) {
            if line.is_empty() {
                break;
            }
        }
        write!(stream, "{status}\r\nContent-Length: 0\r\n\r\n").expect("somebody listens");
        request
    });
    (port, asked)
}
