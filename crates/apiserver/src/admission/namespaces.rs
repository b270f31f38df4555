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

/// Namespaces that the cluster cannot do without.
const PERMANENT: [&str; 3] = ["default", "kube-system", "kube-public"];

/// Whether an object may be deleted at all.
pub(crate) fn check_deletion(kind: &'static Kind, name: &str) -> Result<(), ApiError> {
    if kind == Namespace::kind() && PERMANENT.contains(&name) {
        return Err(ApiError::forbidden(kind, name, "this namespace may not be deleted"));
    }
    Ok(())
}

impl Verbs {
    /// Whether a new object may be created in its namespace.
    pub(super) async fn admit_namespace(&self, object: &dyn gantry_api::Object) -> Result<(), ApiError> {
        let kind = object.kind();
        if !kind.namespaced() {
            return Ok(());
        }
        let (namespace, name) = (object.meta().namespace.as_str(), object.meta().name.as_str());
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
