//! What of a pod may change while it runs: how much CPU and memory its containers ask for.

use std::collections::BTreeMap;

use crate::core::v1::{Container, Pod, PodSpec, ResourceRequirements};
use crate::field::{Error, ErrorList, Path};
use crate::prepare::qos_class;
use crate::scalars::Quantity;

/// Says of a pod that its node has made it known.
const MIRROR: &str = "kubernetes.io/config.mirror";
/// What may change.
const RESIZABLE: [&str; 2] = ["cpu", "memory"];

/// Every rule that a resize of a pod breaks.
#[must_use]
pub fn resize(new: &Pod, old: &Pod) -> ErrorList {
    let empty = PodSpec::default();
    let (wanted, present) = (new.spec.as_ref().unwrap_or(&empty), old.spec.as_ref().unwrap_or(&empty));
    let never = |detail| vec![Error::forbidden(Path::default(), detail)];
    if old.metadata.as_ref().is_some_and(|meta| meta.annotations.contains_key(MIRROR)) {
        return never("static pods cannot be resized");
    }
    if present.os.as_ref().is_some_and(|os| os.name == "windows") {
        return never("windows pods cannot be resized");
    }
    let mut errors = ErrorList::new();
    let path = Path::new("spec");
    super::pod_spec(&mut errors, wanted, &path);
    let class = qos_class(present);
    if class != qos_class(wanted) {
        let detail = "Pod QOS Class may not change as a result of resizing";
        errors.push(Error::invalid(path.clone(), class, detail));
    }
    if !is_supported(old) {
        errors.push(Error::forbidden(path.clone(), "Pod running on node without support for resize"));
    }
    for (i, (new, old)) in wanted.init_containers.iter().zip(&present.init_containers).enumerate() {
        removed(&mut errors, new, old, &path.child("initContainers").index(i).child("resources"));
    }
    for (i, (new, old)) in wanted.containers.iter().zip(&present.containers).enumerate() {
        removed(&mut errors, new, old, &path.child("containers").index(i).child("resources"));
    }
    for (new, old) in wanted.containers.iter().zip(&present.containers) {
        if fixed(new) != fixed(old) {
            errors.push(Error::forbidden(path.clone(), "only cpu and memory resources are mutable"));
        }
    }
    for (new, old) in wanted.init_containers.iter().zip(&present.init_containers) {
        let sidecar = new.restart_policy.as_deref() == Some("Always");
        if sidecar && fixed(new) != fixed(old) {
            let detail = "only cpu and memory resources for sidecar containers are mutable";
            errors.push(Error::forbidden(path.clone(), detail));
        } else if !sidecar && new != old {
            let detail = "resources for non-sidecar init containers are immutable";
            errors.push(Error::forbidden(path.clone(), detail));
        }
    }
    errors
}

/// Whether the pod's node can do it: it says what running containers have, then.
fn is_supported(pod: &Pod) -> bool {
    let statuses = pod.status.iter().flat_map(|status| &status.container_statuses);
    let mut running = statuses.filter(|status| status.state.as_ref().is_some_and(|s| s.running.is_some()));
    running.next().is_none_or(|status| status.resources.is_some())
}

/// What a container asks for can be changed, not taken away.
fn removed(errors: &mut ErrorList, new: &Container, old: &Container, path: &Path) {
    let none = ResourceRequirements::default();
    let (new, old) = (new.resources.as_ref().unwrap_or(&none), old.resources.as_ref().unwrap_or(&none));
    let lacks = |new: &BTreeMap<String, Quantity>, old: &BTreeMap<String, Quantity>| {
        old.keys().any(|name| !new.contains_key(name))
    };
    if lacks(&new.requests, &old.requests) {
        errors.push(Error::forbidden(path.child("requests"), "resource requests cannot be removed"));
    }
    if lacks(&new.limits, &old.limits) {
        errors.push(Error::forbidden(path.child("limits"), "resource limits cannot be removed"));
    }
}

