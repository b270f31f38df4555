//! What a pod's runtime class adds: its overhead, and the nodes that have the runtime.

use gantry_api::Resource;
use gantry_api::core::v1::{Pod, Toleration};
use gantry_api::node::v1::RuntimeClass;

use crate::status::ApiError;
use crate::verbs::Verbs;

impl Verbs {
    /// Writes the runtime class into a new pod.
    pub(super) async fn apply_runtime_class(&self, pod: &mut Pod) -> Result<(), ApiError> {
        let forbidden = |pod: &Pod, detail: &str| ApiError::forbidden(Pod::kind(), pod.name(), detail);
        let named = pod.spec.as_ref().and_then(|spec| spec.runtime_class_name.clone());
        let class = match named {
            None => None,
            Some(name) => {
                let missing = format!("pod rejected: RuntimeClass {name:?} not found");
                let found = self.cluster_object::<RuntimeClass>(&name).await?;
                Some(found.ok_or_else(|| forbidden(pod, &missing))?)
            }
        };
        apply(pod, class.as_ref()).map_err(|detail| forbidden(pod, &detail))
    }
}

/// Writes the class into the pod. The error says what contradicts it.
fn apply(pod: &mut Pod, class: Option<&RuntimeClass>) -> Result<(), String> {
    let spec = pod.spec.get_or_insert_default();
    match class.and_then(|class| class.overhead.as_ref()) {
        Some(overhead) => {
            if !spec.overhead.is_empty() && spec.overhead != overhead.pod_fixed {
                return Err(
                    "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead".into()
                );
            }
            spec.overhead.clone_from(&overhead.pod_fixed);
        }
        None if spec.overhead.is_empty() => {}
        None => {
            return Err(
                "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead".into()
            );
        }
    }
    let Some(scheduling) = class.and_then(|class| class.scheduling.as_ref()) else { return Ok(()) };
    for (key, value) in &scheduling.node_selector {
        let own = spec.node_selector.entry(key.clone()).or_insert_with(|| value.clone());
        if own != value {
            return Err(format!(
                "conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; pod.spec.nodeSelector[{key}] = {own}"
            ));
        }
    }
    let all: Vec<Toleration> = spec.tolerations.drain(..).chain(scheduling.tolerations.clone()).collect();
    spec.tolerations = merged(&all);
    Ok(())
}

/// The tolerations without those that another one covers; of equal ones the first stays.
fn merged(all: &[Toleration]) -> Vec<Toleration> {
    let mut kept: Vec<Toleration> = Vec::new();
    for (i, toleration) in all.iter().enumerate() {
        let covered = kept.iter().any(|other| covers(other, toleration))
            || all[i + 1..].iter().any(|other| other != toleration && covers(other, toleration));
        if !covered {
            kept.push(toleration.clone());
        }
    }
    kept
}

/// Whether whatever `narrow` tolerates is tolerated by `wide`.
fn covers(wide: &Toleration, narrow: &Toleration) -> bool {
    if wide == narrow {
        return true;
    }
    let any_key = wide.key.is_empty() && wide.operator == "Exists";
    if wide.key != narrow.key && !any_key || wide.effect != narrow.effect && !wide.effect.is_empty() {
        return false;
    }
    if wide.effect == "NoExecute"
        && let Some(seconds) = wide.toleration_seconds
        && narrow.toleration_seconds.is_none_or(|shorter| shorter > seconds)
    {
        return false;
    }
    match wide.operator.as_str() {
        "" | "Equal" => matches!(narrow.operator.as_str(), "" | "Equal") && wide.value == narrow.value,
        "Exists" => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn class() -> RuntimeClass {
        serde_json::from_value(json!({
            "metadata": {"name": "sandboxed"}, "handler": "sandboxed",
            "overhead": {"podFixed": {"memory": "64Mi"}},
            "scheduling": {"nodeSelector": {"runtime": "sandboxed"}, "tolerations": [
                {"key": "sandboxed", "operator": "Exists"}, {"key": "other", "operator": "Equal", "value": "a"}
            ]}
        }))
        .unwrap()
    }

    fn pod(spec: serde_json::Value) -> Pod {
        serde_json::from_value(json!({ "spec": spec })).unwrap()
    }

    #[test]
    fn the_class_is_merged_into_the_pod() {
        let mut pod = pod(json!({
            "nodeSelector": {"disk": "fast"},
            "tolerations": [{"key": "sandboxed", "operator": "Exists", "effect": "NoSchedule"}]
        }));
        apply(&mut pod, Some(&class())).unwrap();
        let spec = pod.spec.clone().unwrap();
        assert_eq!(spec.overhead["memory"].to_string(), "64Mi");
        assert_eq!(spec.node_selector.len(), 2);
        assert_eq!(
            spec.tolerations,
            class().scheduling.unwrap().tolerations,
            "the wider one covers the pod's"
        );
        apply(&mut pod, Some(&class())).unwrap();
        assert_eq!(pod.spec.unwrap(), spec, "once more changes nothing");
    }

    #[test]
    fn what_contradicts_the_class_is_refused() {
        let refusal = |spec, class: Option<&RuntimeClass>| apply(&mut pod(spec), class).unwrap_err();
        let overhead = json!({"overhead": {"memory": "1Mi"}});
        assert!(refusal(overhead.clone(), Some(&class())).contains("doesn't match"));
        assert!(refusal(overhead, None).contains("without corresponding RuntimeClass"));
        assert_eq!(
            refusal(json!({"nodeSelector": {"runtime": "plain"}}), Some(&class())),
            "conflict: runtimeClass.scheduling.nodeSelector[runtime] = sandboxed; pod.spec.nodeSelector[runtime] = plain"
        );
    }

    #[test]
    fn a_toleration_covers_what_is_narrower() {
        let toleration = |value| serde_json::from_value::<Toleration>(value).unwrap();
        let all = [
            toleration(
                json!({"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}),
            ),
            toleration(
                json!({"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 9}),
            ),
            toleration(json!({"key": "b", "value": "x"})),
            toleration(json!({"key": "b", "operator": "Equal", "value": "x", "effect": "NoSchedule"})),
            toleration(json!({"key": "b", "operator": "Equal", "value": "y"})),
        ];
        assert_eq!(merged(&all), [all[1].clone(), all[2].clone(), all[4].clone()]);
        let everything = toleration(json!({"operator": "Exists"}));
        assert_eq!(merged(&[all[0].clone(), everything.clone()]), [everything]);
    }
}
