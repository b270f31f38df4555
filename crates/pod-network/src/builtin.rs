//! The built-in network: one bridge per node, a veth pair per pod, routes between nodes, all over netlink.
//!
//! A pod gets one address with a /32 mask and the bridge's address as its only next hop. So everything it
//! sends is routed by the node, also to a pod beside it, and the service rules apply both ways without
//! relying on the bridge-netfilter module. Hardware addresses are derived from IP addresses: an address that
//! moves to a new pod is reachable at once, no neighbour entry anywhere goes stale.

mod bridge;
mod interface;
mod links;
mod overlay;
mod plan;
mod routes;

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use ipnet::Ipv4Net;
use tokio::sync::Mutex;

use crate::{
    Error, NodeRoute, PodAddresses, PodNetwork, PodRef,
    ipam::{self, Allocations},
    namespace::blocking,
};

/// What the built-in network has to know about the node and the cluster.
#[derive(Debug, Clone)]
pub struct Config {
    /// The bridge's name, `gantry0` by convention; at most 15 characters.
    pub bridge: String,
    /// The node's own internal address, configured on one of its interfaces.
    pub node_ip: Ipv4Addr,
    /// The node's pod range (`spec.podCIDR`).
    pub pod_cidr: Ipv4Net,
    /// The range of all pods of the cluster; what leaves it is masqueraded.
    pub cluster_cidr: Ipv4Net,
    /// The range of service addresses: routed to the bridge, so that processes of the node itself can reach
    /// services without a default route, and so that no packet for it can leave the node.
    pub service_cidr: Option<Ipv4Net>,
    /// Where allocations of addresses are kept.
    pub state_dir: PathBuf,
    /// The pods' MTU; by default that of the interface with `node_ip`, less what a tunnel needs.
    pub mtu: Option<u32>,
}

impl Config {
    /// A configuration with the conventional bridge name and MTU detection.
    pub fn new(
        node_ip: Ipv4Addr,
        pod_cidr: Ipv4Net,
        cluster_cidr: Ipv4Net,
        state_dir: impl Into<PathBuf>,
    ) -> Self {
        Self {
            bridge: "gantry0".to_owned(),
            node_ip,
            pod_cidr,
            cluster_cidr,
            service_cidr: None,
            state_dir: state_dir.into(),
            mtu: None,
        }
    }
}

/// The built-in pod network of one node, acting in the network namespace of the calling process.
#[derive(Debug, Clone)]
pub struct BuiltinNetwork {
    node: Arc<Node>,
    allocations: Arc<Mutex<Allocations>>,
}

/// What every operation needs to know; fixed once the network has started.
#[derive(Debug)]
struct Node {
    config: Config,
    gateway: Ipv4Addr,
    mtu: u32,
}

impl BuiltinNetwork {
    /// Brings the node's side into being (bridge, forwarding, masquerading, guard routes) or repairs it, and
    /// takes over the allocations of a predecessor.
    pub async fn start(config: Config) -> Result<Self, Error> {
        blocking(move || {
            let gateway = ipam::gateway(config.pod_cidr)?;
            let allocations = Allocations::load(&config.state_dir, config.pod_cidr)?;
            let mtu = bridge::ensure(&config, gateway)?;
            let node = Arc::new(Node { config, gateway, mtu });
            Ok(Self { node, allocations: Arc::new(Mutex::new(allocations)) })
        })
        .await
    }

    /// Removes everything from the node again: bridge, tunnel, routes, rules. Pods lose their network.
    pub async fn remove(self) -> Result<(), Error> {
        blocking(move || {
            routes::sync(&self.node.config, &[])?;
            bridge::remove(&self.node.config)
        })
        .await
    }
}

#[async_trait]
impl PodNetwork for BuiltinNetwork {
    async fn setup(&self, pod: &PodRef, namespace: &Path) -> Result<PodAddresses, Error> {
        let address = self.allocations.lock().await.allocate(&pod.uid)?;
        let (node, uid, namespace) = (self.node.clone(), pod.uid.clone(), namespace.to_owned());
        blocking(move || interface::connect(&node, &uid, address, &namespace)).await?;
        Ok(PodAddresses { addresses: vec![IpAddr::V4(address)] })
    }

    async fn teardown(&self, pod: &PodRef, namespace: Option<&Path>) -> Result<(), Error> {
        let (uid, namespace_exists) = (pod.uid.clone(), namespace.is_some_and(Path::exists));
        blocking(
            move || if namespace_exists { interface::disconnect(&uid) } else { interface::remove(&uid) },
        )
        .await?;
        // Only now may another pod get the address.
        self.allocations.lock().await.release(&pod.uid)
    }

    async fn addresses(&self, pod: &PodRef) -> Option<PodAddresses> {
        let address = self.allocations.lock().await.address(&pod.uid)?;
        Some(PodAddresses { addresses: vec![IpAddr::V4(address)] })
    }

    async fn retain(&self, live: &BTreeSet<String>) -> Result<(), Error> {
        let stale: Vec<_> = self.allocations.lock().await.owners().difference(live).cloned().collect();
        for uid in &stale {
            let owner = uid.clone();
            blocking(move || interface::remove(&owner)).await?;
            self.allocations.lock().await.release(uid)?;
        }
        let live = live.clone();
        let orphans = blocking(move || interface::remove_orphans(&live)).await?;
        if !stale.is_empty() || orphans > 0 {
            tracing::info!(addresses = stale.len(), interfaces = orphans, "freed what pods left behind");
        }
        Ok(())
    }

    async fn sync_routes(&self, routes: &[NodeRoute]) -> Result<(), Error> {
        let (node, routes) = (self.node.clone(), routes.to_vec());
        blocking(move || routes::sync(&node.config, &routes)).await
    }
}

/// The hardware address of whoever has this IP address; the first byte marks it as locally administered.
fn hardware_address(prefix: u8, address: Ipv4Addr) -> Vec<u8> {
    let mut bytes = vec![0x0a, prefix];
    bytes.extend(address.octets());
    bytes
}
