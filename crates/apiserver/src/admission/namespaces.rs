//! Objects live in namespaces that exist and are not going away.

use gantry_api::core::v1::Namespace;
use gantry_api::meta::v1::StatusCause;
use gantry_api::{Kind, Resource as _};

use crate::status::ApiError;
use crate::verbs::Verbs;

/// Keeps what only `finalize` changes.
pub(super) fn keep(new: &mut Namespace, old: &Namespace) {
    let finalizers = old.spec.as_ref().map(|spec| spec.finalizers.clone()).unwrap_or_default();
    new.spec.get_or_insert_default().finalizers = finalizers;
}

impl Verbs {
    /// Whether a new object may be created in its namespace.
    pub(crate) async fn admit_namespace(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
    ) -> Result<(), ApiError> {
        if !kind.namespaced() {
            return Ok(());
        }
        let cache = self.cache(Namespace::kind())?;
        let found = match cache.peek(namespace) {
            Some(entry) => Some(entry),
            // It may be newer than the cache.
            None => cache.get(namespace).await?,
        };
        let entry = found.ok_or_else(|| ApiError::not_found(Namespace::kind(), namespace))?;
        if entry.field("status.phase") != Some("Terminating") {
            return Ok(());
        }
        let detail =
            format!("unable to create new content in namespace {namespace} because it is being terminated");
        Err(ApiError::forbidden(kind, name, &detail).with_cause(StatusCause {
            reason: "NamespaceTerminating".to_owned(),
            message: format!("namespace {namespace} is being terminated"),
            field: "metadata.namespace".to_owned(),
        }))
    }
}
