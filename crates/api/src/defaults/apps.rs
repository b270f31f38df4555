//! Workloads.

use super::{pod, storage, text};
use crate::apps::v1::{
    DaemonSet, Deployment, ReplicaSet, RollingUpdateDaemonSet, RollingUpdateDeployment, StatefulSet,
};
use crate::core::v1::ReplicationController;
use crate::scalars::IntOrString;

const HISTORY: i32 = 10;
const PROGRESS_DEADLINE_SECONDS: i32 = 600;
const ROLLING: &str = "RollingUpdate";

fn or(field: &mut Option<IntOrString>, default: impl FnOnce() -> IntOrString) {
    field.get_or_insert_with(default);
}

pub(crate) fn deployment(deployment: &mut Deployment) {
    let spec = deployment.spec.get_or_insert_default();
    pod::template(spec.template.as_mut());
    spec.replicas.get_or_insert(1);
    let strategy = spec.strategy.get_or_insert_default();
    text(&mut strategy.r#type, ROLLING);
    if strategy.r#type == ROLLING {
        let rolling: &mut RollingUpdateDeployment = strategy.rolling_update.get_or_insert_default();
        or(&mut rolling.max_unavailable, || "25%".into());
        or(&mut rolling.max_surge, || "25%".into());
    }
    spec.revision_history_limit.get_or_insert(HISTORY);
    spec.progress_deadline_seconds.get_or_insert(PROGRESS_DEADLINE_SECONDS);
}

pub(crate) fn replica_set(set: &mut ReplicaSet) {
    let spec = set.spec.get_or_insert_default();
    pod::template(spec.template.as_mut());
    spec.replicas.get_or_insert(1);
}

pub(crate) fn daemon_set(set: &mut DaemonSet) {
    let spec = set.spec.get_or_insert_default();
    pod::template(spec.template.as_mut());
    let strategy = spec.update_strategy.get_or_insert_default();
    text(&mut strategy.r#type, ROLLING);
    if strategy.r#type == ROLLING {
        let rolling: &mut RollingUpdateDaemonSet = strategy.rolling_update.get_or_insert_default();
        or(&mut rolling.max_unavailable, || 1.into());
        or(&mut rolling.max_surge, || 0.into());
    }
    spec.revision_history_limit.get_or_insert(HISTORY);
}

pub(crate) fn stateful_set(set: &mut StatefulSet) {
    let spec = set.spec.get_or_insert_default();
    pod::template(spec.template.as_mut());
    text(&mut spec.pod_management_policy, "OrderedReady");
    let strategy = spec.update_strategy.get_or_insert_default();
    text(&mut strategy.r#type, ROLLING);
    if strategy.r#type == ROLLING {
        strategy.rolling_update.get_or_insert_default().partition.get_or_insert(0);
    }
    let retention = spec.persistent_volume_claim_retention_policy.get_or_insert_default();
    text(&mut retention.when_deleted, "Retain");
    text(&mut retention.when_scaled, "Retain");
    spec.replicas.get_or_insert(1);
    spec.revision_history_limit.get_or_insert(HISTORY);
    spec.volume_claim_templates.iter_mut().for_each(storage::claim);
}

pub(crate) fn replication_controller(controller: &mut ReplicationController) {
    let spec = controller.spec.get_or_insert_default();
    pod::template(spec.template.as_mut());
    spec.replicas.get_or_insert(1);
    let labels =
        spec.template.as_ref().and_then(|template| template.metadata.as_ref()).map(|meta| &meta.labels);
    let Some(labels) = labels.filter(|labels| !labels.is_empty()) else { return };
    if spec.selector.is_empty() {
        spec.selector.clone_from(labels);
    }
    let own = &mut controller.metadata.get_or_insert_default().labels;
    if own.is_empty() {
        own.clone_from(labels);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_deployment_rolls_by_quarters() {
        let mut deployment: Deployment = serde_json::from_value(json!({ "spec": {
            "template": { "spec": { "containers": [{ "name": "c", "image": "nginx:1.25" }] } },
        } }))
        .unwrap();
        super::deployment(&mut deployment);
        let spec = serde_json::to_value(&deployment).unwrap()["spec"].take();
        assert_eq!(spec["replicas"], 1);
        let rolling = json!({ "maxUnavailable": "25%", "maxSurge": "25%" });
        assert_eq!(spec["strategy"], json!({ "type": "RollingUpdate", "rollingUpdate": rolling }));
        assert_eq!(
            (&spec["revisionHistoryLimit"], &spec["progressDeadlineSeconds"]),
            (&json!(10), &json!(600))
        );
        assert_eq!(spec["template"]["spec"]["restartPolicy"], "Always");
        assert_eq!(spec["template"]["spec"].get("enableServiceLinks"), None);
    }

    #[test]
    fn recreate_gets_no_rolling_parameters() {
        let mut deployment: Deployment =
            serde_json::from_value(json!({ "spec": { "replicas": 0, "strategy": { "type": "Recreate" } } }))
                .unwrap();
        super::deployment(&mut deployment);
        let spec = deployment.spec.unwrap();
        assert_eq!(spec.replicas, Some(0));
        assert_eq!(spec.strategy.unwrap().rolling_update, None);
    }

    #[test]
    fn the_other_workloads() {
        let mut set = DaemonSet::default();
        daemon_set(&mut set);
        let rolling = set.spec.unwrap().update_strategy.unwrap().rolling_update.unwrap();
        assert_eq!(rolling.max_unavailable, Some(1.into()));
        let mut set = StatefulSet::default();
        stateful_set(&mut set);
        let spec = set.spec.unwrap();
        assert_eq!(spec.pod_management_policy, "OrderedReady");
        assert_eq!(spec.persistent_volume_claim_retention_policy.unwrap().when_deleted, "Retain");
        let mut controller: ReplicationController = serde_json::from_value(json!({ "spec": {
            "template": { "metadata": { "labels": { "a": "b" } } },
        } }))
        .unwrap();
        replication_controller(&mut controller);
        assert_eq!(controller.spec.unwrap().selector["a"], "b");
        assert_eq!(controller.metadata.unwrap().labels["a"], "b");
    }
}
