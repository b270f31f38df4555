//! The conditions of a Deployment.

use gantry_api::Resource;
use gantry_api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet};
use gantry_api::scalars::Time;
use jiff::{SignedDuration, Timestamp};

pub(super) const AVAILABLE: &str = "Available";
pub(super) const PROGRESSING: &str = "Progressing";
pub(super) const REPLICA_FAILURE: &str = "ReplicaFailure";

pub(super) const NEW_SET_CREATED: &str = "NewReplicaSetCreated";
pub(super) const NEW_SET_FOUND: &str = "FoundNewReplicaSet";
pub(super) const NEW_SET_AVAILABLE: &str = "NewReplicaSetAvailable";
pub(super) const SET_UPDATED: &str = "ReplicaSetUpdated";
pub(super) const TIMED_OUT: &str = "ProgressDeadlineExceeded";
pub(super) const PAUSED: &str = "DeploymentPaused";
pub(super) const RESUMED: &str = "DeploymentResumed";

pub(super) fn get<'a>(status: &'a DeploymentStatus, r#type: &str) -> Option<&'a DeploymentCondition> {
    status.conditions.iter().find(|condition| condition.r#type == r#type)
}

pub(super) fn remove(status: &mut DeploymentStatus, r#type: &str) {
    status.conditions.retain(|condition| condition.r#type != r#type);
}

/// A condition as of now.
pub(super) fn new(
    r#type: &str,
    status: &str,
    reason: &str,
    message: String,
    now: Timestamp,
) -> DeploymentCondition {
    DeploymentCondition {
        r#type: r#type.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message,
        last_update_time: Some(Time::from(now)),
        last_transition_time: Some(Time::from(now)),
    }
}

/// Sets a condition, unless its status and reason stand already. The time of transition moves only with the status.
pub(super) fn set(status: &mut DeploymentStatus, mut condition: DeploymentCondition) {
    if let Some(present) = get(status, &condition.r#type) {
        if present.status == condition.status && present.reason == condition.reason {
            return;
        }
        if present.status == condition.status {
            condition.last_transition_time = present.last_transition_time;
        }
    }
    remove(status, &condition.r#type);
    status.conditions.push(condition);
}

/// The deadline for progress, where there is one.
pub(super) fn deadline(deployment: &Deployment) -> Option<SignedDuration> {
    let seconds = deployment.spec.as_ref()?.progress_deadline_seconds?;
    (seconds != i32::MAX).then(|| SignedDuration::from_secs(seconds.into()))
}

/// When progress is due, while a roll-out is under way.
pub(super) fn due(deployment: &Deployment, status: &DeploymentStatus) -> Option<Timestamp> {
    let deadline = deadline(deployment)?;
    let condition = get(status, PROGRESSING)?;
    if condition.reason == NEW_SET_AVAILABLE || condition.reason == TIMED_OUT {
        return None;
    }
    condition.last_update_time.as_ref().and_then(Time::timestamp)?.checked_add(deadline).ok()
}

/// Whether progress was due, and did not come.
pub(super) fn timed_out(deployment: &Deployment, status: &DeploymentStatus, now: Timestamp) -> bool {
    let told = get(status, PROGRESSING).is_some_and(|condition| condition.reason == TIMED_OUT);
    told || due(deployment, status).is_some_and(|due| due < now)
}

/// The failure of a ReplicaSet to make pods, that of the new one first.
pub(super) fn replica_failure<'a>(sets: impl Iterator<Item = &'a ReplicaSet>) -> Option<DeploymentCondition> {
    sets.filter_map(|set| set.status.as_ref())
        .flat_map(|status| &status.conditions)
        .find(|condition| condition.r#type == REPLICA_FAILURE)
        .map(|condition| DeploymentCondition {
            r#type: condition.r#type.clone(),
            status: condition.status.clone(),
            reason: condition.reason.clone(),
            message: condition.message.clone(),
            last_transition_time: condition.last_transition_time,
            last_update_time: condition.last_transition_time,
        })
}

/// The status of a Deployment whose new ReplicaSet cannot be created.
pub(super) fn creation_failed(deployment: &Deployment, message: &str, now: Timestamp) -> DeploymentStatus {
    let mut status = deployment.status.clone().unwrap_or_default();
    status.observed_generation = deployment.meta().generation;
    if deadline(deployment).is_some() {
        set(&mut status, new(PROGRESSING, "False", "ReplicaSetCreateError", message.to_owned(), now));
    }
    status
}
