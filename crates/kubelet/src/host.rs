//! What all pods of a node share.

use std::net::IpAddr;
use std::sync::Arc;

use gantry_container_runtime::Runtime;
use gantry_pod_network::{HostPorts, PodNetwork};
use tokio::sync::watch;

use crate::allocations::Allocations;
use crate::cgroups::Cgroups;
use crate::cluster::Cluster;
use crate::container::fields::FieldContext;
use crate::metrics::Metrics;
use crate::paths::Paths;
use crate::sandbox::SandboxHost;
use crate::starts::Starts;
use crate::volumes::dns::DnsSettings;

/// What all pods of a node share.
pub struct Host {
    /// Runs containers.
    pub runtime: Arc<dyn Runtime>,
    /// The API.
    pub cluster: Arc<dyn Cluster>,
    /// Makes namespaces.
    pub sandboxes: Arc<dyn SandboxHost>,
    /// Connects them; absent until the node has a pod range.
    pub network: watch::Receiver<Option<Arc<dyn PodNetwork>>>,
    /// Ports of the node that lead to pods.
    pub host_ports: Arc<HostPorts>,
    /// Limits.
    pub cgroups: Cgroups,
    /// Where things are.
    pub paths: Paths,
    /// What pods are told.
    pub facts: NodeFacts,
    /// Counters.
    pub metrics: Metrics,
    /// How much is started at the same time.
    pub starts: Starts,
    /// What pods have been given.
    pub allocations: Allocations,
}

/// What is known of the node and does not change while the kubelet runs.
#[derive(Debug, Clone, Default)]
pub struct NodeFacts {
    /// The node's addresses.
    pub addresses: Vec<IpAddr>,
    /// CPU in thousandths.
    pub cpu_milli: i64,
    /// Memory in bytes.
    pub memory_bytes: i64,
    /// Names.
    pub dns: DnsSettings,
}

impl Host {
    /// What a pod with these addresses can read about itself.
    #[must_use]
    pub fn field_context(&self, pod_ips: &[IpAddr]) -> FieldContext {
        FieldContext {
            pod_ips: pod_ips.to_vec(),
            host_ips: self.facts.addresses.clone(),
            node_cpu_milli: self.facts.cpu_milli,
            node_memory_bytes: self.facts.memory_bytes,
        }
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("paths", &self.paths).field("facts", &self.facts).finish_non_exhaustive()
    }
}
