//! Stale entries of connection tracking.
//!
//! A UDP flow has no end that the kernel could see: while a client goes on sending, its packets follow the
//! endpoint that was chosen first, also when that endpoint is gone, and packets sent before there was any
//! endpoint keep going nowhere. Such entries are deleted, and the next packet is routed anew.

mod conntrack;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
};

use crate::{
    model::Protocol,
    ruleset::{Chain, Ruleset, Slot, Value},
};

pub use conntrack::{Error, delete_stale};

/// A UDP flow as the kernel tracks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    /// Where the client sends to.
    pub destination: SocketAddrV4,
    /// Who answers: the endpoint, or `destination` itself where nothing was translated.
    pub answerer: SocketAddrV4,
}

/// The UDP endpoints of all services, to judge flows by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Served {
    addresses: BTreeMap<SocketAddrV4, BTreeSet<SocketAddrV4>>,
    node_ports: BTreeMap<u16, BTreeSet<SocketAddrV4>>,
}

impl Served {
    /// Collects them from the rules.
    pub fn new(rules: &Ruleset) -> Self {
        let mut served = Self::default();
        for (slot, value) in &rules.elements {
            if slot.protocol() != Some(Protocol::Udp) {
                continue;
            }
            let endpoints = match slot {
                Slot::Service(front) | Slot::Endpoint(front, _) | Slot::NoEndpoint(front) => {
                    served.addresses.entry(SocketAddrV4::new(front.ip, front.port)).or_default()
                }
                Slot::NodePort(port) | Slot::NodePortEndpoint(port, _) | Slot::NoEndpointNodePort(port) => {
                    served.node_ports.entry(port.port).or_default()
                }
                Slot::ClusterIp(_) | Slot::Hairpin(_) => continue,
            };
            match value {
                Value::Endpoint(address) => {
                    endpoints.insert(*address);
                }
                Value::Goto(Chain::Sticky(id)) => {
                    endpoints.extend(rules.sticky.get(id).iter().flat_map(|sticky| &sticky.endpoints));
                }
                _ => {}
            }
        }
        served
    }

    /// Whether there is any UDP service at all.
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.node_ports.is_empty()
    }

    /// Whether the flow goes to a service but not to one of its endpoints.
    pub fn is_stale(&self, flow: &Flow, is_local: impl Fn(Ipv4Addr) -> bool) -> bool {
        let endpoints = self.addresses.get(&flow.destination).or_else(|| {
            let endpoints = self.node_ports.get(&flow.destination.port())?;
            is_local(*flow.destination.ip()).then_some(endpoints)
        });
        endpoints.is_some_and(|endpoints| !endpoints.contains(&flow.answerer))
    }
}

/// Whether this machine has the address: only then can a socket be bound to it.
fn is_local(address: Ipv4Addr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::{Frontend, NodePort};

    fn address(text: &str) -> SocketAddrV4 {
        text.parse().unwrap()
    }

    #[test]
    fn flows_to_former_endpoints_are_stale_and_others_are_not() {
        let front = Frontend { ip: "10.96.0.10".parse().unwrap(), protocol: Protocol::Udp, port: 53 };
        let tcp = Frontend { protocol: Protocol::Tcp, port: 80, ..front };
        let port = NodePort { protocol: Protocol::Udp, port: 30053 };
        let mut rules = Ruleset::default();
        for slot in [Slot::Endpoint(front, 0), Slot::NodePortEndpoint(port, 0), Slot::Endpoint(tcp, 0)] {
            rules.elements.insert(slot, Value::Endpoint(address("10.244.0.5:53")));
        }
        let served = Served::new(&rules);
        let stale = |destination: &str, answerer: &str| {
            let flow = Flow { destination: address(destination), answerer: address(answerer) };
            served.is_stale(&flow, |ip| ip == Ipv4Addr::new(10, 243, 0, 11))
        };
        assert!(!stale("10.96.0.10:53", "10.244.0.5:53"));
        assert!(stale("10.96.0.10:53", "10.244.0.9:53"));
        // Sent before there was an endpoint: not translated at all.
        assert!(stale("10.96.0.10:53", "10.96.0.10:53"));
        assert!(stale("10.243.0.11:30053", "10.244.0.9:53"));
        // Somebody else's port of the same number, and what is no UDP service.
        assert!(!stale("192.0.2.1:30053", "192.0.2.1:30053"));
        assert!(!stale("10.96.0.10:80", "10.244.0.9:80"));
    }
}
