//! The cluster's certificates: one authority, and one that vouches for front proxies only; ECDSA P-256 everywhere, made
//! on the first `up` and kept.

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use serde::{Deserialize, Serialize};

use crate::spec::Spec;
use crate::{Error, Paths, Result, files};

/// The name of the authority's files.
pub(crate) const CA: &str = "ca";
/// The name of the files of the authority of front proxies: servers behind the API server believe it about clients.
pub(crate) const FRONT_PROXY_CA: &str = "front-proxy-ca";
/// The name of the API server's certificate as a front proxy, and whom it says it is.
pub(crate) const FRONT_PROXY_CLIENT: &str = "front-proxy-client";
/// The name of the API server's serving certificate.
pub(crate) const API_SERVER: &str = "apiserver";
/// The name of the API server's certificate as a client of the nodes.
pub(crate) const API_SERVER_NODE_CLIENT: &str = "apiserver-kubelet-client";
/// The name of the key that signs the tokens of service accounts.
pub(crate) const SERVICE_ACCOUNTS: &str = "sa";
/// The name of the administrator's certificate.
pub(crate) const ADMIN: &str = "admin";

const DAY: Duration = Duration::from_secs(24 * 3600);
const CA_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
const LEAF_LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);
/// A certificate with less than this left is made again.
const RENEW_BEFORE: Duration = Duration::from_secs(60 * 24 * 3600);

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) name: String,
    common_name: String,
    organization: Option<String>,
    /// Names and addresses that it serves; none for a client's.
    serves: Vec<String>,
    client: bool,
}

/// What is remembered of a certificate, beside it.
#[derive(Debug, Serialize, Deserialize)]
struct Issued {
    request: Request,
    expires: u64,
}

/// Who serves what in a cluster: all that certificates depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identities {
    /// Names and addresses of the API server, beside those that every cluster has.
    pub servers: Vec<String>,
    /// Each node's name, with its other names and addresses.
    pub nodes: Vec<(String, Vec<String>)>,
}

impl Identities {
    /// Those of a local cluster.
    pub(crate) fn of(spec: &Spec) -> Self {
        let nodes = spec.nodes().map(|node| (node.name(), vec![node.address().to_string()]));
        Self { servers: vec![spec.network.gateway().to_string()], nodes: nodes.collect() }
    }
}

/// Names and addresses by which every API server is known.
const SERVER_NAMES: [&str; 7] = [
    "localhost",
    "127.0.0.1",
    "10.96.0.1",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
];

/// Every certificate that is needed.
fn requests(identities: &Identities) -> Vec<Request> {
    let mut all = vec![
        Request {
            name: API_SERVER.to_owned(),
            common_name: "kube-apiserver".to_owned(),
            organization: None,
            serves: SERVER_NAMES
                .iter()
                .map(|name| (*name).to_owned())
                .chain(identities.servers.clone())
                .collect(),
            client: false,
        },
        client(API_SERVER_NODE_CLIENT, "kube-apiserver-kubelet-client", Some("system:masters")),
        client(ADMIN, "kubernetes-admin", Some("system:masters")),
        client("scheduler", "system:kube-scheduler", None),
        client("controller-manager", "system:kube-controller-manager", None),
        client("proxy", "system:kube-proxy", None),
        client("dns", "system:dns", None),
    ];
    for (name, addresses) in &identities.nodes {
        let own = [name.clone(), "127.0.0.1".to_owned()];
        all.push(Request {
            serves: own.into_iter().chain(addresses.clone()).collect(),
            ..client(&format!("kubelet-{name}"), &format!("system:node:{name}"), Some("system:nodes"))
        });
    }
    all
}

fn client(name: &str, common_name: &str, organization: Option<&str>) -> Request {
    Request {
        name: name.to_owned(),
        common_name: common_name.to_owned(),
        organization: organization.map(str::to_owned),
        serves: Vec::new(),
        client: true,
    }
}

/// Makes what is missing, about to expire or different from what is needed.
pub(crate) fn ensure(paths: &Paths, identities: &Identities) -> Result<()> {
    let cluster = authority(paths, CA, "gantry-ca")?;
    token_key(paths)?;
    for request in requests(identities) {
        if !is_current(paths, &request)? {
            issue(paths, &cluster, request)?;
        }
    }
    let front_proxies = authority(paths, FRONT_PROXY_CA, "gantry-front-proxy-ca")?;
    let request = client(FRONT_PROXY_CLIENT, FRONT_PROXY_CLIENT, None);
    if !is_current(paths, &request)? {
        issue(paths, &front_proxies, request)?;
    }
    Ok(())
}

fn authority(paths: &Paths, name: &str, common_name: &str) -> Result<Issuer<'static, KeyPair>> {
    let failed = |source| Error::Certificate { name: name.to_owned(), source };
    let (cert_path, key_path) = (paths.certificate(name), paths.key(name));
    if cert_path.exists() && key_path.exists() {
        let key = KeyPair::from_pem(&read(&key_path)?).map_err(failed)?;
        return Issuer::from_ca_cert_pem(&read(&cert_path)?, key).map_err(failed);
    }
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages =
        vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    set_validity(&mut params, CA_LIFETIME);
    let key = KeyPair::generate().map_err(failed)?;
    let cert = params.self_signed(&key).map_err(failed)?;
    // The key first: a certificate without it would be trusted by what is made next and could not sign.
    files::write(&key_path, key.serialize_pem())?;
    files::write(&cert_path, cert.pem())?;
    Ok(Issuer::new(params, key))
}

