//! What the server itself adds to objects and asks of them: upstream's built-in admission, as plain functions.

mod namespaces;
mod pods;
pub(crate) mod services;

use gantry_api::Object;
use gantry_api::core::v1::{Namespace, Pod};

use crate::verbs::Settings;

/// Completes a new object.
pub(crate) fn on_create(object: &mut dyn Object, settings: &Settings) {
    if let Some(pod) = object.downcast_mut::<Pod>() {
        pods::complete(pod, settings.tolerations);
    }
}

/// Completes a changed object.
pub(crate) fn on_update(new: &mut dyn Object, old: &dyn Object) {
    if let (Some(new), Some(old)) = (new.downcast_mut::<Namespace>(), old.downcast_ref::<Namespace>()) {
        namespaces::keep(new, old);
    }
}
