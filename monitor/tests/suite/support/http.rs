//! As much of an HTTP client as the tests need. HTTP/1.0, so that a body ends with its connection.

use std::net::SocketAddr;

use celeriac_testkit::eventually;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::SOON;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// A header, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }

    /// All headers of a name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body, if it is a page or a document that succeeded.
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.status, 200, "{self:?}");
        self.body
    }

    /// The answer, if it is a problem document of this status and kind.
    pub(crate) fn problem(self, status: u16, kind: &str) -> Value {
        let document = self.json();
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(document["status"], status);
        assert_eq!(document["type"], format!("urn:celeriac:problem:{kind}"));
        document
    }
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> Answer {
    request(address, "GET", path, "").await
}

pub(crate) async fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
) -> Answer {
    with_body(address, method, path, headers, b"").await
}

/// A request with a body, whose length is told.
pub(crate) async fn with_body(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
    body: &[u8],
) -> Answer {
    let headers = match body.len() {
        0 => headers.to_owned(),
        bytes => format!("content-length: {bytes}\r\n{headers}"),
    };
    let mut stream = send(address, method, path, &headers).await;
    // A body that is too large need not be read to its end.
    let _ = stream.write_all(body).await;
    let mut text = String::new();
    let read = timeout(SOON, stream.read_to_string(&mut text)).await;
    read.expect("an answer in time").expect("an answer");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let headers = lines.filter_map(|line| line.split_once(": "));
    Answer {
        status: status.and_then(|status| status.parse().ok()).expect("a status"),
        headers: headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect(),
        body: body.to_owned(),
    }
}

/// Asks for JSON until it is as wanted.
pub(crate) async fn json_when(
    address: SocketAddr,
    path: &str,
    wanted: impl Fn(&Value) -> bool,
) -> Value {
    eventually(SOON, async || {
        let answer = get(address, path).await;
        match serde_json::from_str(&answer.body) {
            Ok(json) if answer.status == 200 && wanted(&json) => Ok(json),
            _ => Err(format!("{answer:?}")),
        }
    })
    .await
}

async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(address).await.expect("the monitor listens");
    let request = format!("{method} {path} HTTP/1.0\r\nhost: {address}\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.expect("it takes requests");
    BufReader::new(stream)
}

/// A stream of server-sent events.
pub(crate) struct Events {
    stream: BufReader<TcpStream>,
}

/// One of them.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Event {
    pub(crate) event: String,
    pub(crate) id: String,
    pub(crate) data: String,
    pub(crate) retry: String,
}

impl Event {
    /// The fragment with this id.
    pub(crate) fn fragment(&self, id: &str) -> Option<String> {
        let fragments: Vec<(String, String)> = serde_json::from_str(&self.data).ok()?;
        fragments.into_iter().find(|(found, _)| found == id).map(|(_, html)| html)
    }
}

impl Events {
    /// Opens a stream that must be granted.
    pub(crate) async fn open(address: SocketAddr, path: &str) -> Self {
        let mut stream = send(address, "GET", path, "").await;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let read = timeout(SOON, stream.read_line(&mut head)).await;
            assert!(read.expect("a head in time").expect("a head") > 0, "{head}");
        }
        assert!(head.starts_with("HTTP/1.0 200"), "{head}");
        assert!(head.contains("content-type: text/event-stream"), "{head}");
        Self { stream }
    }

    /// The next event; None at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        timeout(SOON, self.read()).await.expect("an event in time")
    }

    async fn read(&mut self) -> Option<Event> {
        let mut event = Event::default();
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line).await.expect("a stream") == 0 {
                return None;
            }
            match line.trim_end().split_once(':') {
                Some(("event", text)) => event.event = text.trim_start().to_owned(),
                Some(("id", text)) => event.id = text.trim_start().to_owned(),
                Some(("data", text)) => event.data = text.trim_start().to_owned(),
                Some(("retry", text)) => event.retry = text.trim_start().to_owned(),
                _ => return Some(event),
            }
        }
    }

    /// The first event from now on with a fragment as wanted.
    pub(crate) async fn fragment_when(&mut self, id: &str, wanted: impl Fn(&str) -> bool) -> Event {
        let search = async {
            loop {
                let event = self.next().await.expect("the stream goes on");
                if event.fragment(id).is_some_and(|html| wanted(&html)) {
                    return event;
                }
            }
        };
        timeout(SOON, search).await.expect("such a fragment in time")
    }
}
