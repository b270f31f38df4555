//! Finding a pod's actor by the pod's name.

use std::collections::HashMap;
use std::sync::Arc;

use gantry_api::core::v1::Pod;
use parking_lot::RwLock;

use crate::pod::actor::Handle;

type Key = (String, String);

/// The pods of the node by namespace and name. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    pods: Arc<RwLock<HashMap<Key, (String, Handle)>>>,
}

impl Directory {
    /// The actor of a pod.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Option<Handle> {
        let key = (namespace.to_owned(), name.to_owned());
        self.pods.read().get(&key).map(|(_, handle)| handle.clone())
    }

    /// The number of pods.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pods.read().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pods.read().is_empty()
    }

    /// The UID of the pod of this name.
    pub(super) fn uid(&self, pod: &Pod) -> Option<String> {
        self.pods.read().get(&key(pod)).map(|(uid, _)| uid.clone())
    }

    pub(super) fn insert(&self, pod: &Pod, uid: &str, handle: Handle) {
        self.pods.write().insert(key(pod), (uid.to_owned(), handle));
    }

    /// Removes a pod, unless another one has its name by now.
    pub(super) fn remove(&self, pod: &Pod) {
        let uid = pod.metadata.as_ref().map_or("", |meta| meta.uid.as_str());
        let mut pods = self.pods.write();
        if pods.get(&key(pod)).is_some_and(|(known, _)| known == uid) {
            pods.remove(&key(pod));
        }
    }
}

fn key(pod: &Pod) -> Key {
    pod.metadata.as_ref().map(|meta| (meta.namespace.clone(), meta.name.clone())).unwrap_or_default()
}
