//! When a deleted object may go: once no finalizer and no grace period holds it.

use gantry_api::Object;
use gantry_api::core::v1::Namespace;

/// Whether a deleted object has nothing left that holds it.
pub(super) fn nothing_holds(object: &dyn Object) -> bool {
    let meta = object.meta();
    let graceful = meta.deletion_grace_period_seconds.is_some_and(|seconds| seconds > 0);
    meta.deletion_timestamp.is_some() && meta.finalizers.is_empty() && !graceful && !namespace_is_held(object)
}

/// Whether it is a namespace whose content may not be gone yet.
pub(super) fn namespace_is_held(object: &dyn Object) -> bool {
    let namespace = object.downcast_ref::<Namespace>();
    namespace.and_then(|namespace| namespace.spec.as_ref()).is_some_and(|spec| !spec.finalizers.is_empty())
}

/// Writes a namespace's `finalize` subresource.
pub(super) fn copy_finalizers(to: &mut dyn Object, from: &dyn Object) {
    let (Some(to), Some(from)) = (to.downcast_mut::<Namespace>(), from.downcast_ref::<Namespace>()) else {
        return;
    };
    let finalizers = from.spec.as_ref().map(|spec| spec.finalizers.clone()).unwrap_or_default();
    to.spec.get_or_insert_default().finalizers = finalizers;
}
