//! Connections to a webhook, with TLS that believes its authority.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::Uri;
use http_body_util::Full;
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::net::TcpStream;

/// The connections to a server, kept while they are used.
pub(super) type Connections = legacy::Client<HttpsConnector<Dial>, Full<Bytes>>;

/// How long a connection is kept that nobody uses, and how many of them.
const IDLE: Duration = Duration::from_secs(90);
const MAX_IDLE: usize = 16;

/// Connections that believe certificates of `ca`; they are made to `places` where there are any.
pub(super) fn connections(
    ca: &Bytes,
    places: Option<Arc<Mutex<Vec<SocketAddr>>>>,
) -> Result<Connections, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let config = if ca.is_empty() {
        builder.with_webpki_roots().with_no_client_auth()
    } else {
        builder.with_root_certificates(roots(ca)?).with_no_client_auth()
    };
    // HTTP/1.1, as upstream: with HTTP/2 one connection, and so one replica, would get everything.
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_only()
        .enable_http1()
        .wrap_connector(Dial { places });
    Ok(legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(MAX_IDLE)
        .build(connector))
}

/// The authorities of a `caBundle`.
pub(crate) fn roots(ca: &Bytes) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca) {
        let certificate = certificate.map_err(|error| format!("caBundle cannot be read as PEM: {error}"))?;
        roots.add(certificate).map_err(|error| format!("caBundle: {error}"))?;
    }
    if roots.is_empty() {
        return Err("caBundle: unable to load root certificates: no certificates found".to_owned());
    }
    Ok(roots)
}

/// Makes connections.
#[derive(Debug, Clone)]
pub(super) struct Dial {
    places: Option<Arc<Mutex<Vec<SocketAddr>>>>,
}

impl tower::Service<Uri> for Dial {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<TokioIo<TcpStream>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let places = self.places.as_ref().map(|places| places.lock().clone());
        async move {
            let places = match places {
                Some(places) => places,
                None => {
                    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
                    let port = uri.port_u16().unwrap_or(443);
                    tokio::net::lookup_host((host, port)).await?.collect()
                }
            };
            let stream = dial(&places).await?;
            stream.set_nodelay(true)?;
            Ok(TokioIo::new(stream))
        }
        .boxed()
    }
}

/// The first place that takes the connection.
pub(crate) async fn dial(places: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut failure = None;
    for place in places {
        match TcpStream::connect(place).await {
            Ok(stream) => return Ok(stream),
            Err(error) => {
                let why = match error.kind() {
                    io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
                    io::ErrorKind::HostUnreachable => "connect: no route to host".to_owned(),
                    io::ErrorKind::NetworkUnreachable => "connect: network is unreachable".to_owned(),
                    _ => error.to_string(),
                };
                failure = Some(io::Error::new(error.kind(), format!("dial tcp {place}: {why}")));
            }
        }
    }
    Err(failure.unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such host")))
}
