//! The HTTP port.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{Checks, Kind, Report};

/// Connections served at once; more wait in the listen queue.
const MAX_CONNECTIONS: usize = 64;
/// How long a client may take to send its request's head.
const HEADER_LIMIT: Duration = Duration::from_secs(5);
/// How long one connection may live: scrapers reconnect, and a stuck one must not hold its slot.
const CONNECTION_LIMIT: Duration = Duration::from_secs(120);

/// Why the health port is not there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address does not parse.
    #[error("health address {value:?} is not IP:PORT or \"off\"")]
    Address {
        /// What was given.
        value: String,
    },
    /// The port cannot be bound.
    #[error("health address {address} cannot be bound")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the kernel says.
        source: io::Error,
    },
}

/// Serves `/livez`, `/readyz`, `/healthz` and `/metrics`.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    checks: Checks,
}

impl Server {
    /// Binds the port; port 0 picks a free one.
    pub async fn bind(address: SocketAddr, checks: Checks) -> Result<Self, Error> {
        let failed = |source| Error::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, checks })
    }

    /// The bound address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            // The semaphore is never closed, so a slot always comes; if it were, serving ends.
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = self.listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "health port: accept failed");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let checks = self.checks.clone();
            tokio::spawn(async move {
                serve(stream, checks).await;
                drop(slot);
            });
        }
    }
}

async fn serve(stream: TcpStream, checks: Checks) {
    let service = service_fn(move |request: Request<Incoming>| {
        let checks = checks.clone();
        async move { Ok::<_, Infallible>(answer(&checks, &request).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_LIMIT)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(CONNECTION_LIMIT, connection).await {
        Ok(Ok(())) | Err(_) => {}
        Ok(Err(error)) => tracing::debug!(%error, "health port: connection ended"),
    }
}

async fn answer<B>(checks: &Checks, request: &Request<B>) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned());
    }
    let query = request.uri().query().unwrap_or_default();
    match request.uri().path() {
        "/livez" | "/healthz" => health(&checks.report(Kind::Live, &excluded(query)).await, query),
        "/readyz" => health(&checks.report(Kind::Ready, &excluded(query)).await, query),
        "/metrics" => match super::metrics() {
            Ok(text) => plain(StatusCode::OK, text),
            Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        },
        _ => plain(StatusCode::NOT_FOUND, "known paths: /livez /readyz /healthz /metrics\n".to_owned()),
    }
}

fn health(report: &Report, query: &str) -> Response<Full<Bytes>> {
    let verbose = query.split('&').any(|pair| pair == "verbose" || pair.starts_with("verbose="));
    let status = if report.ok() { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR };
    plain(status, report.text(verbose))
}

/// The checks that `?exclude=NAME` leaves out.
fn excluded(query: &str) -> Vec<String> {
    query.split('&').filter_map(|pair| pair.strip_prefix("exclude=")).map(str::to_owned).collect()
}

fn plain(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn the_port_answers_and_stops() {
        let checks = Checks::new();
        checks.readyz("synced", || Err("no".to_owned()));
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), checks).await.unwrap();
        let (address, stop) = (server.address(), CancellationToken::new());
        let task = tokio::spawn(server.run(stop.clone()));

        assert!(get(address, "/livez").await.starts_with("HTTP/1.1 200 OK"));
        assert!(get(address, "/healthz?verbose").await.contains("[+]ping ok"));
        let ready = get(address, "/readyz").await;
        assert!(ready.starts_with("HTTP/1.1 500"), "{ready}");
        assert!(ready.contains("[-]synced failed: no"), "{ready}");
        assert!(get(address, "/readyz?exclude=synced").await.starts_with("HTTP/1.1 200 OK"));
        assert!(get(address, "/nothing").await.starts_with("HTTP/1.1 404"));

        crate::process::register().unwrap();
        assert!(get(address, "/metrics").await.contains("process_resident_memory_bytes "));

        stop.cancel();
        task.await.unwrap();
    }
}
