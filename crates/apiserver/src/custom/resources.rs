//! The caches of custom resources, and the kinds that were made for them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gantry_api::Kind;
use gantry_api::custom::Kinds;
use parking_lot::RwLock;

use crate::cache::Cache;

/// The custom resources of a server.
#[derive(Default)]
pub(crate) struct Resources {
    kinds: Kinds,
    caches: RwLock<HashMap<&'static str, Arc<Cache>>>,
    /// All versions of each resource, served or not, by the definition's name.
    versions: RwLock<HashMap<String, Vec<&'static Kind>>>,
    known: AtomicBool,
}

impl Resources {
    /// The kinds that were made.
    pub(super) fn kinds(&self) -> &Kinds {
        &self.kinds
    }

    /// The cache of a kind; none once it has vanished.
    pub(crate) fn cache(&self, kind: &Kind) -> Option<Arc<Cache>> {
        self.caches.read().get(kind.message).cloned()
    }

    /// Takes a cache in. One of the same kind is closed.
    pub(super) fn insert(&self, cache: Arc<Cache>) {
        let before = self.caches.write().insert(cache.kind().message, cache);
        if let Some(before) = before {
            before.close();
        }
    }

    /// Closes the cache of a kind.
    pub(super) fn remove(&self, kind: &Kind) {
        let before = self.caches.write().remove(kind.message);
        if let Some(before) = before {
            before.close();
        }
    }

    /// Remembers all versions of a resource; forgets it where there are none.
    pub(super) fn set_versions(&self, definition: &str, kinds: Vec<&'static Kind>) {
        let mut versions = self.versions.write();
        if kinds.is_empty() {
            versions.remove(definition);
        } else {
            versions.insert(definition.to_owned(), kinds);
        }
    }

    /// A version of the resource that a kind belongs to, served or not.
    pub(crate) fn version(&self, kind: &Kind, version: &str) -> Option<&'static Kind> {
        let versions = self.versions.read();
        let all = versions.get(&format!("{}.{}", kind.plural, kind.group))?;
        all.iter().copied().find(|one| one.version == version)
    }

    /// Whether the definitions have been read.
    pub(crate) fn are_known(&self) -> bool {
        self.known.load(Ordering::Acquire)
    }

    pub(super) fn set_known(&self) {
        self.known.store(true, Ordering::Release);
    }
}
