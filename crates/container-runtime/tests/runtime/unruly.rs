//! A registry in memory that can be made difficult: it wants tokens or passwords, breaks off, lies, hides behind TLS
//! and a proxy.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures::StreamExt;
use gantry_image_builder::{Blob, Built};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{AUTHORIZATION, RANGE, WWW_AUTHENTICATE};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

type Body = BoxBody<Bytes, std::io::Error>;

/// What it takes to be let in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    Open,
    /// User `u` with password `p`.
    Basic,
    /// A token, which the same user and password get.
    Token,
}

pub(crate) struct Unruly {
    pub(crate) address: SocketAddr,
    /// Requests for blobs so far, as (offset, whether it was broken off).
    pub(crate) blobs: Arc<AtomicUsize>,
    task: tokio::task::AbortHandle,
}

pub(crate) struct Config {
    pub(crate) door: Door,
    /// How many blob transfers break off half-way.
    pub(crate) breaks: usize,
    /// Send other bytes than the digest says.
    pub(crate) lie: bool,
    /// Offer the image as one of several platforms.
    pub(crate) index: bool,
    pub(crate) tls: Option<TlsAcceptor>,
}

impl Default for Config {
    fn default() -> Self {
        Self { door: Door::Open, breaks: 0, lie: false, index: false, tls: None }
    }
}

struct Server {
    config: Config,
    address: SocketAddr,
    /// By tag or digest.
    documents: BTreeMap<String, Blob>,
    blobs: BTreeMap<String, Bytes>,
    requests: Arc<AtomicUsize>,
}

impl Drop for Unruly {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Unruly {
    pub(crate) async fn start(image: &Built, config: Config) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut documents =
            BTreeMap::from([(image.manifest.descriptor.digest.clone(), image.manifest.clone())]);
        let top = if config.index { index(&image.manifest) } else { image.manifest.clone() };
        documents.insert("1".into(), top);
        let blobs = image.blobs.iter().map(|b| (b.descriptor.digest.clone(), b.content.clone())).collect();
        let requests = Arc::new(AtomicUsize::new(0));
        let server = Arc::new(Server { config, address, documents, blobs, requests: Arc::clone(&requests) });
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = Arc::clone(&server);
                tokio::spawn(async move {
                    match &server.config.tls {
                        None => serve(&server, stream).await,
                        Some(acceptor) => {
                            // A client that does not trust us hangs up.
                            if let Ok(stream) = acceptor.accept(stream).await {
                                serve(&server, stream).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, blobs: requests, task: task.abort_handle() }
    }
}

async fn serve(server: &Arc<Server>, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    let service = service_fn(|request| {
        let server = Arc::clone(server);
        async move { Ok::<_, std::io::Error>(server.answer(&request)) }
    });
    // Connections that break off are what this is for.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

impl Server {
    fn answer(&self, request: &Request<Incoming>) -> Response<Body> {
        let path = request.uri().path();
        let authorization = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        // "u:p"
        let known = authorization == Some("Basic dTpw");
        if path == "/token" {
            let query = request.uri().query().unwrap_or_default();
            let scoped = query.contains("scope=repository") && query.contains("service=unruly");
            return if known && scoped {
                reply(StatusCode::OK, r#"{"token":"letmein"}"#)
            } else {
                reply(
                    StatusCode::UNAUTHORIZED,
                    r#"{"errors":[{"code":"UNAUTHORIZED","message":"who are you"}]}"#,
                )
            };
        }
        let let_in = match self.config.door {
            Door::Open => true,
            Door::Basic => known,
            Door::Token => authorization == Some("Bearer letmein"),
        };
        if !let_in {
            let challenge = match self.config.door {
                Door::Token => format!(
                    "Bearer realm=\"http://{}/token\",service=\"unruly\",scope=\"repository:app:pull\"",
                    self.address
                ),
                _ => "Basic realm=\"unruly\"".to_owned(),
            };
            let text = r#"{"errors":[{"code":"DENIED","message":"not without a password"}]}"#;
            let mut response = reply(StatusCode::UNAUTHORIZED, text);
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge.parse().unwrap());
            return response;
        }
        let (kind, name) = path.rsplit_once('/').unwrap();
        if kind.ends_with("/manifests")
            && let Some(document) = self.documents.get(name)
        {
            let mut response = reply(StatusCode::OK, document.content.clone());
            response.headers_mut().insert("content-type", document.descriptor.media_type.parse().unwrap());
            return response;
        }
        match self.blobs.get(name).filter(|_| kind.ends_with("/blobs")) {
            Some(blob) => self.blob(blob.clone(), request),
            None => {
                reply(StatusCode::NOT_FOUND, r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"no"}]}"#)
            }
        }
    }

    fn blob(&self, blob: Bytes, request: &Request<Incoming>) -> Response<Body> {
        let range =
            request.headers().get(RANGE).and_then(|value| value.to_str().ok()?.strip_prefix("bytes="));
        let offset = range.map_or(0, |range| range.trim_end_matches('-').parse::<usize>().unwrap());
        let status = if offset > 0 { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
        let rest = blob.slice(offset..);
        // Only layers are large enough to be worth breaking.
        if rest.len() < 10_000 {
            return reply(status, rest);
        }
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        if self.config.lie {
            return reply(status, vec![0; rest.len()]);
        }
        if number >= self.config.breaks {
            return reply(status, rest);
        }
        let half = rest.slice(..rest.len() / 2);
        let pieces = futures::stream::iter([Ok(Frame::data(half))]);
        let broken = futures::stream::once(async {
            // What was sent is to arrive before the end does.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            Err(std::io::Error::other("broken on purpose"))
        });
        let body = BodyExt::boxed(StreamBody::new(pieces.chain(broken)));
        let mut response = Response::new(body);
        *response.status_mut() = status;
        response.headers_mut().insert("content-length", rest.len().into());
        response
    }
}

fn reply(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    let body = Full::new(body.into()).map_err(|never| match never {}).boxed();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

/// A list of manifests of which only the last runs on Linux here.
fn index(manifest: &Blob) -> Blob {
    let arch = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
    let entry = |digest: &str, os: &str| {
        let (kind, size) = (&manifest.descriptor.media_type, manifest.descriptor.size);
        format!(
            r#"{{"mediaType":"{kind}","digest":"{digest}","size":{size},"platform":{{"os":"{os}","architecture":"{arch}"}}}}"#
        )
    };
    let other = format!("sha256:{}", "0".repeat(64));
    let kind = "application/vnd.oci.image.index.v1+json";
    let text = format!(
        r#"{{"schemaVersion":2,"mediaType":"{kind}","manifests":[{},{}]}}"#,
        entry(&other, "windows"),
        entry(&manifest.descriptor.digest, "linux")
    );
    Blob::new(kind, text)
}

/// A proxy that connects whoever asks for `host` to `target`, and nobody else. Counts its connections.
pub(crate) async fn proxy(host: &'static str, target: SocketAddr) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(tunnel(stream, host, target));
        }
    });
    (address, count)
}

async fn tunnel(stream: TcpStream, host: &str, target: SocketAddr) {
    let mut client = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if client.read_line(&mut head).await.unwrap() == 0 {
            return;
        }
    }
    if !head.starts_with(&format!("CONNECT {host} ")) {
        client.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").await.unwrap();
        return;
    }
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    let mut server = TcpStream::connect(target).await.unwrap();
    // Either side may hang up.
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}
