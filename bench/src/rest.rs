//! A client that only moves bytes, so that it is the server that is measured.

use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use bytes::{Bytes, BytesMut};
use gantry_client::Config;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How much a stream may receive ahead of its reader, and all streams of a connection together: enough for a list not
/// to wait for window updates.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 64 << 20;
/// How much of a refusal is told.
const MAX_REASON: usize = 300;

/// The media type of JSON.
pub const JSON: &str = "application/json";
/// The media type of Kubernetes' protobuf.
pub const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
/// The media type of what server-side apply is given.
pub const APPLY: &str = "application/apply-patch+yaml";
/// The media type of a merge patch.
pub const MERGE_PATCH: &str = "application/merge-patch+json";

/// Where the server is, and who asks.
#[derive(Clone)]
pub struct Rest {
    tls: TlsConnector,
    host: String,
    port: u16,
    name: ServerName<'static>,
}

impl Rest {
    /// A client with the identity of a configuration.
    ///
    /// # Errors
    /// Where the configuration has no certificates or they cannot be used.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        let part = |part: &Option<Vec<u8>>| part.clone().context("the kubeconfig has no certificates");
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&part(&config.certificate_authority)?) {
            roots.add(certificate?)?;
        }
        let chain =
            CertificateDer::pem_slice_iter(&part(&config.client_certificate)?).collect::<Result<_, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(&part(&config.client_key)?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)?;
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let server = config.servers.first().context("the kubeconfig names no server")?;
        let host = server.host().with_context(|| format!("{server} names no host"))?.to_owned();
        let name = ServerName::try_from(config.server_name.clone().unwrap_or_else(|| host.clone()))?;
        Ok(Self {
            tls: TlsConnector::from(Arc::new(tls)),
            host,
            port: server.port_u16().unwrap_or(443),
            name,
        })
    }

    /// A connection of its own.
    ///
    /// # Errors
    /// Where the server cannot be reached.
    pub async fn connect(&self) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.context("the API server")?;
        stream.set_nodelay(true)?;
        let stream = self.tls.connect(self.name.clone(), stream).await.context("the TLS handshake")?;
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .handshake(TokioIo::new(stream))
            .await?;
        // It ends with its last user; why it failed is told by the request that fails.
        tokio::spawn(connection);
        Ok(Connection { sender, base: format!("https://{}:{}", self.host, self.port).into() })
    }

    /// So many connections.
    ///
    /// # Errors
    /// Where the server cannot be reached.
    pub async fn connections(&self, count: usize) -> anyhow::Result<Vec<Connection>> {
        let mut connections = Vec::with_capacity(count);
        for _ in 0..count {
            connections.push(self.connect().await?);
        }
        Ok(connections)
    }
}

/// A connection that any number of requests share.
#[derive(Clone)]
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    base: Arc<str>,
}

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// The media type of the answer.
    pub accept: &'static str,
    /// The media type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: Bytes,
}

impl Ask {
    /// A GET.
    pub fn get(path: impl Into<String>, accept: &'static str) -> Self {
        Self { path: path.into(), accept, ..Self::default() }
    }

    /// A request with a body, whose answer is protobuf.
    pub fn send(
        method: Method,
        path: impl Into<String>,
        content_type: &'static str,
        body: impl Into<Bytes>,
    ) -> Self {
        Self { method, path: path.into(), accept: PROTOBUF, content_type, body: body.into() }
    }
}

impl Connection {
    /// The answer, when it is a success; its body is still to be read.
    ///
    /// # Errors
    /// Where the request fails or is refused.
    pub async fn open(&self, ask: Ask) -> anyhow::Result<Response<Incoming>> {
        let mut request =
            Request::builder().method(ask.method.clone()).uri(format!("{}{}", self.base, ask.path));
        if !ask.accept.is_empty() {
            request = request.header("accept", ask.accept);
        }
        if !ask.content_type.is_empty() {
            request = request.header("content-type", ask.content_type).header("te", "trailers");
        }
        let mut sender = self.sender.clone();
        sender.ready().await?;
        let answer = sender.send_request(request.body(Full::new(ask.body))?).await?;
        if !answer.status().is_success() {
            let status = answer.status();
            let text = answer.into_body().collect().await?.to_bytes();
            let text = String::from_utf8_lossy(&text).chars().take(MAX_REASON).collect::<String>();
            bail!("{} {}: {status}: {text}", ask.method, ask.path);
        }
        Ok(answer)
    }

    /// The answer's whole body.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub async fn ask(&self, ask: Ask) -> anyhow::Result<Bytes> {
        let mut body = self.open(ask).await?.into_body();
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            match frame?.into_data() {
                Ok(data) => whole.extend_from_slice(&data),
                Err(other) => {
                    let trailers = other.into_trailers().unwrap_or_default();
                    let status = trailers.get("grpc-status").is_none_or(|status| status == "0");
                    ensure!(status, "gRPC: {trailers:?}");
                }
            }
        }
        Ok(whole.freeze())
    }
}
