//! Services and their endpoints.

use super::text;
use crate::core::v1::{ClientIpConfig, Endpoints, Service, SessionAffinityConfig};
use crate::discovery::v1::EndpointSlice;
use crate::scalars::IntOrString;

/// Three hours.
const AFFINITY_SECONDS: i32 = 10_800;

/// A service. Its addresses and node ports are allocated by the server, not here.
pub(crate) fn service(service: &mut Service) {
    let spec = service.spec.get_or_insert_default();
    text(&mut spec.session_affinity, "None");
    match spec.session_affinity.as_str() {
        "None" => spec.session_affinity_config = None,
        "ClientIP" => {
            let config: &mut SessionAffinityConfig = spec.session_affinity_config.get_or_insert_default();
            let client: &mut ClientIpConfig = config.client_ip.get_or_insert_default();
            client.timeout_seconds.get_or_insert(AFFINITY_SECONDS);
        }
        _ => {}
    }
    text(&mut spec.r#type, "ClusterIP");
    for port in &mut spec.ports {
        text(&mut port.protocol, "TCP");
        if port.target_port.as_ref().is_none_or(IntOrString::is_zero) {
            port.target_port = Some(port.port.into());
        }
    }
    let kind = spec.r#type.as_str();
    let from_outside = matches!(kind, "NodePort" | "LoadBalancer");
    if from_outside || kind == "ClusterIP" && !spec.external_ips.is_empty() {
        text(&mut spec.external_traffic_policy, "Cluster");
    }
    if from_outside || kind == "ClusterIP" {
        spec.internal_traffic_policy.get_or_insert_with(|| "Cluster".to_owned());
    }
    if kind == "LoadBalancer" {
        spec.allocate_load_balancer_node_ports.get_or_insert(true);
    }
}

pub(crate) fn endpoints(endpoints: &mut Endpoints) {
    for port in endpoints.subsets.iter_mut().flat_map(|subset| &mut subset.ports) {
        text(&mut port.protocol, "TCP");
    }
}

pub(crate) fn endpoint_slice(slice: &mut EndpointSlice) {
    for port in &mut slice.ports {
        port.name.get_or_insert_default();
        port.protocol.get_or_insert_with(|| "TCP".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn defaulted(spec: serde_json::Value) -> serde_json::Value {
        let mut service: Service = serde_json::from_value(json!({ "spec": spec })).unwrap();
        super::service(&mut service);
        let once = service.clone();
        super::service(&mut service);
        assert_eq!(service, once, "not idempotent");
        serde_json::to_value(service).unwrap()["spec"].take()
    }

    #[test]
    fn a_minimal_service_is_completed() {
        let spec = defaulted(json!({ "ports": [{ "port": 80 }, { "port": 81, "targetPort": "http" }] }));
        assert_eq!(
            spec,
            json!({
                "type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster",
                "ports": [
                    { "port": 80, "protocol": "TCP", "targetPort": 80 },
                    { "port": 81, "protocol": "TCP", "targetPort": "http" },
                ],
            })
        );
    }

    #[test]
    fn types_differ() {
        let node_port = defaulted(json!({ "type": "NodePort", "ports": [] }));
        assert_eq!(node_port["externalTrafficPolicy"], "Cluster");
        let balanced = defaulted(json!({ "type": "LoadBalancer" }));
        assert_eq!(balanced["allocateLoadBalancerNodePorts"], true);
        let alias = defaulted(json!({ "type": "ExternalName", "externalName": "example.com" }));
        assert_eq!(alias.get("internalTrafficPolicy"), None);
        let sticky = defaulted(json!({ "sessionAffinity": "ClientIP" }));
        assert_eq!(sticky["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"], 10800);
    }
}
