//! Ingresses, network policies and the ranges of services.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use super::workload::selector;
use super::{Column, NONE};
use crate::Resource;
use crate::networking::v1::{Ingress, IngressClass, IngressSpec, IpAddress, NetworkPolicy, ServiceCidr};
use crate::strategy::age;

/// How many hosts are shown.
const HOSTS: usize = 3;

pub(in crate::strategy) const INGRESS: &[Column] = &[
    Column::NAME,
    Column::new("Class", "string", "The class, and so the controller that serves it"),
    Column::new("Hosts", "string", "The hosts whose requests it is about"),
    Column::new("Address", "string", "Where it can be reached"),
    Column::new("Ports", "string", "The ports that are open: that of TLS where there are certificates"),
    Column::AGE,
];

pub(in crate::strategy) fn ingress(ingress: &Ingress, now: Timestamp) -> Vec<Value> {
    let spec = ingress.spec.clone().unwrap_or_default();
    vec![
        ingress.name().into(),
        spec.ingress_class_name.as_deref().unwrap_or(NONE).into(),
        hosts(&spec).into(),
        addresses(ingress).into(),
        if spec.tls.is_empty() { "80" } else { "80, 443" }.into(),
        age(Resource::meta(ingress), now),
    ]
}

/// The first few hosts. Rules behind the last that fits are counted, whether they name a host or not.
fn hosts(spec: &IngressSpec) -> String {
    let mut named = spec.rules.iter().enumerate().filter(|(_, rule)| !rule.host.is_empty());
    let shown: Vec<(usize, &str)> =
        named.by_ref().take(HOSTS).map(|(i, rule)| (i, rule.host.as_str())).collect();
    if shown.is_empty() {
        return "*".to_owned();
    }
    let text = shown.iter().map(|(_, host)| *host).collect::<Vec<_>>().join(",");
    let full = shown.len() == HOSTS && shown.last().is_some_and(|(last, _)| last + 1 < spec.rules.len());
    if full { format!("{text} + {} more...", spec.rules.len() - HOSTS) } else { text }
}

fn addresses(ingress: &Ingress) -> String {
    let balancer = ingress.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let points = balancer.map(|balancer| balancer.ingress.as_slice()).unwrap_or_default();
    let named = points.iter().map(|point| if point.ip.is_empty() { &point.hostname } else { &point.ip });
    let all: BTreeSet<&str> = named.map(String::as_str).filter(|text| !text.is_empty()).collect();
    all.into_iter().collect::<Vec<_>>().join(",")
}

pub(in crate::strategy) const INGRESS_CLASS: &[Column] = &[
    Column::NAME,
    Column::new("Controller", "string", "Who serves the ingresses of the class"),
    Column::new("Parameters", "string", "The object with more settings"),
    Column::AGE,
];

pub(in crate::strategy) fn ingress_class(class: &IngressClass, now: Timestamp) -> Vec<Value> {
    let spec = class.spec.clone().unwrap_or_default();
    let parameters = spec.parameters.map(|parameters| match parameters.api_group {
        Some(group) => format!("{}.{group}/{}", parameters.kind, parameters.name),
        None => format!("{}/{}", parameters.kind, parameters.name),
    });
    vec![
        class.name().into(),
        spec.controller.into(),
        parameters.as_deref().unwrap_or(NONE).into(),
        age(Resource::meta(class), now),
    ]
}

pub(in crate::strategy) const NETWORK_POLICY: &[Column] =
    &[Column::NAME, Column::new("Pod-Selector", "string", "Which pods it is for"), Column::AGE];

pub(in crate::strategy) fn network_policy(policy: &NetworkPolicy, now: Timestamp) -> Vec<Value> {
    let pods = policy.spec.as_ref().and_then(|spec| spec.pod_selector.as_ref());
    vec![policy.name().into(), selector(pods), age(Resource::meta(policy), now)]
}

pub(in crate::strategy) const SERVICE_CIDR: &[Column] =
    &[Column::NAME, Column::new("CIDRs", "string", "The ranges"), Column::AGE];

