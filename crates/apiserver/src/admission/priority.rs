//! The priority of pods, by their class.

use gantry_api::Resource;
use gantry_api::core::v1::Pod;
use gantry_api::scheduling::v1::PriorityClass;

use crate::status::ApiError;
use crate::verbs::Verbs;

/// What a pod has where no class says another.
const PREEMPT: &str = "PreemptLowerPriority";

impl Verbs {
    /// Gives a new pod the priority of its class.
    pub(super) async fn prioritize(&self, pod: &mut Pod) -> Result<(), ApiError> {
        let named = pod.spec.as_ref().map(|spec| spec.priority_class_name.clone()).unwrap_or_default();
        let class = if named.is_empty() {
            default_class(self.cached::<PriorityClass>("")?)
        } else {
            let found = self.cluster_object::<PriorityClass>(&named).await?;
            let missing = || format!("no PriorityClass with name {named} was found");
            Some(found.ok_or_else(|| forbidden(pod, &missing()))?)
        };
        assign(pod, class.as_ref()).map_err(|detail| forbidden(pod, &detail))
    }

    /// At most one class is the default.
    pub(super) async fn check_default_priority(&self, class: &PriorityClass) -> Result<(), ApiError> {
        if !class.global_default {
            return Ok(());
        }
        self.cache(PriorityClass::kind())?.catch_up().await?;
        let others = self.cached::<PriorityClass>("")?.into_iter();
        match default_class(others.filter(|other| other.name() != class.name()).collect()) {
            Some(other) => Err(ApiError::forbidden(
                PriorityClass::kind(),
                class.name(),
                &format!(
                    "PriorityClass {} is already marked as default. Only one default can exist",
                    other.name()
                ),
            )),
            None => Ok(()),
        }
    }
}

/// The class of pods that name none: of several defaults the lowest.
fn default_class(classes: Vec<PriorityClass>) -> Option<PriorityClass> {
    classes.into_iter().filter(|class| class.global_default).min_by_key(|class| class.value)
}

/// Writes the class into the pod. The error says what the pod must not say itself.
fn assign(pod: &mut Pod, class: Option<&PriorityClass>) -> Result<(), String> {
    let spec = pod.spec.get_or_insert_default();
    if let Some(class) = class {
        class.name().clone_into(&mut spec.priority_class_name);
    }
    let priority = class.map_or(0, |class| class.value);
    if let Some(own) = spec.priority.filter(|own| *own != priority) {
        return Err(format!(
            "the integer value of priority ({own}) must not be provided in pod spec; priority admission controller \
             computed {priority} from the given PriorityClass name"
        ));
    }
    spec.priority = Some(priority);
    let policy = match class {
        Some(class) => class.preemption_policy.clone(),
        None => Some(PREEMPT.to_owned()),
    };
    let Some(policy) = policy else { return Ok(()) };
    if let Some(own) = spec.preemption_policy.as_ref().filter(|own| **own != policy) {
        return Err(format!(
            "the string value of PreemptionPolicy ({own}) must not be provided in pod spec; priority admission \
             controller computed {policy} from the given PriorityClass name"
        ));
    }
    spec.preemption_policy = Some(policy);
    Ok(())
}

fn forbidden(pod: &Pod, detail: &str) -> ApiError {
    ApiError::forbidden(Pod::kind(), pod.name(), detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(name: &str, value: i32, default: bool) -> PriorityClass {
        let mut class = PriorityClass { value, global_default: default, ..PriorityClass::default() };
        class.preemption_policy = Some("Never".to_owned());
        name.clone_into(&mut class.meta_mut().name);
        class
    }

    #[test]
    fn of_several_defaults_the_lowest_counts() {
        let classes = vec![class("a", 7, true), class("b", 5, true), class("c", 1, false)];
        assert_eq!(default_class(classes).unwrap().name(), "b");
        assert!(default_class(vec![class("c", 1, false)]).is_none());
    }

    #[test]
    fn a_pod_gets_its_class_and_may_not_contradict_it() {
        let mut pod = Pod::default();
        assign(&mut pod, Some(&class("high", 7, false))).unwrap();
        let spec = pod.spec.clone().unwrap();
        assert_eq!(
            (spec.priority_class_name.as_str(), spec.priority, spec.preemption_policy.as_deref()),
            ("high", Some(7), Some("Never"))
        );
        let error = assign(&mut pod, Some(&class("low", 1, false))).unwrap_err();
        assert!(error.starts_with("the integer value of priority (7) must not be provided"), "{error}");
        let mut pod = Pod::default();
        pod.spec.get_or_insert_default().preemption_policy = Some("Never".to_owned());
        let error = assign(&mut pod, None).unwrap_err();
        assert!(error.starts_with("the string value of PreemptionPolicy (Never)"), "{error}");
    }
}
