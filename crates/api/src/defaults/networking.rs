//! Ingresses, their classes, and network policies.

use crate::networking::v1::{Ingress, IngressClass, NetworkPolicy, ServiceCidr};

/// An ingress shows its addresses, also where it has none.
pub(crate) fn ingress(ingress: &mut Ingress) {
    ingress.spec.get_or_insert_default();
    ingress.status.get_or_insert_default().load_balancer.get_or_insert_default();
}

pub(crate) fn ingress_class(class: &mut IngressClass) {
    if let Some(parameters) = &mut class.spec.get_or_insert_default().parameters {
        parameters.scope.get_or_insert_with(|| "Cluster".to_owned());
    }
}

pub(crate) fn network_policy(policy: &mut NetworkPolicy) {
    let spec = policy.spec.get_or_insert_default();
    spec.pod_selector.get_or_insert_default();
    let ports = spec.ingress.iter_mut().flat_map(|rule| &mut rule.ports);
    for port in ports.chain(spec.egress.iter_mut().flat_map(|rule| &mut rule.ports)) {
        port.protocol.get_or_insert_with(|| "TCP".to_owned());
    }
    if spec.policy_types.is_empty() {
        spec.policy_types.push("Ingress".to_owned());
        if !spec.egress.is_empty() {
            spec.policy_types.push("Egress".to_owned());
        }
    }
}

pub(crate) fn service_cidr(ranges: &mut ServiceCidr) {
    ranges.spec.get_or_insert_default();
    ranges.status.get_or_insert_default();
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_policy_is_about_what_it_has_rules_for() {
        let of = |spec: Value| {
            let mut policy: NetworkPolicy = serde_json::from_value(json!({ "spec": spec })).unwrap();
            network_policy(&mut policy);
            serde_json::to_value(policy).unwrap()["spec"].take()
        };
        assert_eq!(of(json!({})), json!({ "podSelector": {}, "policyTypes": ["Ingress"] }));
        let both = of(json!({ "egress": [{ "ports": [{ "port": 53 }, { "protocol": "UDP" }] }] }));
        assert_eq!(both["policyTypes"], json!(["Ingress", "Egress"]));
        assert_eq!(
            both["egress"][0]["ports"],
            json!([{ "port": 53, "protocol": "TCP" }, { "protocol": "UDP" }])
        );
        assert_eq!(of(json!({ "policyTypes": ["Egress"] }))["policyTypes"], json!(["Egress"]));
    }

    #[test]
    fn parameters_are_the_clusters() {
        let mut class: IngressClass =
            serde_json::from_value(json!({ "spec": { "parameters": { "name": "a" } } })).unwrap();
        ingress_class(&mut class);
        assert_eq!(class.spec.unwrap().parameters.unwrap().scope.as_deref(), Some("Cluster"));
    }

    #[test]
    fn an_ingress_shows_its_addresses() {
        let mut new = Ingress::default();
        ingress(&mut new);
        assert_eq!(
            serde_json::to_value(new).unwrap(),
            json!({ "spec": {}, "status": { "loadBalancer": {} } })
        );
    }
}
