//! The configuration file.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use gantry_container_runtime::{RegistryEndpoint, RegistryOptions};
use gantry_telemetry::config::Kind;
use serde::Deserialize;

/// What `--config` names: kind `KubeletConfiguration` of `gantry.dev/v1alpha1`. Flags come before it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KubeletConfiguration {
    /// The node's name.
    pub node_name: Option<String>,
    /// Labels that the node registers with.
    pub node_labels: BTreeMap<String, String>,
    /// containerd's socket.
    pub container_runtime_endpoint: Option<String>,
    /// containerd's namespace for this node.
    pub containerd_namespace: Option<String>,
    /// What this node's cgroups begin with.
    pub cgroup_root: Option<String>,
    /// The cluster's DNS servers.
    #[serde(rename = "clusterDNS")]
    pub cluster_dns: Vec<IpAddr>,
    /// The cluster's domain.
    pub cluster_domain: Option<String>,
    /// The node's own resolver configuration.
    pub resolv_conf: Option<PathBuf>,
    /// The port that the API server calls.
    pub port: Option<u16>,
    /// How long the node counts as alive after a heartbeat.
    pub node_lease_duration_seconds: Option<u32>,
    /// How often the node's status is looked at, such as `10s`.
    pub node_status_update_frequency: Option<String>,
    /// Most pods.
    pub max_pods: Option<u32>,
    /// Where containers' logs go.
    pub pod_logs_dir: Option<PathBuf>,
    /// The range of all pods.
    #[serde(rename = "clusterCIDR")]
    pub cluster_cidr: Option<String>,
    /// The range of services.
    #[serde(rename = "serviceCIDR")]
    pub service_cidr: Option<String>,
    /// Pulls at the same time.
    pub max_parallel_image_pulls: Option<usize>,
    /// Registries that are spoken to without TLS, or whose certificate is not verified.
    pub insecure_registries: Vec<String>,
    /// Registries that are elsewhere than their name says.
    pub registries: Vec<Registry>,
    /// A proxy for registries that are not on this machine.
    pub https_proxy: Option<String>,
    /// Hosts that are reached without the proxy.
    pub no_proxy: Vec<String>,
}

/// Where a registry is.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Registry {
    /// Its name in image references; `*` for all.
    pub host: String,
    /// A mirror to ask first.
    pub endpoint: Option<String>,
    /// Plain HTTP, or any certificate.
    pub insecure: bool,
    /// Certificates to trust, as PEM.
    pub ca: Option<PathBuf>,
}

impl Kind for KubeletConfiguration {
    const KIND: &'static str = "KubeletConfiguration";
}

impl KubeletConfiguration {
    /// What the runtime is to know about registries. What the command line or the environment says comes first.
    #[must_use]
    pub fn registries(&self, https_proxy: Option<String>, no_proxy: Vec<String>) -> RegistryOptions {
        let listed = self.registries.iter().map(|registry| RegistryEndpoint {
            host: registry.host.clone(),
            endpoint: registry.endpoint.clone(),
            insecure: registry.insecure,
            ca: registry.ca.clone(),
        });
        let insecure = self.insecure_registries.iter().map(|host| RegistryEndpoint {
            host: host.clone(),
            insecure: true,
            ..RegistryEndpoint::default()
        });
        RegistryOptions {
            registries: listed.chain(insecure).collect(),
            https_proxy: https_proxy.filter(|url| !url.is_empty()).or_else(|| self.https_proxy.clone()),
            no_proxy: if no_proxy.is_empty() { self.no_proxy.clone() } else { no_proxy },
        }
    }
}
