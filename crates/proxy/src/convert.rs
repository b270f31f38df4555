//! From API objects to the planner's snapshot. What cannot be used is left out, never guessed.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddrV4},
};

use gantry_api::{
    Resource as _,
    core::v1::{self as core, ServiceSpec},
    discovery::v1 as discovery,
};

use crate::model::{Endpoint, PortName, Protocol, ServicePort, Snapshot};

/// The label by which a slice names its service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// Marks services that another proxy serves.
const OTHER_PROXY: &str = "service.kubernetes.io/service-proxy-name";
/// Upstream's default of `sessionAffinityConfig.clientIP.timeoutSeconds`.
const DEFAULT_AFFINITY: u32 = 10_800;

/// Builds the snapshot for the proxy of `node`.
pub fn snapshot<'a>(
    node: &str,
    services: impl IntoIterator<Item = &'a core::Service>,
    slices: impl IntoIterator<Item = &'a discovery::EndpointSlice>,
) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for service in services {
        snapshot.services.extend(service_ports(service));
    }
    for slice in slices {
        add_slice(&mut snapshot.endpoints, node, slice);
    }
    for endpoints in snapshot.endpoints.values_mut() {
        merge(endpoints);
    }
    snapshot
}

/// The same address can be in two slices for a moment while it moves from one to the other, and can be both
/// ready and terminating: the readier entry counts.
fn merge(endpoints: &mut Vec<Endpoint>) {
    endpoints.sort_unstable_by_key(|endpoint| {
        (endpoint.address, !endpoint.ready, !endpoint.serving, endpoint.terminating)
    });
    endpoints.dedup_by_key(|endpoint| endpoint.address);
}

fn service_ports(service: &core::Service) -> Vec<(PortName, ServicePort)> {
    let Some(spec) = &service.spec else { return Vec::new() };
    let cluster_ips = cluster_ips(spec);
    if spec.r#type == "ExternalName"
        || cluster_ips.is_empty()
        || service.meta().labels.contains_key(OTHER_PROXY)
    {
        return Vec::new();
    }
    let external_ips = external_ips(service, spec);
    let affinity = (spec.session_affinity == "ClientIP").then(|| affinity_seconds(spec));
    let ports = spec.ports.iter().filter_map(|port| {
        let name = PortName {
            namespace: service.namespace().to_owned(),
            service: service.name().to_owned(),
            port: port.name.clone(),
        };
        let entry = ServicePort {
            protocol: protocol(&port.protocol)?,
            port: number(port.port)?,
            cluster_ips: cluster_ips.clone(),
            external_ips: external_ips.clone(),
            node_port: number(port.node_port),
            affinity,
            internal_local: spec.internal_traffic_policy.as_deref() == Some("Local"),
            external_local: spec.external_traffic_policy == "Local",
        };
        Some((name, entry))
    });
    ports.collect()
}

fn cluster_ips(spec: &ServiceSpec) -> Vec<Ipv4Addr> {
    let listed = spec.cluster_ips.iter().chain(Some(&spec.cluster_ip)).filter_map(|ip| ip.parse().ok());
    sorted(listed)
}

fn external_ips(service: &core::Service, spec: &ServiceSpec) -> Vec<Ipv4Addr> {
    let ingress = service.status.iter().flat_map(|status| &status.load_balancer).flat_map(|lb| &lb.ingress);
    // With mode Proxy the load balancer is the destination, and packets for it must go there.
    let direct = ingress.filter(|ingress| ingress.ip_mode.as_deref() != Some("Proxy")).map(|point| &point.ip);
    sorted(spec.external_ips.iter().chain(direct).filter_map(|ip| ip.parse().ok()))
}

fn sorted(addresses: impl Iterator<Item = Ipv4Addr>) -> Vec<Ipv4Addr> {
    let mut addresses: Vec<_> = addresses.collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

fn affinity_seconds(spec: &ServiceSpec) -> u32 {
    let configured = spec.session_affinity_config.as_ref().and_then(|config| config.client_ip.as_ref());
    configured
        .and_then(|client| client.timeout_seconds)
        .and_then(|seconds| u32::try_from(seconds).ok())
        .filter(|seconds| *seconds > 0)
        .unwrap_or(DEFAULT_AFFINITY)
}

fn add_slice(
    endpoints: &mut BTreeMap<PortName, Vec<Endpoint>>,
    node: &str,
    slice: &discovery::EndpointSlice,
) {
    let Some(service) = slice.meta().labels.get(SERVICE_NAME) else { return };
    if slice.address_type != "IPv4" {
        return;
    }
    for port in &slice.ports {
        let Some(number) = port.port.and_then(number) else { continue };
        let name = PortName {
            namespace: slice.namespace().to_owned(),
            service: service.clone(),
            port: port.name.clone().unwrap_or_default(),
        };
        let found = slice.endpoints.iter().filter_map(|endpoint| convert(endpoint, number, node));
        endpoints.entry(name).or_default().extend(found);
    }
}

fn convert(endpoint: &discovery::Endpoint, port: u16, node: &str) -> Option<Endpoint> {
    // The addresses of one endpoint are interchangeable; consumers use the first.
    let address: Ipv4Addr = endpoint.addresses.first()?.parse().ok()?;
    let conditions = endpoint.conditions.as_ref();
    // Unknown counts as ready, so that slices of simple controllers work; serving follows ready.
    let ready = conditions.and_then(|conditions| conditions.ready).unwrap_or(true);
    Some(Endpoint {
        address: SocketAddrV4::new(address, port),
        local: endpoint.node_name.as_deref() == Some(node),
        ready,
        serving: conditions.and_then(|conditions| conditions.serving).unwrap_or(ready),
        terminating: conditions.and_then(|conditions| conditions.terminating).unwrap_or(false),
    })
}

fn number(port: i32) -> Option<u16> {
    u16::try_from(port).ok().filter(|port| *port != 0)
}

fn protocol(name: &str) -> Option<Protocol> {
    match name {
        "TCP" | "" => Some(Protocol::Tcp),
        "UDP" => Some(Protocol::Udp),
        "SCTP" => Some(Protocol::Sctp),
        _ => None,
    }
}
