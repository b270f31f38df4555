//! Which objects belong to which node, through the pods that are bound to it.

use std::collections::HashMap;
use std::fmt;

use gantry_api::core::v1::Pod;

use super::references::references;
use crate::authorization::identity::Identity;

/// What a pod can refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Sort {
    Secret,
    ConfigMap,
    /// A PersistentVolumeClaim.
    Claim,
    ServiceAccount,
}

/// An object that a pod refers to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Object {
    sort: Sort,
    /// `namespace/name`.
    key: Box<str>,
}

impl Object {
    pub(crate) fn new(sort: Sort, namespace: &str, name: &str) -> Self {
        Self { sort, key: format!("{namespace}/{name}").into() }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.sort, self.key)
    }
}

/// The pods of every node, and what they refer to.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    /// By `namespace/name`.
    pods: HashMap<Box<str>, Bound>,
    /// By node: each object with how many of the node's pods refer to it.
    nodes: HashMap<Box<str>, HashMap<Object, usize>>,
    /// The volume of each claim that has one, by `namespace/name`.
    volumes: HashMap<Box<str>, Box<str>>,
}

/// A pod that is bound to a node.
#[derive(Debug)]
struct Bound {
    node: Box<str>,
    uid: Box<str>,
    generation: i64,
    objects: Vec<Object>,
}

impl Graph {
    /// Whether the pod is known to be on the node.
    pub(crate) fn has_pod(&self, key: &str, node: &str) -> bool {
        self.pods.get(key).is_some_and(|pod| &*pod.node == node)
    }

    /// Whether nothing of the pod is news: its generation counts what may come to refer to something, such as an
    /// ephemeral container, and its name's next pod has another uid.
    pub(crate) fn is_current(&self, key: &str, node: &str, found: &Identity) -> bool {
        self.pods.get(key).is_some_and(|pod| {
            &*pod.node == node && *pod.uid == *found.uid && pod.generation == found.generation
        })
    }

    /// Takes in a pod that is bound to a node.
    pub(crate) fn set_pod(&mut self, key: &str, node: &str, pod: &Pod) {
        self.remove_pod(key);
        let objects = references(pod);
        let counts = self.nodes.entry(node.into()).or_default();
        for object in &objects {
            *counts.entry(object.clone()).or_default() += 1;
        }
        let nothing = Default::default();
        let meta = pod.metadata.as_ref().unwrap_or(&nothing);
        let (uid, generation) = (meta.uid.as_str().into(), meta.generation);
        self.pods.insert(key.into(), Bound { node: node.into(), uid, generation, objects });
    }

    /// Forgets a pod.
    pub(crate) fn remove_pod(&mut self, key: &str) {
        let Some(pod) = self.pods.remove(key) else { return };
        let Some(counts) = self.nodes.get_mut(&pod.node) else { return };
        for object in &pod.objects {
            if let Some(count) = counts.get_mut(object) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(object);
                }
            }
        }
        if counts.is_empty() {
            self.nodes.remove(&pod.node);
        }
    }

    /// Forgets all pods.
    pub(crate) fn clear_pods(&mut self) {
        self.pods.clear();
        self.nodes.clear();
    }

    /// Notes a claim's volume; none where it has none, or is gone.
    pub(crate) fn set_claim(&mut self, key: &str, volume: &str) {
        if volume.is_empty() {
            self.volumes.remove(key);
        } else {
            self.volumes.insert(key.into(), volume.into());
        }
    }

    /// Forgets all claims.
    pub(crate) fn clear_claims(&mut self) {
        self.volumes.clear();
    }

    /// Whether a pod of the node refers to the object.
    pub(crate) fn refers(&self, node: &str, object: &Object) -> bool {
        self.nodes.get(node).is_some_and(|objects| objects.contains_key(object))
    }

    /// Whether a pod of the node uses a claim that has the volume.
    pub(crate) fn uses_volume(&self, node: &str, volume: &str) -> bool {
        let objects = self.nodes.get(node).into_iter().flatten();
        let mut claims = objects.map(|(object, _)| object).filter(|object| object.sort == Sort::Claim);
        claims.any(|claim| self.volumes.get(&claim.key).is_some_and(|it| &**it == volume))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, secret: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"namespace": "a", "name": name},
            "spec": {"volumes": [
                {"name": "s", "secret": {"secretName": secret}},
                {"name": "c", "persistentVolumeClaim": {"claimName": "data"}},
            ]},
        }))
        .unwrap()
    }

    #[test]
    fn an_object_is_a_nodes_while_one_of_its_pods_refers_to_it() {
        let mut graph = Graph::default();
        let secret = Object::new(Sort::Secret, "a", "s");
        graph.set_pod("a/x", "n1", &pod("x", "s"));
        graph.set_pod("a/y", "n1", &pod("y", "s"));
        graph.set_pod("a/z", "n2", &pod("z", "t"));
        assert!(graph.has_pod("a/x", "n1") && !graph.has_pod("a/x", "n2"));
        assert!(graph.refers("n1", &secret) && !graph.refers("n2", &secret));
        assert!(!graph.refers("n1", &Object::new(Sort::Secret, "b", "s")));
        assert!(!graph.refers("n1", &Object::new(Sort::ConfigMap, "a", "s")));
        graph.remove_pod("a/x");
        assert!(graph.refers("n1", &secret));
        // The name's next pod is on another node.
        graph.set_pod("a/y", "n2", &pod("y", "s"));
        assert!(graph.refers("n2", &secret) && !graph.refers("n1", &secret));
        graph.remove_pod("a/y");
        graph.remove_pod("a/z");
        assert!(graph.pods.is_empty() && graph.nodes.is_empty());
    }

    #[test]
    fn a_pod_is_news_where_its_uid_or_its_generation_is() {
        let mut graph = Graph::default();
        let mut first = pod("x", "s");
        let meta = first.metadata.as_mut().unwrap();
        (meta.uid, meta.generation) = ("u".into(), 1);
        graph.set_pod("a/x", "n1", &first);
        let of = |uid: &str, generation| Identity { uid: uid.into(), generation, deletion_timestamp: None };
        assert!(graph.is_current("a/x", "n1", &of("u", 1)));
        assert!(!graph.is_current("a/x", "n2", &of("u", 1)));
        assert!(!graph.is_current("a/x", "n1", &of("u", 2)));
        assert!(!graph.is_current("a/x", "n1", &of("v", 1)));
    }

    #[test]
    fn a_volume_is_a_nodes_through_its_claim() {
        let mut graph = Graph::default();
        graph.set_pod("a/x", "n1", &pod("x", "s"));
        assert!(!graph.uses_volume("n1", "pv"));
        graph.set_claim("a/data", "pv");
        assert!(graph.uses_volume("n1", "pv") && !graph.uses_volume("n2", "pv"));
        graph.set_claim("a/data", "");
        assert!(!graph.uses_volume("n1", "pv"));
    }
}
