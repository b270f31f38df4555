//! etcd behind mutual TLS.

use gantry_store::{ClientIdentity, Error, EtcdConfig, EtcdStore, Store, TlsConfig};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use tempfile::TempDir;

use super::{
    contract::bytes,
    etcd_process::{Etcd, TlsFiles},
};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate and its key, in PEM.
    fn issue(&self, host: &str) -> (String, String) {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }
}

#[tokio::test]
async fn only_a_known_client_gets_through_mutual_tls() {
    let authority = Authority::new();
    let directory = TempDir::new().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (certificate, key) = authority.issue("127.0.0.1");
    let files = TlsFiles {
        ca: write("ca.crt", &authority.0.pem()),
        certificate: write("server.crt", &certificate),
        key: write("server.key", &key),
    };
    let etcd = Etcd::start_with(directory, Some(files)).await;

    let (certificate, key) = authority.issue("apiserver");
    let known = ClientIdentity { certificate: certificate.into_bytes(), key: key.into_bytes() };
    let connect = |identity, authority: &Authority| {
        let tls = TlsConfig { ca: authority.0.pem().into_bytes(), identity, server_name: None };
        EtcdStore::connect(EtcdConfig { tls: Some(tls), ..EtcdConfig::new([etcd.url()]) })
    };
    let store = connect(Some(known.clone()), &authority).await.unwrap();
    let ready = async {
        while store.create("/r/a", bytes("x"), None).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), ready).await.unwrap();

    let nobody = connect(None, &authority).await.unwrap();
    assert!(matches!(nobody.get("/r/a").await, Err(Error::Unavailable { .. })));
    let deceived = connect(Some(known), &Authority::new()).await.unwrap();
    assert!(matches!(deceived.get("/r/a").await, Err(Error::Unavailable { .. })));
}