/// The key of tokens stays for as long as the cluster: tokens outlive a restart.
fn token_key(paths: &Paths) -> Result<()> {
    let path = paths.key(SERVICE_ACCOUNTS);
    if path.exists() {
        return Ok(());
    }
    let failed = |source| Error::Certificate { name: SERVICE_ACCOUNTS.to_owned(), source };
    files::write(&path, KeyPair::generate().map_err(failed)?.serialize_pem())
}

fn issue(paths: &Paths, authority: &Issuer<'_, KeyPair>, request: Request) -> Result<()> {
    let failed = |source| Error::Certificate { name: request.name.clone(), source };
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    if let Some(organization) = &request.organization {
        params.distinguished_name.push(DnType::OrganizationName, organization.as_str());
    }
    params.distinguished_name.push(DnType::CommonName, request.common_name.as_str());
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    if request.client {
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
    }
    if !request.serves.is_empty() {
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
    }
    for name in &request.serves {
        params.subject_alt_names.push(match name.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(name.as_str().try_into().map_err(failed)?),
        });
    }
    let expires = set_validity(&mut params, LEAF_LIFETIME);
    let key = KeyPair::generate().map_err(failed)?;
    let cert = params.signed_by(&key, authority).map_err(failed)?;
    files::write(&paths.key(&request.name), key.serialize_pem())?;
    files::write(&paths.certificate(&request.name), cert.pem())?;
    files::write_json(&issued_path(paths, &request.name), &Issued { request, expires })
}

fn is_current(paths: &Paths, request: &Request) -> Result<bool> {
    let there = paths.certificate(&request.name).exists() && paths.key(&request.name).exists();
    let Some(issued) = files::read_json::<Issued>(&issued_path(paths, &request.name))? else {
        return Ok(false);
    };
    let renew_at = UNIX_EPOCH + Duration::from_secs(issued.expires) - RENEW_BEFORE;
    Ok(there && issued.request == *request && SystemTime::now() < renew_at)
}

/// Valid from yesterday, since clocks differ; returns the end in seconds since the epoch.
fn set_validity(params: &mut CertificateParams, lifetime: Duration) -> u64 {
    let now = SystemTime::now();
    params.not_before = (now - DAY).into();
    params.not_after = (now + lifetime).into();
    (now + lifetime).duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn issued_path(paths: &Paths, name: &str) -> std::path::PathBuf {
    paths.pki().join(format!("{name}.json"))
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(Error::file(path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use x509_parser::prelude::*;

    use super::*;

    fn parse(path: &Path) -> (Vec<u8>, String) {
        let pem = read(path).unwrap();
        let (_, pem) = parse_x509_pem(pem.as_bytes()).unwrap();
        let text = pem.parse_x509().unwrap().subject().to_string();
        (pem.contents, text)
    }

    #[test]
    fn certificates_say_who_is_who_and_are_signed_by_the_authority() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(dir.path().to_owned());
        ensure(&paths, &Identities::of(&Spec::default())).unwrap();

        let (ca, _) = parse(&paths.certificate(CA));
        let (_, ca) = X509Certificate::from_der(&ca).unwrap();
        let (node, subject) = parse(&paths.certificate("kubelet-node-1"));
        assert_eq!(subject, "O=system:nodes, CN=system:node:node-1");
        let (_, node) = X509Certificate::from_der(&node).unwrap();
        node.verify_signature(Some(ca.public_key())).unwrap();

        // Who vouches for front proxies vouches for nobody else, nor the other way round.
        let (front_ca, _) = parse(&paths.certificate(FRONT_PROXY_CA));
        let (_, front_ca) = X509Certificate::from_der(&front_ca).unwrap();
        let (front, subject) = parse(&paths.certificate(FRONT_PROXY_CLIENT));
        assert_eq!(subject, "CN=front-proxy-client");
        let (_, front) = X509Certificate::from_der(&front).unwrap();
        front.verify_signature(Some(front_ca.public_key())).unwrap();
        assert!(front.verify_signature(Some(ca.public_key())).is_err());

        let (server, _) = parse(&paths.certificate(API_SERVER));
        let (_, server) = X509Certificate::from_der(&server).unwrap();
        let names = server.subject_alternative_name().unwrap().unwrap().value.general_names.len();
        assert_eq!(names, 8);
        let mode = std::fs::metadata(paths.key(CA)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn the_next_up_keeps_what_is_good_and_makes_what_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(dir.path().to_owned());
        let spec = Spec::default();
        ensure(&paths, &Identities::of(&spec)).unwrap();
        let (ca, admin) = (parse(&paths.certificate(CA)), parse(&paths.certificate(ADMIN)));
        std::fs::remove_file(paths.key("dns")).unwrap();
        let dns = parse(&paths.certificate("dns"));

        ensure(&paths, &Identities::of(&Spec { nodes: 2, ..spec })).unwrap();
        assert_eq!((ca, admin), (parse(&paths.certificate(CA)), parse(&paths.certificate(ADMIN))));
        assert_ne!(dns, parse(&paths.certificate("dns")));
        assert!(paths.certificate("kubelet-node-2").exists());
        let key = read(&paths.key(SERVICE_ACCOUNTS)).unwrap();
        ensure(&paths, &Identities::of(&Spec::default())).unwrap();
        assert_eq!(key, read(&paths.key(SERVICE_ACCOUNTS)).unwrap());
    }
}
