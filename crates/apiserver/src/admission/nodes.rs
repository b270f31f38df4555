//! What new nodes get, and what pods get of their nodes.

use std::collections::BTreeMap;

use gantry_api::Resource;
use gantry_api::core::v1::{Binding, Node, Pod, Taint};

use crate::status::ApiError;
use crate::verbs::Verbs;

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const NO_SCHEDULE: &str = "NoSchedule";
/// What pods can read of where they run.
const TOPOLOGY: [&str; 2] = ["topology.kubernetes.io/zone", "topology.kubernetes.io/region"];

/// Keeps pods away from a new node until somebody has seen that it is ready.
pub(super) fn taint(node: &mut Node) {
    let taints = &mut node.spec.get_or_insert_default().taints;
    if !taints.iter().any(|taint| taint.key == NOT_READY && taint.effect == NO_SCHEDULE) {
        taints.push(Taint { key: NOT_READY.to_owned(), effect: NO_SCHEDULE.to_owned(), ..Taint::default() });
    }
}

impl Verbs {
    /// Tells a new pod that names its node where that is.
    pub(super) async fn label_with_topology(&self, pod: &mut Pod) -> Result<(), ApiError> {
        let node = pod.spec.as_ref().map(|spec| spec.node_name.clone()).unwrap_or_default();
        if !node.is_empty() {
            let labels = self.topology(&node).await?;
            Resource::meta_mut(pod).labels.extend(labels);
        }
        Ok(())
    }

    /// Tells a pod, through the binding to its node, where that is.
    pub(crate) async fn label_binding(&self, binding: &mut Binding) -> Result<(), ApiError> {
        if !self.settings().plugins.has(super::plugins::POD_TOPOLOGY_LABELS) {
            return Ok(());
        }
        let node = binding.target.as_ref().filter(|target| target.kind == "Node" && !target.name.is_empty());
        let Some(name) = node.map(|target| target.name.clone()) else { return Ok(()) };
        let labels = self.topology(&name).await?;
        binding.metadata.get_or_insert_default().labels.extend(labels);
        Ok(())
    }

    /// Where a node is; nothing of a node that is not there.
    async fn topology(&self, node: &str) -> Result<BTreeMap<String, String>, ApiError> {
        let node = self.cluster_object::<Node>(node).await?;
        let labels = node.map(|node| node.metadata.unwrap_or_default().labels).unwrap_or_default();
        Ok(labels.into_iter().filter(|(key, _)| TOPOLOGY.contains(&key.as_str())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_tainted_once() {
        let mut node = Node::default();
        let other = Taint { key: NOT_READY.to_owned(), effect: "NoExecute".to_owned(), ..Taint::default() };
        node.spec.get_or_insert_default().taints.push(other.clone());
        taint(&mut node);
        taint(&mut node);
        let taints = node.spec.unwrap().taints;
        assert_eq!(taints.len(), 2);
        assert_eq!((&taints[0], taints[1].effect.as_str()), (&other, NO_SCHEDULE));
    }
}
