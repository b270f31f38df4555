//! Services.

use super::{
    common::{Unique, check, enumerated, required, required_enumerated, shown},
    meta, names, pod,
};
use crate::core::v1::{Service, ServicePort, ServiceSpec};
use crate::field::{Error, ErrorList, Path};

const HEADLESS: &str = "None";
const AFFINITY_SECONDS_MAX: i32 = 86_400;
const ONLY_BALANCED: &str = "may only be used when `type` is 'LoadBalancer'";

pub(crate) fn service(service: &Service) -> ErrorList {
    let mut errors = ErrorList::new();
    let empty = ServiceSpec::default();
    let spec = service.spec.as_ref().unwrap_or(&empty);
    let path = Path::new("spec");
    of_type(&mut errors, spec, &path);
    meta::labels(&mut errors, &spec.selector, &path.child("selector"));
    affinity(&mut errors, spec, &path);
    ports(&mut errors, spec, &path.child("ports"));
    addresses(&mut errors, spec, &path);
    traffic(&mut errors, spec, &path);
    balancer(&mut errors, spec, &path);
    errors
}

pub(crate) fn service_update(new: &Service, old: &Service) -> ErrorList {
    let mut errors = service(new);
    let (Some(new), Some(old)) = (&new.spec, &old.spec) else { return errors };
    let keeps = |spec: &ServiceSpec| spec.r#type != "ExternalName" && !spec.cluster_ip.is_empty();
    if keeps(old) && new.r#type != "ExternalName" && new.cluster_ip != old.cluster_ip {
        let path = Path::new("spec").child("clusterIPs").index(0);
        errors.push(Error::invalid(path, shown(&new.cluster_ips), "may not change once set"));
    }
    errors
}

fn of_type(errors: &mut ErrorList, spec: &ServiceSpec, path: &Path) {
    let headless = spec.cluster_ip == HEADLESS;
    required_enumerated(errors, &path.child("type"), &spec.r#type, "core.v1.ServiceSpec.type");
    match spec.r#type.as_str() {
        "ExternalName" => {
            if !spec.cluster_ip.is_empty() {
                let detail = "may not be set for ExternalName services";
                errors.push(Error::forbidden(path.child("clusterIPs"), detail));
            }
            let path = path.child("externalName");
            let name = spec.external_name.strip_suffix('.').unwrap_or(&spec.external_name);
            if name.is_empty() {
                errors.push(Error::required(path, ""));
            } else {
                check(errors, &path, &spec.external_name, names::dns1123_subdomain(name));
            }
        }
        kind @ ("LoadBalancer" | "NodePort") if headless => {
            let detail = format!("may not be set to 'None' for {kind} services");
            errors.push(Error::invalid(path.child("clusterIPs").index(0), HEADLESS, detail));
        }
        _ => {}
    }
    if spec.ports.is_empty() && !headless && spec.r#type != "ExternalName" {
        errors.push(Error::required(path.child("ports"), ""));
    }
}

fn affinity(errors: &mut ErrorList, spec: &ServiceSpec, path: &Path) {
    required_enumerated(
        errors,
        &path.child("sessionAffinity"),
        &spec.session_affinity,
        "core.v1.ServiceSpec.sessionAffinity",
    );
    let path = path.child("sessionAffinityConfig");
    let client = spec.session_affinity_config.as_ref().and_then(|config| config.client_ip.as_ref());
    match spec.session_affinity.as_str() {
        "ClientIP" => {
            let seconds = client.and_then(|client| client.timeout_seconds);
            let path = path.child("clientIP").child("timeoutSeconds");
            match seconds {
                None => {
                    errors.push(Error::required(path, "must specify a value for session affinity ClientIP"));
                }
                Some(seconds) if !(1..=AFFINITY_SECONDS_MAX).contains(&seconds) => {
                    let detail = format!("must be greater than 0 and less than {AFFINITY_SECONDS_MAX}");
                    errors.push(Error::invalid(path, seconds, detail));
                }
                Some(_) => {}
            }
        }
        "None" if spec.session_affinity_config.is_some() => {
            errors.push(Error::forbidden(path, "must not be set when session affinity is None"));
        }
        _ => {}
    }
}

fn ports(errors: &mut ErrorList, spec: &ServiceSpec, path: &Path) {
    let mut unique = Unique::new();
    for (i, port) in spec.ports.iter().enumerate() {
        let earlier = &spec.ports[..i];
        let path = path.index(i);
        port_name(errors, port, spec.ports.len() > 1, &mut unique, &path.child("name"));
        let problems = names::port_number(port.port);
        errors.extend(
            problems.into_iter().map(|problem| Error::invalid(path.child("port"), port.port, problem)),
        );
        required_enumerated(errors, &path.child("protocol"), &port.protocol, "core.v1.ServicePort.protocol");
        if spec.r#type != "ExternalName" {
            pod::port(errors, port.target_port.as_ref(), &path.child("targetPort"));
        }
        if let Some(protocol) = &port.app_protocol {
            check(errors, &path.child("appProtocol"), protocol, names::qualified_name(protocol));
        }
        node_port(errors, spec, port, earlier, &path.child("nodePort"));
        if earlier.iter().any(|other| other.protocol == port.protocol && other.port == port.port) {
            let key = serde_json::json!({ "protocol": port.protocol, "port": port.port });
            errors.push(Error::duplicate(path, key));
        }
    }
}

