//! Volumes and claims stay while they are used: a finalizer holds them until a controller finds them free.

use gantry_api::Object;
use gantry_api::core::v1::{PersistentVolume, PersistentVolumeClaim};

const CLAIM: &str = "kubernetes.io/pvc-protection";
const VOLUME: &str = "kubernetes.io/pv-protection";

/// Puts the finalizer on a new volume or claim.
pub(super) fn protect(object: &mut dyn Object) {
    let finalizer = if object.downcast_ref::<PersistentVolumeClaim>().is_some() {
        CLAIM
    } else if object.downcast_ref::<PersistentVolume>().is_some() {
        VOLUME
    } else {
        return;
    };
    let finalizers = &mut object.meta_mut().finalizers;
    if !finalizers.iter().any(|present| present == finalizer) {
        finalizers.push(finalizer.to_owned());
    }
}
