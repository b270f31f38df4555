//! How far a rollout is: a pure function of the Deployment.

use gantry_api::Resource;
use gantry_api::apps::v1::Deployment;

/// How far a rollout is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It goes on.
    Waiting(String),
    /// It is over.
    Complete(String),
    /// It is stuck for longer than the Deployment allows.
    Failed(String),
}

/// How far the rollout of a Deployment is.
#[must_use]
pub fn progress(deployment: &Deployment) -> Progress {
    let name = deployment.name();
    let status = deployment.status.clone().unwrap_or_default();
    if status.observed_generation < deployment.meta().generation {
        return Progress::Waiting("Waiting for deployment spec update to be observed...".to_owned());
    }
    let stuck = status
        .conditions
        .iter()
        .any(|condition| condition.r#type == "Progressing" && condition.reason == "ProgressDeadlineExceeded");
    if stuck {
        return Progress::Failed(format!("deployment {name:?} exceeded its progress deadline"));
    }
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let waiting = |what: String| {
        Progress::Waiting(format!("Waiting for deployment {name:?} rollout to finish: {what}..."))
    };
    if status.updated_replicas < wanted {
        return waiting(format!(
            "{} out of {wanted} new replicas have been updated",
            status.updated_replicas
        ));
    }
    if status.replicas > status.updated_replicas {
        return waiting(format!(
            "{} old replicas are pending termination",
            status.replicas - status.updated_replicas
        ));
    }
    if status.available_replicas < status.updated_replicas {
        return waiting(format!(
            "{} of {} updated replicas are available",
            status.available_replicas, status.updated_replicas
        ));
    }
    Progress::Complete(format!("deployment {name:?} successfully rolled out"))
}

#[cfg(test)]
mod tests {
    use super::{Progress, progress};

    fn at(status: serde_json::Value) -> Progress {
        let deployment = serde_json::json!({"metadata": {"name": "web", "generation": 2}, "spec": {"replicas": 3}, "status": status});
        progress(&serde_json::from_value(deployment).unwrap())
    }

    #[test]
    fn every_stage_is_told() {
        let waiting = |text: &str| {
            Progress::Waiting(format!("Waiting for deployment \"web\" rollout to finish: {text}..."))
        };
        assert!(matches!(at(serde_json::json!({"observedGeneration": 1})), Progress::Waiting(_)));
        let status = |replicas, updated, available| {
            at(serde_json::json!({"observedGeneration": 2, "replicas": replicas, "updatedReplicas": updated,
                "availableReplicas": available}))
        };
        assert_eq!(status(4, 1, 3), waiting("1 out of 3 new replicas have been updated"));
        assert_eq!(status(4, 3, 3), waiting("1 old replicas are pending termination"));
        assert_eq!(status(3, 3, 2), waiting("2 of 3 updated replicas are available"));
        assert_eq!(status(3, 3, 3), Progress::Complete("deployment \"web\" successfully rolled out".into()));
        let stuck = at(serde_json::json!({"observedGeneration": 2,
            "conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]}));
        assert!(matches!(stuck, Progress::Failed(_)));
    }
}
