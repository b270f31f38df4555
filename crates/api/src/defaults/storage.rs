//! Persistent volumes and claims, their classes and drivers.

use super::text;
use crate::core::v1::{PersistentVolume, PersistentVolumeClaim, PersistentVolumeClaimSpec};
use crate::storage::v1::{CsiDriver, StorageClass, VolumeAttachment};

pub(crate) fn persistent_volume(volume: &mut PersistentVolume) {
    text(&mut volume.status.get_or_insert_default().phase, "Pending");
    let spec = volume.spec.get_or_insert_default();
    text(&mut spec.persistent_volume_reclaim_policy, "Retain");
    spec.volume_mode.get_or_insert_with(|| "Filesystem".to_owned());
    if let Some(host_path) =
        spec.persistent_volume_source.as_mut().and_then(|source| source.host_path.as_mut())
    {
        host_path.r#type.get_or_insert_default();
    }
}

pub(crate) fn claim(claim: &mut PersistentVolumeClaim) {
    text(&mut claim.status.get_or_insert_default().phase, "Pending");
    claim_spec(claim.spec.get_or_insert_default());
}

pub(crate) fn claim_spec(spec: &mut PersistentVolumeClaimSpec) {
    spec.volume_mode.get_or_insert_with(|| "Filesystem".to_owned());
}

pub(crate) fn class(class: &mut StorageClass) {
    class.reclaim_policy.get_or_insert_with(|| "Delete".to_owned());
    class.volume_binding_mode.get_or_insert_with(|| "Immediate".to_owned());
}

pub(crate) fn csi_driver(driver: &mut CsiDriver) {
    let spec = driver.spec.get_or_insert_default();
    spec.attach_required.get_or_insert(true);
    spec.pod_info_on_mount.get_or_insert(false);
    spec.storage_capacity.get_or_insert(false);
    spec.fs_group_policy.get_or_insert_with(|| "ReadWriteOnceWithFSType".to_owned());
    if spec.volume_lifecycle_modes.is_empty() {
        spec.volume_lifecycle_modes.push("Persistent".to_owned());
    }
    spec.requires_republish.get_or_insert(false);
    spec.se_linux_mount.get_or_insert(false);
}

/// An attachment says whether it is done, also while nobody has done anything.
pub(crate) fn attachment(attachment: &mut VolumeAttachment) {
    attachment.status.get_or_insert_default();
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn drivers_and_classes_do_what_is_usual() {
        let mut driver = CsiDriver::default();
        csi_driver(&mut driver);
        let spec = json!({
            "attachRequired": true, "podInfoOnMount": false, "storageCapacity": false,
            "fsGroupPolicy": "ReadWriteOnceWithFSType", "volumeLifecycleModes": ["Persistent"],
            "requiresRepublish": false, "seLinuxMount": false,
        });
        assert_eq!(serde_json::to_value(driver).unwrap(), json!({ "spec": spec }));
        let mut new = StorageClass::default();
        class(&mut new);
        assert_eq!(new.reclaim_policy.as_deref(), Some("Delete"));
        assert_eq!(new.volume_binding_mode.as_deref(), Some("Immediate"));
    }

    #[test]
    fn volumes_are_kept_and_hold_files() {
        let mut volume = PersistentVolume::default();
        persistent_volume(&mut volume);
        let spec = volume.spec.unwrap();
        assert_eq!(spec.persistent_volume_reclaim_policy, "Retain");
        assert_eq!(spec.volume_mode.as_deref(), Some("Filesystem"));
        let mut wanted = PersistentVolumeClaim::default();
        claim(&mut wanted);
        assert_eq!(wanted.status.unwrap().phase, "Pending");
        assert_eq!(wanted.spec.unwrap().volume_mode.as_deref(), Some("Filesystem"));
    }
}
