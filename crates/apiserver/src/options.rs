//! The server's flags, with upstream's names, and its configuration file.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use gantry_store::{ClientIdentity, EtcdConfig, EtcdStore, MemoryStore, Store, TlsConfig};
use gantry_telemetry::{CommonFlags, config};

use crate::admission::{PluginError, Plugins};
use crate::aggregation::{Identity, Published};
use crate::config::ApiServerConfiguration;
use crate::nodes::NodeTlsFiles;
use crate::pipeline::RequestHeaders;
use crate::server::TlsFiles;
use crate::tokens;
use crate::verbs::{Settings, Tolerations};

/// The API server of a Gantry cluster: gRPC and the Kubernetes REST API on one TLS port.
#[derive(Debug, Clone, Parser)]
#[command(name = "gantry-apiserver", version)]
pub struct Options {
    /// Where objects are kept.
    #[arg(long, value_enum, default_value_t = Storage::Etcd)]
    pub storage: Storage,

    /// The etcd members' client URLs, separated by commas.
    #[arg(long, value_delimiter = ',', default_value = "http://127.0.0.1:2379", value_name = "URL")]
    pub etcd_servers: Vec<String>,

    /// The authority that signed etcd's certificates (PEM).
    #[arg(long, value_name = "FILE")]
    pub etcd_cafile: Option<PathBuf>,

    /// The certificate that identifies this server to etcd (PEM).
    #[arg(long, value_name = "FILE", requires = "etcd_keyfile")]
    pub etcd_certfile: Option<PathBuf>,

    /// The key of the certificate for etcd (PEM).
    #[arg(long, value_name = "FILE", requires = "etcd_certfile")]
    pub etcd_keyfile: Option<PathBuf>,

    /// Below which key everything is stored in etcd.
    #[arg(long, default_value = "/registry", value_name = "KEY", value_parser = key_prefix)]
    pub etcd_prefix: String,

    /// How long events are kept; 0s for ever.
    #[arg(long, default_value = "1h", value_name = "DURATION", value_parser = duration)]
    pub event_ttl: Duration,

    /// How long a pod that says nothing stays on a node that is not ready.
    #[arg(long, default_value_t = 300, value_name = "SECONDS", value_parser = clap::value_parser!(i64).range(0..))]
    pub default_not_ready_toleration_seconds: i64,

    /// How long a pod that says nothing stays on a node that is not reachable.
    #[arg(long, default_value_t = 300, value_name = "SECONDS", value_parser = clap::value_parser!(i64).range(0..))]
    pub default_unreachable_toleration_seconds: i64,

    /// An address to listen on; may be repeated, or several separated by commas.
    #[arg(long, value_delimiter = ',', default_value = "0.0.0.0", value_name = "IP")]
    pub bind_address: Vec<IpAddr>,

    /// The port to listen on.
    #[arg(long, default_value_t = 6443, value_name = "PORT")]
    pub secure_port: u16,

    /// The address at which the cluster reaches this server; by default the first bind address that is one.
    #[arg(long, value_name = "IP")]
    pub advertise_address: Option<IpAddr>,

    /// The server's certificate (PEM), intermediate ones behind it.
    #[arg(long, value_name = "FILE")]
    pub tls_cert_file: PathBuf,

    /// The key of the server's certificate (PEM).
    #[arg(long, value_name = "FILE")]
    pub tls_private_key_file: PathBuf,

    /// The authority whose certificates identify clients (PEM).
    #[arg(long, value_name = "FILE")]
    pub client_ca_file: PathBuf,

    /// The authority whose certificates identify front proxies, which say in headers for whom they ask (PEM).
    #[arg(long, value_name = "FILE")]
    pub requestheader_client_ca_file: Option<PathBuf>,

    /// The common names that front proxies may have; by default any that their authority vouches for.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub requestheader_allowed_names: Vec<String>,

    /// The headers in which front proxies name the user, such as X-Remote-User: the first that is there counts.
    #[arg(long, value_delimiter = ',', value_name = "HEADER", value_parser = header)]
    pub requestheader_username_headers: Vec<String>,

    /// The headers in which front proxies name the user's UID, such as X-Remote-Uid: the first that is there counts.
    #[arg(long, value_delimiter = ',', value_name = "HEADER", value_parser = header)]
    pub requestheader_uid_headers: Vec<String>,

    /// The headers in which front proxies name the user's groups, such as X-Remote-Group.
    #[arg(long, value_delimiter = ',', value_name = "HEADER", value_parser = header)]
    pub requestheader_group_headers: Vec<String>,