fn port_name<'a>(
    errors: &mut ErrorList,
    port: &'a ServicePort,
    name_required: bool,
    unique: &mut Unique<'a>,
    path: &Path,
) {
    if !port.name.is_empty() {
        check(errors, path, &port.name, names::dns1123_label(&port.name));
        unique.check(errors, path, &port.name);
    } else if name_required {
        errors.push(Error::required(path.clone(), ""));
    }
}

fn node_port(
    errors: &mut ErrorList,
    spec: &ServiceSpec,
    port: &ServicePort,
    earlier: &[ServicePort],
    path: &Path,
) {
    if port.node_port == 0 {
        return;
    }
    if spec.r#type == "ClusterIP" {
        errors.push(Error::forbidden(path.clone(), "may not be used when `type` is 'ClusterIP'"));
        return;
    }
    let problems = names::port_number(port.node_port);
    errors.extend(problems.into_iter().map(|problem| Error::invalid(path.clone(), port.node_port, problem)));
    if earlier.iter().any(|other| other.protocol == port.protocol && other.node_port == port.node_port) {
        errors.push(Error::duplicate(path.clone(), port.node_port));
    }
}

fn addresses(errors: &mut ErrorList, spec: &ServiceSpec, path: &Path) {
    let list = path.child("clusterIPs");
    if let Some(first) = spec.cluster_ips.first() {
        if *first != spec.cluster_ip {
            errors.push(Error::invalid(
                list.clone(),
                shown(&spec.cluster_ips),
                "first value must match `clusterIP`",
            ));
        }
    } else if !spec.cluster_ip.is_empty() && spec.cluster_ip != HEADLESS {
        check(errors, &path.child("clusterIP"), &spec.cluster_ip, names::ip(&spec.cluster_ip));
    }
    for (i, address) in spec.cluster_ips.iter().enumerate() {
        if i > 0 && (address == HEADLESS || spec.cluster_ip == HEADLESS) {
            let detail = "'None' must be the first and only value";
            errors.push(Error::invalid(list.clone(), shown(&spec.cluster_ips), detail));
        } else if address != HEADLESS {
            check(errors, &list.index(i), address, names::ip(address));
        }
    }
    if spec.cluster_ips.len() > 2 {
        let detail = "may only hold up to 2 values";
        errors.push(Error::invalid(list, shown(&spec.cluster_ips), detail));
    }
    for (i, family) in spec.ip_families.iter().enumerate() {
        let path = path.child("ipFamilies").index(i);
        enumerated(errors, &path, family, "core.v1.ServiceSpec.ipFamilies");
        if spec.ip_families[..i].contains(family) {
            errors.push(Error::duplicate(path, family.as_str()));
        }
    }
    if let Some(policy) = &spec.ip_family_policy {
        enumerated(errors, &path.child("ipFamilyPolicy"), policy, "core.v1.ServiceSpec.ipFamilyPolicy");
    }
    for (i, address) in spec.external_ips.iter().enumerate() {
        check(errors, &path.child("externalIPs").index(i), address, names::endpoint_ip(address));
    }
}

fn traffic(errors: &mut ErrorList, spec: &ServiceSpec, path: &Path) {
    let reachable = matches!(spec.r#type.as_str(), "LoadBalancer" | "NodePort")
        || spec.r#type == "ClusterIP" && !spec.external_ips.is_empty();
    let outside = path.child("externalTrafficPolicy");
    let policy = spec.external_traffic_policy.as_str();
    if reachable {
        required_enumerated(errors, &outside, policy, "core.v1.ServiceSpec.externalTrafficPolicy");
    } else if !policy.is_empty() {
        errors.push(Error::invalid(outside, policy, "may only be set for externally-accessible services"));
    }
    if let Some(policy) = &spec.internal_traffic_policy {
        enumerated(
            errors,
            &path.child("internalTrafficPolicy"),
            policy,
            "core.v1.ServiceSpec.internalTrafficPolicy",
        );
    } else if spec.r#type != "ExternalName" {
        required(errors, &path.child("internalTrafficPolicy"), "");
    }
    if let Some(distribution) = &spec.traffic_distribution {
        enumerated(
            errors,
            &path.child("trafficDistribution"),
            distribution,
            "core.v1.ServiceSpec.trafficDistribution",
        );
    }
    if spec.health_check_node_port < 0 {
        let path = path.child("healthCheckNodePort");
        errors.push(Error::invalid(path, spec.health_check_node_port, super::common::NON_NEGATIVE));
    }
}

