//! The taints that follow from a node's conditions.

use gantry_api::core::v1::{Node, Taint};
use gantry_api::scalars::Time;
use jiff::Timestamp;

use super::health::{condition, readiness};

const NO_SCHEDULE: &str = "NoSchedule";
const NO_EXECUTE: &str = "NoExecute";
const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";
/// Conditions that keep new pods away while they are true.
const PRESSURES: [(&str, &str); 4] = [
    ("MemoryPressure", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "node.kubernetes.io/disk-pressure"),
    ("PIDPressure", "node.kubernetes.io/pid-pressure"),
    ("NetworkUnavailable", "node.kubernetes.io/network-unavailable"),
];

/// Whether the node's state asks for the eviction of its pods.
pub(super) fn wants_eviction(node: &Node) -> bool {
    eviction_key(node).is_some()
}

/// Whether a taint of the node's state evicts pods already.
pub(super) fn evicts(node: &Node) -> bool {
    taints(node).iter().any(|taint| taint.effect == NO_EXECUTE)
}

fn eviction_key(node: &Node) -> Option<&'static str> {
    match readiness(node) {
        Some("False") => Some(NOT_READY),
        Some("Unknown") => Some(UNREACHABLE),
        _ => None,
    }
}

fn taints(node: &Node) -> &[Taint] {
    node.spec.as_ref().map(|spec| spec.taints.as_slice()).unwrap_or_default()
}

/// Which taints of this controller the node must have.
fn keys(node: &Node, may_evict: bool) -> Vec<(&'static str, &'static str)> {
    let mut keys = Vec::new();
    if let Some(key) = eviction_key(node) {
        keys.push((key, NO_SCHEDULE));
        if may_evict {
            keys.push((key, NO_EXECUTE));
        }
    }
    for (r#type, key) in PRESSURES {
        if condition(node, r#type).is_some_and(|condition| condition.status == "True") {
            keys.push((key, NO_SCHEDULE));
        }
    }
    if node.spec.as_ref().is_some_and(|spec| spec.unschedulable) {
        keys.push((UNSCHEDULABLE, NO_SCHEDULE));
    }
    keys
}

/// Whether a taint is this controller's to set and remove.
fn is_ours(taint: &Taint) -> bool {
    let pressure = PRESSURES.iter().any(|(_, key)| *key == taint.key);
    let state = taint.key == NOT_READY || taint.key == UNREACHABLE;
    match taint.effect.as_str() {
        NO_SCHEDULE => pressure || state || taint.key == UNSCHEDULABLE,
        NO_EXECUTE => state,
        _ => false,
    }
}

/// The taints that the node should have; `None` where it has them. Those of others are left alone.
pub(super) fn wanted(node: &Node, now: Timestamp, may_evict: bool) -> Option<Vec<Taint>> {
    // A node that never said anything about itself keeps what it was registered with.
    readiness(node)?;
    let keys = keys(node, may_evict);
    let present = taints(node);
    let mut wanted: Vec<Taint> = present
        .iter()
        .filter(|taint| !is_ours(taint) || keys.iter().any(|(key, effect)| matches(taint, key, effect)))
        .cloned()
        .collect();
    for (key, effect) in keys {
        if !wanted.iter().any(|taint| matches(taint, key, effect)) {
            wanted.push(Taint {
                key: key.to_owned(),
                effect: effect.to_owned(),
                time_added: Some(Time::from(now)),
                ..Taint::default()
            });
        }
    }
    (wanted != present).then_some(wanted)
}

fn matches(taint: &Taint, key: &str, effect: &str) -> bool {
    taint.key == key && taint.effect == effect
}

#[cfg(test)]
mod tests {
    use super::{Taint, wanted};
    use gantry_api::core::v1::{Node, NodeCondition};
    use jiff::Timestamp;

    fn node(ready: &str, taints: &[(&str, &str)]) -> Node {
        let mut node = Node::default();
        node.status.get_or_insert_default().conditions =
            vec![NodeCondition { r#type: "Ready".into(), status: ready.into(), ..Default::default() }];
        node.spec.get_or_insert_default().taints = taints
            .iter()
            .map(|(key, effect)| Taint { key: (*key).into(), effect: (*effect).into(), ..Default::default() })
            .collect();
        node
    }

    fn result(node: &Node, may_evict: bool) -> Option<Vec<String>> {
        let taints = wanted(node, Timestamp::UNIX_EPOCH, may_evict)?;
        Some(taints.iter().map(|taint| format!("{}:{}", taint.key, taint.effect)).collect())
    }

    #[test]
    fn silence_taints_and_a_heartbeat_heals() {
        let own = ("example.com/gpu", "NoSchedule");
        let silent = node("Unknown", &[own]);
        let unreachable = "node.kubernetes.io/unreachable";
        assert_eq!(
            result(&silent, false).unwrap(),
            ["example.com/gpu:NoSchedule", "node.kubernetes.io/unreachable:NoSchedule"]
        );
        assert_eq!(result(&silent, true).unwrap().len(), 3);
        let back = node("True", &[own, (unreachable, "NoSchedule"), (unreachable, "NoExecute")]);
        assert_eq!(result(&back, true).unwrap(), ["example.com/gpu:NoSchedule"]);
        assert_eq!(result(&node("True", &[own]), true), None);
    }

    #[test]
    fn a_halt_takes_evictions_back() {
        let unreachable = "node.kubernetes.io/unreachable";
        let silent = node("Unknown", &[(unreachable, "NoSchedule"), (unreachable, "NoExecute")]);
        assert_eq!(result(&silent, true), None);
        assert_eq!(result(&silent, false).unwrap(), ["node.kubernetes.io/unreachable:NoSchedule"]);
    }
}
