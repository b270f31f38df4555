//! The cluster as the scheduler sees it: nodes, and the pods that are on them or about to be.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use gantry_api::Resource;
use gantry_api::core::v1::{Node, Taint};

use crate::pod::Pod;
use crate::resources::{PodRequests, Resources};

/// A pod that occupies a node.
#[derive(Debug, Clone)]
pub struct PlacedPod {
    /// The pod.
    pub pod: Arc<Pod>,
    /// What it occupies.
    pub requests: PodRequests,
}

/// A node with what is on it.
#[derive(Debug, Clone, Default)]
pub struct NodeInfo {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its taints.
    pub taints: Vec<Taint>,
    /// Whether it is cordoned off.
    pub unschedulable: bool,
    /// What it offers.
    pub allocatable: Resources,
    /// How many pods it takes.
    pub max_pods: i64,
    /// What its pods require.
    pub requested: Resources,
    /// What its pods count for in scores.
    pub scored: Resources,
    /// Its pods by `namespace/name`.
    pub pods: HashMap<String, PlacedPod>,
    /// Whether the node object is known: pods may be seen before their node, and outlive it.
    pub known: bool,
}

impl NodeInfo {
    fn set_node(&mut self, node: &Node) {
        let spec = node.spec.clone().unwrap_or_default();
        let allocatable = node.status.as_ref().map(|status| &status.allocatable);
        self.name = node.name().to_owned();
        self.labels.clone_from(&node.meta().labels);
        self.taints = spec.taints;
        self.unschedulable = spec.unschedulable;
        self.allocatable = allocatable.map(Resources::from_list).unwrap_or_default();
        self.max_pods = allocatable
            .and_then(|list| list.get("pods"))
            .and_then(gantry_api::scalars::Quantity::units)
            .unwrap_or(0);
        self.known = true;
    }

    fn add_pod(&mut self, key: String, pod: PlacedPod) {
        self.remove_pod(&key);
        self.requested.add(&pod.requests.required);
        self.scored.add(&pod.requests.for_scoring);
        self.pods.insert(key, pod);
    }

    fn remove_pod(&mut self, key: &str) {
        if let Some(old) = self.pods.remove(key) {
            self.requested.subtract(&old.requests.required);
            self.scored.subtract(&old.requests.for_scoring);
        }
    }
}

/// `namespace/name`.
#[must_use]
pub fn key(pod: &Pod) -> String {
    format!("{}/{}", pod.namespace(), pod.name())
}

/// Whether a pod has ended, so that it occupies nothing any more.
#[must_use]
pub fn is_terminal(pod: &Pod) -> bool {
    pod.status.as_ref().is_some_and(|status| status.phase == "Succeeded" || status.phase == "Failed")
}

/// The node that a pod is assigned to; empty where there is none.
#[must_use]
pub fn node_of(pod: &Pod) -> &str {
    pod.spec.as_ref().map_or("", |spec| spec.node_name.as_str())
}

/// All nodes, kept up to date event by event, in flat storage.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    nodes: Vec<NodeInfo>,
    by_name: HashMap<String, usize>,
    placed: HashMap<String, usize>,
}

