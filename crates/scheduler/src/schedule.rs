//! The decision: which node takes a pod, or why none does. A pure function of the pod and the snapshot.

use std::collections::BTreeMap;

use crate::filters::{Candidate, Rejection, examine};
use crate::pod::Pod;
use crate::scores::score;
use crate::snapshot::{NodeInfo, Snapshot};

/// Below this many nodes all of them are examined.
const MIN_NODES_TO_FIND: usize = 100;

/// What to do with a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Assign it to this node.
    Bind {
        /// The node's name.
        node: String,
    },
    /// No node can take it now.
    Unschedulable(Unschedulable),
}

/// Why no node can take a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unschedulable {
    /// How many nodes there are.
    pub nodes: usize,
    /// How many nodes each reason holds for.
    pub reasons: BTreeMap<String, usize>,
}

impl std::fmt::Display for Unschedulable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.nodes == 0 {
            return f.write_str("no nodes available to schedule pods");
        }
        write!(f, "0/{} nodes are available: ", self.nodes)?;
        let mut reasons: Vec<String> =
            self.reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        reasons.sort();
        write!(f, "{}.", reasons.join(", "))
    }
}

/// What one node has to say to a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The node's name.
    pub node: String,
    /// Why it cannot take the pod; empty where it can.
    pub rejections: Vec<Rejection>,
}

/// Decides about a pod. `start` is where the scan of the nodes begins, so that large clusters, of which only a sample
/// is examined, are filled evenly; `tie` breaks ties between equal scores. Both come from the caller, which keeps this
/// function pure.
#[must_use]
pub fn schedule(pod: &Pod, snapshot: &Snapshot, start: usize, tie: usize) -> Decision {
    let candidate = Candidate::new(pod);
    let storage = snapshot.storage();
    let wanted = nodes_to_find(storage.len());
    let mut feasible: Vec<&NodeInfo> = Vec::new();
    let mut examined = 0;
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for offset in 0..storage.len() {
        let node = &storage[(start + offset) % storage.len()];
        if !node.known {
            continue;
        }
        examined += 1;
        let rejections = examine(&candidate, node);
        if rejections.is_empty() {
            feasible.push(node);
            if feasible.len() >= wanted {
                break;
            }
        }
        for rejection in rejections {
            *reasons.entry(rejection.reason).or_default() += 1;
        }
    }
    match feasible.as_slice() {
        [] => Decision::Unschedulable(Unschedulable { nodes: examined, reasons }),
        [only] => Decision::Bind { node: only.name.clone() },
        _ => Decision::Bind { node: best(&candidate, &feasible, tie).name.clone() },
    }
}

/// What every node has to say, sorted by name: the same filters, none left out.
#[must_use]
pub fn explain(pod: &Pod, snapshot: &Snapshot) -> Vec<Verdict> {
    let candidate = Candidate::new(pod);
    let mut verdicts: Vec<Verdict> = snapshot
        .nodes()
        .map(|node| Verdict { node: node.name.clone(), rejections: examine(&candidate, node) })
        .collect();
    verdicts.sort_by(|a, b| a.node.cmp(&b.node));
    verdicts
}

fn best<'a>(candidate: &Candidate<'_>, feasible: &[&'a NodeInfo], tie: usize) -> &'a NodeInfo {
    let scores = score(candidate, feasible);
    let most = scores.iter().copied().max().unwrap_or(0);
    let equals: Vec<usize> = (0..feasible.len()).filter(|i| scores[*i] == most).collect();
    feasible[equals[tie % equals.len()]]
}

/// How many feasible nodes are enough: a share that shrinks from a half to a twentieth as clusters grow.
fn nodes_to_find(nodes: usize) -> usize {
    if nodes <= MIN_NODES_TO_FIND {
        return nodes;
    }
    let percent = 50usize.saturating_sub(nodes / 125).max(5);
    (nodes * percent / 100).max(MIN_NODES_TO_FIND)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Decision, explain, schedule};
    use crate::snapshot::Snapshot;
    use crate::testing::{node, owned_pod, pod, pod_on};

    fn summary(decision: Decision) -> String {
        match decision {
            Decision::Bind { node } => node,
            Decision::Unschedulable(why) => why.to_string(),
        }
    }

    #[test]
    fn the_emptier_node_is_taken() {
        let snapshot =
            Snapshot::new([&node("a", "4", "8Gi"), &node("b", "4", "8Gi")], [pod_on("p", "a", "2")]);
        let pod = pod(serde_json::json!({"containers": [{"name": "c"}]}));
        assert_eq!(summary(schedule(&pod, &snapshot, 0, 0)), "b");
    }

    #[test]
    fn pods_of_one_owner_are_spread() {
        let nodes = [node("a", "16", "32Gi"), node("b", "16", "32Gi"), node("c", "16", "32Gi")];
        let mut snapshot = Snapshot::new(&nodes, []);
        for i in 0..6 {
            let pod = owned_pod(&format!("p{i}"), "owner");
            let Decision::Bind { node } = schedule(&pod, &snapshot, i, i) else { panic!("unschedulable") };
            snapshot.place(Arc::new(pod), &node);
        }
        for name in ["a", "b", "c"] {
            assert_eq!(snapshot.node(name).unwrap().pods.len(), 2, "{name}");
        }
    }

    #[test]
    fn every_reason_is_counted_and_explained() {
        let mut cordoned = node("b", "4", "8Gi");
        cordoned.spec.get_or_insert_default().unschedulable = true;
        let mut tainted = node("c", "4", "8Gi");
        tainted.spec.get_or_insert_default().taints = vec![gantry_api::core::v1::Taint {
            key: "gpu".into(),
            value: "yes".into(),
            effect: "NoSchedule".into(),
            ..Default::default()
        }];
        let snapshot = Snapshot::new([&node("a", "1", "8Gi"), &cordoned, &tainted], []);
        let pod =
            pod(serde_json::json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": "2"}}}]}));
        assert_eq!(
            summary(schedule(&pod, &snapshot, 0, 0)),
            "0/3 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {gpu: yes}, \
             1 node(s) were unschedulable."
        );
        let verdicts = explain(&pod, &snapshot);
        assert_eq!(verdicts[0].rejections[0].detail, "cpu: requests 2000m, 0m of 1000m taken");
    }

    #[test]
    fn no_nodes_is_said_plainly() {
        let pod = pod(serde_json::json!({"containers": []}));
        assert_eq!(
            summary(schedule(&pod, &Snapshot::default(), 0, 0)),
            "no nodes available to schedule pods"
        );
    }
}
