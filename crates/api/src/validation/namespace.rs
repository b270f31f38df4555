//! Namespaces.

use super::{common::check, names};
use crate::core::v1::Namespace;
use crate::field::{Error, ErrorList, Path};

pub(crate) fn namespace(namespace: &Namespace) -> ErrorList {
    let mut errors = ErrorList::new();
    let path = Path::new("spec").child("finalizers");
    for finalizer in namespace.spec.iter().flat_map(|spec| &spec.finalizers) {
        check(&mut errors, &path, finalizer, names::qualified_name(finalizer));
        if !finalizer.contains('/') && finalizer != "kubernetes" {
            let detail = "finalizer name is neither a standard finalizer name nor is it fully qualified";
            errors.push(Error::invalid(path.clone(), finalizer.as_str(), detail));
        }
    }
    errors
}

/// A namespace ends when it is deleted, and only then.
pub(crate) fn status_update(new: &Namespace, _old: &Namespace) -> ErrorList {
    let mut errors = ErrorList::new();
    let phase = new.status.as_ref().map(|status| status.phase.as_str()).unwrap_or_default();
    let deleted = new.metadata.as_ref().is_some_and(|meta| meta.deletion_timestamp.is_some());
    let path = Path::new("status").child("Phase");
    if deleted && phase != "Terminating" {
        let detail = "may only be 'Terminating' if `deletionTimestamp` is not empty";
        errors.push(Error::invalid(path, phase, detail));
    } else if !deleted && phase != "Active" {
        let detail = "may only be 'Active' if `deletionTimestamp` is empty";
        errors.push(Error::invalid(path, phase, detail));
    }
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn finalizers_are_known_or_qualified() {
        let of = |finalizer: &str| -> Namespace {
            serde_json::from_value(json!({ "spec": { "finalizers": [finalizer] } })).unwrap()
        };
        assert_eq!(namespace(&of("kubernetes")), []);
        assert_eq!(namespace(&of("example.com/x")), []);
        assert_eq!(namespace(&of("other")).len(), 1);
    }

    #[test]
    fn the_phase_follows_the_deletion() {
        let of = |phase: &str| -> Namespace {
            serde_json::from_value(json!({ "status": { "phase": phase } })).unwrap()
        };
        assert_eq!(status_update(&of("Active"), &of("Active")), []);
        assert_eq!(status_update(&of("Terminating"), &of("Active")).len(), 1);
    }
}
