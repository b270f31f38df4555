//! Disruption budgets.

use super::{
    apps::{at_most_all, count_or_percent},
    common::{enumerated, non_negative, shown},
    conditions, selector,
};
use crate::field::{Error, ErrorList, Path};
use crate::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec, PodDisruptionBudgetStatus};

pub(crate) fn budget(budget: &PodDisruptionBudget) -> ErrorList {
    let mut errors = ErrorList::new();
    let empty = PodDisruptionBudgetSpec::default();
    let spec = budget.spec.as_ref().unwrap_or(&empty);
    let path = Path::new("spec");
    if spec.min_available.is_some() && spec.max_unavailable.is_some() {
        let detail = "minAvailable and maxUnavailable cannot be both set";
        errors.push(Error::invalid(path.clone(), shown(spec), detail));
    }
    for (field, value) in [("minAvailable", &spec.min_available), ("maxUnavailable", &spec.max_unavailable)] {
        count_or_percent(&mut errors, value.as_ref(), &path.child(field));
        at_most_all(&mut errors, value.as_ref(), &path.child(field));
    }
    if let Some(policy) = &spec.unhealthy_pod_eviction_policy {
        enumerated(
            &mut errors,
            &path.child("unhealthyPodEvictionPolicy"),
            policy,
            "policy.v1.PodDisruptionBudgetSpec.unhealthyPodEvictionPolicy",
        );
    }
    if let Some(own) = &spec.selector {
        selector::validate(&mut errors, own, &path.child("selector"));
    }
    errors
}

pub(crate) fn status_update(budget: &PodDisruptionBudget) -> ErrorList {
    let mut errors = ErrorList::new();
    let empty = PodDisruptionBudgetStatus::default();
    let status = budget.status.as_ref().unwrap_or(&empty);
    let path = Path::new("status");
    conditions::validate(&mut errors, &status.conditions, &path.child("conditions"));
    for (field, count) in [
        ("disruptionsAllowed", status.disruptions_allowed),
        ("currentHealthy", status.current_healthy),
        ("desiredHealthy", status.desired_healthy),
        ("expectedPods", status.expected_pods),
    ] {
        non_negative(&mut errors, &path.child(field), count);
    }
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::validation::common::texts;

    fn budget_of(json: Value) -> PodDisruptionBudget {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_budget_has_one_bound() {
        assert_eq!(budget(&budget_of(json!({ "spec": { "minAvailable": "50%" } }))), []);
        let both = texts(&budget(&budget_of(json!({ "spec": { "minAvailable": 1, "maxUnavailable": 1 } }))));
        assert_eq!(
            both,
            [
                "spec: Invalid value: {\"maxUnavailable\":1,\"minAvailable\":1}: minAvailable and maxUnavailable \
                 cannot be both set"
            ]
        );
        let wrong = json!({ "spec": { "maxUnavailable": "101%", "unhealthyPodEvictionPolicy": "Never" } });
        assert_eq!(budget(&budget_of(wrong)).len(), 2);
        assert_eq!(budget(&budget_of(json!({ "spec": { "maxUnavailable": -1 } }))).len(), 1);
    }

    #[test]
    fn a_status_counts_from_zero() {
        assert_eq!(status_update(&budget_of(json!({ "status": { "expectedPods": 3 } }))), []);
        assert_eq!(
            texts(&status_update(&budget_of(json!({ "status": { "expectedPods": -3 } })))),
            ["status.expectedPods: Invalid value: -3: must be greater than or equal to 0"]
        );
    }
}
