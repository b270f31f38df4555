//! What a disruption budget says to an eviction.

use gantry_api::meta::v1::{Condition, StatusCause};
use gantry_api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus};
use gantry_api::scalars::Time;
use gantry_api::{Resource as _, disruption};

use crate::status::{ApiError, Reason};

/// Evictions that were granted and that the controller has not seen yet; beyond it none is granted.
const MAX_DISRUPTED: usize = 2000;
const REFUSED: &str = "Cannot evict pod as it would violate the pod's disruption budget.";
const CAUSE: &str = "DisruptionBudget";

/// Whether a pod that is not ready may go without being counted.
pub(super) fn lets_unhealthy_go(budget: &PodDisruptionBudget) -> bool {
    let policy = budget.spec.as_ref().and_then(|spec| spec.unhealthy_pod_eviction_policy.as_deref());
    if policy == Some("AlwaysAllow") {
        return true;
    }
    budget
        .status
        .as_ref()
        .is_some_and(|status| status.current_healthy >= status.desired_healthy && status.desired_healthy > 0)
}

/// Takes the pod from the budget, or says why not.
pub(super) fn take_one(budget: &mut PodDisruptionBudget, pod: &str, now: Time) -> Result<(), ApiError> {
    let (name, generation) = (budget.name().to_owned(), budget.meta().generation);
    let status = budget.status.get_or_insert_default();
    if status.observed_generation < generation {
        return Err(in_process(&name));
    }
    if status.disruptions_allowed < 0 {
        return Err(forbidden(&name, "pdb disruptions allowed is negative"));
    }
    if status.disrupted_pods.len() > MAX_DISRUPTED {
        let text = "DisruptedPods map too big - too many evictions not confirmed by PDB controller";
        return Err(forbidden(&name, text));
    }
    if status.disruptions_allowed == 0 {
        return Err(refused(0, why(&name, status)));
    }
    status.disruptions_allowed -= 1;
    status.disrupted_pods.insert(pod.to_owned(), now);
    if status.disruptions_allowed == 0 {
        disruption::tell_allowed(status, now);
    }
    Ok(())
}

/// The controller has not seen the budget as it is, or the pod has changed meanwhile: later it is known.
pub(super) fn in_process(name: &str) -> ApiError {
    refused(10, format!("The disruption budget {name} is still being processed by the server."))
}

fn refused(retry_after: i32, message: String) -> ApiError {
    let cause = StatusCause { reason: CAUSE.to_owned(), message, ..StatusCause::default() };
    ApiError::too_many_requests(REFUSED, retry_after).with_cause(cause)
}

fn forbidden(name: &str, why: &str) -> ApiError {
    let details = gantry_api::meta::v1::StatusDetails {
        name: name.to_owned(),
        group: "policy".to_owned(),
        kind: "poddisruptionbudget".to_owned(),
        ..Default::default()
    };
    let text = format!("poddisruptionbudget.policy {name:?} is forbidden: {why}");
    ApiError::new(Reason::Forbidden, text).with_details(details)
}

fn why(name: &str, status: &PodDisruptionBudgetStatus) -> String {
    let told = status.conditions.iter().find(|condition| condition.r#type == disruption::ALLOWED);
    let told = told.filter(|condition| condition.status == "False" && !condition.message.is_empty());
    let does_not_allow = format!("The disruption budget {name} does not allow evicting pods currently");
    match told {
        // The numbers of a budget that could not be worked out mean nothing.
        Some(Condition { reason, message, .. }) if reason == disruption::SYNC_FAILED => {
            format!("{does_not_allow} because it failed sync: {message}")
        }
        _ if status.current_healthy <= status.desired_healthy => format!(
            "The disruption budget {name} needs {} healthy pods and has {} currently",
            status.desired_healthy, status.current_healthy
        ),
        Some(Condition { reason, message, .. }) => format!("{does_not_allow} ({reason}): {message}"),
        None => does_not_allow,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn budget(status: Value) -> PodDisruptionBudget {
        let budget = json!({"metadata": {"name": "b", "generation": 2}, "spec": {}, "status": status});
        serde_json::from_value(budget).unwrap()
    }

    fn status(allowed: i32, healthy: i32, desired: i32) -> Value {
        json!({"observedGeneration": 2, "disruptionsAllowed": allowed, "currentHealthy": healthy,
               "desiredHealthy": desired, "expectedPods": healthy})
    }

    fn take(status: Value) -> Result<PodDisruptionBudget, ApiError> {
        let mut budget = budget(status);
        take_one(&mut budget, "a", Time { seconds: 9, nanos: 0 }).map(|()| budget)
    }

    #[test]
    fn the_last_disruption_is_told() {
        let taken = take(status(2, 3, 1)).unwrap().status.unwrap();
        assert_eq!((taken.disruptions_allowed, taken.disrupted_pods["a"].seconds), (1, 9));
        assert!(taken.conditions.is_empty());
        let taken = take(status(1, 2, 1)).unwrap().status.unwrap();
        assert_eq!((taken.disruptions_allowed, taken.conditions[0].reason.as_str()), (0, "InsufficientPods"));
    }

    #[test]
    fn a_refusal_says_why() {
        let cause = |status: Value| {
            let error = take(status).unwrap_err();
            assert_eq!((error.http().as_u16(), error.to_string().as_str()), (429, REFUSED));
            let details = error.status().details.clone().unwrap();
            assert_eq!(details.causes[0].reason, CAUSE);
            (details.causes[0].message.clone(), details.retry_after_seconds)
        };
        assert_eq!(
            cause(status(0, 1, 1)),
            ("The disruption budget b needs 1 healthy pods and has 1 currently".to_owned(), 0)
        );
        let mut old = status(1, 1, 0);
        old["observedGeneration"] = json!(1);
        assert_eq!(
            cause(old),
            ("The disruption budget b is still being processed by the server.".to_owned(), 10)
        );
        for (reason, text) in [("SyncFailed", " because it failed sync: m"), ("Other", " (Other): m")] {
            let mut told = status(0, 4, 3);
            let condition = json!({"type": "DisruptionAllowed", "status": "False", "reason": reason, "message": "m",
                                   "lastTransitionTime": null});
            told["conditions"] = json!([condition]);
            assert_eq!(
                cause(told).0,
                format!("The disruption budget b does not allow evicting pods currently{text}")
            );
        }
        assert_eq!(take(status(-1, 0, 0)).unwrap_err().http().as_u16(), 403);
    }

    #[test]
    fn unhealthy_pods_go_where_the_healthy_ones_suffice() {
        assert!(lets_unhealthy_go(&budget(status(0, 1, 1))));
        assert!(!lets_unhealthy_go(&budget(status(0, 0, 1))));
        assert!(!lets_unhealthy_go(&budget(status(0, 0, 0))));
        let mut always = budget(status(0, 0, 1));
        always.spec.get_or_insert_default().unhealthy_pod_eviction_policy = Some("AlwaysAllow".into());
        assert!(lets_unhealthy_go(&always));
    }
}
