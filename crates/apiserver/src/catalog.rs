//! The kinds that are served at one moment: those of the registry, questions that are answered
//! and not kept, and the custom resources that are established.

use std::sync::Arc;

use gantry_api::{Kind, registry};

use crate::openapi::{Documents, Fixed};

/// The kinds that are served at one moment, and the documents that describe them.
pub(crate) struct Catalog {
    kinds: Vec<&'static Kind>,
    documents: Arc<Documents>,
    fixed: Arc<Fixed>,
}

impl Catalog {
    /// The kinds of the registry and those of custom resources. Where both have a resource, it is the registry's.
    pub(crate) fn new(custom: impl IntoIterator<Item = &'static Kind>) -> Self {
        Self::over(custom, Arc::default())
    }

    /// The same with other custom resources. The documents of all other kinds are kept.
    pub(crate) fn with(&self, custom: impl IntoIterator<Item = &'static Kind>) -> Self {
        Self::over(custom, self.fixed.clone())
    }

    fn over(custom: impl IntoIterator<Item = &'static Kind>, fixed: Arc<Fixed>) -> Self {
        let mut kinds: Vec<_> = registry::all().iter().chain(registry::reviews()).copied().collect();
        kinds.extend(custom);
        let documents = Arc::new(Documents::new(kinds.clone(), fixed.clone()));
        Self { kinds, documents, fixed }
    }

    /// All of them.
    pub(crate) fn kinds(&self) -> &[&'static Kind] {
        &self.kinds
    }

    /// The documents that describe them.
    pub(crate) fn documents(&self) -> &Arc<Documents> {
        &self.documents
    }

    /// The kind of a group, version and plural name.
    pub(crate) fn by_resource(&self, group: &str, version: &str, plural: &str) -> Option<&'static Kind> {
        let is =
            |kind: &&&'static Kind| kind.plural == plural && kind.group == group && kind.version == version;
        self.kinds.iter().find(is).copied()
    }

    /// Whether there is any kind of a group and version.
    pub(crate) fn serves(&self, group: &str, version: &str) -> bool {
        self.kinds.iter().any(|kind| kind.group == group && kind.version == version)
    }
}
