//! What follows from the way a pod fails.

use crate::batch::v1::{
    JobSpec, PodFailurePolicyOnExitCodesRequirement as ExitCodes,
    PodFailurePolicyOnPodConditionsPattern as Pattern, PodFailurePolicyRule,
};
use crate::field::{Error, ErrorList, Path};
use crate::schema;
use crate::validation::common::{check, one_of, shown};
use crate::validation::names;

const MAX_RULES: usize = 20;
const MAX_CODES: usize = 255;
const MAX_PATTERNS: usize = 20;

pub(super) fn policy(errors: &mut ErrorList, spec: &JobSpec, path: &Path) {
    let Some(policy) = &spec.pod_failure_policy else { return };
    let path = path.child("rules");
    if policy.rules.len() > MAX_RULES {
        errors.push(Error::too_many(path.clone(), policy.rules.len(), MAX_RULES));
    }
    for (i, one) in policy.rules.iter().enumerate() {
        rule(errors, one, spec, &path.index(i));
    }
}

/// An enumerated value whose absence is told with the values that it could have.
fn chosen(errors: &mut ErrorList, path: &Path, value: &str, field: &str) {
    let mut values: Vec<&str> = schema::values(field).iter().map(AsRef::as_ref).collect();
    values.sort_unstable();
    if value.is_empty() {
        let values: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
        errors.push(Error::required(path.clone(), format!("valid values: [{}]", values.join(" "))));
    } else {
        one_of(errors, path, value, &values);
    }
}

fn rule(errors: &mut ErrorList, rule: &PodFailurePolicyRule, spec: &JobSpec, path: &Path) {
    let action = path.child("action");
    if rule.action == "FailIndex" && spec.backoff_limit_per_index.is_none() {
        let detail = "requires the backoffLimitPerIndex to be set";
        errors.push(Error::invalid(action.clone(), rule.action.as_str(), detail));
    }
    chosen(errors, &action, &rule.action, "batch.v1.PodFailurePolicyRule.action");
    if let Some(codes) = &rule.on_exit_codes {
        exit_codes(errors, codes, spec, &path.child("onExitCodes"));
    }
    patterns(errors, &rule.on_pod_conditions, &path.child("onPodConditions"));
    let detail = match (rule.on_exit_codes.is_some(), !rule.on_pod_conditions.is_empty()) {
        (true, true) => "specifying both OnExitCodes and OnPodConditions is not supported",
        (false, false) => "specifying one of OnExitCodes and OnPodConditions is required",
        _ => return,
    };
    errors.push(Error::invalid_together(path.clone(), detail));
}

fn exit_codes(errors: &mut ErrorList, codes: &ExitCodes, spec: &JobSpec, path: &Path) {
    let field = "batch.v1.PodFailurePolicyOnExitCodesRequirement.operator";
    chosen(errors, &path.child("operator"), &codes.operator, field);
    let pod = spec.template.as_ref().and_then(|template| template.spec.as_ref());
    let containers = || pod.into_iter().flat_map(|pod| pod.containers.iter().chain(&pod.init_containers));
    if let Some(name) = &codes.container_name
        && !containers().any(|container| container.name == *name)
    {
        let detail = "must be one of the container or initContainer names in the pod template";
        errors.push(Error::invalid(path.child("containerName"), name.as_str(), detail));
    }
    let path = path.child("values");
    let values = codes.values.as_slice();
    if values.is_empty() {
        errors.push(Error::invalid(path.clone(), shown(values), "at least one value is required"));
    } else if values.len() > MAX_CODES {
        errors.push(Error::too_many(path.clone(), values.len(), MAX_CODES));
    }
    for (i, value) in values.iter().enumerate() {
        if codes.operator == "In" && *value == 0 {
            errors.push(Error::invalid(path.index(i), *value, "must not be 0 for the In operator"));
        }
        if values[..i].contains(value) {
            errors.push(Error::duplicate(path.index(i), *value));
        }
    }
    if !values.is_sorted() {
        errors.push(Error::invalid(path, shown(values), "must be ordered"));
    }
}

fn patterns(errors: &mut ErrorList, patterns: &[Pattern], path: &Path) {
    if patterns.len() > MAX_PATTERNS {
        errors.push(Error::too_many(path.clone(), patterns.len(), MAX_PATTERNS));
    }
    for (i, pattern) in patterns.iter().enumerate() {
        let path = path.index(i);
        check(errors, &path.child("type"), &pattern.r#type, names::qualified_name(&pattern.r#type));
        let field = "batch.v1.PodFailurePolicyOnPodConditionsPattern.status";
        chosen(errors, &path.child("status"), &pattern.status, field);
    }
}
