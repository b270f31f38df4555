use gantry_api::core::v1::ContainerPort;

use super::{Candidate, Rejection};
use crate::pod::Pod;
use crate::snapshot::NodeInfo;

/// Two pods cannot have the same port of a node.
pub(super) fn host_ports(candidate: &Candidate<'_>, node: &NodeInfo) -> Vec<Rejection> {
    let wanted = ports(candidate.pod);
    if wanted.is_empty() {
        return Vec::new();
    }
    for other in node.pods.values() {
        for taken in ports(&other.pod) {
            if let Some(port) = wanted.iter().find(|port| conflict(port, taken)) {
                let detail =
                    format!("port {} is taken by pod {}", port.host_port, crate::snapshot::key(&other.pod));
                return vec![Rejection::new(
                    "node(s) didn't have free ports for the requested pod ports",
                    detail,
                )];
            }
        }
    }
    Vec::new()
}

fn ports(pod: &Pod) -> Vec<&ContainerPort> {
    let containers = pod.spec.iter().flat_map(|spec| spec.containers.iter().chain(&spec.init_containers));
    containers.flat_map(|container| &container.ports).filter(|port| port.host_port > 0).collect()
}

fn conflict(a: &ContainerPort, b: &ContainerPort) -> bool {
    let any = |ip: &str| ip.is_empty() || ip == "0.0.0.0" || ip == "::";
    let protocol = |port: &ContainerPort| {
        if port.protocol.is_empty() { "TCP".to_owned() } else { port.protocol.clone() }
    };
    a.host_port == b.host_port
        && protocol(a) == protocol(b)
        && (any(&a.host_ip) || any(&b.host_ip) || a.host_ip == b.host_ip)
}
