//! One endpoint: what a Service's slices say about a pod.

use std::collections::HashMap;

use gantry_api::Resource;
use gantry_api::core::v1::{ObjectReference, Service, ServicePort};
use gantry_api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort};
use gantry_client::PodExt;

use crate::pod::Pod;

/// Whether a pod has a place in slices: it has an address, and its containers have not ended for good. A pod that is
/// being deleted keeps its place until then, because connections may still be open.
pub(crate) fn has_place(pod: &Pod) -> bool {
    !pod.is_finished() && !address(pod).is_empty()
}

/// Whether slices may say something else about `new` than about `old`.
pub(crate) fn differs(old: &Pod, new: &Pod) -> bool {
    let facts = |pod: &Pod| {
        (
            pod.is_ready(),
            pod.is_finished(),
            pod.is_terminating(),
            pod.node_name().to_owned(),
            pod.status.as_ref().map(|status| status.pod_ips.clone()),
            address(pod).to_owned(),
        )
    };
    facts(old) != facts(new)
        || old.meta().labels != new.meta().labels
        || old.spec.as_ref().map(|spec| &spec.containers) != new.spec.as_ref().map(|spec| &spec.containers)
}

fn address(pod: &Pod) -> &str {
    pod.status.as_ref().map_or("", |status| &status.pod_ip)
}

/// The pod's addresses of a family.
pub(super) fn addresses(pod: &Pod, family: &str) -> Vec<String> {
    let Some(status) = &pod.status else { return Vec::new() };
    let of_family = |ip: &&str| ip.contains(':') == (family == "IPv6");
    let all = status.pod_ips.iter().map(|ip| ip.ip.as_str());
    let first = status.pod_ips.is_empty().then_some(status.pod_ip.as_str());
    all.chain(first).filter(|ip| !ip.is_empty()).filter(of_family).map(ToOwned::to_owned).collect()
}

/// The endpoint of a pod.
pub(crate) fn endpoint(
    service: &Service,
    pod: &Pod,
    family: &str,
    zones: &HashMap<String, String>,
) -> Endpoint {
    let serving = pod.is_ready();
    let terminating = pod.is_terminating();
    let publish = service.spec.as_ref().is_some_and(|spec| spec.publish_not_ready_addresses);
    let spec = pod.spec.as_ref();
    let hostname = spec
        .filter(|spec| !spec.hostname.is_empty() && spec.subdomain == service.name())
        .map(|spec| spec.hostname.clone());
    Endpoint {
        addresses: addresses(pod, family),
        conditions: Some(EndpointConditions {
            ready: Some(publish || (serving && !terminating)),
            serving: Some(serving),
            terminating: Some(terminating),
        }),
        hostname,
        target_ref: Some(ObjectReference {
            kind: "Pod".to_owned(),
            namespace: pod.namespace().to_owned(),
            name: pod.name().to_owned(),
            uid: pod.meta().uid.clone(),
            ..ObjectReference::default()
        }),
        node_name: (!pod.node_name().is_empty()).then(|| pod.node_name().to_owned()),
        zone: zones.get(pod.node_name()).cloned(),
        ..Endpoint::default()
    }
}

/// The ports of a Service as this pod serves them. A port whose name the pod does not have is left out.
pub(crate) fn ports(service: &Service, pod: &Pod) -> Vec<EndpointPort> {
    let ports = service.spec.as_ref().map(|spec| spec.ports.as_slice()).unwrap_or_default();
    ports
        .iter()
        .filter_map(|port| {
            Some(EndpointPort {
                name: Some(port.name.clone()),
                protocol: Some(protocol(&port.protocol).to_owned()),
                port: Some(number(port, pod)?),
                app_protocol: port.app_protocol.clone(),
            })
        })
        .collect()
}

fn number(port: &ServicePort, pod: &Pod) -> Option<i32> {
    match &port.target_port {
        Some(target) if !target.is_zero() => match target.as_str() {
            Some(name) => pod
                .spec
                .iter()
                .flat_map(|spec| &spec.containers)
                .flat_map(|container| &container.ports)
                .find(|declared| {
                    declared.name == name && protocol(&declared.protocol) == protocol(&port.protocol)
                })
                .map(|declared| declared.container_port),
            None => target.as_int(),
        },
        _ => Some(port.port),
    }
}

fn protocol(name: &str) -> &str {
    if name.is_empty() { "TCP" } else { name }
}
