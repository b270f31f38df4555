//! The objects of an informer, with indexes.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use gantry_api::Resource;
use gantry_api::meta::v1::ObjectMeta;
use parking_lot::RwLock;

use super::{Event, Stored};

/// The namespace and name of an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ObjectKey {
    /// Empty for cluster-scoped objects.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl ObjectKey {
    /// The key of a namespace and name.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// The key of an object.
    #[must_use]
    pub fn of<T: Resource>(object: &T) -> Self {
        Self::of_meta(object.meta())
    }

    /// The key of an object by its metadata.
    #[must_use]
    pub fn of_meta(meta: &ObjectMeta) -> Self {
        Self::new(&meta.namespace, &meta.name)
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

pub(super) type IndexFn<T> = Box<dyn Fn(&T) -> Vec<String> + Send + Sync>;

struct Index<T> {
    name: &'static str,
    values: IndexFn<T>,
    buckets: HashMap<String, Vec<Arc<T>>>,
}

impl<T> Index<T> {
    fn insert(&mut self, object: &Arc<T>) {
        for value in (self.values)(object) {
            self.buckets.entry(value).or_default().push(object.clone());
        }
    }

    fn remove(&mut self, object: &Arc<T>) {
        for value in (self.values)(object) {
            let Some(bucket) = self.buckets.get_mut(&value) else { continue };
            if let Some(position) = bucket.iter().position(|entry| Arc::ptr_eq(entry, object)) {
                bucket.swap_remove(position);
            }
            if bucket.is_empty() {
                self.buckets.remove(&value);
            }
        }
    }
}

struct Inner<T> {
    namespaces: HashMap<String, HashMap<String, Arc<T>>>,
    len: usize,
    indexes: Vec<Index<T>>,
    /// Uids of objects that this process deleted and whose deletion was not watched yet: older states of them that are
    /// still under way must not bring them back.
    tombstones: HashSet<String>,
}

/// The objects of an informer. Cheap to clone; clones see the same objects.
pub struct Store<T> {
    inner: Arc<RwLock<Inner<T>>>,
}

impl<T> Clone for Store<T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<T> fmt::Debug for Store<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("len", &self.inner.read().len).finish_non_exhaustive()
    }
}

impl<T: Stored> Store<T> {
    pub(super) fn new(indexes: Vec<(&'static str, IndexFn<T>)>) -> Self {
        let indexes = indexes
            .into_iter()
            .map(|(name, values)| Index { name, values, buckets: HashMap::new() })
            .collect();
        let inner = Inner { namespaces: HashMap::new(), len: 0, indexes, tombstones: HashSet::new() };
        Self { inner: Arc::new(RwLock::new(inner)) }
    }

    /// One object; the namespace of cluster-scoped ones is empty.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<T>> {
        self.inner.read().namespaces.get(namespace)?.get(name).cloned()
    }

    /// One object.
    #[must_use]
    pub fn get_key(&self, key: &ObjectKey) -> Option<Arc<T>> {
        self.get(&key.namespace, &key.name)
    }

    /// All objects, in no order.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<T>> {
        let inner = self.inner.read();
        let mut all = Vec::with_capacity(inner.len);
        all.extend(inner.namespaces.values().flat_map(HashMap::values).cloned());
        all
    }

    /// The objects of a namespace, in no order.
    #[must_use]
    pub fn list_namespace(&self, namespace: &str) -> Vec<Arc<T>> {
        let inner = self.inner.read();
        inner.namespaces.get(namespace).map(|objects| objects.values().cloned().collect()).unwrap_or_default()
    }

    /// The objects to which the index gives the value, in no order. An index that was not built has none.
    #[must_use]
    pub fn by_index(&self, index: &str, value: &str) -> Vec<Arc<T>> {
        let inner = self.inner.read();
        let index = inner.indexes.iter().find(|candidate| candidate.name == index);
        debug_assert!(index.is_some(), "the informer was built without this index");
        index.and_then(|index| index.buckets.get(value)).cloned().unwrap_or_default()
    }

    /// How many objects there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.read().len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn keys(&self) -> Vec<ObjectKey> {
        let inner = self.inner.read();
        inner
            .namespaces
            .iter()
            .flat_map(|(namespace, objects)| objects.keys().map(|name| ObjectKey::new(namespace, name)))
            .collect()
    }

    /// Stores a state. `None` where it is not newer than the one that is there.
    pub(super) fn upsert(&self, object: T) -> Option<Event<T>> {
        let new = Arc::new(object);
        let mut inner = self.inner.write();
        let inner = &mut *inner;
        if inner.tombstones.contains(&new.metadata().uid) {
            return None;
        }
        // Allocates the namespace's name only once.
        if !inner.namespaces.contains_key(&new.metadata().namespace) {
            inner.namespaces.insert(new.metadata().namespace.clone(), HashMap::new());
        }
        let objects = inner.namespaces.get_mut(&new.metadata().namespace)?;
        let event = match objects.get_mut(&new.metadata().name) {
            None => {
                objects.insert(new.metadata().name.clone(), new.clone());
                inner.len += 1;
                Event::Added(new.clone())
            }
            Some(slot) => {
                if revision(&**slot) >= revision(&*new) && slot.metadata().uid == new.metadata().uid {
                    return None;
                }
                let old = std::mem::replace(slot, new.clone());
                for index in &mut inner.indexes {
                    index.remove(&old);
                }
                Event::Modified { old, new: new.clone() }
            }
        };
        for index in &mut inner.indexes {
            index.insert(&new);
        }
        Some(event)
    }

    /// Removes an object. `last` is its last state, where that is known; it is what the event carries.
    pub(super) fn remove(&self, key: &ObjectKey, last: Option<T>) -> Option<Event<T>> {
        let mut inner = self.inner.write();
        let inner = &mut *inner;
        if let Some(last) = &last {
            inner.tombstones.remove(&last.metadata().uid);
        }
        let objects = inner.namespaces.get_mut(&key.namespace)?;
        // A late deletion must not remove a successor of the same name.
        if let (Some(last), Some(present)) = (&last, objects.get(&key.name))
            && last.metadata().uid != present.metadata().uid
            && revision(last) <= revision(&**present)
        {
            return None;
        }
        let old = objects.remove(&key.name)?;
        if objects.is_empty() {
            inner.namespaces.remove(&key.namespace);
        }
        inner.len -= 1;
        for index in &mut inner.indexes {
            index.remove(&old);
        }
        Some(Event::Deleted(last.map_or(old, Arc::new)))
    }
}

