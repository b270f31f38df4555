//! Nodes.

use super::{
    common::{check, immutable, required_enumerated, shown},
    names, pod,
};
use crate::core::v1::{Node, NodeSpec, Taint};
use crate::field::{Error, ErrorList, Path};

pub(crate) fn node(node: &Node) -> ErrorList {
    let mut errors = ErrorList::new();
    let empty = NodeSpec::default();
    let spec = node.spec.as_ref().unwrap_or(&empty);
    let path = Path::new("spec");
    taints(&mut errors, &spec.taints, &path.child("taints"));
    let ranges = path.child("podCIDRs");
    for (i, range) in spec.pod_cidrs.iter().enumerate() {
        check(&mut errors, &ranges.index(i), range, names::cidr(range));
    }
    if spec.pod_cidrs.first().is_some_and(|first| *first != spec.pod_cidr) {
        let detail = "first value must match `podCIDR`";
        errors.push(Error::invalid(ranges, shown(&spec.pod_cidrs), detail));
    } else if spec.pod_cidrs.is_empty() && !spec.pod_cidr.is_empty() {
        check(&mut errors, &path.child("podCIDR"), &spec.pod_cidr, names::cidr(&spec.pod_cidr));
    }
    amounts(&mut errors, node);
    errors
}

fn amounts(errors: &mut ErrorList, node: &Node) {
    let Some(status) = &node.status else { return };
    let path = Path::new("status");
    pod::resource_list(errors, &status.capacity, &path.child("capacity"));
    pod::resource_list(errors, &status.allocatable, &path.child("allocatable"));
}

fn taints(errors: &mut ErrorList, taints: &[Taint], path: &Path) {
    for (i, taint) in taints.iter().enumerate() {
        let path = path.index(i);
        check(errors, &path.child("key"), &taint.key, names::qualified_name(&taint.key));
        let problems = names::label_value(&taint.value);
        if !problems.is_empty() {
            errors.push(Error::invalid(path.child("value"), taint.value.as_str(), problems.join(";")));
        }
        required_enumerated(errors, &path.child("effect"), &taint.effect, "core.v1.Taint.effect");
        let same = |other: &Taint| other.key == taint.key && other.effect == taint.effect;
        if taints[..i].iter().any(same) {
            let mut error = Error::duplicate(path, shown(taint));
            error.detail = "taints must be unique by key and effect pair".to_owned();
            errors.push(error);
        }
    }
}

pub(crate) fn update(new: &Node, old: &Node) -> ErrorList {
    let mut errors = node(new);
    let (Some(new), Some(old)) = (&new.spec, &old.spec) else { return errors };
    let path = Path::new("spec");
    // What was once assigned stays; before that it may be set.
    if !old.pod_cidrs.is_empty() && new.pod_cidrs != old.pod_cidrs {
        let detail = "node updates may not change podCIDR except from \"\" to valid";
        errors.push(Error::forbidden(path.child("podCIDRs"), detail));
    }
    if !old.provider_id.is_empty() {
        immutable(&mut errors, &path.child("providerID"), &new.provider_id, &old.provider_id);
    }
    errors
}

pub(crate) fn status_update(new: &Node, _old: &Node) -> ErrorList {
    let mut errors = ErrorList::new();
    amounts(&mut errors, new);
    let addresses = new.status.iter().flat_map(|status| &status.addresses);
    let mut seen = Vec::new();
    for (i, address) in addresses.enumerate() {
        if seen.contains(&address) {
            let path = Path::new("status").child("addresses").index(i);
            errors.push(Error::duplicate(path, shown(address)));
        }
        seen.push(address);
    }
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::validation::common::texts;

    fn of(spec: Value) -> Node {
        serde_json::from_value(json!({ "spec": spec })).unwrap()
    }

    #[test]
    fn taints_are_unique_and_do_something() {
        let taint = json!({ "key": "a", "value": "b", "effect": "NoSchedule" });
        assert_eq!(node(&of(json!({ "taints": [taint] }))), []);
        assert_eq!(node(&of(json!({ "taints": [taint, taint] }))).len(), 1);
        assert_eq!(
            texts(&node(&of(json!({ "taints": [{ "key": "a" }] })))),
            ["spec.taints[0].effect: Required value"]
        );
        assert_eq!(node(&of(json!({ "taints": [{ "key": "", "effect": "Leave" }] }))).len(), 3);
    }

    #[test]
    fn the_pod_range_is_assigned_once() {
        let none = of(json!({}));
        let one = of(json!({ "podCIDR": "10.244.0.0/24", "podCIDRs": ["10.244.0.0/24"] }));
        let other = of(json!({ "podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24"] }));
        assert_eq!(update(&one, &none), []);
        assert_eq!(update(&other, &one).len(), 1);
        assert_eq!(node(&of(json!({ "podCIDR": "x" }))).len(), 1);
    }
}