    /// What the headers begin with in which front proxies say more of the user, such as X-Remote-Extra-.
    #[arg(long, value_delimiter = ',', value_name = "PREFIX", value_parser = header)]
    pub requestheader_extra_headers_prefix: Vec<String>,

    /// The certificate that identifies this server to the API servers of APIServices (PEM).
    #[arg(long, value_name = "FILE", requires = "proxy_client_key_file")]
    pub proxy_client_cert_file: Option<PathBuf>,

    /// The key of the certificate for the API servers of APIServices (PEM).
    #[arg(long, value_name = "FILE", requires = "proxy_client_cert_file")]
    pub proxy_client_key_file: Option<PathBuf>,

    /// The key that signs the tokens of service accounts (PEM: RSA, or ECDSA of P-256); without it, there are none.
    #[arg(long, value_name = "FILE", requires = "service_account_issuer")]
    pub service_account_signing_key_file: Option<PathBuf>,

    /// A key that verifies the tokens of service accounts, beside the one that signs; may be repeated.
    #[arg(long, value_delimiter = ',', value_name = "FILE")]
    pub service_account_key_file: Vec<PathBuf>,

    /// Whose tokens those of service accounts are, such as https://kubernetes.default.svc; of several, the first signs.
    #[arg(long, value_delimiter = ',', value_name = "URL")]
    pub service_account_issuer: Vec<String>,

    /// Whom the tokens of service accounts are for; by default the issuers.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub api_audiences: Vec<String>,

    /// The longest time that a token of a service account is valid.
    #[arg(long, value_name = "DURATION", value_parser = token_duration)]
    pub service_account_max_token_expiration: Option<Duration>,

    /// Where others find the keys that verify tokens; by default at this server.
    #[arg(long, default_value = "", value_name = "URL", hide_default_value = true)]
    pub service_account_jwks_uri: String,

    /// A file of tokens and their users: token,user,uid,"group,group" on each line.
    #[arg(long, value_name = "FILE")]
    pub token_auth_file: Option<PathBuf>,

    /// Whether Secrets of type bootstrap.kubernetes.io/token in kube-system identify machines that join.
    #[arg(long, default_value_t = false, num_args = 0..=1, require_equals = true, default_missing_value = "true",
        action = clap::ArgAction::Set, value_name = "BOOL")]
    pub enable_bootstrap_token_auth: bool,

    /// Admission plugins to switch on beside those that are on anyway; the order does not matter.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub enable_admission_plugins: Vec<String>,

    /// Admission plugins to switch off.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub disable_admission_plugins: Vec<String>,

    /// The authority that signed the kubelets' certificates (PEM); without it, no logs and no exec.
    #[arg(long, value_name = "FILE")]
    pub kubelet_certificate_authority: Option<PathBuf>,

    /// The certificate that identifies this server to kubelets (PEM).
    #[arg(long, value_name = "FILE", requires = "kubelet_client_key")]
    pub kubelet_client_certificate: Option<PathBuf>,

    /// The key of the certificate for kubelets (PEM).
    #[arg(long, value_name = "FILE", requires = "kubelet_client_certificate")]
    pub kubelet_client_key: Option<PathBuf>,

    /// The range that Services get their addresses from.
    #[arg(long, default_value = "10.96.0.0/12", value_name = "CIDR")]
    pub service_cluster_ip_range: ipnet::IpNet,

    /// The ports that Services of type NodePort get.
    #[arg(long, default_value = "30000-32767", value_name = "FIRST-LAST", value_parser = port_range)]
    pub service_node_port_range: RangeInclusive<u16>,

    /// Whether requests run by their priority levels; if not, by their number alone.
    #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true",
        action = clap::ArgAction::Set, value_name = "BOOL")]
    pub enable_priority_and_fairness: bool,

    /// How long a request may take that is no watch or stream: the default and the longest.
    #[arg(long, default_value = "1m", value_name = "DURATION", value_parser = positive_duration)]
    pub request_timeout: Duration,

    /// How many requests that change nothing run at once; together with the next one, the seats of all priority levels.
    #[arg(long, default_value_t = 400, value_name = "COUNT")]
    pub max_requests_inflight: usize,

    /// How many requests that change something run at once.
    #[arg(long, default_value_t = 200, value_name = "COUNT")]
    pub max_mutating_requests_inflight: usize,

    #[command(flatten)]
    #[expect(missing_docs, reason = "the flags' own documentation is what --help shows")]
    pub common: CommonFlags,
}

