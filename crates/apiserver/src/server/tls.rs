//! The server's certificates, and who a client's certificate says it is.
//!
//! Two authorities may vouch for clients: one for who they are, and one for front proxies, which say in whose name they
//! ask. The handshake takes certificates of both; afterwards it is told which of them it was.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::pipeline::User;

/// Where the port's certificates lie, each a PEM file.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The server's certificate, followed by intermediate ones.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The authorities whose certificates identify clients.
    pub client_ca: PathBuf,
    /// The authorities whose certificates identify front proxies, where there are any.
    pub front_proxy_ca: Option<PathBuf>,
}

/// Who vouches for clients.
#[derive(Clone)]
pub(super) struct Authorities {
    clients: Arc<dyn ClientCertVerifier>,
    front_proxies: Option<Arc<dyn ClientCertVerifier>>,
}

/// What the certificate at the other end says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Identified {
    /// Who it is, as far as the authority of clients vouches for it.
    pub(super) user: Option<User>,
    /// The common name, as far as the authority of front proxies vouches for it.
    pub(super) front_proxy: Option<String>,
    /// Whether there is a certificate at all.
    pub(super) presented: bool,
}

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM file cannot be read.
    #[error("{flag} {}: cannot be read as PEM", path.display())]
    Pem {
        /// The flag that names the file.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// A file has no certificate.
    #[error("{flag} {}: holds no certificate", path.display())]
    Empty {
        /// The flag that names the file.
        flag: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// The certificates do not make a server.
    #[error("the serving certificate, its key and the client authority do not fit")]
    Rustls(#[from] rustls::Error),
    /// The authority cannot verify clients.
    #[error("{flag} cannot verify clients")]
    Verifier {
        /// The flag that names the authority.
        flag: &'static str,
        /// What is wrong with it.
        source: rustls::server::VerifierBuilderError,
    },
    /// A client's certificate names nobody.
    #[error("the certificate's subject cannot be read: {0}")]
    Subject(String),
}

impl TlsFiles {
    /// Reads the files: TLS 1.2 and 1.3, HTTP/2 preferred, client certificates optional but verified.
    pub(super) fn load(&self) -> Result<(ServerConfig, Authorities), TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let (flag, mut both) = (CLIENT_CA, certificates(CLIENT_CA, &self.client_ca)?);
        let clients = verifier(flag, &both, &provider)?;
        let front_proxies = match &self.front_proxy_ca {
            Some(path) => {
                let all = certificates(FRONT_PROXY_CA, path)?;
                let verifier = verifier(FRONT_PROXY_CA, &all, &provider)?;
                both.extend(all);
                Some(verifier)
            }
            None => None,
        };
        let chain = certificates("--tls-cert-file", &self.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|source| TlsError::Pem {
            flag: "--tls-private-key-file",
            path: self.key.clone(),
            source,
        })?;
        let mut config = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier(flag, &both, &provider)?)
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok((config, Authorities { clients, front_proxies }))
    }
}

const CLIENT_CA: &str = "--client-ca-file";
const FRONT_PROXY_CA: &str = "--requestheader-client-ca-file";

fn verifier(
    flag: &'static str,
    authorities: &[CertificateDer<'static>],
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in authorities {
        roots.add(certificate.clone())?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .allow_unauthenticated()
        .build()
        .map_err(|source| TlsError::Verifier { flag, source })
}

fn certificates(flag: &'static str, path: &PathBuf) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |source| TlsError::Pem { flag, path: path.clone(), source };
    let all: Vec<_> =
        CertificateDer::pem_file_iter(path).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)?;
    if all.is_empty() {
        return Err(TlsError::Empty { flag, path: path.clone() });
    }
    Ok(all)
}

impl Authorities {
    /// Who is at the other end: the subject of its certificate, by the authority that vouches for it.
    pub(super) fn identify(&self, connection: &ServerConnection) -> Result<Identified, TlsError> {
        let Some((certificate, others)) = connection.peer_certificates().and_then(<[_]>::split_first) else {
            return Ok(Identified::default());
        };
        let vouched = |verifier: &Arc<dyn ClientCertVerifier>| {
            verifier.verify_client_cert(certificate, others, UnixTime::now()).is_ok()
        };
        let is_client = vouched(&self.clients);
        let is_front_proxy = self.front_proxies.as_ref().is_some_and(vouched);
        let (_, certificate) =
            X509Certificate::from_der(certificate).map_err(|error| TlsError::Subject(error.to_string()))?;
        let subject = certificate.subject();
        let name = subject.iter_common_name().next().and_then(|name| name.as_str().ok());
        let user = if is_client {
            let name = name.ok_or_else(|| TlsError::Subject("it has no common name".to_owned()))?;
            let groups = subject.iter_organization().filter_map(|group| group.as_str().ok());
            Some(User::authenticated(name, groups))
        } else {
            None
        };
        let front_proxy = is_front_proxy.then(|| name.unwrap_or_default().to_owned());
        Ok(Identified { user, front_proxy, presented: true })
    }
}
