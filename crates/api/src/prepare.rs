//! What the server itself writes into a new or changed object, whatever the client sent.

pub(crate) mod definition;
pub(crate) mod job;

use std::collections::BTreeMap;

use crate::Resource as _;
use crate::core::v1::{
    Container, Namespace, NamespaceStatus, PersistentVolume, PersistentVolumeClaim,
    PersistentVolumeClaimStatus, PersistentVolumeStatus, Pod, PodSpec, PodStatus, Service, ServiceSpec,
};
use crate::scalars::Quantity;

const PENDING: &str = "Pending";
/// The finalizer that the namespace controller removes once nothing is left in the namespace.
const NAMESPACE_FINALIZER: &str = "kubernetes";

/// A new pod is pending; how well it is served follows from its resources.
pub(crate) fn pod(pod: &mut Pod) {
    let qos_class = pod.spec.as_ref().map(qos_class).unwrap_or_default().to_owned();
    pod.status = Some(PodStatus { phase: PENDING.to_owned(), qos_class, ..PodStatus::default() });
}

pub(crate) fn namespace(namespace: &mut Namespace) {
    namespace.status = Some(NamespaceStatus { phase: "Active".to_owned(), ..NamespaceStatus::default() });
    let finalizers = &mut namespace.spec.get_or_insert_default().finalizers;
    if !finalizers.iter().any(|finalizer| finalizer == NAMESPACE_FINALIZER) {
        finalizers.push(NAMESPACE_FINALIZER.to_owned());
    }
}

pub(crate) fn persistent_volume(volume: &mut PersistentVolume) {
    volume.status =
        Some(PersistentVolumeStatus { phase: PENDING.to_owned(), ..PersistentVolumeStatus::default() });
}

pub(crate) fn claim(claim: &mut PersistentVolumeClaim) {
    let status =
        PersistentVolumeClaimStatus { phase: PENDING.to_owned(), ..PersistentVolumeClaimStatus::default() };
    claim.status = Some(status);
}

