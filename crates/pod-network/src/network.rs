//! What the kubelet asks of a pod network, whoever provides it.

use std::{collections::BTreeSet, net::IpAddr, path::Path};

use async_trait::async_trait;
use ipnet::Ipv4Net;

use crate::Error;

/// The pod that a call is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodRef {
    /// The pod's UID: what addresses and interfaces are kept under.
    pub uid: String,
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub name: String,
}

impl PodRef {
    /// A reference to the pod `namespace/name` with this UID.
    pub fn new(uid: impl Into<String>, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { uid: uid.into(), namespace: namespace.into(), name: name.into() }
    }
}

/// The addresses of a pod, in the order of `status.podIPs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodAddresses {
    /// The first is `status.podIP`.
    pub addresses: Vec<IpAddr>,
}

impl PodAddresses {
    /// The address for `status.podIP`.
    pub fn primary(&self) -> Option<IpAddr> {
        self.addresses.first().copied()
    }
}

/// Where the pods of another node are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeRoute {
    /// The other node's pod range (`spec.podCIDR`).
    pub pod_cidr: Ipv4Net,
    /// The other node's internal address.
    pub node_ip: std::net::Ipv4Addr,
}

/// A provider of pod networking. Every method is idempotent: after a crash the kubelet simply calls again.
#[async_trait]
pub trait PodNetwork: Send + Sync {
    /// Connects the pod's network namespace and returns the pod's addresses; the same ones when called again.
    async fn setup(&self, pod: &PodRef, namespace: &Path) -> Result<PodAddresses, Error>;

    /// Disconnects the pod and frees its addresses. `namespace` may be gone already; if it is not, the caller
    /// destroys it next, and what the provider made inside of it ends then.
    async fn teardown(&self, pod: &PodRef, namespace: Option<&Path>) -> Result<(), Error>;

    /// The addresses of a pod that is set up, as far as the provider remembers them.
    async fn addresses(&self, pod: &PodRef) -> Option<PodAddresses>;

    /// Frees whatever belongs to pods that are not in `live` (UIDs), after a restart of the kubelet.
    /// No pod may be set up while this runs unless its UID is in `live`.
    async fn retain(&self, live: &BTreeSet<String>) -> Result<(), Error>;

    /// Makes exactly these nodes' pods reachable. Providers that route by themselves do nothing.
    async fn sync_routes(&self, routes: &[NodeRoute]) -> Result<(), Error>;
}
