//! Network policies.

use super::{
    addresses::{self, Range},
    common::{enumerated, required, shown},
    names, selector,
};
use crate::field::{Error, ErrorList, Path};
use crate::networking::v1::{
    IpBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};

/// There are two directions.
const MAX_TYPES: usize = 2;

pub(crate) fn policy(policy: &NetworkPolicy) -> ErrorList {
    with_known_ranges(policy, &[])
}

/// Ranges that the policy had before may stay as they are, wherever they now stand.
pub(crate) fn update(new: &NetworkPolicy, old: &NetworkPolicy) -> ErrorList {
    let known: Vec<&str> = peers(old)
        .filter_map(|peer| peer.ip_block.as_ref())
        .flat_map(|block| std::iter::once(&block.cidr).chain(&block.except))
        .map(String::as_str)
        .collect();
    with_known_ranges(new, &known)
}

fn peers(policy: &NetworkPolicy) -> impl Iterator<Item = &NetworkPolicyPeer> {
    let spec = policy.spec.iter();
    spec.flat_map(|spec| {
        let sources = spec.ingress.iter().flat_map(|rule| &rule.from);
        sources.chain(spec.egress.iter().flat_map(|rule| &rule.to))
    })
}

fn with_known_ranges(policy: &NetworkPolicy, known: &[&str]) -> ErrorList {
    let mut errors = ErrorList::new();
    let empty = NetworkPolicySpec::default();
    let spec = policy.spec.as_ref().unwrap_or(&empty);
    let path = Path::new("spec");
    if let Some(pods) = &spec.pod_selector {
        selector::validate(&mut errors, pods, &path.child("podSelector"));
    }
    for (i, rule) in spec.ingress.iter().enumerate() {
        let path = path.child("ingress").index(i);
        rule_of(&mut errors, &rule.ports, ("from", &rule.from), known, &path);
    }
    for (i, rule) in spec.egress.iter().enumerate() {
        let path = path.child("egress").index(i);
        rule_of(&mut errors, &rule.ports, ("to", &rule.to), known, &path);
    }
    let types = path.child("policyTypes");
    if spec.policy_types.len() > MAX_TYPES {
        let detail = "may not specify more than two policyTypes";
        errors.push(Error::invalid(types, shown(&spec.policy_types), detail));
        return errors;
    }
    for (i, direction) in spec.policy_types.iter().enumerate() {
        enumerated(&mut errors, &types.index(i), direction, "networking.v1.NetworkPolicySpec.policyTypes");
    }
    errors
}

fn rule_of(
    errors: &mut ErrorList,
    ports: &[NetworkPolicyPort],
    (field, peers): (&str, &[NetworkPolicyPeer]),
    known: &[&str],
    path: &Path,
) {
    for (i, port) in ports.iter().enumerate() {
        validate_port(errors, port, &path.child("ports").index(i));
    }
    for (i, peer) in peers.iter().enumerate() {
        validate_peer(errors, peer, known, &path.child(field).index(i));
    }
}

fn validate_port(errors: &mut ErrorList, port: &NetworkPolicyPort, path: &Path) {
    if let Some(protocol) = &port.protocol {
        enumerated(errors, &path.child("protocol"), protocol, "networking.v1.NetworkPolicyPort.protocol");
    }
    let numbered = |errors: &mut ErrorList, field: &str, number: i32| {
        let problems = names::port_number(number).into_iter();
        errors.extend(problems.map(|problem| Error::invalid(path.child(field), number, problem)));
    };
    let first = port.port.as_ref().map(|port| (port.as_int(), port.as_str().unwrap_or_default()));
    match (first, port.end_port) {
        (Some((Some(first), _)), end) => {
            numbered(errors, "port", first);
            if let Some(end) = end {
                if end < first {
                    let detail = "must be greater than or equal to `port`";
                    errors.push(Error::invalid(path.child("endPort"), end, detail));
                }
                numbered(errors, "endPort", end);
            }
        }
        (Some((None, name)), end) => {
            if let Some(end) = end {
                let detail = "may not be specified when `port` is non-numeric";
                errors.push(Error::invalid(path.child("endPort"), end, detail));
            }
            let problems = names::port_name(name).into_iter();
            errors.extend(problems.map(|problem| Error::invalid(path.child("port"), name, problem)));
        }
        (None, Some(end)) => {
            let detail = "may not be specified when `port` is not specified";
            errors.push(Error::invalid(path.child("endPort"), end, detail));
        }
        (None, None) => {}
    }
}

fn validate_peer(errors: &mut ErrorList, peer: &NetworkPolicyPeer, known: &[&str], path: &Path) {
    let selectors = [("podSelector", &peer.pod_selector), ("namespaceSelector", &peer.namespace_selector)];
    let mut selected = false;
    for (field, chosen) in selectors {
        if let Some(chosen) = chosen {
            selected = true;
            selector::validate(errors, chosen, &path.child(field));
        }
    }
    match &peer.ip_block {
        Some(block) => {
            validate_block(errors, block, known, &path.child("ipBlock"));
            if selected {
                let detail = "may not specify both ipBlock and another peer";
                errors.push(Error::forbidden(path.clone(), detail));
            }
        }
        None if !selected => errors.push(Error::required(path.clone(), "must specify a peer")),
        None => {}
    }
}

