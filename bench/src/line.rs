//! One HTTP connection that is kept alive, one request at a time, and no task of its own: the leanest client there is,
//! because its CPU time is taken from the same processors as that of what it measures. It reads as much of HTTP as the
//! programs answer with.

use std::io::Write;
use std::net::SocketAddr;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// More than any answer of ours has.
const HEADERS_MAX: usize = 32;
const READ_BYTES: usize = 4_096;
/// The longest are a carrier's arrivals, some 60 bytes each.
const ANSWER_BYTES_MAX: usize = 256 << 20;

pub(crate) struct Line {
    stream: TcpStream,
    /// What every request says below its first line.
    headers: String,
    request: Vec<u8>,
    read: Vec<u8>,
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// An answer as its head says it is.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    bytes: usize,
    status: u16,
    body_bytes: usize,
}

impl Line {
    pub(crate) async fn open(address: SocketAddr, api_key: Option<&str>) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("{address} takes no connection"))?;
        stream.set_nodelay(true)?;
        let key = api_key.map(|key| format!("authorization: Bearer {key}\r\n")).unwrap_or_default();
        let headers = format!("host: {address}\r\n{key}");
        Ok(Self { stream, headers, request: Vec::new(), read: Vec::new() })
    }

    pub(crate) async fn post(&mut self, path: &str, body: &str) -> anyhow::Result<Reply> {
        self.request.clear();
        let headers = &self.headers;
        write!(self.request, "POST {path} HTTP/1.1\r\n{headers}content-type: application/json\r\n")?;
        write!(self.request, "content-length: {}\r\n\r\n{body}", body.len())?;
        self.answer().await
    }

    pub(crate) async fn get(&mut self, path: &str) -> anyhow::Result<Reply> {
        self.request.clear();
        write!(self.request, "GET {path} HTTP/1.1\r\n{}\r\n", self.headers)?;
        self.answer().await
    }

    async fn answer(&mut self) -> anyhow::Result<Reply> {
        self.stream.write_all(&self.request).await?;
        loop {
            if let Some(Head { bytes, status, body_bytes }) = head(&self.read)?
                && let Some(body) = self.read.get(bytes..bytes + body_bytes)
            {
                let body = body.to_vec();
                self.read.drain(..bytes + body_bytes);
                return Ok(Reply { status, body });
            }
            self.read.reserve(READ_BYTES);
            anyhow::ensure!(self.stream.read_buf(&mut self.read).await? > 0, "closed before the answer was whole");
        }
    }
}

/// `None` while not all of it is there.
fn head(read: &[u8]) -> anyhow::Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut answer = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(bytes) = answer.parse(read)? else { return Ok(None) };
    let length = answer.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length = length.context("an answer without a content-length")?;
    let body_bytes = std::str::from_utf8(length.value)?.parse()?;
    anyhow::ensure!(body_bytes <= ANSWER_BYTES_MAX, "an answer of {body_bytes} bytes is longer than any of ours");
    Ok(Some(Head { bytes, status: answer.code.context("an answer without a status")?, body_bytes }))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let answer = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}";
        let whole = answer.len() - 2;
        assert_eq!(head(answer).expect("HTTP"), Some(Head { bytes: whole, status: 202, body_bytes: 2 }));
        for length in 0..whole {
            assert_eq!(head(&answer[..length]).expect("HTTP so far"), None, "{length}");
        }
        assert!(head(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
        assert!(head(b"HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551615\r\n\r\n").is_err());
        assert!(head(b"no HTTP at all").is_err());
    }

    #[tokio::test]
    async fn answers_come_whole_however_they_are_cut_and_one_after_the_other() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a caller");
            for round in 0..3 {
                let mut request = [0; 1_024];
                let length = stream.read(&mut request).await.expect("a request");
                let request = std::str::from_utf8(&request[..length]).expect("ASCII");
                assert!(request.starts_with("POST /x HTTP/1.1\r\n") && request.ends_with("\r\n\r\n{}"), "{request}");
                assert!(request.contains("authorization: Bearer key\r\n"), "{request}");
                for byte in format!("HTTP/1.1 20{round} OK\r\ncontent-length: 3\r\n\r\nab{round}").bytes() {
                    stream.write_all(&[byte]).await.expect("a listener");
                }
            }
        });
        let mut line = Line::open(address, Some("key")).await.expect("a connection");
        for round in 0..3 {
            let reply = line.post("/x", "{}").await.expect("an answer");
            assert_eq!((reply.status, &reply.body[..]), (200 + round, format!("ab{round}").as_bytes()));
        }
        assert!(line.post("/x", "{}").await.is_err(), "it hung up");
    }
}
