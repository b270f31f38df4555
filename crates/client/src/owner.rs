//! Owner references.

use gantry_api::Resource;
use gantry_api::meta::v1::{ObjectMeta, OwnerReference};

/// The reference that makes `owner` the controller of an object.
#[must_use]
pub fn controller_reference<T: Resource>(owner: &T) -> OwnerReference {
    let kind = T::kind();
    OwnerReference {
        api_version: kind.api_version(),
        kind: kind.kind.to_owned(),
        name: owner.name().to_owned(),
        uid: owner.meta().uid.clone(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// The object's controller.
#[must_use]
pub fn controller_of(meta: &ObjectMeta) -> Option<&OwnerReference> {
    meta.owner_references.iter().find(|owner| owner.controller == Some(true))
}

/// Whether the owner of this uid is the object's controller.
#[must_use]
pub fn is_controlled_by(meta: &ObjectMeta, uid: &str) -> bool {
    controller_of(meta).is_some_and(|owner| owner.uid == uid)
}
