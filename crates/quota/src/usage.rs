//! What an object uses of its namespace's quotas, by the names that quotas give to resources.

use gantry_api::core::v1::{PersistentVolumeClaim, Pod, Service};
use gantry_api::scalars::Quantity;
use gantry_api::{Kind, Object};
use jiff::Timestamp;

use crate::amounts::{Amounts, add};
use crate::pod::{Side, total_with_overhead};

/// Resources of pods that quotas name alone or behind `requests.` and `limits.`.
const COMPUTE: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
const HUGE_PAGES: &str = "hugepages-";
const REQUESTS: &str = "requests.";
const LIMITS: &str = "limits.";
const STORAGE: &str = "requests.storage";
const CLAIMS: &str = "persistentvolumeclaims";
const OF_CLASS: &str = ".storageclass.storage.k8s.io/";
/// Kinds that quotas also count by their plain plural name.
const COUNTED_BY_NAME: [&str; 4] = ["configmaps", "replicationcontrollers", "resourcequotas", "secrets"];

/// What an object uses.
#[must_use]
pub fn of(object: &dyn Object, now: Timestamp) -> Amounts {
    let kind = object.kind();
    let mut used = Amounts::from([(count_name(kind), one())]);
    if let Some(pod) = object.downcast_ref::<Pod>() {
        if occupies(pod, now) {
            pod_usage(pod, &mut used);
        }
    } else if let Some(service) = object.downcast_ref::<Service>() {
        service_usage(service, &mut used);
    } else if let Some(claim) = object.downcast_ref::<PersistentVolumeClaim>() {
        claim_usage(claim, &mut used);
    } else if counted_by_name(kind) {
        used.insert(kind.plural.to_owned(), one());
    }
    used
}

/// Whether objects of the kind use the resource.
#[must_use]
pub fn measures(kind: &Kind, resource: &str) -> bool {
    if resource == count_name(kind) {
        return true;
    }
    match (kind.group, kind.plural) {
        ("", "pods") => {
            let computes = |name: &str| COMPUTE.contains(&name) || name.starts_with(HUGE_PAGES);
            resource == "pods"
                || computes(resource)
                || resource.strip_prefix(LIMITS).is_some_and(|name| COMPUTE.contains(&name))
                || resource.strip_prefix(REQUESTS).is_some_and(|name| computes(name) || is_extended(name))
        }
        ("", "services") => {
            matches!(resource, "services" | "services.nodeports" | "services.loadbalancers")
        }
        ("", CLAIMS) => {
            let rest = resource.split_once(OF_CLASS).map_or(resource, |(_, rest)| rest);
            matches!(rest, CLAIMS | STORAGE)
        }
        _ => counted_by_name(kind) && resource == kind.plural,
    }
}

/// What the containers of a pod must say, each for itself, if a quota limits one of `resources`: which they are.
#[must_use]
pub fn unsaid<'a>(pod: &Pod, resources: impl IntoIterator<Item = &'a String>) -> Vec<(&'a str, Vec<String>)> {
    let Some(spec) = &pod.spec else { return Vec::new() };
    let mut unsaid = Vec::new();
    for resource in resources {
        let (side, name) = match (resource.strip_prefix(REQUESTS), resource.strip_prefix(LIMITS)) {
            (Some(name), _) => (Side::Requests, name),
            (_, Some(name)) => (Side::Limits, name),
            _ => (Side::Requests, resource.as_str()),
        };
        if !matches!(name, "cpu" | "memory") || side.of(spec.resources.as_ref()).contains_key(name) {
            continue;
        }
        let containers = spec.containers.iter().chain(&spec.init_containers);
        let silent = containers.filter(|container| !side.of(container.resources.as_ref()).contains_key(name));
        let mut names: Vec<String> = silent.map(|container| container.name.clone()).collect();
        names.sort_unstable();
        if !names.is_empty() {
            unsaid.push((resource.as_str(), names));
        }
    }
    unsaid
}

/// `count/pods`, `count/deployments.apps`.
fn count_name(kind: &Kind) -> String {
    let dot = if kind.group.is_empty() { "" } else { "." };
    format!("count/{}{dot}{}", kind.plural, kind.group)
}

fn counted_by_name(kind: &Kind) -> bool {
    kind.group.is_empty() && COUNTED_BY_NAME.contains(&kind.plural)
}

/// An extended resource has a domain of its own.
fn is_extended(name: &str) -> bool {
    name.contains('/') && !name.contains("kubernetes.io/")
}

/// Whether a pod still takes something: it has not finished, and is not long past its end.
fn occupies(pod: &Pod, now: Timestamp) -> bool {
    let phase = pod.status.as_ref().map(|status| status.phase.as_str());
    if matches!(phase, Some("Succeeded" | "Failed")) {
        return false;
    }
    let meta = pod.metadata.as_ref();
    let deleted = meta.and_then(|meta| meta.deletion_timestamp).and_then(|time| time.timestamp());
    let grace = meta.and_then(|meta| meta.deletion_grace_period_seconds);
    match (deleted, grace) {
        (Some(deleted), Some(_)) => now <= deleted,
        _ => true,
    }
}

fn pod_usage(pod: &Pod, used: &mut Amounts) {
    used.insert("pods".to_owned(), one());
    let Some(spec) = &pod.spec else { return };
    for (name, amount) in total_with_overhead(spec, Side::Requests) {
        if COMPUTE.contains(&name.as_str()) || name.starts_with(HUGE_PAGES) {
            used.insert(format!("{REQUESTS}{name}"), amount.clone());
            used.insert(name, amount);
        } else if is_extended(&name) {
            used.insert(format!("{REQUESTS}{name}"), amount);
        }
    }
    for (name, amount) in total_with_overhead(spec, Side::Limits) {
        if COMPUTE.contains(&name.as_str()) {
            used.insert(format!("{LIMITS}{name}"), amount);
        }
    }
}

