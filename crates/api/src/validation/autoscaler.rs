//! Autoscalers.

mod metric;

use super::{
    common::{enumerated, non_negative, positive},
    ingress::required_segment,
    pod,
};
use crate::autoscaling::v2::{
    CrossVersionObjectReference, HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec, HpaScalingPolicy,
    HpaScalingRules,
};
use crate::field::{Error, ErrorList, Path};

const PERIOD_MAX: i32 = 1800;
const WINDOW_MAX: i32 = 3600;

/// What is accepted although it would be refused in a new object.
#[derive(Clone, Copy, Default)]
struct Lenience {
    zero_replicas: bool,
    target_version: bool,
    metric_versions: bool,
}

/// How much of a version must be there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    /// Anything will do.
    Any,
    /// It must have the form of one.
    WellFormed,
    /// It must name a group, too.
    WithGroup,
}

pub(crate) fn autoscaler(object: &HorizontalPodAutoscaler) -> ErrorList {
    with(object, Lenience::default())
}

pub(crate) fn update(new: &HorizontalPodAutoscaler, old: &HorizontalPodAutoscaler) -> ErrorList {
    let spec = |object: &HorizontalPodAutoscaler| object.spec.clone().unwrap_or_default();
    let (before, after) = (spec(old), spec(new));
    let target = |spec: &HorizontalPodAutoscalerSpec| {
        let reference = spec.scale_target_ref.clone().unwrap_or_default();
        (reference.kind, reference.api_version)
    };
    let mut described = before.metrics.iter().filter_map(|metric| metric.object.as_ref());
    let lenience = Lenience {
        zero_replicas: before.min_replicas == Some(0),
        target_version: target(&before) == target(&after),
        metric_versions: described.any(|metric| {
            let reference = metric.described_object.clone().unwrap_or_default();
            version_problem(&reference.api_version, Version::WellFormed).is_some()
        }),
    };
    with(new, lenience)
}

fn with(object: &HorizontalPodAutoscaler, lenience: Lenience) -> ErrorList {
    let mut errors = ErrorList::new();
    let empty = HorizontalPodAutoscalerSpec::default();
    let spec = object.spec.as_ref().unwrap_or(&empty);
    let path = Path::new("spec");
    let fewest = i32::from(!lenience.zero_replicas);
    let most = path.child("maxReplicas");
    if let Some(min) = spec.min_replicas.filter(|min| *min < fewest) {
        let detail = format!("must be greater than or equal to {fewest}");
        errors.push(Error::invalid(path.child("minReplicas"), min, detail));
    }
    positive(&mut errors, &most, spec.max_replicas);
    if spec.min_replicas.is_some_and(|min| spec.max_replicas < min) {
        let detail = "must be greater than or equal to `minReplicas`";
        errors.push(Error::invalid(most, spec.max_replicas, detail));
    }
    let target = spec.scale_target_ref.clone().unwrap_or_default();
    let version = match target.kind.as_str() {
        _ if lenience.target_version => Version::Any,
        // The one of the core group that can be scaled.
        "ReplicationController" => Version::WellFormed,
        _ => Version::WithGroup,
    };
    reference(&mut errors, &target, version, &path.child("scaleTargetRef"));
    let version = if lenience.metric_versions { Version::Any } else { Version::WellFormed };
    metrics(&mut errors, spec, version, &path.child("metrics"));
    if let Some(behavior) = &spec.behavior {
        let path = path.child("behavior");
        for (field, rules) in [("scaleUp", &behavior.scale_up), ("scaleDown", &behavior.scale_down)] {
            if let Some(rules) = rules {
                scaling_rules(&mut errors, rules, &path.child(field));
            }
        }
    }
    errors
}

fn metrics(errors: &mut ErrorList, spec: &HorizontalPodAutoscalerSpec, version: Version, path: &Path) {
    for (i, one) in spec.metrics.iter().enumerate() {
        metric::validate(errors, one, version, &path.index(i));
    }
    // Without pods there is nothing else to measure.
    let without_pods = spec.metrics.iter().any(|one| matches!(one.r#type.as_str(), "Object" | "External"));
    if spec.min_replicas == Some(0) && !without_pods {
        let detail =
            "must specify at least one Object or External metric to support scaling to zero replicas";
        errors.push(Error::forbidden(path.clone(), detail));
    }
}

fn version_problem(text: &str, wanted: Version) -> Option<String> {
    let group = text.split_once('/').map_or("", |(group, _)| group);
    match wanted {
        Version::Any => None,
        _ if text.matches('/').count() > 1 => Some(format!("unexpected GroupVersion string: {text}")),
        Version::WithGroup if group.is_empty() => Some("apiVersion must specify API group".to_owned()),
        _ => None,
    }
}

fn reference(errors: &mut ErrorList, reference: &CrossVersionObjectReference, version: Version, path: &Path) {
    required_segment(errors, &reference.kind, &path.child("kind"));
    required_segment(errors, &reference.name, &path.child("name"));
    if let Some(problem) = version_problem(&reference.api_version, version) {
        errors.push(Error::invalid(path.child("apiVersion"), reference.api_version.as_str(), problem));
    }
}

fn scaling_rules(errors: &mut ErrorList, rules: &HpaScalingRules, path: &Path) {
    if let Some(seconds) = rules.stabilization_window_seconds {
        let path = path.child("stabilizationWindowSeconds");
        if seconds < 0 {
            errors.push(Error::invalid(path, seconds, "must be greater than or equal to zero"));
        } else if seconds > WINDOW_MAX {
            let detail = format!("must be less than or equal to {WINDOW_MAX}");
            errors.push(Error::invalid(path, seconds, detail));
        }
    }
    if let Some(policy) = &rules.select_policy {
        let field = "autoscaling.v2.HPAScalingRules.selectPolicy";
        enumerated(errors, &path.child("selectPolicy"), policy, field);
    }
    let policies = path.child("policies");
    if rules.policies.is_empty() {
        errors.push(Error::required(policies.clone(), "must specify at least one Policy"));
    }
    for (i, policy) in rules.policies.iter().enumerate() {
        scaling_policy(errors, policy, &policies.index(i));
    }
    if let Some(tolerance) = &rules.tolerance {
        pod::quantity(errors, tolerance, &path.child("tolerance"));
    }
}

fn scaling_policy(errors: &mut ErrorList, policy: &HpaScalingPolicy, path: &Path) {
    enumerated(errors, &path.child("type"), &policy.r#type, "autoscaling.v2.HPAScalingPolicy.type");
    if policy.value <= 0 {
        errors.push(Error::invalid(path.child("value"), policy.value, "must be greater than zero"));
    }
    let period = path.child("periodSeconds");
    if policy.period_seconds <= 0 {
        errors.push(Error::invalid(period, policy.period_seconds, "must be greater than zero"));
    } else if policy.period_seconds > PERIOD_MAX {
        let detail = format!("must be less than or equal to {PERIOD_MAX}");
        errors.push(Error::invalid(period, policy.period_seconds, detail));
    }
}

pub(crate) fn status_update(object: &HorizontalPodAutoscaler) -> ErrorList {
    let mut errors = ErrorList::new();
    let status = object.status.clone().unwrap_or_default();
    let path = Path::new("status");
    non_negative(&mut errors, &path.child("currentReplicas"), status.current_replicas);
    non_negative(&mut errors, &path.child("desiredReplicas"), status.desired_replicas);
    errors
}

#[cfg(test)]
mod tests;
