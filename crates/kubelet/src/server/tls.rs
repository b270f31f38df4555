//! Mutual TLS: only who has a certificate of the cluster may call.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::Error;
use crate::options::TlsFiles;

/// A caller that does not get through the handshake in this time is dropped.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Handshakes at the same time.
const PARALLEL: usize = 64;

pub(super) fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&files.client_ca)? {
        let refused =
            |error: rustls::Error| Error::File { path: files.client_ca.clone(), reason: error.to_string() };
        roots.add(certificate).map_err(refused)?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|error| Error::Tls(error.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| Error::File { path: files.key.clone(), reason: error.to_string() })?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Tls(error.to_string()))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates(&files.certificate)?, key)
        .map_err(|error| Error::Tls(error.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let failed = |error: rustls::pki_types::pem::Error| Error::File {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    CertificateDer::pem_file_iter(path).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)
}

/// Connections whose handshake succeeded. Slow ones do not hold up others.
pub(super) fn incoming(
    connections: impl Stream<Item = std::io::Result<TcpStream>>,
    tls: TlsAcceptor,
) -> impl Stream<Item = std::io::Result<TlsStream<TcpStream>>> {
    let handshakes = connections.map(move |connection| {
        let tls = tls.clone();
        async move {
            match tokio::time::timeout(HANDSHAKE, tls.accept(connection.ok()?)).await {
                Ok(Ok(stream)) => Some(Ok(stream)),
                Ok(Err(error)) => {
                    tracing::debug!(%error, "caller refused");
                    None
                }
                Err(_) => None,
            }
        }
    });
    handshakes.buffer_unordered(PARALLEL).filter_map(|stream| async move { stream })
}