/// What a container has that a resize must leave alone.
fn fixed(container: &Container) -> Container {
    let mut fixed = container.clone();
    let resources = fixed.resources.get_or_insert_default();
    for name in RESIZABLE {
        resources.requests.remove(name);
        resources.limits.remove(name);
    }
    fixed.resize_policy.clear();
    fixed
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(resources: Value, sidecar: Value) -> Pod {
        let mut pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p"},
            "spec": {
                "initContainers": [
                    {"name": "i", "image": "i"},
                    {"name": "s", "image": "i", "restartPolicy": "Always", "resources": sidecar},
                ],
                "containers": [{"name": "c", "image": "i", "resources": resources}],
            },
        }))
        .unwrap();
        crate::strategy::Strategy::set_defaults(&mut pod);
        pod
    }

    fn refused(new: &Pod, old: &Pod) -> Vec<String> {
        resize(new, old).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn cpu_and_memory_may_change() {
        let old = pod(json!({"requests": {"cpu": "1"}}), json!({"requests": {"memory": "1Mi"}}));
        let new = pod(
            json!({"requests": {"cpu": "2", "memory": "1Gi"}, "limits": {"memory": "2Gi"}}),
            json!({"requests": {"memory": "2Mi"}}),
        );
        assert_eq!(refused(&new, &old), [""; 0]);
    }

    #[test]
    fn nothing_else_may() {
        let old = pod(json!({"requests": {"cpu": "1", "memory": "1Mi"}, "limits": {"cpu": "1"}}), json!({}));
        let new = pod(json!({"requests": {"cpu": "1"}, "limits": {"ephemeral-storage": "1"}}), json!({}));
        assert_eq!(
            refused(&new, &old),
            [
                "spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed",
                "spec.containers[0].resources.limits: Forbidden: resource limits cannot be removed",
                "spec: Forbidden: only cpu and memory resources are mutable",
            ]
        );
        let mut init = old.clone();
        init.spec.as_mut().unwrap().init_containers[0]
            .resources
            .get_or_insert_default()
            .requests
            .insert("cpu".to_owned(), Quantity::from_units(1));
        assert_eq!(
            refused(&init, &old),
            ["spec: Forbidden: resources for non-sidecar init containers are immutable"]
        );
    }

    #[test]
    fn the_class_stays() {
        let old = pod(json!({}), json!({}));
        let new = pod(json!({"requests": {"cpu": "1"}}), json!({}));
        assert_eq!(
            refused(&new, &old),
            ["spec: Invalid value: \"BestEffort\": Pod QOS Class may not change as a result of resizing"]
        );
    }

    #[test]
    fn some_pods_are_never_resized() {
        let old = pod(json!({}), json!({}));
        let mut windows = old.clone();
        windows.spec.as_mut().unwrap().os = serde_json::from_value(json!({"name": "windows"})).unwrap();
        assert_eq!(refused(&windows, &windows), ["<nil>: Forbidden: windows pods cannot be resized"]);
        let mut mirror = old.clone();
        let annotations = &mut mirror.metadata.get_or_insert_default().annotations;
        annotations.insert(MIRROR.to_owned(), "x".to_owned());
        assert_eq!(refused(&mirror, &mirror), ["<nil>: Forbidden: static pods cannot be resized"]);
        let mut running = old;
        let status = json!([{"name": "c", "state": {"running": {}}, "image": "", "imageID": "", "ready": true,
            "restartCount": 0}]);
        running.status.get_or_insert_default().container_statuses = serde_json::from_value(status).unwrap();
        assert_eq!(
            refused(&running, &running),
            ["spec: Forbidden: Pod running on node without support for resize"]
        );
        let status = &mut running.status.as_mut().unwrap().container_statuses[0];
        status.resources = Some(ResourceRequirements::default());
        assert_eq!(refused(&running, &running), [""; 0]);
    }
}