impl Snapshot {
    /// A snapshot of these nodes and the pods assigned to them.
    pub fn new<'a>(
        nodes: impl IntoIterator<Item = &'a Node>,
        pods: impl IntoIterator<Item = Arc<Pod>>,
    ) -> Self {
        let mut snapshot = Self::default();
        for node in nodes {
            snapshot.set_node(node);
        }
        for pod in pods {
            snapshot.set_pod(pod);
        }
        snapshot
    }

    /// The nodes whose objects are known.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeInfo> {
        self.nodes.iter().filter(|node| node.known)
    }

    /// The storage, for scans that start anywhere; unknown nodes are in it.
    pub(crate) fn storage(&self) -> &[NodeInfo] {
        &self.nodes
    }

    /// One node.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&NodeInfo> {
        self.by_name.get(name).map(|index| &self.nodes[*index]).filter(|node| node.known)
    }

    /// Adds or replaces a node.
    pub fn set_node(&mut self, node: &Node) {
        let index = self.index(node.name());
        self.nodes[index].set_node(node);
    }

    /// Forgets a node. Its pods stay counted in case it comes back, and vanish with their own deletion.
    pub fn remove_node(&mut self, name: &str) {
        if let Some(index) = self.by_name.get(name).copied() {
            self.nodes[index].known = false;
            self.drop_if_empty(index);
        }
    }

    /// Records where a pod is: on its node, or nowhere where it is unassigned or has ended.
    pub fn set_pod(&mut self, pod: Arc<Pod>) {
        let node = node_of(&pod);
        if node.is_empty() || is_terminal(&pod) {
            self.remove_pod(&key(&pod));
            return;
        }
        let node = node.to_owned();
        self.place(pod, &node);
    }

    /// Counts a pod on `node`, before the API says so.
    pub fn place(&mut self, pod: Arc<Pod>, node: &str) {
        let key = key(&pod);
        let index = self.index(node);
        if self.placed.get(&key).is_some_and(|old| *old != index) {
            self.remove_pod(&key);
        }
        let requests = PodRequests::of(&pod);
        self.nodes[index].add_pod(key.clone(), PlacedPod { pod, requests });
        self.placed.insert(key, index);
    }

    /// Whether a pod occupies a node.
    #[must_use]
    pub fn is_placed(&self, key: &str) -> bool {
        self.placed.contains_key(key)
    }

    /// The pods that occupy nodes.
    pub fn placed_pods(&self) -> impl Iterator<Item = &str> {
        self.placed.keys().map(String::as_str)
    }

    /// Forgets a pod.
    pub fn remove_pod(&mut self, key: &str) {
        if let Some(index) = self.placed.remove(key) {
            self.nodes[index].remove_pod(key);
            self.drop_if_empty(index);
        }
    }

    fn index(&mut self, name: &str) -> usize {
        if let Some(index) = self.by_name.get(name) {
            return *index;
        }
        self.nodes.push(NodeInfo { name: name.to_owned(), ..NodeInfo::default() });
        self.by_name.insert(name.to_owned(), self.nodes.len() - 1);
        self.nodes.len() - 1
    }

    /// Gives an unknown node's place to the last one once no pod refers to it.
    fn drop_if_empty(&mut self, index: usize) {
        if self.nodes[index].known || !self.nodes[index].pods.is_empty() {
            return;
        }
        let removed = self.nodes.swap_remove(index);
        self.by_name.remove(&removed.name);
        if let Some(moved) = self.nodes.get(index) {
            self.by_name.insert(moved.name.clone(), index);
            for key in moved.pods.keys() {
                self.placed.insert(key.clone(), index);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Snapshot, key};
    use crate::testing::{node, pod_on};

    #[test]
    fn pods_are_counted_once_wherever_they_move() {
        let mut snapshot = Snapshot::new([&node("a", "4", "8Gi"), &node("b", "4", "8Gi")], []);
        snapshot.set_pod(pod_on("p", "a", "1"));
        snapshot.set_pod(pod_on("p", "a", "1"));
        assert_eq!(snapshot.node("a").unwrap().requested.milli_cpu, 1000);
        snapshot.place(pod_on("p", "b", "2"), "b");
        assert_eq!(snapshot.node("a").unwrap().requested.milli_cpu, 0);
        assert_eq!(snapshot.node("b").unwrap().requested.milli_cpu, 2000);
        snapshot.remove_pod(&key(&pod_on("p", "b", "2")));
        assert_eq!(snapshot.node("b").unwrap().requested.milli_cpu, 0);
    }

    #[test]
    fn a_node_that_goes_and_comes_back_keeps_its_pods() {
        let mut snapshot =
            Snapshot::new([&node("a", "4", "8Gi"), &node("b", "4", "8Gi")], [pod_on("p", "a", "1")]);
        snapshot.remove_node("a");
        assert!(snapshot.node("a").is_none());
        snapshot.set_node(&node("a", "4", "8Gi"));
        assert_eq!(snapshot.node("a").unwrap().requested.milli_cpu, 1000);
        snapshot.remove_node("a");
        snapshot.remove_pod("default/p");
        assert_eq!(snapshot.storage().len(), 1);
        assert_eq!(snapshot.node("b").unwrap().name, "b");
    }
}
