//! Claims grow only where their class lets them.

use std::cmp::Ordering;

use gantry_api::Resource;
use gantry_api::core::v1::PersistentVolumeClaim;
use gantry_api::scalars::Quantity;
use gantry_api::storage::v1::StorageClass;

use super::default_class::class_of;
use crate::status::ApiError;
use crate::verbs::Verbs;

impl Verbs {
    /// Refuses a claim that asks for more than before where that cannot be had.
    pub(super) async fn check_expansion(
        &self,
        new: &PersistentVolumeClaim,
        old: &PersistentVolumeClaim,
    ) -> Result<(), ApiError> {
        if !grows(new, old) {
            return Ok(());
        }
        let refused = |detail| Err(ApiError::forbidden(PersistentVolumeClaim::kind(), new.name(), detail));
        if old.status.as_ref().is_none_or(|status| status.phase != "Bound") {
            return refused("Only bound persistent volume claims can be expanded");
        }
        let class = class_of(new);
        let allowed = !class.is_empty()
            && class == class_of(old)
            && self
                .cluster_object::<StorageClass>(class)
                .await?
                .is_some_and(|class| class.allow_volume_expansion == Some(true));
        if allowed {
            return Ok(());
        }
        refused(
            "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must \
             support resize",
        )
    }
}

/// Whether a claim asks for more than before.
fn grows(new: &PersistentVolumeClaim, old: &PersistentVolumeClaim) -> bool {
    let none = Quantity::from_units(0);
    let (new, old) = (size(new).unwrap_or(&none), size(old).unwrap_or(&none));
    new.compare(old) == Some(Ordering::Greater)
}

fn size(claim: &PersistentVolumeClaim) -> Option<&Quantity> {
    claim.spec.as_ref()?.resources.as_ref()?.requests.get("storage")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn more_is_more_however_it_is_written() {
        let claim = |size: &str| -> PersistentVolumeClaim {
            serde_json::from_value(json!({"spec": {"resources": {"requests": {"storage": size}}}})).unwrap()
        };
        assert!(grows(&claim("2Gi"), &claim("2G")));
        assert!(!grows(&claim("1024Mi"), &claim("1Gi")) && !grows(&claim("1Gi"), &claim("2Gi")));
        assert!(grows(&claim("1"), &PersistentVolumeClaim::default()));
    }
}