fn validate_block(errors: &mut ErrorList, block: &IpBlock, known: &[&str], path: &Path) {
    required(errors, &path.child("cidr"), &block.cidr);
    if block.cidr.is_empty() {
        return;
    }
    let check = |errors: &mut ErrorList, text: &str, path: &Path| {
        if !known.contains(&text) {
            super::common::check(errors, path, text, addresses::strict_cidr(text));
        }
        Range::parse(text)
    };
    let Some(whole) = check(errors, &block.cidr, &path.child("cidr")) else { return };
    for (i, text) in block.except.iter().enumerate() {
        let path = path.child("except").index(i);
        if check(errors, text, &path).is_some_and(|part| !whole.is_wider_than(part)) {
            errors.push(Error::invalid(path, text.as_str(), "must be a strict subset of `cidr`"));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::validation::common::texts;

    fn policy_of(spec: Value) -> NetworkPolicy {
        let mut policy: NetworkPolicy = serde_json::from_value(json!({ "spec": spec })).unwrap();
        crate::defaults::networking::network_policy(&mut policy);
        policy
    }

    fn errors(spec: Value) -> Vec<String> {
        texts(&policy(&policy_of(spec)))
    }

    #[test]
    fn good_policies_pass() {
        for spec in [
            json!({}),
            json!({ "ingress": [{}], "egress": [{}] }),
            json!({ "ingress": [{ "ports": [{ "port": 80, "endPort": 90 }, { "port": "http" }, {}], "from": [
                { "podSelector": {}, "namespaceSelector": { "matchLabels": { "a": "b" } } },
                { "ipBlock": { "cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"] } },
            ] }] }),
        ] {
            assert_eq!(errors(spec.clone()), Vec::<String>::new(), "{spec}");
        }
    }

    #[test]
    fn ports_are_ranges_of_numbers() {
        let of = |port: Value| errors(json!({ "ingress": [{ "ports": [port] }] }));
        assert_eq!(
            of(json!({ "protocol": "ICMP" })),
            [
                "spec.ingress[0].ports[0].protocol: Unsupported value: \"ICMP\": supported values: \"SCTP\", \"TCP\", \
                 \"UDP\""
            ]
        );
        assert_eq!(
            of(json!({ "port": 80, "endPort": 79 })),
            ["spec.ingress[0].ports[0].endPort: Invalid value: 79: must be greater than or equal to `port`"]
        );
        assert_eq!(
            of(json!({ "port": "http", "endPort": 79 })),
            [
                "spec.ingress[0].ports[0].endPort: Invalid value: 79: may not be specified when `port` is non-numeric"
            ]
        );
        assert_eq!(
            of(json!({ "endPort": 79 })),
            [
                "spec.ingress[0].ports[0].endPort: Invalid value: 79: may not be specified when `port` is not specified"
            ]
        );
        assert_eq!(of(json!({ "port": 0 })).len(), 1);
        assert_eq!(of(json!({ "port": 70_000, "endPort": 70_001 })).len(), 2);
    }

    #[test]
    fn a_peer_is_pods_or_a_range() {
        let of = |peer: Value| errors(json!({ "egress": [{ "to": [peer] }] }));
        assert_eq!(of(json!({})), ["spec.egress[0].to[0]: Required value: must specify a peer"]);
        assert_eq!(
            of(json!({ "podSelector": {}, "ipBlock": { "cidr": "10.0.0.0/8" } })),
            ["spec.egress[0].to[0]: Forbidden: may not specify both ipBlock and another peer"]
        );
        assert_eq!(of(json!({ "ipBlock": {} })), ["spec.egress[0].to[0].ipBlock.cidr: Required value"]);
        assert_eq!(
            of(json!({ "ipBlock": { "cidr": "10.0.0.0/8", "except": ["11.0.0.0/16", "x"] } })),
            [
                "spec.egress[0].to[0].ipBlock.except[0]: Invalid value: \"11.0.0.0/16\": must be a strict subset of \
                 `cidr`",
                "spec.egress[0].to[0].ipBlock.except[1]: Invalid value: \"x\": must be a valid CIDR value, (e.g. \
                 10.9.8.0/24 or 2001:db8::/64)",
            ]
        );
    }

    #[test]
    fn directions_are_two() {
        assert_eq!(
            errors(json!({ "policyTypes": ["Up"] })),
            ["spec.policyTypes[0]: Unsupported value: \"Up\": supported values: \"Egress\", \"Ingress\""]
        );
        assert_eq!(
            errors(json!({ "policyTypes": ["Ingress", "Egress", "Ingress"] })),
            [
                "spec.policyTypes: Invalid value: [\"Ingress\",\"Egress\",\"Ingress\"]: may not specify more than two \
                 policyTypes"
            ]
        );
    }

    #[test]
    fn an_old_range_stays() {
        let of =
            |cidr: &str| policy_of(json!({ "ingress": [{ "from": [{ "ipBlock": { "cidr": cidr } }] }] }));
        assert_eq!(policy(&of("10.0.0.1/8")).len(), 1);
        assert_eq!(update(&of("10.0.0.1/8"), &of("10.0.0.1/8")), []);
        assert_eq!(update(&of("10.0.0.2/8"), &of("10.0.0.1/8")).len(), 1);
    }
}
