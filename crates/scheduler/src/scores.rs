//! Scores: which of the nodes that could take a pod should. Each score is 0 to 100, weighted as upstream weights it.

use std::collections::BTreeMap;

use crate::filters::{Candidate, is_tolerated, matches_term, tolerations};
use crate::pod::Pod;
use crate::snapshot::NodeInfo;

/// The label that names a node's zone.
const ZONE: &str = "topology.kubernetes.io/zone";

/// The score of each of `nodes`, in their order.
#[must_use]
pub fn score(candidate: &Candidate<'_>, nodes: &[&NodeInfo]) -> Vec<i64> {
    let spreading = spreading(candidate.pod, nodes);
    let taints = inverse(nodes.iter().map(|node| avoided_taints(candidate.pod, node)).collect());
    let affinity = normalized(nodes.iter().map(|node| preferred_affinity(candidate.pod, node)).collect());
    nodes
        .iter()
        .enumerate()
        .map(|(i, node)| {
            least_allocated(candidate, node)
                + balanced(candidate, node)
                + 2 * spreading[i]
                + 3 * taints[i]
                + 2 * affinity[i]
        })
        .collect()
}

/// More for the node that has more left: the mean of the free shares of CPU and memory.
fn least_allocated(candidate: &Candidate<'_>, node: &NodeInfo) -> i64 {
    let wanted = &candidate.requests.for_scoring;
    let free = |used: i64, wanted: i64, offered: i64| {
        let left = offered.saturating_sub(used).saturating_sub(wanted);
        if offered <= 0 || left < 0 { 0 } else { i128::from(left) * 100 / i128::from(offered) }
    };
    let cpu = free(node.scored.milli_cpu, wanted.milli_cpu, node.allocatable.milli_cpu);
    let memory = free(node.scored.memory, wanted.memory, node.allocatable.memory);
    i64::try_from((cpu + memory) / 2).unwrap_or(0)
}

/// More for the node whose CPU and memory are used to like shares.
fn balanced(candidate: &Candidate<'_>, node: &NodeInfo) -> i64 {
    let wanted = &candidate.requests.for_scoring;
    let share = |used: i64, wanted: i64, offered: i64| {
        if offered <= 0 { 1.0 } else { (used.saturating_add(wanted) as f64 / offered as f64).min(1.0) }
    };
    let cpu = share(node.scored.milli_cpu, wanted.milli_cpu, node.allocatable.milli_cpu);
    let memory = share(node.scored.memory, wanted.memory, node.allocatable.memory);
    ((1.0 - (cpu - memory).abs() / 2.0) * 100.0) as i64
}

/// More for the node, and the zone, with fewer pods of the same owner.
fn spreading(pod: &Pod, nodes: &[&NodeInfo]) -> Vec<i64> {
    let Some(owner) = controller(pod) else { return vec![0; nodes.len()] };
    let counts: Vec<i64> = nodes
        .iter()
        .map(|node| {
            let siblings = node.pods.values().filter(|other| {
                other.pod.namespace() == pod.namespace()
                    && other.pod.meta().deletion_timestamp.is_none()
                    && controller(&other.pod) == Some(owner)
            });
            i64::try_from(siblings.count()).unwrap_or(i64::MAX)
        })
        .collect();
    let mut zones: BTreeMap<&str, i64> = BTreeMap::new();
    for (node, count) in nodes.iter().zip(&counts) {
        if let Some(zone) = node.labels.get(ZONE) {
            *zones.entry(zone).or_default() += count;
        }
    }
    let by_node = inverse(counts);
    let most = zones.values().copied().max().unwrap_or(0);
    nodes
        .iter()
        .zip(by_node)
        .map(|(node, by_node)| match node.labels.get(ZONE).and_then(|zone| zones.get(zone.as_str())) {
            // Zones weigh two thirds, as upstream's.
            Some(count) if most > 0 => (by_node + 2 * (100 - count * 100 / most)) / 3,
            _ => by_node,
        })
        .collect()
}

fn controller(pod: &Pod) -> Option<&str> {
    pod.meta()
        .owner_references
        .iter()
        .find(|owner| owner.controller == Some(true))
        .map(|owner| owner.uid.as_str())
}

/// The taints that ask pods to stay away if they can.
fn avoided_taints(pod: &Pod, node: &NodeInfo) -> i64 {
    let avoided = node
        .taints
        .iter()
        .filter(|taint| taint.effect == "PreferNoSchedule" && !is_tolerated(taint, tolerations(pod)));
    i64::try_from(avoided.count()).unwrap_or(i64::MAX)
}

/// The sum of the weights of the preferred affinity terms that match.
fn preferred_affinity(pod: &Pod, node: &NodeInfo) -> i64 {
    let affinity = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref()?.node_affinity.as_ref());
    let preferred = affinity.map_or(&[][..], |a| &a.preferred_during_scheduling_ignored_during_execution);
    preferred
        .iter()
        .filter(|term| term.preference.as_ref().is_some_and(|preference| matches_term(preference, node)))
        .map(|term| i64::from(term.weight))
        .sum()
}

/// 100 for the largest.
fn normalized(values: Vec<i64>) -> Vec<i64> {
    let most = values.iter().copied().max().unwrap_or(0);
    if most <= 0 { vec![0; values.len()] } else { values.iter().map(|value| value * 100 / most).collect() }
}

/// 100 for none, 0 for the largest.
fn inverse(values: Vec<i64>) -> Vec<i64> {
    let most = values.iter().copied().max().unwrap_or(0);
    values.iter().map(|value| if most <= 0 { 100 } else { 100 - value * 100 / most }).collect()
}
