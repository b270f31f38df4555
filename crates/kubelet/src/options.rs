//! The command line, the configuration file, and what they come to together.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use gantry_telemetry::CommonFlags;
use ipnet::Ipv4Net;

use crate::config::KubeletConfiguration;

/// The node agent: runs the pods that are bound to its node.
#[derive(Debug, Parser)]
#[command(name = "gantry-kubelet", version)]
pub struct Flags {
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take it for the text of its own help")]
    pub common: CommonFlags,
    /// How to reach the API server, and as whom.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: PathBuf,
    /// The node's name; the host's when absent.
    #[arg(long)]
    pub node_name: Option<String>,
    /// The node's address; that of the route to the API server when absent.
    #[arg(long)]
    pub node_ip: Option<IpAddr>,
    /// What outlives a reboot: pods' volumes, the network's allocations.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/gantry/kubelet")]
    pub root_dir: PathBuf,
    /// What does not outlive a reboot: pinned namespaces, secrets. To be in memory.
    #[arg(long, value_name = "DIR", default_value = "/run/gantry")]
    pub run_dir: PathBuf,
    /// containerd's socket.
    #[arg(long, value_name = "SOCKET")]
    pub container_runtime_endpoint: Option<String>,
    /// containerd's namespace for this node.
    #[arg(long, value_name = "NAME")]
    pub containerd_namespace: Option<String>,
    /// Where runc keeps its state.
    #[arg(long, value_name = "DIR")]
    pub runc_root: Option<PathBuf>,
    /// What this node's cgroups begin with, such as /node-1. Nodes that share a machine need different ones.
    #[arg(long, value_name = "PATH")]
    pub cgroup_root: Option<String>,
    /// The program that writes containers' logs; beside this one when absent.
    #[arg(long, value_name = "FILE")]
    pub log_driver: Option<PathBuf>,
    /// The cluster's DNS server; may be given several times.
    #[arg(long, value_name = "IP")]
    pub cluster_dns: Vec<IpAddr>,
    /// The cluster's domain.
    #[arg(long, value_name = "NAME")]
    pub cluster_domain: Option<String>,
    /// The certificate of the port that the API server calls.
    #[arg(long, value_name = "FILE")]
    pub tls_cert_file: Option<PathBuf>,
    /// Its key.
    #[arg(long, value_name = "FILE")]
    pub tls_private_key_file: Option<PathBuf>,
    /// Who signs the certificates of those that may call.
    #[arg(long, value_name = "FILE")]
    pub client_ca_file: Option<PathBuf>,
    /// The port that the API server calls.
    #[arg(long)]
    pub port: Option<u16>,
    /// How long the node counts as alive after its last heartbeat; it is renewed four times as often.
    #[arg(long, value_name = "SECONDS")]
    pub node_lease_duration_seconds: Option<u32>,
    /// How often the node's status is looked at, such as 10s.
    #[arg(long, value_name = "DURATION")]
    pub node_status_update_frequency: Option<String>,
    /// A proxy for registries that are not on this machine.
    #[arg(long, env = "HTTPS_PROXY", value_name = "URL")]
    pub https_proxy: Option<String>,
    /// Hosts that are reached without the proxy, separated by commas.
    #[arg(long, env = "NO_PROXY", value_name = "HOSTS", value_delimiter = ',')]
    pub no_proxy: Vec<String>,
}