/// Where objects are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Storage {
    /// In etcd.
    Etcd,
    /// In this process' memory, for tests: gone when it ends.
    Memory,
}

/// Flags that do not fit.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("{flag} {}: cannot be read", path.display())]
    Read {
        /// The flag that names it.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// An admission plugin is not what its flag says.
    #[error(transparent)]
    Plugins(#[from] PluginError),
    /// The store cannot be used.
    #[error("--etcd-servers cannot be used")]
    Store(#[source] gantry_store::Error),
}

fn port_range(text: &str) -> Result<RangeInclusive<u16>, String> {
    let invalid = || format!("{text:?} is not a range of ports like 30000-32767");
    let (first, last) = text.split_once('-').ok_or_else(invalid)?;
    let (first, last) = (first.parse().map_err(|_| invalid())?, last.parse().map_err(|_| invalid())?);
    if first == 0 || first > last {
        return Err(invalid());
    }
    Ok(first..=last)
}

/// The name of a header, or the beginning of one.
fn header(text: &str) -> Result<String, String> {
    match http::HeaderName::from_bytes(text.as_bytes()) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(format!("{text:?} is not a header like X-Remote-User")),
    }
}

fn key_prefix(text: &str) -> Result<String, String> {
    if text.trim_matches('/').is_empty() {
        return Err(format!("{text:?} is not a key like /registry"));
    }
    Ok(text.to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    let invalid = || format!("{text:?} is not a duration like 1h or 90s");
    let parsed: gantry_api::scalars::Duration = text.parse().map_err(|_| invalid())?;
    u64::try_from(parsed.duration).map(Duration::from_nanos).map_err(|_| invalid())
}

fn positive_duration(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if duration.is_zero() { Err(format!("{text:?} is no time at all")) } else { Ok(duration) }
}

/// Shorter tokens than upstream's shortest are of no use.
fn token_duration(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if duration < Duration::from_secs(3600) {
        return Err(format!("{text:?} is less than 1h, the shortest time that clients count on"));
    }
    Ok(duration)
}

impl Options {
    /// Reads a command line, and the configuration file that it names.
    pub fn load(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, config::Error> {
        config::parse_flags::<Self, ApiServerConfiguration>(arguments, |options| {
            options.common.config.clone()
        })
    }

    /// The seats of all priority levels together.
    pub(crate) fn concurrency(&self) -> u32 {
        let sum = self.max_requests_inflight.saturating_add(self.max_mutating_requests_inflight);
        u32::try_from(sum).unwrap_or(u32::MAX)
    }

    /// The addresses to listen on.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.bind_address.iter().map(|&ip| SocketAddr::from((ip, self.secure_port))).collect()
    }

    /// The files of the port.
    #[must_use]
    pub fn tls(&self) -> TlsFiles {
        TlsFiles {
            certificate: self.tls_cert_file.clone(),
            key: self.tls_private_key_file.clone(),
            client_ca: self.client_ca_file.clone(),
            front_proxy_ca: self.requestheader_client_ca_file.clone(),
        }
    }

    /// How front proxies say for whom they ask; nobody is one without an authority for them.
    pub(crate) fn request_headers(&self) -> Option<RequestHeaders> {
        self.requestheader_client_ca_file.as_ref().map(|_| RequestHeaders {
            allowed_names: self.requestheader_allowed_names.clone(),
            username: self.requestheader_username_headers.clone(),
            uid: self.requestheader_uid_headers.clone(),
            group: self.requestheader_group_headers.clone(),
            extra_prefix: self.requestheader_extra_headers_prefix.clone(),
        })
    }

    /// What API servers behind this one have to know to believe it and its clients.
    pub(crate) fn published(&self) -> Result<Published, Error> {
        let front_proxies = match (&self.requestheader_client_ca_file, self.request_headers()) {
            (Some(path), Some(headers)) => Some((text("--requestheader-client-ca-file", path)?, headers)),
            _ => None,
        };
        Ok(Published { client_ca: text("--client-ca-file", &self.client_ca_file)?, front_proxies })
    }

    /// Certificate and key for the API servers of APIServices.
    pub(crate) fn proxy_client(&self) -> Result<Option<Identity>, Error> {
        match (&self.proxy_client_cert_file, &self.proxy_client_key_file) {
            (Some(certificate), Some(key)) => Ok(Some((
                read("--proxy-client-cert-file", certificate)?,
                read("--proxy-client-key-file", key)?,
            ))),
            _ => Ok(None),
        }
    }

    /// The keys of tokens, and what tokens say.
    pub(crate) fn tokens(&self) -> tokens::Settings {
        let issuers = self.service_account_issuer.clone();
        tokens::Settings {
            signing_key: self.service_account_signing_key_file.clone(),
            keys: self.service_account_key_file.clone(),
            audiences: if self.api_audiences.is_empty() {
                issuers.clone()
            } else {
                self.api_audiences.clone()
            },
            issuers,
            max_expiration: self.service_account_max_token_expiration,
        }
    }

    /// The files for connections to kubelets.
    #[must_use]
    pub fn node_tls(&self) -> NodeTlsFiles {
        NodeTlsFiles {
            authority: self.kubelet_certificate_authority.clone(),
            certificate: self.kubelet_client_certificate.clone(),
            key: self.kubelet_client_key.clone(),
        }
    }

    /// What the verbs need; `port` is the one that was bound.
    pub fn settings(&self, port: u16) -> Result<Settings, Error> {
        let first = self.bind_address.iter().copied().find(|ip| !ip.is_unspecified());
        let advertise = self.advertise_address.or(first).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        Ok(Settings {
            service_cidr: self.service_cluster_ip_range,
            node_ports: self.service_node_port_range.clone(),
            advertise: (advertise, port),
            etcd_prefix: self.etcd_prefix.clone(),
            event_ttl: self.event_ttl,
            tolerations: Tolerations {
                not_ready: self.default_not_ready_toleration_seconds,
                unreachable: self.default_unreachable_toleration_seconds,
            },
            plugins: Plugins::new(&self.enable_admission_plugins, &self.disable_admission_plugins)?,
        })
    }

    /// The store. etcd need not be there yet.
    pub async fn store(&self) -> Result<Arc<dyn Store>, Error> {
        if self.storage == Storage::Memory {
            return Ok(Arc::new(MemoryStore::new()));
        }
        let mut config = EtcdConfig::new(&self.etcd_servers);
        if let Some(path) = &self.etcd_cafile {
            let identity = match (&self.etcd_certfile, &self.etcd_keyfile) {
                (Some(certificate), Some(key)) => Some(ClientIdentity {
                    certificate: read("--etcd-certfile", certificate)?,
                    key: read("--etcd-keyfile", key)?,
                }),
                _ => None,
            };
            config.tls = Some(TlsConfig { ca: read("--etcd-cafile", path)?, identity, server_name: None });
        }
        Ok(Arc::new(EtcdStore::connect(config).await.map_err(Error::Store)?))
    }
}

fn text(flag: &'static str, path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| Error::Read { flag, path: path.to_owned(), source })
}

fn read(flag: &'static str, path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::Read { flag, path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUIRED: [&str; 4] =
        ["gantry-apiserver", "--tls-cert-file=c", "--tls-private-key-file=k", "--client-ca-file=a"];

    fn parse(flags: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from(REQUIRED.iter().chain(flags))
    }

    #[test]
    fn flags_are_upstreams() {
        let options = parse(&[
            "--etcd-servers=http://a:2379,http://b:2379",
            "--bind-address=127.0.0.1",
            "--bind-address=10.0.0.1",
            "--secure-port=7443",
            "--service-node-port-range=30000-30100",
        ])
        .unwrap();
        assert_eq!(options.etcd_servers, ["http://a:2379", "http://b:2379"]);
        assert_eq!(options.addresses().len(), 2);
        assert_eq!(options.settings(7443).unwrap().node_ports, 30000..=30100);
        assert_eq!(options.settings(7443).unwrap().advertise, ("127.0.0.1".parse().unwrap(), 7443));
    }

    #[test]
    fn wrong_values_are_named() {
        for wrong in ["--service-node-port-range=5-1", "--service-cluster-ip-range=x", "--bind-address=host"]
        {
            let flag = wrong.split('=').next().unwrap();
            let error = parse(&[wrong]).unwrap_err().to_string();
            assert!(error.contains(flag), "{error}");
        }
        assert!(Options::try_parse_from(["gantry-apiserver"]).is_err());
        let error = parse(&["--disable-admission-plugins=Nothing"]).unwrap().settings(1).unwrap_err();
        assert!(error.to_string().contains("\"Nothing\" is unknown"), "{error}");
    }
}
