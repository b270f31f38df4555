//! What limit ranges fill in and forbid.

use gantry_api::Resource;
use gantry_api::core::v1::{LimitRange, PersistentVolumeClaim, Pod, ResourceRequirements};
use gantry_quota::limits;

use crate::status::ApiError;
use crate::verbs::Verbs;

/// Whether a pod's containers ask for something else than before.
pub(super) fn is_resized(new: &Pod, old: &Pod) -> bool {
    let wanted = |pod: &Pod| -> Vec<Option<ResourceRequirements>> {
        let containers = pod.spec.iter().flat_map(|spec| spec.containers.iter().chain(&spec.init_containers));
        containers.map(|container| container.resources.clone()).collect()
    };
    new.spec != old.spec && wanted(new) != wanted(old)
}

impl Verbs {
    /// Fills what the containers of a new pod leave open.
    pub(super) fn complete_from_limits(&self, pod: &mut Pod) -> Result<(), ApiError> {
        for range in self.cached::<LimitRange>(Resource::meta(pod).namespace.as_str())? {
            limits::complete(&range, pod);
        }
        Ok(())
    }

    /// Refuses a pod that breaks a limit.
    pub(super) fn check_pod_limits(&self, pod: &Pod) -> Result<(), ApiError> {
        self.check_limits(pod, |range| limits::check_pod(range, pod))
    }

    /// Refuses a claim that breaks a limit.
    pub(super) fn check_claim_limits(&self, claim: &PersistentVolumeClaim) -> Result<(), ApiError> {
        self.check_limits(claim, |range| limits::check_claim(range, claim))
    }

    fn check_limits<T: Resource>(
        &self,
        object: &T,
        broken: impl Fn(&LimitRange) -> Vec<String>,
    ) -> Result<(), ApiError> {
        for range in self.cached::<LimitRange>(object.namespace())? {
            let detail = match &broken(&range)[..] {
                [] => continue,
                [one] => one.clone(),
                several => format!("[{}]", several.join(", ")),
            };
            return Err(ApiError::forbidden(T::kind(), object.name(), &detail));
        }
        Ok(())
    }
}
