//! Workloads: what runs a pod template.

use std::collections::BTreeMap;

use super::{
    common::{NON_NEGATIVE, check, enumerated, immutable, non_negative, shown},
    names, pod, selector, storage,
};
use crate::apps::v1::{
    ControllerRevision, DaemonSet, DaemonSetSpec, Deployment, DeploymentSpec, DeploymentStrategy, ReplicaSet,
    ReplicaSetSpec, RollingUpdateDaemonSet, RollingUpdateDeployment, StatefulSet, StatefulSetSpec,
};
use crate::core::v1::{PodTemplateSpec, ReplicationController, ReplicationControllerSpec};
use crate::field::{Error, ErrorList, Path};
use crate::meta::v1::LabelSelector;
use crate::scalars::IntOrString;

static NO_LABELS: BTreeMap<String, String> = BTreeMap::new();

fn labels_of(template: Option<&PodTemplateSpec>) -> &BTreeMap<String, String> {
    template.and_then(|template| template.metadata.as_ref()).map_or(&NO_LABELS, |meta| &meta.labels)
}

/// The selector and the template, which belong together.
fn selected_template(
    errors: &mut ErrorList,
    selector: Option<&LabelSelector>,
    template: Option<&PodTemplateSpec>,
    what: &str,
    path: &Path,
) {
    let labels_path = path.child("template").child("metadata").child("labels");
    selector::validate_of_workload(errors, selector, labels_of(template), what, path, &labels_path);
    pod::template(errors, template, &path.child("template"));
}

/// What is kept running forever restarts always and has no deadline.
fn runs_forever(errors: &mut ErrorList, template: Option<&PodTemplateSpec>, what: &str, path: &Path) {
    let Some(spec) = template.and_then(|template| template.spec.as_ref()) else { return };
    let path = path.child("template").child("spec");
    // A value that no pod may have is reported once, by the pod's own rule.
    if matches!(spec.restart_policy.as_str(), "OnFailure" | "Never") {
        let policy = path.child("restartPolicy");
        errors.push(Error::not_supported(policy, spec.restart_policy.as_str(), &["Always"]));
    }
    if spec.active_deadline_seconds.is_some() {
        let detail = format!("activeDeadlineSeconds in {what} is not Supported");
        errors.push(Error::forbidden(path.child("activeDeadlineSeconds"), detail));
    }
}

fn counts(errors: &mut ErrorList, path: &Path, counts: &[(&str, Option<i32>)]) {
    for (field, count) in counts {
        non_negative(errors, &path.child(field), count.unwrap_or(0));
    }
}

pub(crate) fn deployment(deployment: &Deployment) -> ErrorList {
    let mut errors = ErrorList::new();
    let empty = DeploymentSpec::default();
    let spec = deployment.spec.as_ref().unwrap_or(&empty);
    let path = Path::new("spec");
    counts(&mut errors, &path, &[("replicas", spec.replicas)]);
    selected_template(&mut errors, spec.selector.as_ref(), spec.template.as_ref(), "deployment", &path);
    runs_forever(&mut errors, spec.template.as_ref(), "ReplicaSet", &path);
    if let Some(strategy) = &spec.strategy {
        deployment_strategy(&mut errors, strategy, &path.child("strategy"));
    }
    let rest = [
        ("minReadySeconds", Some(spec.min_ready_seconds)),
        ("revisionHistoryLimit", spec.revision_history_limit),
    ];
    counts(&mut errors, &path, &rest);
    if let Some(deadline) = spec.progress_deadline_seconds {
        let path = path.child("progressDeadlineSeconds");
        non_negative(&mut errors, &path, deadline);
        if deadline <= spec.min_ready_seconds {
            errors.push(Error::invalid(path, deadline, "must be greater than minReadySeconds"));
        }
    }
    errors
}