/// Why the options cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration file cannot be used.
    #[error(transparent)]
    Config(#[from] gantry_telemetry::config::Error),
    /// A value that does not mean anything.
    #[error("{name}: {value:?} {rule}")]
    Value {
        /// The flag or field.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it has to be.
        rule: &'static str,
    },
    /// The host's name cannot be read.
    #[error("the host's name cannot be read; give --node-name")]
    HostName(#[source] std::io::Error),
}

/// What the command line and the configuration file come to.
#[derive(Debug, Clone)]
pub struct Options {
    /// The node's name.
    pub node_name: String,
    /// The node's address, where it is given.
    pub node_ip: Option<IpAddr>,
    /// What outlives a reboot.
    pub root_dir: PathBuf,
    /// What does not.
    pub run_dir: PathBuf,
    /// Containers' logs.
    pub logs_dir: PathBuf,
    /// containerd's socket.
    pub runtime_socket: PathBuf,
    /// containerd's namespace.
    pub runtime_namespace: String,
    /// runc's state.
    pub runc_root: PathBuf,
    /// What cgroups begin with.
    pub cgroup_root: String,
    /// The log driver.
    pub log_driver: PathBuf,
    /// The cluster's DNS servers.
    pub cluster_dns: Vec<IpAddr>,
    /// The cluster's domain.
    pub cluster_domain: String,
    /// The node's resolver.
    pub resolver_config: PathBuf,
    /// Certificate, key and client CA of the server, where it is to run.
    pub tls: Option<TlsFiles>,
    /// The server's port.
    pub port: u16,
    /// How long the node counts as alive after a heartbeat.
    pub lease_duration: Duration,
    /// How often the node's status is looked at.
    pub status_frequency: Duration,
    /// Most pods.
    pub max_pods: u32,
    /// The range of all pods.
    pub cluster_cidr: Ipv4Net,
    /// The range of services.
    pub service_cidr: Option<Ipv4Net>,
    /// Mirrors and the like.
    pub registries: gantry_container_runtime::RegistryOptions,
    /// Pulls at the same time.
    pub max_parallel_pulls: usize,
    /// Labels that the node registers with.
    pub node_labels: std::collections::BTreeMap<String, String>,
}

/// The files of the server's TLS.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// Certificate chain.
    pub certificate: PathBuf,
    /// Key.
    pub key: PathBuf,
    /// Who signs clients.
    pub client_ca: PathBuf,
}

impl Options {
    /// Flags come before the file, the file before the defaults.
    pub fn new(flags: &Flags) -> Result<Self, Error> {
        let file: KubeletConfiguration =
            gantry_telemetry::config::load_or_default(flags.common.config.as_deref())?;
        let node_name = match flags.node_name.clone().or(file.node_name.clone()) {
            Some(name) => name,
            None => host_name()?,
        };
        let frequency =
            flags.node_status_update_frequency.clone().or(file.node_status_update_frequency.clone());
        let status_frequency = match frequency {
            Some(text) => duration("nodeStatusUpdateFrequency", &text)?,
            None => Duration::from_secs(10),
        };
        let lease = flags.node_lease_duration_seconds.or(file.node_lease_duration_seconds).unwrap_or(40);
        if lease == 0 {
            return Err(Error::Value {
                name: "nodeLeaseDurationSeconds",
                value: lease.to_string(),
                rule: "must be positive",
            });
        }
        let endpoint = flags.container_runtime_endpoint.clone().or(file.container_runtime_endpoint.clone());
        let endpoint = endpoint.unwrap_or_else(|| "/run/containerd/containerd.sock".to_owned());
        let path = |text: &str| PathBuf::from(text.strip_prefix("unix://").unwrap_or(text));
        let tls = match (&flags.tls_cert_file, &flags.tls_private_key_file, &flags.client_ca_file) {
            (Some(certificate), Some(key), Some(ca)) => {
                Some(TlsFiles { certificate: certificate.clone(), key: key.clone(), client_ca: ca.clone() })
            }
            (None, None, None) => None,
            _ => {
                return Err(Error::Value {
                    name: "--tls-cert-file, --tls-private-key-file, --client-ca-file",
                    value: String::new(),
                    rule: "must be given together",
                });
            }
        };
        let dns = if flags.cluster_dns.is_empty() { &file.cluster_dns } else { &flags.cluster_dns };
        let logs = file.pod_logs_dir.clone().unwrap_or_else(|| flags.root_dir.join("logs"));
        Ok(Self {
            node_name,
            node_ip: flags.node_ip,
            logs_dir: logs,
            runtime_socket: path(&endpoint),
            runtime_namespace: flags
                .containerd_namespace
                .clone()
                .or(file.containerd_namespace.clone())
                .unwrap_or_else(|| "gantry".to_owned()),
            runc_root: flags.runc_root.clone().unwrap_or_else(|| flags.run_dir.join("runc")),
            cgroup_root: flags.cgroup_root.clone().or(file.cgroup_root.clone()).unwrap_or_default(),
            log_driver: flags.log_driver.clone().unwrap_or_else(|| beside_us("gantry-log-driver")),
            cluster_dns: dns.clone(),
            cluster_domain: flags
                .cluster_domain
                .clone()
                .or(file.cluster_domain.clone())
                .unwrap_or_else(|| "cluster.local".to_owned()),
            resolver_config: file.resolv_conf.clone().unwrap_or_else(|| "/etc/resolv.conf".into()),
            tls,
            port: flags.port.or(file.port).unwrap_or(10250),
            lease_duration: Duration::from_secs(u64::from(lease)),
            status_frequency,
            max_pods: file.max_pods.unwrap_or(110),
            cluster_cidr: network("clusterCIDR", file.cluster_cidr.as_deref().unwrap_or("10.244.0.0/16"))?,
            service_cidr: Some(network(
                "serviceCIDR",
                file.service_cidr.as_deref().unwrap_or("10.96.0.0/12"),
            )?),
            registries: file.registries(flags.https_proxy.clone(), flags.no_proxy.clone()),
            max_parallel_pulls: file.max_parallel_image_pulls.unwrap_or(5),
            node_labels: file.node_labels.clone(),
            root_dir: flags.root_dir.clone(),
            run_dir: flags.run_dir.clone(),
        })
    }
}

