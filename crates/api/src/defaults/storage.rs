//! Persistent volumes and claims.

use super::text;
use crate::core::v1::{PersistentVolume, PersistentVolumeClaim, PersistentVolumeClaimSpec};

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

#[cfg(test)]
mod tests {
    use super::*;

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