fn deployment_strategy(errors: &mut ErrorList, strategy: &DeploymentStrategy, path: &Path) {
    let rolling = path.child("rollingUpdate");
    match (strategy.r#type.as_str(), &strategy.rolling_update) {
        ("Recreate", None) => {}
        ("Recreate", Some(_)) => {
            let detail = "may not be specified when strategy `type` is 'Recreate'";
            errors.push(Error::forbidden(rolling, detail));
        }
        ("RollingUpdate", None) => {
            errors.push(Error::required(rolling, "this should be defaulted and never be nil"));
        }
        ("RollingUpdate", Some(update)) => rolling_deployment(errors, update, &rolling),
        (other, _) => enumerated(errors, &path.child("type"), other, "apps.v1.DeploymentStrategy.type"),
    }
}

fn rolling_deployment(errors: &mut ErrorList, update: &RollingUpdateDeployment, path: &Path) {
    let unavailable = path.child("maxUnavailable");
    count_or_percent(errors, update.max_unavailable.as_ref(), &unavailable);
    count_or_percent(errors, update.max_surge.as_ref(), &path.child("maxSurge"));
    if is_none(update.max_unavailable.as_ref()) && is_none(update.max_surge.as_ref()) {
        let detail = "may not be 0 when `maxSurge` is 0";
        errors.push(Error::invalid(unavailable.clone(), shown(&update.max_unavailable), detail));
    }
    at_most_all(errors, update.max_unavailable.as_ref(), &unavailable);
}

pub(crate) fn count_or_percent(errors: &mut ErrorList, value: Option<&IntOrString>, path: &Path) {
    let Some(value) = value else { return };
    match (value.as_int(), value.as_str()) {
        (_, Some(text)) => check(errors, path, text, names::percent(text)),
        (Some(count), _) if count < 0 => errors.push(Error::invalid(path.clone(), count, NON_NEGATIVE)),
        _ => {}
    }
}

fn is_none(value: Option<&IntOrString>) -> bool {
    value.is_none_or(|value| value.scaled(100, true) == Some(0))
}

pub(crate) fn at_most_all(errors: &mut ErrorList, value: Option<&IntOrString>, path: &Path) {
    let Some(text) = value.and_then(IntOrString::as_str) else { return };
    if text
        .strip_suffix('%')
        .and_then(|number| number.parse::<u64>().ok())
        .is_some_and(|percent| percent > 100)
    {
        errors.push(Error::invalid(path.clone(), text, "must not be greater than 100%"));
    }
}

pub(crate) fn deployment_update(new: &Deployment, old: &Deployment) -> ErrorList {
    let mut errors = deployment(new);
    let selector = |object: &Deployment| object.spec.as_ref().and_then(|spec| spec.selector.clone());
    immutable(&mut errors, &Path::new("spec").child("selector"), &selector(new), &selector(old));
    errors
}

pub(crate) fn replica_set(set: &ReplicaSet) -> ErrorList {
    let mut errors = ErrorList::new();
    let empty = ReplicaSetSpec::default();
    let spec = set.spec.as_ref().unwrap_or(&empty);
    let path = Path::new("spec");
    counts(
        &mut errors,
        &path,
        &[("replicas", spec.replicas), ("minReadySeconds", Some(spec.min_ready_seconds))],
    );
    selected_template(&mut errors, spec.selector.as_ref(), spec.template.as_ref(), "replica set", &path);
    runs_forever(&mut errors, spec.template.as_ref(), "ReplicaSet", &path);
    errors
}

pub(crate) fn replica_set_update(new: &ReplicaSet, old: &ReplicaSet) -> ErrorList {
    let mut errors = replica_set(new);
    let selector = |object: &ReplicaSet| object.spec.as_ref().and_then(|spec| spec.selector.clone());
    immutable(&mut errors, &Path::new("spec").child("selector"), &selector(new), &selector(old));
    errors
}

