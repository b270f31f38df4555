//! What of a pod may change.

use crate::core::v1::{EphemeralContainer, Pod, PodSpec, Toleration};
use crate::field::{Error, ErrorList, Path};
use crate::validation::common::non_negative;

const ONLY: &str = "pod updates may not change fields other than `spec.containers[*].image`,\
                    `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to \
                    existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was \
                    previously negative)";

/// Says of a pod that its node has made it known; what the node may read for it depends on that.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// What is wrong with the change of a pod's annotations, whichever part of the pod is written.
pub(crate) fn annotations(new: &Pod, old: &Pod) -> ErrorList {
    fn mirror(pod: &Pod) -> Option<&String> {
        pod.metadata.as_ref().and_then(|meta| meta.annotations.get(MIRROR))
    }
    let (new, old) = (mirror(new), mirror(old));
    if new == old {
        return ErrorList::new();
    }
    let detail = match old {
        Some(_) => "may not remove or update mirror pod annotation",
        None => "may not add mirror pod annotation",
    };
    vec![Error::forbidden(Path::new("metadata").child("annotations").key(MIRROR), detail)]
}

pub(crate) fn update(new: &Pod, old: &Pod) -> ErrorList {
    let mut errors = annotations(new, old);
    let path = Path::new("spec");
    let empty = PodSpec::default();
    let (new, old) = (new.spec.as_ref().unwrap_or(&empty), old.spec.as_ref().unwrap_or(&empty));
    super::pod_spec(&mut errors, new, &path);
    let counts = [
        ("containers", new.containers.len() == old.containers.len()),
        ("initContainers", new.init_containers.len() == old.init_containers.len()),
    ];
    let mut same_containers = true;
    for (field, _) in counts.into_iter().filter(|(_, same)| !*same) {
        same_containers = false;
        errors.push(Error::forbidden(path.child(field), "pod updates may not add or remove containers"));
    }
    if !same_containers {
        return errors;
    }
    active_deadline(&mut errors, new, old, &path.child("activeDeadlineSeconds"));
    tolerations(&mut errors, &new.tolerations, &old.tolerations, &path.child("tolerations"));
    gates(&mut errors, new, old, &path.child("schedulingGates"));
    if with_allowed_changes(new, old) != *old {
        errors.push(Error::forbidden(path, ONLY));
    }
    errors
}

/// What is wrong with new ephemeral containers: those that are there stay as they are.
#[must_use]
pub fn ephemeral_containers(new: &Pod, old: &Pod) -> ErrorList {
    let mut errors = ErrorList::new();
    let path = Path::new("spec");
    let empty = PodSpec::default();
    let (new, old) = (new.spec.as_ref().unwrap_or(&empty), old.spec.as_ref().unwrap_or(&empty));
    super::pod_spec(&mut errors, new, &path);
    let name = |one: &EphemeralContainer| {
        one.ephemeral_container_common.as_ref().map(|common| common.name.clone()).unwrap_or_default()
    };
    for before in &old.ephemeral_containers {
        let name_before = name(before);
        let what = match new.ephemeral_containers.iter().rev().find(|one| name(one) == name_before) {
            Some(now) if now == before => continue,
            Some(_) => "changed",
            None => "removed",
        };
        let detail = format!("existing ephemeral containers {name_before:?} may not be {what}\n");
        errors.push(Error::forbidden(path.child("ephemeralContainers"), detail));
    }
    errors
}

/// The new spec with everything that may change put back: it must equal the old one.
fn with_allowed_changes(new: &PodSpec, old: &PodSpec) -> PodSpec {
    let mut spec = new.clone();
    let containers = spec.containers.iter_mut().chain(&mut spec.init_containers);
    for (container, old) in containers.zip(old.containers.iter().chain(&old.init_containers)) {
        container.image.clone_from(&old.image);
    }
    spec.active_deadline_seconds = old.active_deadline_seconds;
    spec.tolerations.clone_from(&old.tolerations);
    spec.scheduling_gates.clone_from(&old.scheduling_gates);
    // Added and changed through a subresource of their own; not this rule's business.
    spec.ephemeral_containers.clone_from(&old.ephemeral_containers);
    let shortened = old.termination_grace_period_seconds.is_some_and(|seconds| seconds < 0)
        && new.termination_grace_period_seconds == Some(1);
    if shortened {
        spec.termination_grace_period_seconds = old.termination_grace_period_seconds;
    }
    // A pod that waits to be scheduled may be narrowed down.
    if !old.scheduling_gates.is_empty() {
        let kept = old.node_selector.iter().all(|(key, value)| new.node_selector.get(key) == Some(value));
        if kept {
            spec.node_selector.clone_from(&old.node_selector);
        }
    }
    spec
}

fn active_deadline(errors: &mut ErrorList, new: &PodSpec, old: &PodSpec, path: &Path) {
    let Some(before) = old.active_deadline_seconds else { return };
    match new.active_deadline_seconds {
        None => errors.push(Error::invalid(
            path.clone(),
            serde_json::Value::Null,
            "must not update from a positive integer to nil value",
        )),
        Some(seconds) if seconds > before => {
            let detail = format!("must be less than or equal to previous value: {before}");
            errors.push(Error::invalid(path.clone(), seconds, detail));
        }
        Some(seconds) => non_negative(errors, path, seconds),
    }
}

/// All old tolerations must still be there; only how long they last may differ.
fn tolerations(errors: &mut ErrorList, new: &[Toleration], old: &[Toleration], path: &Path) {
    let without_time =
        |toleration: &Toleration| Toleration { toleration_seconds: None, ..toleration.clone() };
    let kept = |old: &Toleration| new.iter().any(|new| without_time(new) == without_time(old));
    if !old.iter().all(kept) {
        let detail = "existing toleration can not be modified except its tolerationSeconds";
        errors.push(Error::forbidden(path.clone(), detail));
    }
}

fn gates(errors: &mut ErrorList, new: &PodSpec, old: &PodSpec, path: &Path) {
    let added: Vec<_> =
        new.scheduling_gates.iter().filter(|gate| !old.scheduling_gates.contains(gate)).collect();
    if let Some(gate) = added.first() {
        let detail = format!("only deletion is allowed, but found new scheduling gate '{}'", gate.name);
        errors.push(Error::forbidden(path.clone(), detail));
    }
}
