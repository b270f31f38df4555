//! What uses a claim or a volume.

use gantry_api::Resource;
use gantry_api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use gantry_api::meta::v1::ObjectMeta;

/// Holds a claim.
pub(super) const CLAIM: &str = "kubernetes.io/pvc-protection";
/// Holds a volume.
pub(super) const VOLUME: &str = "kubernetes.io/pv-protection";

/// Whether an object is being deleted and held by the finalizer.
pub(super) fn is_leaving(meta: &ObjectMeta, finalizer: &str) -> bool {
    meta.deletion_timestamp.is_some() && meta.finalizers.iter().any(|present| present == finalizer)
}

/// Whether a pod uses a claim. One without a node does not: no kubelet starts it on a claim that is leaving.
pub(super) fn uses(pod: &Pod, claim: &PersistentVolumeClaim) -> bool {
    let Some(spec) = pod.spec.as_ref().filter(|spec| !spec.node_name.is_empty()) else { return false };
    spec.volumes.iter().any(|volume| {
        let source = volume.volume_source.as_ref();
        let named = source.and_then(|source| source.persistent_volume_claim.as_ref());
        let own = source.and_then(|source| source.ephemeral.as_ref());
        // The claim of an ephemeral volume is named after pod and volume, and belongs to the pod.
        named.is_some_and(|named| named.claim_name == claim.name())
            || own.is_some()
                && claim.name() == format!("{}-{}", pod.name(), volume.name)
                && claim.meta().owner_references.iter().any(|owner| owner.uid == pod.meta().uid)
    })
}

/// Whether a claim holds the volume.
pub(super) fn is_bound(volume: &PersistentVolume) -> bool {
    volume.status.as_ref().is_some_and(|status| status.phase == "Bound")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(node: &str, volume: serde_json::Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "web", "uid": "u1"}, "spec": {"nodeName": node, "volumes": [volume]}
        }))
        .unwrap()
    }

    #[test]
    fn a_claim_is_used_by_pods_that_have_a_node() {
        let claim: PersistentVolumeClaim =
            serde_json::from_value(json!({"metadata": {"name": "data"}})).unwrap();
        let named = json!({"name": "a", "persistentVolumeClaim": {"claimName": "data"}});
        assert!(uses(&pod("n1", named.clone()), &claim));
        assert!(!uses(&pod("", named), &claim));
        let other = json!({"name": "a", "persistentVolumeClaim": {"claimName": "other"}});
        assert!(!uses(&pod("n1", other), &claim));
    }

    #[test]
    fn the_claim_of_an_ephemeral_volume_is_its_pods() {
        let claim = |owner: &str| -> PersistentVolumeClaim {
            let owner = json!({"apiVersion": "v1", "kind": "Pod", "name": "web", "uid": owner});
            serde_json::from_value(json!({"metadata": {"name": "web-a", "ownerReferences": [owner]}}))
                .unwrap()
        };
        let pod = pod("n1", json!({"name": "a", "ephemeral": {}}));
        assert!(uses(&pod, &claim("u1")));
        assert!(!uses(&pod, &claim("u2")), "that of an earlier pod of the name");
    }

    #[test]
    fn only_what_is_held_and_deleted_is_leaving() {
        let meta = |deleted: bool, finalizer: &str| -> ObjectMeta {
            let mut meta = json!({"finalizers": [finalizer]});
            if deleted {
                meta["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
            }
            serde_json::from_value(meta).unwrap()
        };
        assert!(is_leaving(&meta(true, CLAIM), CLAIM));
        assert!(!is_leaving(&meta(true, VOLUME), CLAIM));
        assert!(!is_leaving(&meta(false, CLAIM), CLAIM));
    }
}