pub(crate) fn daemon_set(set: &DaemonSet) -> ErrorList {
    let mut errors = ErrorList::new();
    let empty = DaemonSetSpec::default();
    let spec = set.spec.as_ref().unwrap_or(&empty);
    let path = Path::new("spec");
    selected_template(&mut errors, spec.selector.as_ref(), spec.template.as_ref(), "daemonset", &path);
    runs_forever(&mut errors, spec.template.as_ref(), "DaemonSet", &path);
    let rest = [
        ("minReadySeconds", Some(spec.min_ready_seconds)),
        ("revisionHistoryLimit", spec.revision_history_limit),
    ];
    counts(&mut errors, &path, &rest);
    if let Some(strategy) = &spec.update_strategy {
        let path = path.child("updateStrategy");
        match (strategy.r#type.as_str(), &strategy.rolling_update) {
            ("OnDelete", _) => {}
            ("RollingUpdate", None) => errors.push(Error::required(path.child("rollingUpdate"), "")),
            ("RollingUpdate", Some(update)) => {
                rolling_daemon_set(&mut errors, update, &path.child("rollingUpdate"));
            }
            (other, _) => {
                enumerated(&mut errors, &path.child("type"), other, "apps.v1.DaemonSetUpdateStrategy.type");
            }
        }
    }
    errors
}

fn rolling_daemon_set(errors: &mut ErrorList, update: &RollingUpdateDaemonSet, path: &Path) {
    let (unavailable, surge) = (path.child("maxUnavailable"), path.child("maxSurge"));
    for (value, path) in [(&update.max_unavailable, &unavailable), (&update.max_surge, &surge)] {
        count_or_percent(errors, value.as_ref(), path);
        at_most_all(errors, value.as_ref(), path);
    }
    match (is_none(update.max_unavailable.as_ref()), is_none(update.max_surge.as_ref())) {
        (true, true) => {
            let detail = "cannot be 0 when maxSurge is 0";
            errors.push(Error::invalid(unavailable, shown(&update.max_unavailable), detail));
        }
        (false, false) => {
            let detail = "may not be set when maxUnavailable is non-zero";
            errors.push(Error::invalid(surge, shown(&update.max_surge), detail));
        }
        _ => {}
    }
}

pub(crate) fn daemon_set_update(new: &DaemonSet, old: &DaemonSet) -> ErrorList {
    let mut errors = daemon_set(new);
    let selector = |object: &DaemonSet| object.spec.as_ref().and_then(|spec| spec.selector.clone());
    immutable(&mut errors, &Path::new("spec").child("selector"), &selector(new), &selector(old));
    errors
}

pub(crate) fn stateful_set(set: &StatefulSet) -> ErrorList {
    let mut errors = ErrorList::new();
    let empty = StatefulSetSpec::default();
    let spec = set.spec.as_ref().unwrap_or(&empty);
    let path = Path::new("spec");
    enumerated(
        &mut errors,
        &path.child("podManagementPolicy"),
        &spec.pod_management_policy,
        "apps.v1.StatefulSetSpec.podManagementPolicy",
    );
    if let Some(strategy) = &spec.update_strategy {
        let path = path.child("updateStrategy");
        enumerated(
            &mut errors,
            &path.child("type"),
            &strategy.r#type,
            "apps.v1.StatefulSetUpdateStrategy.type",
        );
        let rolling = path.child("rollingUpdate");
        if let Some(update) = &strategy.rolling_update {
            if strategy.r#type == "OnDelete" {
                let detail = "only allowed for updateStrategy 'RollingUpdate'";
                errors.push(Error::invalid(rolling.clone(), shown(update), detail));
            }
            counts(&mut errors, &rolling, &[("partition", update.partition)]);
            count_or_percent(&mut errors, update.max_unavailable.as_ref(), &rolling.child("maxUnavailable"));
            at_most_all(&mut errors, update.max_unavailable.as_ref(), &rolling.child("maxUnavailable"));
        }
    }
    if let Some(retention) = &spec.persistent_volume_claim_retention_policy {
        let path = path.child("persistentVolumeClaimRetentionPolicy");
        enumerated(
            &mut errors,
            &path.child("whenDeleted"),
            &retention.when_deleted,
            "apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicy.whenDeleted",
        );
        enumerated(
            &mut errors,
            &path.child("whenScaled"),
            &retention.when_scaled,
            "apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicy.whenScaled",
        );
    }
    let all = [
        ("replicas", spec.replicas),
        ("minReadySeconds", Some(spec.min_ready_seconds)),
        ("revisionHistoryLimit", spec.revision_history_limit),
    ];
    counts(&mut errors, &path, &all);
    if let Some(ordinals) = &spec.ordinals {
        non_negative(&mut errors, &path.child("ordinals").child("start"), ordinals.start);
    }
    selected_template(&mut errors, spec.selector.as_ref(), spec.template.as_ref(), "statefulset", &path);
    runs_forever(&mut errors, spec.template.as_ref(), "StatefulSet", &path);
    for (i, claim) in spec.volume_claim_templates.iter().enumerate() {
        let path = path.child("volumeClaimTemplates").index(i).child("spec");
        storage::claim_spec(&mut errors, claim.spec.as_ref(), &path);
    }
    errors
}

