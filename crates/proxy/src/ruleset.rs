//! The state of the rules: which elements the maps and sets hold, and which chains they lead to.
//!
//! Whatever exists per service or endpoint is an element of a map or set. Chains are shared: a service of
//! three endpoints leads to the chain that draws one of three, and the drawn number is part of the key under
//! which the endpoint is found. So the cost of a packet does not grow with the number of services, and the
//! cost of a change is that of the elements which differ.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::{Ipv4Addr, SocketAddrV4},
};

use ipnet::Ipv4Net;

use crate::model::Protocol;

/// An address, protocol and port at which a service is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Frontend {
    /// A cluster IP or external IP.
    pub ip: Ipv4Addr,
    /// The transport protocol.
    pub protocol: Protocol,
    /// The service's port.
    pub port: u16,
}

/// A port of the node's own addresses at which a service is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodePort {
    /// The transport protocol.
    pub protocol: Protocol,
    /// The port.
    pub port: u16,
}

/// The place of an element: a map or set, and the key in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// Set of addresses whose other ports are refused.
    ClusterIp(Ipv4Addr),
    /// Set of local endpoints that may reach themselves through a service.
    Hairpin(Ipv4Addr),
    /// Where new connections to a service go.
    Service(Frontend),
    /// Which endpoint a drawn number stands for.
    Endpoint(Frontend, u32),
    /// Where new connections to a node port go.
    NodePort(NodePort),
    /// Which endpoint a drawn number stands for, at a node port.
    NodePortEndpoint(NodePort, u32),
    /// What happens to packets for a service that has no endpoint for them.
    NoEndpoint(Frontend),
    /// What happens to packets for a node port that has no endpoint for them.
    NoEndpointNodePort(NodePort),
}

impl Slot {
    /// The name of the map or set.
    pub fn container(&self) -> &'static str {
        match self {
            Self::ClusterIp(_) => "cluster-ips",
            Self::Hairpin(_) => "hairpin",
            Self::Service(_) => "services",
            Self::Endpoint(front, _) => match front.protocol {
                Protocol::Tcp => "tcp-endpoints",
                Protocol::Udp => "udp-endpoints",
                Protocol::Sctp => "sctp-endpoints",
            },
            Self::NodePort(_) => "node-ports",
            Self::NodePortEndpoint(port, _) => match port.protocol {
                Protocol::Tcp => "tcp-node-port-endpoints",
                Protocol::Udp => "udp-node-port-endpoints",
                Protocol::Sctp => "sctp-node-port-endpoints",
            },
            Self::NoEndpoint(_) => "no-endpoint",
            Self::NoEndpointNodePort(_) => "no-endpoint-node-ports",
        }
    }

    /// The protocol, for slots that have one.
    pub fn protocol(&self) -> Option<Protocol> {
        match self {
            Self::ClusterIp(_) | Self::Hairpin(_) => None,
            Self::Service(front) | Self::Endpoint(front, _) | Self::NoEndpoint(front) => Some(front.protocol),
            Self::NodePort(port) | Self::NodePortEndpoint(port, _) | Self::NoEndpointNodePort(port) => {
                Some(port.protocol)
            }
        }
    }
}

impl fmt::Display for Frontend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} . {} . {}", self.ip, self.protocol, self.port)
    }
}

impl fmt::Display for NodePort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} . {}", self.protocol, self.port)
    }
}

/// The key, as nft writes it.
impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClusterIp(ip) => write!(f, "{ip}"),
            Self::Hairpin(ip) => write!(f, "{ip} . {ip}"),
            Self::Service(front) | Self::NoEndpoint(front) => write!(f, "{front}"),
            // The map is of one protocol.
            Self::Endpoint(front, number) => write!(f, "{} . {} . {number}", front.ip, front.port),
            Self::NodePort(port) | Self::NoEndpointNodePort(port) => write!(f, "{port}"),
            Self::NodePortEndpoint(port, number) => write!(f, "{} . {number}", port.port),
        }
    }
}

/// What an element says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// Nothing more: the element of a set.
    Member,
    /// The address of an endpoint.
    Endpoint(SocketAddrV4),
    /// Go on in a shared chain.
    Goto(Chain),
    /// Refuse, so that the client knows at once.
    Reject,
    /// Say nothing: another node has endpoints, this one must not serve.
    Drop,
}

/// The value, as nft writes it; empty for elements of sets.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Member => Ok(()),
            Self::Endpoint(address) => write!(f, " : {} . {}", address.ip(), address.port()),
            Self::Goto(chain) => write!(f, " : goto {chain}"),
            Self::Reject => f.write_str(" : goto refuse"),
            Self::Drop => f.write_str(" : drop"),
        }
    }
}

/// Where the numbers start at which clients inside of the cluster find endpoints of [`Client::Kept`].
pub const INSIDE: u32 = 1 << 16;

/// How the client of a connection is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Client {
    /// To a cluster IP: masqueraded only when it comes from outside of the cluster.
    Cluster,
    /// From outside to any endpoint: masqueraded, so that the answer comes back through this node.
    External,
    /// From outside to an endpoint here: its address is kept. Clients inside of the cluster have no use for
    /// that and draw from `all` endpoints, which stand at the numbers from [`INSIDE`].
    Kept {
        /// How many endpoints clients inside of the cluster draw from.
        all: u32,
    },
}

/// What the destination of a connection is looked up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entry {
    /// Address, protocol and port.
    Address,
    /// Protocol and port at the node's own addresses.
    NodePort,
}

/// A chain that new connections are sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Chain {
    /// Draws one of `count` endpoints; shared by all services with as many.
    Draw {
        /// How clients are treated.
        client: Client,
        /// What the endpoint is looked up by.
        entry: Entry,
        /// The transport protocol.
        protocol: Protocol,
        /// How many endpoints there are to draw from.
        count: u32,
    },
    /// Sends known clients to the endpoint that they had; of one service's frontend alone.
    Sticky(u64),
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Draw { client, entry, protocol, count } => {
                let name = match client {
                    Client::Cluster => "cluster",
                    Client::External => "external",
                    Client::Kept { .. } => "kept",
                };
                let entry = match entry {
                    Entry::Address => "",
                    Entry::NodePort => "node-port-",
                };
                write!(f, "{name}-{entry}{protocol}-{count}")?;
                match client {
                    Client::Kept { all } => write!(f, "-of-{all}"),
                    _ => Ok(()),
                }
            }
            Self::Sticky(id) => write!(f, "sticky-{id:016x}"),
        }
    }
}

/// The endpoints of a frontend whose clients keep theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sticky {
    /// How clients are treated.
    pub client: Client,
    /// Seconds for which a client is remembered.
    pub timeout: u32,
    /// What there is to choose from, sorted.
    pub endpoints: Vec<SocketAddrV4>,
}

/// All rules of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ruleset {
    /// The range of pods, for [`Client::Cluster`].
    pub pod_range: Option<Ipv4Net>,
    /// The elements of all maps and sets.
    pub elements: BTreeMap<Slot, Value>,
    /// The chains of services with session affinity.
    pub sticky: BTreeMap<u64, Sticky>,
}

impl Ruleset {
    /// The shared chains that elements lead to.
    pub fn chains(&self) -> BTreeSet<Chain> {
        let chains = self.elements.values().filter_map(|value| match value {
            Value::Goto(chain @ Chain::Draw { .. }) => Some(*chain),
            _ => None,
        });
        chains.collect()
    }
}
