//! Who owns whom.

use std::collections::{HashMap, HashSet};

use gantry_api::Kind;
use gantry_api::meta::v1::{ObjectMeta, OwnerReference};
use gantry_client::ObjectKey;

use super::{FOREGROUND, ORPHAN, key};

/// An object.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) kind: &'static Kind,
    pub(super) key: ObjectKey,
    pub(super) uid: String,
    pub(super) owners: Vec<OwnerReference>,
    pub(super) deleting: bool,
    /// It waits for its dependents.
    pub(super) foreground: bool,
    /// It leaves its dependents alone.
    pub(super) orphan: bool,
}

/// All objects that own or are owned, and those that are being deleted with regard to their dependents.
#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: HashMap<String, Node>,
    /// The uids of dependents, by owner; the owner itself need not be there.
    dependents: HashMap<String, HashSet<String>>,
}

impl Graph {
    /// Takes over an object's state; says which objects must be looked at.
    pub(super) fn upsert(&mut self, kind: &'static Kind, meta: &ObjectMeta) -> Vec<String> {
        let node = Node {
            kind,
            key: key(meta),
            uid: meta.uid.clone(),
            owners: meta.owner_references.clone(),
            deleting: meta.deletion_timestamp.is_some(),
            foreground: meta.finalizers.iter().any(|finalizer| finalizer == FOREGROUND),
            orphan: meta.finalizers.iter().any(|finalizer| finalizer == ORPHAN),
        };
        let old = self.nodes.get(&node.uid);
        if old == Some(&node) {
            return Vec::new();
        }
        let mut affected = Vec::new();
        let old_owners: Vec<String> =
            old.iter().flat_map(|old| &old.owners).map(|owner| owner.uid.clone()).collect();
        let looks_left = node.deleting && (node.foreground || node.orphan);
        let missing = node
            .owners
            .iter()
            .any(|owner| self.nodes.get(&owner.uid).is_none_or(|owner| owner.deleting && owner.foreground));
        if looks_left || (missing && !node.deleting) {
            affected.push(node.uid.clone());
        }
        for owner in &old_owners {
            if !node.owners.iter().any(|present| present.uid == *owner) {
                self.unlink(owner, &node.uid);
                affected.push(owner.clone());
            }
        }
        for owner in &node.owners {
            self.dependents.entry(owner.uid.clone()).or_default().insert(node.uid.clone());
        }
        self.nodes.insert(node.uid.clone(), node);
        affected
    }

    /// Forgets an object; says which objects must be looked at: those that it owned, and those that waited for it.
    pub(super) fn remove(&mut self, uid: &str) -> Vec<String> {
        let Some(node) = self.nodes.remove(uid) else { return Vec::new() };
        let mut affected: Vec<String> = self.dependents.get(uid).into_iter().flatten().cloned().collect();
        for owner in node.owners {
            self.unlink(&owner.uid, uid);
            affected.push(owner.uid);
        }
        affected
    }

    /// Forgets all objects of a kind; says which objects must be looked at.
    pub(super) fn forget(&mut self, kind: &'static Kind) -> Vec<String> {
        let gone = self.nodes.values().filter(|node| std::ptr::eq(node.kind, kind));
        let gone: Vec<String> = gone.map(|node| node.uid.clone()).collect();
        gone.iter().flat_map(|uid| self.remove(uid)).collect()
    }

    fn unlink(&mut self, owner: &str, dependent: &str) {
        if let Some(dependents) = self.dependents.get_mut(owner) {
            dependents.remove(dependent);
            if dependents.is_empty() {
                self.dependents.remove(owner);
            }
        }
    }

    /// An object, where it is known.
    pub(super) fn node(&self, uid: &str) -> Option<Node> {
        self.nodes.get(uid).cloned()
    }

    /// The objects that name this one as an owner.
    pub(super) fn dependents(&self, uid: &str) -> Vec<Node> {
        let uids = self.dependents.get(uid).into_iter().flatten();
        uids.filter_map(|uid| self.nodes.get(uid)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Graph;
    use gantry_api::Resource;
    use gantry_api::core::v1::{ConfigMap, Pod};
    use gantry_api::meta::v1::{ObjectMeta, OwnerReference};
    use gantry_api::scalars::Time;

    fn meta(uid: &str, owners: &[&str]) -> ObjectMeta {
        ObjectMeta {
            uid: uid.into(),
            name: uid.into(),
            owner_references: owners
                .iter()
                .map(|uid| OwnerReference { uid: (*uid).into(), ..Default::default() })
                .collect(),
            ..Default::default()
        }
    }

    #[test]
    fn dependents_are_looked_at_when_their_owner_goes() {
        let mut graph = Graph::default();
        assert_eq!(graph.upsert(Pod::kind(), &meta("owner", &[])), [""; 0]);
        assert_eq!(graph.upsert(Pod::kind(), &meta("child", &["owner"])), [""; 0]);
        assert_eq!(graph.dependents("owner").len(), 1);
        assert_eq!(graph.remove("owner"), ["child"]);
        assert_eq!(graph.remove("child"), ["owner"]);
    }

    #[test]
    fn the_objects_of_a_kind_that_goes_are_forgotten() {
        let mut graph = Graph::default();
        graph.upsert(ConfigMap::kind(), &meta("owner", &[]));
        graph.upsert(Pod::kind(), &meta("child", &["owner"]));
        assert_eq!(graph.forget(ConfigMap::kind()), ["child"]);
        assert!(graph.node("owner").is_none() && graph.node("child").is_some());
    }

    #[test]
    fn a_child_without_its_owner_is_looked_at() {
        let mut graph = Graph::default();
        assert_eq!(graph.upsert(Pod::kind(), &meta("child", &["unknown"])), ["child"]);
        assert_eq!(graph.upsert(Pod::kind(), &meta("child", &["unknown"])), [""; 0], "nothing changed");
        assert_eq!(graph.upsert(Pod::kind(), &meta("child", &[])), ["unknown"]);
        assert!(graph.dependents("unknown").is_empty());
    }

    #[test]
    fn a_foreground_deletion_is_looked_at() {
        let mut graph = Graph::default();
        let mut owner = meta("owner", &[]);
        owner.deletion_timestamp = Some(Time::default());
        owner.finalizers = vec![super::FOREGROUND.into()];
        assert_eq!(graph.upsert(Pod::kind(), &owner), ["owner"]);
        assert_eq!(graph.upsert(Pod::kind(), &meta("child", &["owner"])), ["child"]);
    }
}
