//! Services and endpoints as the planner sees them: parsed, IPv4 only, nothing that does not matter.

use std::{
    collections::BTreeMap,
    fmt,
    net::{Ipv4Addr, SocketAddrV4},
};

use ipnet::Ipv4Net;

/// A port of a service: what endpoints are looked up by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortName {
    /// The service's namespace.
    pub namespace: String,
    /// The service's name.
    pub service: String,
    /// The port's name; empty for the only port of a service.
    pub port: String,
}

impl fmt::Display for PortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.namespace, self.service, self.port)
    }
}

/// A transport protocol that rules can tell apart by port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

/// How one port of a service is reached from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePort {
    /// The transport protocol.
    pub protocol: Protocol,
    /// The port at the cluster IPs and external IPs.
    pub port: u16,
    /// The service's addresses inside the cluster.
    pub cluster_ips: Vec<Ipv4Addr>,
    /// Addresses outside of the cluster that lead to its nodes: `externalIPs` and those of a load balancer.
    pub external_ips: Vec<Ipv4Addr>,
    /// The port at every node's own addresses.
    pub node_port: Option<u16>,
    /// Seconds for which a client keeps its endpoint (`sessionAffinity: ClientIP`).
    pub affinity: Option<u32>,
    /// `internalTrafficPolicy: Local`: only endpoints on this node for clients inside the cluster.
    pub internal_local: bool,
    /// `externalTrafficPolicy: Local`: only endpoints on this node, and the client's address is kept.
    pub external_local: bool,
}

/// One address behind a service's port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// Where it listens.
    pub address: SocketAddrV4,
    /// Whether it runs on this node.
    pub local: bool,
    /// It should get new connections.
    pub ready: bool,
    /// It can answer, ready or already terminating.
    pub serving: bool,
    /// Its pod is being deleted.
    pub terminating: bool,
}

/// Everything that the rules follow from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Service ports that have an address.
    pub services: BTreeMap<PortName, ServicePort>,
    /// Endpoints by service port, sorted.
    pub endpoints: BTreeMap<PortName, Vec<Endpoint>>,
}

/// What the rules need to know of the node and the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cluster {
    /// The range of pod addresses; who is outside is masqueraded so that answers come back this way.
    pub pod_range: Option<Ipv4Net>,
}
