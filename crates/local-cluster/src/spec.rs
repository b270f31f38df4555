//! What a cluster is: its size, addresses and ports.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use serde::{Deserialize, Serialize};

/// The most nodes a local cluster can have.
pub(crate) const MAX_NODES: u8 = 64;

/// A cluster's description, kept in its state directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// How many nodes.
    pub nodes: u8,
    /// Its addresses.
    pub network: Network,
    /// Its ports on 127.0.0.1.
    pub ports: Ports,
    /// Whether names outside the cluster are asked for at this machine's resolvers.
    pub forward_dns: bool,
    /// More flags for components, by their names: `apiserver`, `kubelet`, ...
    #[serde(default)]
    pub flags: BTreeMap<String, Vec<String>>,
}

/// A cluster's addresses. Clusters side by side differ in their number only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Network {
    /// Which of the machine's clusters this is; the first is 0.
    pub number: u8,
}

/// A cluster's ports on 127.0.0.1. What listens on the bridge's address has its fixed port there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ports {
    /// The API server, there and on the bridge.
    pub api: u16,
    /// etcd for clients.
    pub etcd: u16,
    /// etcd for its peers.
    pub etcd_peer: u16,
    /// The scheduler's health and metrics.
    pub scheduler: u16,
    /// The controller manager's health and metrics.
    pub controller_manager: u16,
    /// The DNS server's health and metrics.
    pub dns: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            api: 6443,
            etcd: 2379,
            etcd_peer: 2380,
            scheduler: 10259,
            controller_manager: 10257,
            dns: 10254,
        }
    }
}

impl Ports {
    /// Ports that are free now, for clusters beside the first.
    pub fn free() -> std::io::Result<Self> {
        // All are held until all are chosen, so that none is given twice.
        let held: Vec<TcpListener> =
            (0..6).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<_, _>>()?;
        let mut ports = Vec::with_capacity(held.len());
        for listener in &held {
            ports.push(listener.local_addr()?.port());
        }
        Ok(Self {
            api: ports[0],
            etcd: ports[1],
            etcd_peer: ports[2],
            scheduler: ports[3],
            controller_manager: ports[4],
            dns: ports[5],
        })
    }

    /// Every port with what it is for.
    pub(crate) fn named(&self) -> [(&'static str, u16); 6] {
        [
            ("API server", self.api),
            ("etcd", self.etcd),
            ("etcd peers", self.etcd_peer),
            ("scheduler", self.scheduler),
            ("controller manager", self.controller_manager),
            ("DNS health", self.dns),
        ]
    }
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            nodes: 1,
            network: Network { number: 0 },
            ports: Ports::default(),
            forward_dns: true,
            flags: BTreeMap::new(),
        }
    }
}

impl Spec {
    /// The components that can be given flags.
    pub const COMPONENTS: [&'static str; 6] =
        ["apiserver", "controller-manager", "scheduler", "dns", "kubelet", "proxy"];

    /// The cluster's nodes.
    pub fn nodes(&self) -> impl Iterator<Item = Node> + '_ {
        (1..=self.nodes).map(|number| Node { network: self.network.clone(), number })
    }
}

impl Network {
    /// The range of pod addresses.
    pub const PODS: &'static str = "10.244.0.0/16";
    /// The range of service addresses.
    pub const SERVICES: &'static str = "10.96.0.0/12";
    /// The address of the service `kubernetes`.
    pub const API_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
    /// The address of the service `kube-dns`.
    pub const DNS_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);

    /// The bridge that joins the nodes with the host, also the first part of every other name.
    pub fn bridge(&self) -> String {
        if self.number == 0 { "gantry".to_owned() } else { format!("gantry{}", self.number) }
    }

    /// The bridge's address, where the control plane can be reached by the nodes.
    pub fn gateway(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 243, self.number, 1)
    }

    /// The range of node addresses.
    pub fn subnet(&self) -> String {
        format!("10.243.{}.0/24", self.number)
    }

    /// Whether `address` is one of a node.
    pub fn has_node(&self, address: Ipv4Addr) -> bool {
        let [a, b, c, d] = address.octets();
        [a, b, c] == [10, 243, self.number] && d > 10
    }

    /// Where the cluster's image registry listens.
    pub fn registry(&self) -> SocketAddr {
        SocketAddr::from((self.gateway(), 5000))
    }

    /// Where nodes find the forward proxy to registries outside.
    pub fn forward_proxy(&self) -> SocketAddr {
        SocketAddr::from((self.gateway(), 3128))
    }

    /// Where the DNS server listens.
    pub fn dns(&self) -> SocketAddr {
        SocketAddr::from((self.gateway(), 53))
    }

    /// The metric by which this cluster's blackhole routes are told from those of others.
    pub(crate) fn metric(&self) -> u32 {
        4096 + u32::from(self.number)
    }

    /// The cgroup below which every pod of the cluster is.
    pub(crate) fn cgroup(&self) -> String {
        self.bridge()
    }
}

/// One node of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    network: Network,
    number: u8,
}

impl Node {
    /// Its name in the cluster.
    pub fn name(&self) -> String {
        format!("node-{}", self.number)
    }

    /// Its address.
    pub fn address(&self) -> Ipv4Addr {
        let [a, b, c, _] = self.network.gateway().octets();
        Ipv4Addr::new(a, b, c, 10 + self.number)
    }

    /// Its network namespace, as in `ip netns`.
    pub fn netns(&self) -> String {
        format!("{}-{}", self.network.bridge(), self.name())
    }

    /// The host's end of its link.
    pub fn link(&self) -> String {
        format!("{}-n{}", self.network.bridge(), self.number)
    }

    /// The cgroup below which its pods are.
    pub fn cgroup(&self) -> String {
        format!("{}/{}", self.network.cgroup(), self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_side_by_side_share_no_name_and_no_node_address() {
        let nodes: Vec<Node> = [0, 7]
            .into_iter()
            .flat_map(|number| {
                let spec = Spec { nodes: MAX_NODES, network: Network { number }, ..Spec::default() };
                spec.nodes().collect::<Vec<_>>()
            })
            .collect();
        let mut names: Vec<_> = nodes.iter().flat_map(|n| [n.netns(), n.link(), n.cgroup()]).collect();
        let mut addresses: Vec<_> = nodes.iter().map(Node::address).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        addresses.sort();
        addresses.dedup();
        assert_eq!((names.len(), addresses.len()), (count, nodes.len()));
    }

    #[test]
    fn interface_names_fit_the_kernel() {
        let spec = Spec { nodes: MAX_NODES, network: Network { number: 255 }, ..Spec::default() };
        assert!(spec.nodes().all(|node| node.link().len() <= 15));
    }

    #[test]
    fn the_first_cluster_has_the_documented_addresses() {
        let spec = Spec::default();
        let node = spec.nodes().next().unwrap();
        assert_eq!(node.address().to_string(), "10.243.0.11");
        assert_eq!(spec.network.registry().to_string(), "10.243.0.1:5000");
        assert!(spec.network.has_node(node.address()));
        assert!(!spec.network.has_node(spec.network.gateway()));
    }
}