fn network(name: &'static str, text: &str) -> Result<Ipv4Net, Error> {
    let rule = "must be an IPv4 network such as 10.244.0.0/16";
    text.parse().map_err(|_| Error::Value { name, value: text.to_owned(), rule })
}

fn duration(name: &'static str, text: &str) -> Result<Duration, Error> {
    let refused =
        || Error::Value { name, value: text.to_owned(), rule: "must be a positive duration such as 10s" };
    let parsed: gantry_api::scalars::Duration = text.parse().map_err(|_| refused())?;
    u64::try_from(parsed.duration).ok().filter(|n| *n > 0).map(Duration::from_nanos).ok_or_else(refused)
}

fn host_name() -> Result<String, Error> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").map_err(Error::HostName)?;
    Ok(name.trim().to_lowercase())
}

/// A program in the same directory as this one.
fn beside_us(name: &str) -> PathBuf {
    let own = std::env::current_exe().ok();
    let dir = own.as_deref().and_then(Path::parent).map(Path::to_owned);
    dir.unwrap_or_else(|| "/usr/local/bin".into()).join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_come_before_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kubelet.yaml");
        let text = "apiVersion: gantry.dev/v1alpha1\nkind: KubeletConfiguration\ncgroupRoot: /file\n\
                    clusterDNS: [10.96.0.10]\ninsecureRegistries: [\"r:5000\"]\nnodeStatusUpdateFrequency: 5s\n";
        std::fs::write(&path, text).unwrap();
        let config = format!("--config={}", path.display());
        let args = ["kubelet", "--kubeconfig=k", "--node-name=n", &config, "--cgroup-root=/flag"];
        let options = Options::new(&Flags::parse_from(args)).unwrap();
        assert_eq!(options.cgroup_root, "/flag");
        assert_eq!(options.cluster_dns, ["10.96.0.10".parse::<IpAddr>().unwrap()]);
        assert_eq!(options.status_frequency, Duration::from_secs(5));
        assert_eq!(options.registries.registries[0].host, "r:5000");
        assert!(options.registries.registries[0].insecure);
        assert_eq!(options.lease_duration, Duration::from_secs(40));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let parse =
            |arg: &str| Options::new(&Flags::parse_from(["kubelet", "--kubeconfig=k", "--node-name=n", arg]));
        let error = parse("--node-status-update-frequency=soon").unwrap_err().to_string();
        assert!(error.contains("nodeStatusUpdateFrequency: \"soon\""), "{error}");
        assert!(parse("--node-lease-duration-seconds=0").is_err());
        assert!(parse("--tls-cert-file=x").is_err());
    }
}
