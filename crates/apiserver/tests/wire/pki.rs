//! An authority for one test, and what it signs.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// An authority with the files of a server.
pub(crate) struct Pki {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) authority: CertificateDer<'static>,
}

/// A certificate and its key.
pub(crate) type Identity = (CertificateDer<'static>, PrivateKeyDer<'static>);

/// The file of a name in a directory.
pub(crate) fn file(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.pem"))
}

impl Pki {
    /// Makes an authority and the server's certificate in `dir`: `ca.pem`, `server.pem`, `server-key.pem`.
    pub(crate) fn new(dir: &Path) -> Self {
        let mut params = named("gantry-test-ca", &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(file(dir, "ca"), certificate.pem()).unwrap();
        let pki = Self { authority: certificate.der().clone(), issuer: Issuer::new(params, key) };

        let mut params = named("kube-apiserver", &[]);
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        params.subject_alt_names.push(rcgen::SanType::IpAddress([127, 0, 0, 1].into()));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &pki.issuer).unwrap();
        std::fs::write(file(dir, "server"), certificate.pem()).unwrap();
        std::fs::write(file(dir, "server-key"), key.serialize_pem()).unwrap();
        pki
    }

    /// A client's certificate.
    pub(crate) fn client(&self, name: &str, groups: &[&str]) -> Identity {
        let mut params = named(name, groups);
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        (certificate.der().clone(), key)
    }
}

impl Pki {
    /// The files of a client's certificate and its key, made in `dir`.
    pub(crate) fn client_files(&self, dir: &Path, name: &str) -> [PathBuf; 2] {
        let (certificate, key) = self.client(name, &[]);
        let paths = [file(dir, name), file(dir, &format!("{name}-key"))];
        let PrivateKeyDer::Pkcs8(key) = key else { panic!("keys are made as PKCS #8") };
        std::fs::write(&paths[0], pem("CERTIFICATE", &certificate)).unwrap();
        std::fs::write(&paths[1], pem("PRIVATE KEY", key.secret_pkcs8_der())).unwrap();
        paths
    }

    /// A certificate of a server with this name.
    pub(crate) fn server(&self, name: &str) -> Identity {
        let mut params = named(name, &[]);
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        params.subject_alt_names.push(rcgen::SanType::DnsName(name.try_into().unwrap()));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        (certificate.der().clone(), key)
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

fn named(name: &str, groups: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for group in groups {
        params.distinguished_name.push(DnType::OrganizationName, *group);
    }
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
