//! Which pods go.

use std::sync::Arc;

use gantry_api::Resource;
use gantry_api::core::v1::Node;
use gantry_client::PodExt;

use crate::pod::Pod;

/// The taint that says that a node does not come back as it was.
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

/// What there is.
#[derive(Debug)]
pub struct Snapshot {
    /// All pods.
    pub pods: Vec<Arc<Pod>>,
    /// All nodes.
    pub nodes: Vec<Arc<Node>>,
    /// Nodes that pods name and that are gone for certain.
    pub gone: Vec<String>,
    /// How many finished pods are kept; 0 or less keeps all.
    pub threshold: i64,
}

/// A pod that goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Doomed {
    /// The pod.
    pub pod: Arc<Pod>,
    /// Why.
    pub reason: &'static str,
}

/// Which pods go.
#[must_use]
pub fn reconcile(snapshot: &Snapshot) -> Vec<Doomed> {
    let out_of_service: Vec<&str> =
        snapshot.nodes.iter().filter(|node| is_out_of_service(node)).map(|node| node.name()).collect();
    let mut doomed = Vec::new();
    let mut finished = Vec::new();
    for pod in &snapshot.pods {
        let node = pod.node_name();
        let reason = if snapshot.gone.iter().any(|gone| gone == node) {
            "its node is gone"
        } else if pod.is_terminating() && node.is_empty() {
            "it has no node that could end it"
        } else if pod.is_terminating() && out_of_service.contains(&node) {
            "its node is out of service"
        } else {
            if pod.is_finished() && !pod.is_terminating() {
                finished.push(pod);
            }
            continue;
        };
        doomed.push(Doomed { pod: pod.clone(), reason });
    }
    if let Ok(threshold) = usize::try_from(snapshot.threshold)
        && threshold > 0
    {
        finished.sort_by_key(|pod| (pod.meta().creation_timestamp, pod.name().to_owned()));
        let excess = finished.len().saturating_sub(threshold);
        let oldest = finished.into_iter().take(excess);
        doomed.extend(oldest.map(|pod| Doomed { pod: pod.clone(), reason: "too many pods have finished" }));
    }
    doomed
}

fn is_out_of_service(node: &Node) -> bool {
    let tainted = node.spec.iter().flat_map(|spec| &spec.taints).any(|taint| taint.key == OUT_OF_SERVICE);
    let ready = node
        .status
        .iter()
        .flat_map(|status| &status.conditions)
        .any(|condition| condition.r#type == "Ready" && condition.status == "True");
    tainted && !ready
}

#[cfg(test)]
mod tests {
    use super::{Snapshot, reconcile};
    use crate::pod::Pod;
    use gantry_api::Resource;
    use gantry_api::core::v1::{Node, Taint};
    use gantry_api::scalars::Time;
    use std::sync::Arc;

    fn pod(name: &str, node: &str, phase: &str, terminating: bool) -> Arc<Pod> {
        let mut pod = Pod::default();
        pod.meta_mut().name = name.into();
        pod.meta_mut().deletion_timestamp = terminating.then(Time::default);
        pod.spec.get_or_insert_default().node_name = node.into();
        pod.status.get_or_insert_default().phase = phase.into();
        Arc::new(pod)
    }

    #[test]
    fn only_pods_that_nobody_ends_go() {
        let mut broken = Node::default();
        broken.meta_mut().name = "broken".into();
        broken.spec.get_or_insert_default().taints = vec![Taint {
            key: super::OUT_OF_SERVICE.into(),
            effect: "NoExecute".into(),
            ..Default::default()
        }];
        let snapshot = Snapshot {
            pods: vec![
                pod("alive", "n1", "Running", false),
                pod("ending", "n1", "Running", true),
                pod("lost", "gone", "Running", false),
                pod("never-assigned", "", "Pending", true),
                pod("stuck", "broken", "Running", true),
                pod("not-ending", "broken", "Running", false),
                pod("finished-1", "n1", "Succeeded", false),
                pod("finished-2", "n1", "Failed", false),
            ],
            nodes: vec![Arc::new(broken)],
            gone: vec!["gone".into()],
            threshold: 1,
        };
        let names: Vec<_> = reconcile(&snapshot).iter().map(|doomed| doomed.pod.name().to_owned()).collect();
        assert_eq!(names, ["lost", "never-assigned", "stuck", "finished-1"]);
    }
}