const STATEFUL_SET_ONLY: &str = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', \
     'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";

pub(crate) fn stateful_set_update(new: &StatefulSet, old: &StatefulSet) -> ErrorList {
    let mut errors = stateful_set(new);
    let (Some(new), Some(old)) = (&new.spec, &old.spec) else { return errors };
    let with_allowed_changes = StatefulSetSpec {
        replicas: old.replicas,
        ordinals: old.ordinals,
        template: old.template.clone(),
        update_strategy: old.update_strategy.clone(),
        revision_history_limit: old.revision_history_limit,
        persistent_volume_claim_retention_policy: old.persistent_volume_claim_retention_policy.clone(),
        min_ready_seconds: old.min_ready_seconds,
        ..new.clone()
    };
    if with_allowed_changes != *old {
        errors.push(Error::forbidden(Path::new("spec"), STATEFUL_SET_ONLY));
    }
    errors
}

pub(crate) fn replication_controller(controller: &ReplicationController) -> ErrorList {
    let mut errors = ErrorList::new();
    let empty = ReplicationControllerSpec::default();
    let spec = controller.spec.as_ref().unwrap_or(&empty);
    let path = Path::new("spec");
    counts(
        &mut errors,
        &path,
        &[("minReadySeconds", Some(spec.min_ready_seconds)), ("replicas", spec.replicas)],
    );
    super::meta::labels(&mut errors, &spec.selector, &path.child("selector"));
    let labels = labels_of(spec.template.as_ref());
    if spec.selector.is_empty() {
        errors.push(Error::required(path.child("selector"), ""));
    } else if !crate::selector::LabelSelector::from_map(&spec.selector).matches(labels) {
        let path = path.child("template").child("metadata").child("labels");
        errors.push(Error::invalid(path, shown(labels), "`selector` does not match template `labels`"));
    }
    pod::template(&mut errors, spec.template.as_ref(), &path.child("template"));
    runs_forever(&mut errors, spec.template.as_ref(), "ReplicationController", &path);
    errors
}

pub(crate) fn controller_revision(revision: &ControllerRevision) -> ErrorList {
    let mut errors = ErrorList::new();
    if revision.data.is_none() {
        errors.push(Error::required(Path::new("data"), "data is mandatory"));
    }
    non_negative(&mut errors, &Path::new("revision"), revision.revision);
    errors
}

pub(crate) fn controller_revision_update(new: &ControllerRevision, old: &ControllerRevision) -> ErrorList {
    let mut errors = controller_revision(new);
    immutable(&mut errors, &Path::new("data"), &new.data, &old.data);
    errors
}

#[cfg(test)]
mod tests;
