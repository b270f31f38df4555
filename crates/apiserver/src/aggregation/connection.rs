//! Connections to the servers behind this one: TLS by the authority of their APIService, for the name of their Service.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tonic::body::Body;

use super::place::Place;
use crate::trust::Anybody;
use crate::webhook;

/// How long a connection may take.
const LIMIT: Duration = Duration::from_secs(30);
/// How long a connection is kept that nobody uses, and how many of them.
const IDLE: Duration = Duration::from_secs(90);
const MAX_IDLE: usize = 25;
/// Servers whose connections are kept; beyond it, all are closed and made anew when needed.
const MAX_SERVERS: usize = 200;

type Client = legacy::Client<HttpsConnector<Dial>, Body>;

/// Certificate or key for the servers behind this one cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// They cannot be read.
    #[error("{flag} cannot be read as PEM")]
    Pem {
        /// The flag that names the file.
        flag: &'static str,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// They do not fit.
    #[error("--proxy-client-cert-file and --proxy-client-key-file do not fit")]
    Rustls(#[from] rustls::Error),
}

/// A server: the port of a Service, and who vouches for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Target {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) port: i32,
    /// Who vouches for its certificate; those that everybody knows where it is empty.
    pub(super) ca: Bytes,
    /// Whether nobody needs to.
    pub(super) anybody: bool,
}

impl Target {
    /// The name and the port that its certificate is for.
    pub(super) fn authority(&self) -> String {
        format!("{}.{}.svc:{}", self.name, self.namespace, self.port)
    }

    /// The same server, whoever vouches for it.
    pub(super) fn unverified(&self) -> Self {
        Self { ca: Bytes::new(), anybody: true, ..self.clone() }
    }
}

/// A certificate with its chain, and its key, as PEM.
pub(crate) type Identity = (Vec<u8>, Vec<u8>);

/// The connections to all of them.
pub(super) struct Connections {
    identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    /// With the places that they are made to: others need connections of their own.
    servers: Mutex<HashMap<Target, (Place, Client)>>,
}

impl Connections {
    /// Connections that show a certificate, where there is one.
    pub(super) fn new(identity: Option<Identity>) -> Result<Self, IdentityError> {
        let identity = match identity {
            Some((chain, key)) => {
                let failed = |flag| move |source| IdentityError::Pem { flag, source };
                let chain: Vec<_> = CertificateDer::pem_slice_iter(&chain)
                    .collect::<Result<_, _>>()
                    .map_err(failed("--proxy-client-cert-file"))?;
                let key = PrivateKeyDer::from_pem_slice(&key).map_err(failed("--proxy-client-key-file"))?;
                // Told at the start, not at the first request.
                builder()?
                    .with_root_certificates(RootCertStore::empty())
                    .with_client_auth_cert(chain.clone(), key.clone_key())?;
                Some((chain, key))
            }
            None => None,
        };
        Ok(Self { identity, servers: Mutex::default() })
    }

    /// Sends a request, or says why that is not possible.
    pub(super) async fn send(
        &self,
        target: &Target,
        place: Place,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, String> {
        let client = self.client(target, place)?;
        client.request(request).await.map_err(|error| why(&error))
    }

    fn client(&self, target: &Target, place: Place) -> Result<Client, String> {
        let mut servers = self.servers.lock();
        if let Some((at, client)) = servers.get(target)
            && *at == place
        {
            return Ok(client.clone());
        }
        let client = self.connect(target, place.clone())?;
        if servers.len() >= MAX_SERVERS {
            servers.clear();
        }
        servers.insert(target.clone(), (place, client.clone()));
        Ok(client)
    }

    fn connect(&self, target: &Target, place: Place) -> Result<Client, String> {
        let builder = builder().map_err(|error| error.to_string())?;
        let builder = if target.anybody {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody::new(provider)))
        } else if target.ca.is_empty() {
            builder.with_webpki_roots()
        } else {
            builder.with_root_certificates(webhook::roots(&target.ca)?)
        };
        let config = match &self.identity {
            Some((chain, key)) => builder
                .with_client_auth_cert(chain.clone(), key.clone_key())
                .map_err(|error| error.to_string())?,
            None => builder.with_no_client_auth(),
        };
        // HTTP/1.1: with HTTP/2 one connection, and so one replica, would get everything.
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_only()
            .enable_http1()
            .wrap_connector(Dial { place: Arc::new(place) });
        Ok(legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(MAX_IDLE)
            .build(connector))
    }
}

fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()
}

/// What a failure comes of, told as Go tells it, for whoever reads the texts of both.
fn why(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = error.to_string();
        source = error.source();
    }
    match text.strip_prefix("invalid peer certificate: ") {
        Some("UnknownIssuer" | "BadSignature") => {
            "tls: failed to verify certificate: x509: certificate signed by unknown authority".to_owned()
        }
        Some(other) => format!("tls: failed to verify certificate: x509: {other}"),
        None => text,
    }
}

/// Makes connections.
#[derive(Debug, Clone)]
struct Dial {
    place: Arc<Place>,
}

impl tower::Service<Uri> for Dial {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<TokioIo<TcpStream>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let place = Arc::clone(&self.place);
        async move {
            let connecting = async {
                let mut addresses = match &*place {
                    Place::Addresses(addresses) => addresses.clone(),
                    Place::Name(host, port) => {
                        tokio::net::lookup_host((host.as_str(), *port)).await?.collect()
                    }
                };
                let count = addresses.len();
                // By chance, and on from there.
                if count > 1 && matches!(*place, Place::Addresses(_)) {
                    addresses.rotate_left(rand::random_range(0..count));
                }
                webhook::dial(&addresses).await
            };
            let stream = tokio::time::timeout(LIMIT, connecting).await;
            let stream =
                stream.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "dial tcp: i/o timeout"))??;
            stream.set_nodelay(true)?;
            Ok(TokioIo::new(stream))
        }
        .boxed()
    }
}
