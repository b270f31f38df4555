//! The wanted rules, as a function of services and endpoints. No input or output happens here.

use std::net::SocketAddrV4;

use sha2::{Digest as _, Sha256};

use crate::{
    model::{Cluster, Endpoint, ServicePort, Snapshot},
    ruleset::{Chain, Client, Entry, Frontend, INSIDE, NodePort, Ruleset, Slot, Sticky, Value},
};

/// Computes the rules that make every service of the snapshot reachable.
pub fn desired(snapshot: &Snapshot, cluster: &Cluster) -> Ruleset {
    let mut rules = Ruleset { pod_range: cluster.pod_range, ..Ruleset::default() };
    for (name, service) in &snapshot.services {
        let endpoints = snapshot.endpoints.get(name).map(Vec::as_slice).unwrap_or_default();
        add_service(&mut rules, service, endpoints);
    }
    rules
}

/// The endpoints that new connections may go to: the ready ones; while there is none of them, those that are
/// terminating but still serve. Losing requests is worse than using an endpoint that is about to go.
fn usable<'a>(candidates: impl Iterator<Item = &'a Endpoint> + Clone) -> Vec<SocketAddrV4> {
    let ready: Vec<_> =
        candidates.clone().filter(|endpoint| endpoint.ready).map(|endpoint| endpoint.address).collect();
    if !ready.is_empty() {
        return ready;
    }
    candidates
        .filter(|endpoint| endpoint.serving && endpoint.terminating)
        .map(|endpoint| endpoint.address)
        .collect()
}

/// Endpoints for one kind of client, and what to do when there are none.
struct Choice {
    endpoints: Vec<SocketAddrV4>,
    /// What clients inside of the cluster choose from instead, where that differs.
    inside: Vec<SocketAddrV4>,
    otherwise: Value,
}

fn choice(endpoints: &[Endpoint], local_only: bool) -> Choice {
    let all = usable(endpoints.iter());
    if !local_only {
        return Choice { endpoints: all, inside: Vec::new(), otherwise: Value::Reject };
    }
    let here = usable(endpoints.iter().filter(|endpoint| endpoint.local));
    // Where endpoints exist elsewhere the packet is dropped, as upstream does: clients retry and reach
    // another node.
    let otherwise = if all.is_empty() { Value::Reject } else { Value::Drop };
    Choice { endpoints: here, inside: Vec::new(), otherwise }
}

fn add_service(rules: &mut Ruleset, service: &ServicePort, endpoints: &[Endpoint]) {
    let internal = choice(endpoints, service.internal_local);
    let external = choice(endpoints, service.external_local);
    let inside = if service.external_local { usable(endpoints.iter()) } else { Vec::new() };
    let all = u32::try_from(inside.len()).unwrap_or(u32::MAX);
    let client = if service.external_local { Client::Kept { all } } else { Client::External };
    let external = Choice { inside, ..external };
    for ip in &service.cluster_ips {
        rules.elements.insert(Slot::ClusterIp(*ip), Value::Member);
        let target = Target::Address(frontend(service, *ip));
        add_target(rules, service, target, Client::Cluster, &internal);
    }
    for ip in &service.external_ips {
        add_target(rules, service, Target::Address(frontend(service, *ip)), client, &external);
    }
    if let Some(port) = service.node_port {
        let target = Target::NodePort(NodePort { protocol: service.protocol, port });
        add_target(rules, service, target, client, &external);
    }
    let hairpins = endpoints.iter().filter(|endpoint| endpoint.local);
    rules.elements.extend(hairpins.map(|endpoint| (Slot::Hairpin(*endpoint.address.ip()), Value::Member)));
}

fn frontend(service: &ServicePort, ip: std::net::Ipv4Addr) -> Frontend {
    Frontend { ip, protocol: service.protocol, port: service.port }
}

/// A place at which a service is reached.
#[derive(Debug, Clone, Copy)]
enum Target {
    Address(Frontend),
    NodePort(NodePort),
}

impl Target {
    fn slot(self) -> Slot {
        match self {
            Self::Address(front) => Slot::Service(front),
            Self::NodePort(port) => Slot::NodePort(port),
        }
    }

    fn endpoint(self, number: u32) -> Slot {
        match self {
            Self::Address(front) => Slot::Endpoint(front, number),
            Self::NodePort(port) => Slot::NodePortEndpoint(port, number),
        }
    }

    fn no_endpoint(self) -> Slot {
        match self {
            Self::Address(front) => Slot::NoEndpoint(front),
            Self::NodePort(port) => Slot::NoEndpointNodePort(port),
        }
    }

    fn entry(self) -> Entry {
        match self {
            Self::Address(_) => Entry::Address,
            Self::NodePort(_) => Entry::NodePort,
        }
    }
}

fn add_target(rules: &mut Ruleset, service: &ServicePort, target: Target, client: Client, choice: &Choice) {
    // Two services can claim the same external address; the first in the order of names has it.
    if rules.elements.contains_key(&target.slot()) || rules.elements.contains_key(&target.no_endpoint()) {
        return;
    }
    if choice.endpoints.is_empty() {
        rules.elements.insert(target.no_endpoint(), choice.otherwise);
        if choice.inside.is_empty() {
            return;
        }
    }
    if let Some(timeout) = service.affinity.filter(|_| !choice.endpoints.is_empty()) {
        let id = sticky_id(target, timeout);
        let sticky = Sticky { client, timeout, endpoints: choice.endpoints.clone() };
        rules.sticky.insert(id, sticky);
        rules.elements.insert(target.slot(), Value::Goto(Chain::Sticky(id)));
        return;
    }
    let mut count = 0;
    for (number, address) in (0..).zip(&choice.endpoints) {
        rules.elements.insert(target.endpoint(number), Value::Endpoint(*address));
        count = number + 1;
    }
    for (number, address) in (INSIDE..).zip(&choice.inside) {
        rules.elements.insert(target.endpoint(number), Value::Endpoint(*address));
    }
    let chain = Chain::Draw { client, entry: target.entry(), protocol: service.protocol, count };
    rules.elements.insert(target.slot(), Value::Goto(chain));
}

/// The same frontend has the same chain, across restarts and whatever its endpoints are. The timeout counts
/// because it is a property of the sets of clients.
fn sticky_id(target: Target, timeout: u32) -> u64 {
    let slot = target.slot();
    let digest = Sha256::digest(format!("{} {slot} {timeout}", slot.container()));
    digest.iter().take(8).fold(0, |id, byte| id << 8 | u64::from(*byte))
}