pub(in crate::strategy) fn service_cidr(ranges: &ServiceCidr, now: Timestamp) -> Vec<Value> {
    let cidrs = ranges.spec.as_ref().map(|spec| spec.cidrs.join(",")).unwrap_or_default();
    vec![ranges.name().into(), cidrs.into(), age(Resource::meta(ranges), now)]
}

pub(in crate::strategy) const IP_ADDRESS: &[Column] =
    &[Column::NAME, Column::new("ParentRef", "string", "The object that has the address")];

pub(in crate::strategy) fn ip_address(address: &IpAddress) -> Vec<Value> {
    let parent = address.spec.as_ref().and_then(|spec| spec.parent_ref.as_ref());
    let parent = parent.map(|parent| {
        let mut text = parent.resource.to_lowercase();
        if !parent.group.is_empty() {
            text.push('.');
            text.push_str(&parent.group.to_lowercase());
        }
        for part in [&parent.namespace, &parent.name].into_iter().filter(|part| !part.is_empty()) {
            text.push('/');
            text.push_str(part);
        }
        text
    });
    vec![address.name().into(), parent.as_deref().unwrap_or(NONE).into()]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_ingress_shows_where_it_is() {
        let object: Ingress = serde_json::from_value(json!({
            "metadata": {"name": "web"},
            "spec": {"ingressClassName": "c", "rules": [{"host": "a"}, {}, {"host": "b"}], "tls": [{}]},
            "status": {"loadBalancer": {"ingress": [{"ip": "9.9.9.9"}, {"hostname": "lb"}, {"ip": "1.1.1.1"}]}},
        }))
        .unwrap();
        let cells = ingress(&object, Timestamp::UNIX_EPOCH);
        assert_eq!(json!(cells), json!(["web", "c", "a,b", "1.1.1.1,9.9.9.9,lb", "80, 443", "<unknown>"]));
        assert_eq!(cells.len(), INGRESS.len());
        let empty = ingress(&Ingress::default(), Timestamp::UNIX_EPOCH);
        assert_eq!(json!(empty), json!(["", "<none>", "*", "", "80", "<unknown>"]));
    }

    #[test]
    fn many_hosts_are_counted() {
        let of = |hosts_of: &[&str]| {
            let rules: Vec<_> = hosts_of.iter().map(|host| json!({ "host": host })).collect();
            hosts(&serde_json::from_value(json!({ "rules": rules })).unwrap())
        };
        assert_eq!(of(&["a", "b", "c"]), "a,b,c");
        assert_eq!(of(&["a", "b", "c", "d"]), "a,b,c + 1 more...");
        assert_eq!(of(&["a", "", "b", "c", ""]), "a,b,c + 2 more...");
        assert_eq!(of(&["", ""]), "*");
    }

    #[test]
    fn the_others_show_whom_they_are_about() {
        let class: IngressClass = serde_json::from_value(json!({
            "metadata": {"name": "c"},
            "spec": {"controller": "a/b", "parameters": {"apiGroup": "g", "kind": "K", "name": "n"}},
        }))
        .unwrap();
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(json!(ingress_class(&class, now)), json!(["c", "a/b", "K.g/n", "<unknown>"]));
        let policy: NetworkPolicy = serde_json::from_value(json!({
            "metadata": {"name": "p"}, "spec": {"podSelector": {"matchLabels": {"a": "b"}}},
        }))
        .unwrap();
        assert_eq!(json!(network_policy(&policy, now)), json!(["p", "a=b", "<unknown>"]));
        let ranges: ServiceCidr = serde_json::from_value(json!({
            "metadata": {"name": "r"}, "spec": {"cidrs": ["10.0.0.0/8", "fd00::/64"]},
        }))
        .unwrap();
        assert_eq!(json!(service_cidr(&ranges, now)), json!(["r", "10.0.0.0/8,fd00::/64", "<unknown>"]));
        let address: IpAddress = serde_json::from_value(json!({
            "metadata": {"name": "10.0.0.1"},
            "spec": {"parentRef": {"resource": "services", "namespace": "default", "name": "kubernetes"}},
        }))
        .unwrap();
        assert_eq!(json!(ip_address(&address)), json!(["10.0.0.1", "services/default/kubernetes"]));
    }
}