fn balancer(errors: &mut ErrorList, spec: &ServiceSpec, path: &Path) {
    let ranges = path.child("loadBalancerSourceRanges");
    for (i, range) in spec.load_balancer_source_ranges.iter().enumerate() {
        check(errors, &ranges.index(i), range, names::cidr(range.trim()));
    }
    if spec.r#type == "LoadBalancer" {
        return;
    }
    let fields = [
        ("loadBalancerSourceRanges", !spec.load_balancer_source_ranges.is_empty()),
        ("allocateLoadBalancerNodePorts", spec.allocate_load_balancer_node_ports.is_some()),
        ("loadBalancerClass", spec.load_balancer_class.is_some()),
    ];
    for (field, _) in fields.into_iter().filter(|(_, given)| *given) {
        errors.push(Error::forbidden(path.child(field), ONLY_BALANCED));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::validation::common::texts;

    fn service_of(spec: Value) -> Service {
        let mut service: Service = serde_json::from_value(json!({ "spec": spec })).unwrap();
        crate::defaults::service::service(&mut service);
        service
    }

    fn errors(spec: Value) -> Vec<String> {
        texts(&service(&service_of(spec)))
    }

    #[test]
    fn good_services_pass() {
        let good = [
            json!({ "selector": { "app": "web" }, "ports": [{ "port": 80 }] }),
            json!({ "ports": [{ "name": "a", "port": 80 }, { "name": "b", "port": 80, "protocol": "UDP" }] }),
            json!({ "clusterIP": "None" }),
            json!({ "clusterIP": "10.96.0.10", "clusterIPs": ["10.96.0.10"], "ports": [{ "port": 53 }] }),
            json!({ "type": "NodePort", "ports": [{ "port": 80, "nodePort": 30080, "targetPort": "http" }] }),
            json!({ "type": "ExternalName", "externalName": "example.com" }),
            json!({ "type": "LoadBalancer", "ports": [{ "port": 80 }], "sessionAffinity": "ClientIP" }),
        ];
        for spec in good {
            assert_eq!(errors(spec.clone()), Vec::<String>::new(), "{spec}");
        }
    }

    #[test]
    fn ports_are_required_named_and_unique() {
        assert_eq!(errors(json!({})), ["spec.ports: Required value"]);
        assert_eq!(
            errors(json!({ "ports": [{ "port": 80 }, { "port": 80 }] })),
            [
                "spec.ports[0].name: Required value",
                "spec.ports[1].name: Required value",
                "spec.ports[1]: Duplicate value: {\"port\":80,\"protocol\":\"TCP\"}",
            ]
        );
        assert_eq!(
            errors(json!({ "ports": [{ "name": "a", "port": 1 }, { "name": "a", "port": 2 }] })),
            ["spec.ports[1].name: Duplicate value: \"a\""]
        );
        assert_eq!(
            errors(json!({ "ports": [{ "port": 70000, "targetPort": 80, "protocol": "ICMP" }] })),
            [
                "spec.ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive",
                "spec.ports[0].protocol: Unsupported value: \"ICMP\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
            ]
        );
        assert_eq!(
            errors(json!({ "ports": [{ "port": 80, "nodePort": 30080 }] })),
            ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"]
        );
    }

    #[test]
    fn addresses_and_types_belong_together() {
        assert_eq!(
            errors(json!({ "clusterIP": "x", "ports": [{ "port": 80 }] })),
            [
                "spec.clusterIP: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
            ]
        );
        assert_eq!(
            errors(json!({ "clusterIP": "None", "type": "NodePort", "ports": [{ "port": 80 }] })),
            ["spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services"]
        );
        assert_eq!(errors(json!({ "type": "ExternalName" })), ["spec.externalName: Required value"]);
        assert_eq!(errors(json!({ "type": "Other", "ports": [{ "port": 80 }] })).len(), 2);
        assert_eq!(
            errors(json!({ "ports": [{ "port": 80 }], "loadBalancerSourceRanges": ["10.0.0.0/8"] })),
            ["spec.loadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'"]
        );
        let affinity = json!({
            "ports": [{ "port": 80 }], "sessionAffinity": "ClientIP",
            "sessionAffinityConfig": { "clientIP": { "timeoutSeconds": 0 } },
        });
        assert_eq!(
            errors(affinity),
            [
                "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 0: must be greater than 0 and \
                 less than 86400"
            ]
        );
    }

    #[test]
    fn the_address_stays() {
        let old = service_of(json!({ "clusterIP": "10.96.0.1", "ports": [{ "port": 80 }] }));
        let new = service_of(json!({ "clusterIP": "10.96.0.2", "ports": [{ "port": 80 }] }));
        assert_eq!(service_update(&old, &old), []);
        assert_eq!(
            texts(&service_update(&new, &old)),
            ["spec.clusterIPs[0]: Invalid value: []: may not change once set"]
        );
        let alias = service_of(json!({ "type": "ExternalName", "externalName": "a.b" }));
        assert_eq!(service_update(&alias, &old), []);
    }
}
