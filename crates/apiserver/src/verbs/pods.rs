//! What of a pod is written through a subresource of its own.

use gantry_api::core::v1::Pod;
use gantry_api::field::ErrorList;
use gantry_api::{Object, validation};

/// Writes a pod's `ephemeralcontainers` subresource.
pub(super) fn copy_ephemeral_containers(to: &mut dyn Object, from: &dyn Object) {
    let (Some(to), Some(from)) = (to.downcast_mut::<Pod>(), from.downcast_ref::<Pod>()) else { return };
    let containers = from.spec.as_ref().map(|spec| spec.ephemeral_containers.clone()).unwrap_or_default();
    to.spec.get_or_insert_default().ephemeral_containers = containers;
}

/// What is wrong with them.
pub(super) fn validate_ephemeral_containers(new: &dyn Object, old: &dyn Object) -> ErrorList {
    match (new.downcast_ref::<Pod>(), old.downcast_ref::<Pod>()) {
        (Some(new), Some(old)) => validation::ephemeral_containers_update(new, old),
        _ => ErrorList::new(),
    }
}

/// Writes a pod's `resize` subresource: what its containers ask for, and how they are to be given it.
pub(super) fn copy_resources(to: &mut dyn Object, from: &dyn Object) {
    let (Some(to), Some(from)) = (to.downcast_mut::<Pod>(), from.downcast_ref::<Pod>()) else { return };
    let (Some(to), Some(from)) = (&mut to.spec, &from.spec) else { return };
    let lists = [(&mut to.containers, &from.containers), (&mut to.init_containers, &from.init_containers)];
    for (to, from) in lists {
        for container in to {
            let Some(wanted) = from.iter().find(|wanted| wanted.name == container.name) else { continue };
            container.resources.clone_from(&wanted.resources);
            container.resize_policy.clone_from(&wanted.resize_policy);
        }
    }
}

/// What is wrong with them.
pub(super) fn validate_resize(new: &dyn Object, old: &dyn Object) -> ErrorList {
    match (new.downcast_ref::<Pod>(), old.downcast_ref::<Pod>()) {
        (Some(new), Some(old)) => validation::pod_resize(new, old),
        _ => ErrorList::new(),
    }
}