impl<T: Stored> Store<T> {
    /// Removes an object that this process deleted.
    pub(super) fn bury(&self, key: &ObjectKey, uid: &str) -> Option<Event<T>> {
        let present = self.get_key(key)?;
        if present.metadata().uid != uid {
            return None;
        }
        self.inner.write().tombstones.insert(uid.to_owned());
        self.remove(key, None)
    }

    /// Forgets the deletions of this process, after a list.
    pub(super) fn forget_tombstones(&self) {
        self.inner.write().tombstones.clear();
    }

    /// The revision of an object that is there.
    pub(super) fn revision(&self, key: &ObjectKey) -> Option<i64> {
        self.get_key(key).map(|object| revision(&*object))
    }
}

/// Zero, the oldest, for what is not a revision.
pub(super) fn revision<T: Stored>(object: &T) -> i64 {
    object.metadata().resource_version.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{Event, ObjectKey, Store};
    use gantry_api::Resource;
    use gantry_api::core::v1::{Pod, PodSpec};

    fn store() -> Store<Pod> {
        Store::new(vec![(
            "node",
            Box::new(|pod: &Pod| pod.spec.iter().map(|spec| spec.node_name.clone()).collect()),
        )])
    }

    fn pod(name: &str, node: &str, revision: i64) -> Pod {
        let mut pod = Pod {
            spec: Some(PodSpec { node_name: node.into(), ..Default::default() }),
            ..Default::default()
        };
        pod.meta_mut().name = name.into();
        pod.meta_mut().namespace = "default".into();
        pod.meta_mut().resource_version = revision.to_string();
        pod
    }

    #[test]
    fn indexes_follow_the_objects() {
        let store = store();
        assert!(matches!(store.upsert(pod("a", "n1", 1)), Some(Event::Added(_))));
        assert!(matches!(store.upsert(pod("a", "n2", 2)), Some(Event::Modified { .. })));
        assert!(store.by_index("node", "n1").is_empty());
        assert_eq!(store.by_index("node", "n2").len(), 1);
        assert!(matches!(store.remove(&ObjectKey::new("default", "a"), None), Some(Event::Deleted(_))));
        assert!(store.by_index("node", "n2").is_empty());
        assert!(store.is_empty() && store.list().is_empty());
    }

    #[test]
    fn what_this_process_deleted_does_not_come_back() {
        let store = store();
        let mut first = pod("a", "n1", 1);
        first.meta_mut().uid = "u1".into();
        let mut late = pod("a", "n2", 2);
        late.meta_mut().uid = "u1".into();
        let mut successor = pod("a", "n3", 4);
        successor.meta_mut().uid = "u2".into();
        store.upsert(first);
        assert!(matches!(store.bury(&ObjectKey::new("default", "a"), "u1"), Some(Event::Deleted(_))));
        assert!(store.upsert(late.clone()).is_none());
        assert!(store.upsert(successor).is_some());
        late.meta_mut().resource_version = "3".into();
        assert!(store.remove(&ObjectKey::new("default", "a"), Some(late)).is_none(), "the successor stays");
        assert_eq!(store.len(), 1);
    }

    #[test]
    fn older_states_are_ignored() {
        let store = store();
        store.upsert(pod("a", "n2", 2));
        assert!(store.upsert(pod("a", "n1", 1)).is_none());
        assert!(store.upsert(pod("a", "n1", 2)).is_none());
        assert_eq!(store.get("default", "a").unwrap().spec.as_ref().unwrap().node_name, "n2");
    }
}
