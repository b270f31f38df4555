//! Services and their endpoints.

use jiff::Timestamp;
use serde_json::Value;

use super::{Column, NONE, UNSET, joined, labels, or_none};
use crate::Resource;
use crate::core::v1::{Endpoints, Service, ServiceSpec};
use crate::discovery::v1::EndpointSlice;
use crate::strategy::age;

/// How many endpoints and ports are shown.
const SHOWN: usize = 3;

pub(in crate::strategy) const SERVICE: &[Column] = &[
    Column::NAME,
    Column::new("Type", "string", "How it is reached"),
    Column::new("Cluster-IP", "string", "Its address within the cluster"),
    Column::new("External-IP", "string", "Its addresses outside of the cluster"),
    Column::new("Port(s)", "string", "Its ports, with the node's port behind a colon"),
    Column::AGE,
    Column::wide("Selector", "string", "Which pods serve it"),
];

pub(in crate::strategy) fn service(service: &Service, now: Timestamp) -> Vec<Value> {
    let spec = service.spec.clone().unwrap_or_default();
    let ip = spec.cluster_ips.first().unwrap_or(&spec.cluster_ip);
    vec![
        service.name().into(),
        spec.r#type.as_str().into(),
        or_none(ip),
        external(service, &spec).into(),
        ports(&spec),
        age(Resource::meta(service), now),
        labels(&spec.selector),
    ]
}

fn external(service: &Service, spec: &ServiceSpec) -> String {
    let addresses = spec.external_ips.join(",");
    match spec.r#type.as_str() {
        "ExternalName" => spec.external_name.clone(),
        "LoadBalancer" => {
            let ingress = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
            let ingress = ingress.map(|balancer| balancer.ingress.as_slice()).unwrap_or_default();
            let ingress =
                ingress.iter().map(|i| if i.ip.is_empty() { i.hostname.clone() } else { i.ip.clone() });
            let all: Vec<String> = ingress.chain(spec.external_ips.iter().cloned()).collect();
            if all.is_empty() { "<pending>".to_owned() } else { all.join(",") }
        }
        _ if addresses.is_empty() => NONE.to_owned(),
        _ => addresses,
    }
}

fn ports(spec: &ServiceSpec) -> Value {
    joined(spec.ports.iter().map(|port| match port.node_port {
        0 => format!("{}/{}", port.port, port.protocol),
        node => format!("{}:{node}/{}", port.port, port.protocol),
    }))
}

pub(in crate::strategy) const ENDPOINTS: &[Column] =
    &[Column::NAME, Column::new("Endpoints", "string", "Ready addresses with their ports"), Column::AGE];

pub(in crate::strategy) fn endpoints(endpoints: &Endpoints, now: Timestamp) -> Vec<Value> {
    let mut all = Vec::new();
    for subset in &endpoints.subsets {
        if subset.ports.is_empty() {
            all.extend(subset.addresses.iter().map(|address| address.ip.clone()));
        }
        for port in &subset.ports {
            all.extend(subset.addresses.iter().map(|address| format!("{}:{}", address.ip, port.port)));
        }
    }
    vec![endpoints.name().into(), some(&all, NONE), age(Resource::meta(endpoints), now)]
}

pub(in crate::strategy) const SLICE: &[Column] = &[
    Column::NAME,
    Column::new("AddressType", "string", "What kind of addresses it holds"),
    Column::new("Ports", "string", "The ports of its endpoints"),
    Column::new("Endpoints", "string", "The addresses of its endpoints"),
    Column::AGE,
];

pub(in crate::strategy) fn slice(slice: &EndpointSlice, now: Timestamp) -> Vec<Value> {
    let ports: Vec<String> = slice
        .ports
        .iter()
        .map(|port| match (port.port, port.name.as_deref()) {
            (Some(number), _) => number.to_string(),
            (None, Some(name)) if !name.is_empty() => name.to_owned(),
            _ => "*".to_owned(),
        })
        .collect();
    let addresses: Vec<String> =
        slice.endpoints.iter().flat_map(|endpoint| endpoint.addresses.iter().cloned()).collect();
    vec![
        slice.name().into(),
        slice.address_type.as_str().into(),
        some(&ports, UNSET),
        some(&addresses, UNSET),
        age(Resource::meta(slice), now),
    ]
}

/// The first few items, and how many more there are.
fn some(items: &[String], empty: &str) -> Value {
    if items.is_empty() {
        return empty.into();
    }
    let mut text = items[..items.len().min(SHOWN)].join(",");
    if items.len() > SHOWN {
        text.push_str(&format!(" + {} more...", items.len() - SHOWN));
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn services_show_where_they_are_reached() {
        let object: Service = serde_json::from_value(json!({
            "metadata": {"name": "web"},
            "spec": {"type": "NodePort", "clusterIP": "10.0.0.1", "selector": {"app": "web"},
                     "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]},
        }))
        .unwrap();
        assert_eq!(
            json!(service(&object, Timestamp::UNIX_EPOCH)),
            json!(["web", "NodePort", "10.0.0.1", "<none>", "80:30080/TCP,53/UDP", "<unknown>", "app=web"])
        );
    }

    #[test]
    fn long_lists_are_cut() {
        let items: Vec<String> = (1..=5).map(|i| i.to_string()).collect();
        assert_eq!(some(&items, UNSET), "1,2,3 + 2 more...");
        assert_eq!(some(&[], UNSET), "<unset>");
    }
}