/// A service keeps what was allocated for it where the client leaves it open, as clients do that apply a file.
pub(crate) fn service_update(new: &mut Service, old: &Service) {
    new.copy_status_from(old);
    let (Some(new), Some(old)) = (&mut new.spec, &old.spec) else { return };
    let has_address =
        |spec: &ServiceSpec| matches!(spec.r#type.as_str(), "ClusterIP" | "NodePort" | "LoadBalancer");
    if has_address(new) && has_address(old) {
        if new.cluster_ip.is_empty() {
            new.cluster_ip.clone_from(&old.cluster_ip);
        }
        if new.cluster_ips.is_empty() && new.cluster_ip == old.cluster_ip {
            new.cluster_ips.clone_from(&old.cluster_ips);
        }
        if new.ip_families.is_empty() {
            new.ip_families.clone_from(&old.ip_families);
        }
        if new.ip_family_policy.is_none() {
            new.ip_family_policy.clone_from(&old.ip_family_policy);
        }
    }
    let has_node_ports = |spec: &ServiceSpec| matches!(spec.r#type.as_str(), "NodePort" | "LoadBalancer");
    if has_node_ports(new) && has_node_ports(old) {
        keep_node_ports(new, old);
    }
}

fn keep_node_ports(new: &mut ServiceSpec, old: &ServiceSpec) {
    for before in old.ports.iter().filter(|port| port.node_port != 0) {
        let taken =
            new.ports.iter().any(|p| p.protocol == before.protocol && p.node_port == before.node_port);
        let same = |port: &&mut crate::core::v1::ServicePort| {
            port.node_port == 0 && port.protocol == before.protocol && port.port == before.port
        };
        if let Some(port) = new.ports.iter_mut().find(same).filter(|_| !taken) {
            port.node_port = before.node_port;
        }
    }
    let local = |spec: &ServiceSpec| spec.external_traffic_policy == "Local";
    if new.health_check_node_port == 0 && local(new) && local(old) {
        new.health_check_node_port = old.health_check_node_port;
    }
}

/// The quality of service: `Guaranteed` where every container's limits are its requests, `BestEffort` where there
/// are none at all, else `Burstable`.
pub(crate) fn qos_class(spec: &PodSpec) -> &'static str {
    let mut any = false;
    let mut guaranteed = true;
    for container in spec.containers.iter().chain(&spec.init_containers) {
        let (limits, requests) = amounts(container);
        any |= !limits.is_empty() || !requests.is_empty();
        let full = |name: &&str| {
            limits.contains_key(name) && requests.get(name).is_none_or(|r| Some(r) == limits.get(name))
        };
        guaranteed &= ["cpu", "memory"].iter().all(full);
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

type Amounts<'a> = BTreeMap<&'a str, i128>;

/// Limits and requests of CPU and memory, where they are above zero.
fn amounts(container: &Container) -> (Amounts<'_>, Amounts<'_>) {
    let above_zero = |list: &'_ BTreeMap<String, Quantity>| {
        let compute = |name: &str| matches!(name, "cpu" | "memory");
        list.iter()
            .filter(|(name, _)| compute(name))
            .filter_map(|(name, amount)| {
                Some((name.as_str(), amount.nanos().ok().filter(|nanos| *nanos > 0)?))
            })
            .map(|(name, nanos)| (if name == "cpu" { "cpu" } else { "memory" }, nanos))
            .collect::<Amounts<'static>>()
    };
    let Some(resources) = &container.resources else { return Default::default() };
    (above_zero(&resources.limits), above_zero(&resources.requests))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn class(containers: Value) -> &'static str {
        qos_class(&serde_json::from_value(json!({ "containers": containers })).unwrap())
    }

    #[test]
    fn quality_follows_from_resources() {
        let full = json!({ "resources": { "limits": { "cpu": "1", "memory": "1Gi" }, "requests": { "cpu": "1000m", "memory": "1Gi" } } });
        let part = json!({ "resources": { "requests": { "cpu": "1" } } });
        assert_eq!(class(json!([{}])), "BestEffort");
        assert_eq!(class(json!([full])), "Guaranteed");
        assert_eq!(class(json!([part])), "Burstable");
        assert_eq!(class(json!([full, {}])), "Burstable");
        assert_eq!(class(json!([{ "resources": { "limits": { "cpu": "0" } } }])), "BestEffort");
    }

    #[test]
    fn a_client_does_not_choose_the_status() {
        let mut new: Pod =
            serde_json::from_value(json!({ "spec": {}, "status": { "phase": "Running" } })).unwrap();
        pod(&mut new);
        let status = new.status.unwrap();
        assert_eq!((status.phase.as_str(), status.qos_class.as_str()), ("Pending", "BestEffort"));
        let mut new = Namespace::default();
        namespace(&mut new);
        namespace(&mut new);
        assert_eq!(new.spec.unwrap().finalizers, ["kubernetes"]);
    }

    #[test]
    fn a_service_keeps_its_allocations() {
        let of = |spec: Value| -> Service { serde_json::from_value(json!({ "spec": spec })).unwrap() };
        let old = of(json!({
            "type": "NodePort", "clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7"], "ipFamilies": ["IPv4"],
            "ports": [{ "port": 80, "protocol": "TCP", "nodePort": 30080 }],
        }));
        let mut applied = of(json!({ "type": "NodePort", "ports": [{ "port": 80, "protocol": "TCP" }] }));
        service_update(&mut applied, &old);
        assert_eq!(applied, old);
        let mut moved = of(json!({ "type": "NodePort", "ports": [{ "port": 81, "protocol": "TCP" }] }));
        service_update(&mut moved, &old);
        assert_eq!(moved.spec.unwrap().ports[0].node_port, 0);
    }
}