fn service_usage(service: &Service, used: &mut Amounts) {
    let spec = service.spec.as_ref();
    let kind = spec.map(|spec| spec.r#type.as_str()).unwrap_or_default();
    let ports = spec.map(|spec| spec.ports.as_slice()).unwrap_or_default();
    let all = ports.len();
    let node_ports = match kind {
        "NodePort" => all,
        "LoadBalancer" if spec.and_then(|spec| spec.allocate_load_balancer_node_ports) != Some(false) => all,
        "LoadBalancer" => ports.iter().filter(|port| port.node_port != 0).count(),
        _ => 0,
    };
    used.insert("services".to_owned(), one());
    used.insert("services.nodeports".to_owned(), count(node_ports));
    used.insert("services.loadbalancers".to_owned(), count(usize::from(kind == "LoadBalancer")));
}

fn claim_usage(claim: &PersistentVolumeClaim, used: &mut Amounts) {
    let spec = claim.spec.as_ref();
    let mut mine = Amounts::from([(CLAIMS.to_owned(), one())]);
    let resources = spec.and_then(|spec| spec.resources.as_ref());
    if let Some(size) = resources.and_then(|resources| resources.requests.get("storage")) {
        // Where the volume is larger than what is asked for now, that is what is taken.
        let allocated = claim.status.as_ref().and_then(|status| status.allocated_resources.get("storage"));
        let larger =
            allocated.filter(|allocated| allocated.compare(size) == Some(std::cmp::Ordering::Greater));
        mine.insert(STORAGE.to_owned(), larger.unwrap_or(size).clone());
    }
    if let Some(class) =
        spec.and_then(|spec| spec.storage_class_name.as_deref()).filter(|class| !class.is_empty())
    {
        let of_class = mine.iter().map(|(name, amount)| (format!("{class}{OF_CLASS}{name}"), amount.clone()));
        used.extend(of_class.collect::<Vec<_>>());
    }
    add(used, &mine);
}

fn one() -> Quantity {
    count(1)
}

fn count(number: usize) -> Quantity {
    Quantity::from_units(i64::try_from(number).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use gantry_api::apps::v1::Deployment;
    use gantry_api::core::v1::Secret;
    use serde_json::json;

    use super::*;
    use crate::amounts::describe;

    fn now() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    fn pod(phase: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "a"},
            "spec": {"containers": [{"name": "main", "resources": {
                "requests": {"cpu": "1", "example.com/gpu": "2", "hugepages-2Mi": "4Mi"}, "limits": {"memory": "1Gi"}
            }}]},
            "status": {"phase": phase}
        }))
        .unwrap()
    }

    #[test]
    fn pods_use_what_they_ask_for_until_they_end() {
        assert_eq!(
            describe(&of(&pod("Running"), now())),
            "count/pods=1,cpu=1,hugepages-2Mi=4Mi,limits.memory=1Gi,pods=1,requests.cpu=1,\
             requests.example.com/gpu=2,requests.hugepages-2Mi=4Mi"
        );
        assert_eq!(describe(&of(&pod("Failed"), now())), "count/pods=1");
        let mut late = pod("Running");
        let meta = late.metadata.get_or_insert_default();
        meta.deletion_grace_period_seconds = Some(30);
        meta.deletion_timestamp = serde_json::from_value(json!("2025-12-31T23:59:59Z")).unwrap();
        assert_eq!(describe(&of(&late, now())), "count/pods=1");
    }

    #[test]
    fn services_claims_and_others_are_counted() {
        let service: Service = serde_json::from_value(json!({
            "spec": {"type": "LoadBalancer", "ports": [{"port": 1}, {"port": 2}]}
        }))
        .unwrap();
        let used = describe(&of(&service, now()));
        assert_eq!(used, "count/services=1,services=1,services.loadbalancers=1,services.nodeports=2");
        let claim: PersistentVolumeClaim = serde_json::from_value(json!({
            "spec": {"storageClassName": "fast", "resources": {"requests": {"storage": "1Gi"}}}
        }))
        .unwrap();
        assert_eq!(
            describe(&of(&claim, now())),
            "count/persistentvolumeclaims=1,fast.storageclass.storage.k8s.io/persistentvolumeclaims=1,\
             fast.storageclass.storage.k8s.io/requests.storage=1Gi,persistentvolumeclaims=1,requests.storage=1Gi"
        );
        assert_eq!(describe(&of(&Secret::default(), now())), "count/secrets=1,secrets=1");
        assert_eq!(describe(&of(&Deployment::default(), now())), "count/deployments.apps=1");
    }

    #[test]
    fn whatever_is_used_is_measured() {
        let service = json!({"spec": {"type": "NodePort", "ports": [{"port": 1}]}});
        let claim = json!({"spec": {"storageClassName": "c", "resources": {"requests": {"storage": "1"}}}});
        let objects: [Box<dyn Object>; 4] = [
            Box::new(pod("Running")),
            Box::new(serde_json::from_value::<Service>(service).unwrap()),
            Box::new(serde_json::from_value::<PersistentVolumeClaim>(claim).unwrap()),
            Box::new(Secret::default()),
        ];
        for object in &objects {
            for resource in of(&**object, now()).keys() {
                assert!(measures(object.kind(), resource), "{resource}");
            }
        }
        for resource in ["count/pods", "secrets", "storage", "requests.storage2", "limits.example.com/gpu"] {
            assert!(!measures(<Service as gantry_api::Resource>::kind(), resource), "{resource}");
        }
    }
}
