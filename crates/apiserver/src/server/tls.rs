//! The server's certificates, and who a client's certificate says it is.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
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
    #[error("--client-ca-file cannot verify clients")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    /// A client's certificate names nobody.
    #[error("the certificate's subject cannot be read: {0}")]
    Subject(String),
}

impl TlsFiles {
    /// Reads the files: TLS 1.2 and 1.3, HTTP/2 preferred, client certificates optional but verified.
    pub fn load(&self) -> Result<ServerConfig, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        for certificate in certificates("--client-ca-file", &self.client_ca)? {
            roots.add(certificate)?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()?;
        let chain = certificates("--tls-cert-file", &self.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|source| TlsError::Pem {
            flag: "--tls-private-key-file",
            path: self.key.clone(),
            source,
        })?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
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

/// Who is at the other end: the subject of the verified certificate, or the anonymous user where there is none.
pub(super) fn user(connection: &ServerConnection) -> Result<User, TlsError> {
    let Some(certificate) = connection.peer_certificates().and_then(<[_]>::first) else {
        return Ok(User::anonymous());
    };
    let (_, certificate) =
        X509Certificate::from_der(certificate).map_err(|error| TlsError::Subject(error.to_string()))?;
    let subject = certificate.subject();
    let name = subject
        .iter_common_name()
        .next()
        .and_then(|name| name.as_str().ok())
        .ok_or_else(|| TlsError::Subject("it has no common name".to_owned()))?;
    let groups = subject.iter_organization().filter_map(|group| group.as_str().ok());
    Ok(User::authenticated(name, groups))
}
