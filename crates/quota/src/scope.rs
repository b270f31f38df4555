//! Which objects a quota is about.

use gantry_api::Object;
use gantry_api::core::v1::{
    PersistentVolumeClaim, Pod, PodAffinityTerm, PodSpec, ResourceQuota, ScopedResourceSelectorRequirement,
};

use crate::usage;

/// Whether a quota is about an object: it limits something that objects of the kind use, and all of its scopes hold.
#[must_use]
pub fn concerns(quota: &ResourceQuota, object: &dyn Object) -> bool {
    let hard = quota.spec.iter().flat_map(|spec| spec.hard.keys());
    let limits_it = hard.into_iter().any(|resource| usage::measures(object.kind(), resource));
    limits_it && scopes(quota).iter().all(|scope| holds(scope, object))
}

/// The scopes of a quota, the short form written as the long one.
fn scopes(quota: &ResourceQuota) -> Vec<ScopedResourceSelectorRequirement> {
    let Some(spec) = &quota.spec else { return Vec::new() };
    let short = spec.scopes.iter().map(|name| ScopedResourceSelectorRequirement {
        scope_name: name.clone(),
        operator: "Exists".to_owned(),
        values: Vec::new(),
    });
    let long = spec.scope_selector.iter().flat_map(|selector| selector.match_expressions.iter().cloned());
    short.chain(long).collect()
}

fn holds(scope: &ScopedResourceSelectorRequirement, object: &dyn Object) -> bool {
    if let Some(claim) = object.downcast_ref::<PersistentVolumeClaim>() {
        return scope.scope_name == "VolumeAttributesClass" && selects(scope, &attribute_classes(claim));
    }
    // Whatever else is counted is in no scope.
    let Some(pod) = object.downcast_ref::<Pod>() else { return false };
    let none = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&none);
    let best_effort = pod.status.as_ref().is_some_and(|status| status.qos_class == "BestEffort");
    match scope.scope_name.as_str() {
        "Terminating" => spec.active_deadline_seconds.is_some(),
        "NotTerminating" => spec.active_deadline_seconds.is_none(),
        "BestEffort" => best_effort,
        "NotBestEffort" => !best_effort,
        "PriorityClass" => {
            let class = Some(spec.priority_class_name.as_str()).filter(|class| !class.is_empty());
            selects(scope, &class.into_iter().collect::<Vec<_>>())
        }
        "CrossNamespacePodAffinity" => crosses_namespaces(spec),
        _ => false,
    }
}

fn selects(scope: &ScopedResourceSelectorRequirement, classes: &[&str]) -> bool {
    let listed = classes.iter().any(|class| scope.values.iter().any(|value| value == class));
    match scope.operator.as_str() {
        "In" => listed,
        "NotIn" => !listed,
        "Exists" => !classes.is_empty(),
        "DoesNotExist" => classes.is_empty(),
        _ => false,
    }
}

/// The attribute classes that a claim has or is to have.
fn attribute_classes(claim: &PersistentVolumeClaim) -> Vec<&str> {
    let spec = claim.spec.as_ref().and_then(|spec| spec.volume_attributes_class_name.as_deref());
    let status = claim.status.as_ref();
    let current = status.and_then(|status| status.current_volume_attributes_class_name.as_deref());
    let target = status
        .and_then(|status| status.modify_volume_status.as_ref())
        .map(|modify| modify.target_volume_attributes_class_name.as_str());
    [spec, current, target].into_iter().flatten().filter(|class| !class.is_empty()).collect()
}

/// Whether an affinity looks at the pods of other namespaces.
fn crosses_namespaces(spec: &PodSpec) -> bool {
    let crosses = |term: &PodAffinityTerm| !term.namespaces.is_empty() || term.namespace_selector.is_some();
    let Some(affinity) = &spec.affinity else { return false };
    let near = affinity.pod_affinity.iter().flat_map(|affinity| {
        let preferred = &affinity.preferred_during_scheduling_ignored_during_execution;
        let required = affinity.required_during_scheduling_ignored_during_execution.iter();
        required.chain(preferred.iter().filter_map(|weighted| weighted.pod_affinity_term.as_ref()))
    });
    let far = affinity.pod_anti_affinity.iter().flat_map(|affinity| {
        let preferred = &affinity.preferred_during_scheduling_ignored_during_execution;
        let required = affinity.required_during_scheduling_ignored_during_execution.iter();
        required.chain(preferred.iter().filter_map(|weighted| weighted.pod_affinity_term.as_ref()))
    });
    near.chain(far).any(crosses)
}

#[cfg(test)]
mod tests {
    use gantry_api::core::v1::Secret;
    use serde_json::{Value, json};

    use super::*;

    fn quota(scope: Value) -> ResourceQuota {
        let mut spec = json!({"hard": {"pods": "1"}});
        spec.as_object_mut().unwrap().extend(scope.as_object().unwrap().clone());
        serde_json::from_value(json!({"spec": spec})).unwrap()
    }

    fn pod(spec: Value, qos: &str) -> Pod {
        serde_json::from_value(json!({"spec": spec, "status": {"qosClass": qos}})).unwrap()
    }

    #[test]
    fn scopes_pick_pods() {
        let plain = pod(json!({"priorityClassName": "high"}), "BestEffort");
        let bound = pod(json!({"activeDeadlineSeconds": 5}), "Burstable");
        let class = |operator: &str, values: Value| {
            let term = json!({"scopeName": "PriorityClass", "operator": operator, "values": values});
            json!({"scopeSelector": {"matchExpressions": [term]}})
        };
        for (scope, of_plain, of_bound) in [
            (json!({}), true, true),
            (json!({"scopes": ["Terminating"]}), false, true),
            (json!({"scopes": ["NotTerminating"]}), true, false),
            (json!({"scopes": ["BestEffort"]}), true, false),
            (json!({"scopes": ["NotBestEffort", "Terminating"]}), false, true),
            (json!({"scopes": ["PriorityClass"]}), true, false),
            (class("In", json!(["high", "low"])), true, false),
            (class("NotIn", json!(["high"])), false, true),
            (class("DoesNotExist", json!([])), false, true),
        ] {
            let quota = quota(scope.clone());
            assert_eq!((concerns(&quota, &plain), concerns(&quota, &bound)), (of_plain, of_bound), "{scope}");
        }
        assert!(!concerns(&quota(json!({})), &Secret::default()), "pods are limited, not secrets");
    }

    #[test]
    fn affinities_that_cross_namespaces_are_a_scope() {
        let quota = quota(json!({"scopes": ["CrossNamespacePodAffinity"]}));
        let with = |term: Value| {
            let preferred = json!([{"weight": 1, "podAffinityTerm": term}]);
            let affinity =
                json!({"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}});
            pod(json!({"affinity": affinity}), "Burstable")
        };
        assert!(concerns(&quota, &with(json!({"topologyKey": "a", "namespaces": ["b"]}))));
        assert!(concerns(&quota, &with(json!({"topologyKey": "a", "namespaceSelector": {}}))));
        assert!(!concerns(&quota, &with(json!({"topologyKey": "a"}))));
    }
}
