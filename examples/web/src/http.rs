//! As much HTTP/1.1 as the example needs: GET and HEAD, persistent connections, limits.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// No request's head is larger.
const MAX_HEAD: usize = 8 << 10;
/// How long a connection may be idle or a request's head may take.
const IDLE: Duration = Duration::from_secs(30);

/// What `GET /` answers.
#[derive(Clone)]
pub(crate) struct Page {
    body: String,
}

impl Page {
    /// The page of this pod.
    pub(crate) fn new(pod: &str, node: &str, version: &str) -> Self {
        let (pod, node, version) = (escape(pod), escape(node), escape(version));
        Self { body: format!("{{\"pod\":\"{pod}\",\"node\":\"{node}\",\"version\":\"{version}\"}}\n") }
    }
}

/// How far the end of the server has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Nobody asked for it.
    Serving,
    /// Requests are answered, but each is the last of its connection.
    Leaving,
    /// Connections without a request under way are closed.
    Closing,
}

/// Serves one connection until the client closes it, breaks the protocol or the server ends.
pub(crate) async fn serve(
    mut stream: TcpStream,
    page: &Page,
    mut phase: watch::Receiver<Phase>,
) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(1024);
    loop {
        let Some(length) = head(&mut stream, &mut buffer, &mut phase).await? else { return Ok(()) };
        let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
        buffer.drain(..length);
        let answer = answer(&request, page, *phase.borrow() >= Phase::Leaving);
        stream.write_all(answer.bytes.as_bytes()).await?;
        if answer.close {
            return stream.shutdown().await;
        }
    }
}

/// Reads up to the end of a request's head; `None` when there is no further request to answer.
async fn head(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    phase: &mut watch::Receiver<Phase>,
) -> io::Result<Option<usize>> {
    loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            return Ok(Some(end + 4));
        }
        if buffer.len() >= MAX_HEAD {
            return Ok(None);
        }
        let idle = buffer.is_empty();
        tokio::select! {
            // What has arrived is answered before the end of the server is looked at.
            biased;
            read = tokio::time::timeout(IDLE, stream.read_buf(buffer)) => match read {
                Ok(Ok(0)) | Err(_) => return Ok(None),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(error),
            },
            _ = phase.wait_for(|now| *now == Phase::Closing), if idle => return Ok(None),
        }
    }
}

struct Answer {
    bytes: String,
    close: bool,
}

fn answer(request: &str, page: &Page, leaving: bool) -> Answer {
    let mut lines = request.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, path, version) = (words.next(), words.next(), words.next());
    let mut close = leaving || version != Some("HTTP/1.1");
    for line in lines {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "connection" => close |= value.eq_ignore_ascii_case("close"),
            // Requests with a body are not understood: what follows the head would be read as a request.
            "content-length" => close |= value != "0",
            "transfer-encoding" => close = true,
            _ => {}
        }
    }
    let path = path.map(|path| path.split('?').next().unwrap_or_default());
    let (status, body) = match (method, path) {
        (Some("GET" | "HEAD"), Some("/")) => ("200 OK", page.body.as_str()),
        (Some("GET" | "HEAD"), Some("/healthz")) => ("200 OK", "ok\n"),
        (Some("GET" | "HEAD"), Some(_)) => ("404 Not Found", "not found\n"),
        _ => ("405 Method Not Allowed", "only GET\n"),
    };
    let kind = if body.starts_with('{') { "application/json" } else { "text/plain" };
    let connection = if close { "close" } else { "keep-alive" };
    let sent = if method == Some("HEAD") { "" } else { body };
    let bytes = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: {connection}\r\n\r\n{sent}",
        body.len()
    );
    Answer { bytes, close }
}

/// Makes a text safe inside a JSON string.
fn escape(text: &str) -> String {
    text.chars()
        .flat_map(|c| match c {
            '"' | '\\' => vec!['\\', c],
            c if c.is_control() => format!("\\u{:04x}", u32::from(c)).chars().collect(),
            c => vec![c],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Page {
        Page::new("web-1", "node-1", "v1")
    }

    #[test]
    fn the_page_names_pod_node_and_version() {
        let answer = answer("GET / HTTP/1.1\r\nHost: web\r\n\r\n", &page(), false);
        assert!(answer.bytes.starts_with("HTTP/1.1 200 OK\r\n"), "{}", answer.bytes);
        assert!(answer.bytes.ends_with("{\"pod\":\"web-1\",\"node\":\"node-1\",\"version\":\"v1\"}\n"));
        assert!(!answer.close);
    }

    #[test]
    fn connections_are_closed_when_asked_when_old_and_when_leaving() {
        assert!(answer("GET / HTTP/1.1\r\nConnection: close\r\n\r\n", &page(), false).close);
        assert!(answer("GET / HTTP/1.0\r\n\r\n", &page(), false).close);
        assert!(answer("GET / HTTP/1.1\r\n\r\n", &page(), true).close);
        assert!(answer("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n", &page(), false).close);
    }

    #[test]
    fn other_requests_are_refused() {
        assert!(answer("GET /x HTTP/1.1\r\n\r\n", &page(), false).bytes.starts_with("HTTP/1.1 404"));
        assert!(answer("PUT / HTTP/1.1\r\n\r\n", &page(), false).bytes.starts_with("HTTP/1.1 405"));
        assert!(answer("\r\n\r\n", &page(), false).bytes.starts_with("HTTP/1.1 405"));
        let head = answer("HEAD /healthz HTTP/1.1\r\n\r\n", &page(), false).bytes;
        assert!(head.contains("Content-Length: 3\r\n") && head.ends_with("\r\n\r\n"));
    }

    #[test]
    fn names_cannot_break_the_json() {
        assert_eq!(escape("a\"b\\c\n"), "a\\\"b\\\\c\\u000a");
    }
}
