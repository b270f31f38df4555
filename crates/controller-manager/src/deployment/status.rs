//! What a Deployment says about its roll-out.

use std::time::Duration;

use gantry_api::Resource;
use gantry_api::apps::v1::{Deployment, DeploymentStatus, ReplicaSetStatus};

use super::conditions::{
    self, AVAILABLE, NEW_SET_AVAILABLE, NEW_SET_CREATED, NEW_SET_FOUND, PAUSED, PROGRESSING, REPLICA_FAILURE,
    RESUMED, SET_UPDATED, TIMED_OUT,
};
use super::decide::{Hint, Sets, Snapshot, wanted};
use super::rolling::max_unavailable;

/// The numbers, with the conditions as they were.
pub(super) fn count(deployment: &Deployment, sets: &Sets) -> DeploymentStatus {
    let before = deployment.status.clone().unwrap_or_default();
    let sum = |of: fn(&ReplicaSetStatus) -> i32| {
        sets.all().filter_map(|set| set.status.as_ref()).map(of).sum::<i32>()
    };
    let (replicas, available) = (sum(|status| status.replicas), sum(|status| status.available_replicas));
    let updated = sets.new.as_ref().and_then(|set| set.status.as_ref());
    DeploymentStatus {
        observed_generation: deployment.meta().generation,
        replicas,
        updated_replicas: updated.map_or(0, |status| status.replicas),
        ready_replicas: sum(|status| status.ready_replicas),
        available_replicas: available,
        unavailable_replicas: (replicas - available).max(0),
        terminating_replicas: Some(sum(|status| status.terminating_replicas.unwrap_or(0))),
        collision_count: before.collision_count,
        conditions: before.conditions,
    }
}

/// Whether all pods are new ones and available.
pub(super) fn is_complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let wanted = wanted(deployment);
    status.updated_replicas == wanted
        && status.replicas == wanted
        && status.available_replicas == wanted
        && status.observed_generation >= deployment.meta().generation
}

/// Whether there are more of what is wanted, or fewer of what is not, than before.
fn progressed(before: &DeploymentStatus, status: &DeploymentStatus) -> bool {
    let old = |status: &DeploymentStatus| status.replicas - status.updated_replicas;
    status.updated_replicas > before.updated_replicas
        || old(status) < old(before)
        || status.ready_replicas > before.ready_replicas
        || status.available_replicas > before.available_replicas
}

/// The status that follows from a snapshot, and when to look again for a progress that does not come.
pub(super) fn status(
    snapshot: &Snapshot,
    sets: &Sets,
    hint: Option<Hint>,
) -> (DeploymentStatus, Option<Duration>) {
    let (deployment, now) = (&*snapshot.deployment, snapshot.now);
    let before = deployment.status.clone().unwrap_or_default();
    let mut status = count(deployment, sets);

    let available = if status.available_replicas >= wanted(deployment) - max_unavailable(deployment) {
        ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    };
    let (value, reason, message) = available;
    conditions::set(&mut status, conditions::new(AVAILABLE, value, reason, message.to_owned(), now));

    let paused = deployment.spec.as_ref().is_some_and(|spec| spec.paused);
    if conditions::deadline(deployment).is_none() {
        conditions::remove(&mut status, PROGRESSING);
    } else if paused {
        let timed_out = conditions::get(&status, PROGRESSING).is_some_and(|c| c.reason == TIMED_OUT);
        if !timed_out {
            let message = "Deployment is paused".to_owned();
            conditions::set(&mut status, conditions::new(PROGRESSING, "Unknown", PAUSED, message, now));
        }
    } else {
        progress(snapshot, sets, hint, &before, &mut status);
    }

    let newest_first = sets.new.iter().chain(&sets.old);
    match conditions::replica_failure(newest_first) {
        Some(failure) => conditions::set(&mut status, failure),
        None => conditions::remove(&mut status, REPLICA_FAILURE),
    }

    let again = if paused || is_complete(deployment, &status) {
        None
    } else {
        // Times have a precision of a second; a second later the deadline is past for certain.
        conditions::due(deployment, &status).map(|due| {
            Duration::try_from(due.duration_since(now)).unwrap_or_default() + Duration::from_secs(1)
        })
    };
    (status, again)
}

fn progress(
    snapshot: &Snapshot,
    sets: &Sets,
    hint: Option<Hint>,
    before: &DeploymentStatus,
    status: &mut DeploymentStatus,
) {
    let (deployment, now) = (&*snapshot.deployment, snapshot.now);
    let present = conditions::get(status, PROGRESSING).cloned();
    match hint {
        Some(Hint::Created(name)) => {
            let message = format!("Created new replica set {name:?}");
            conditions::set(status, conditions::new(PROGRESSING, "True", NEW_SET_CREATED, message, now));
            return;
        }
        Some(Hint::Found(name)) => {
            let message = format!("Found new replica set {name:?}");
            conditions::set(status, conditions::new(PROGRESSING, "True", NEW_SET_FOUND, message, now));
        }
        None => {}
    }
    if present.as_ref().is_some_and(|condition| condition.reason == PAUSED) {
        let message = "Deployment is resumed".to_owned();
        conditions::set(status, conditions::new(PROGRESSING, "Unknown", RESUMED, message, now));
    }
    // A roll-out that was complete stays so while pods come and go.
    let settled = status.replicas == status.updated_replicas
        && present.as_ref().is_some_and(|condition| condition.reason == NEW_SET_AVAILABLE);
    if settled {
        return;
    }
    let subject = match &sets.new {
        Some(set) => format!("ReplicaSet {:?}", set.name()),
        None => format!("Deployment {:?}", deployment.name()),
    };
    if is_complete(deployment, status) {
        let message = format!("{subject} has successfully progressed.");
        conditions::set(status, conditions::new(PROGRESSING, "True", NEW_SET_AVAILABLE, message, now));
    } else if progressed(before, status) {
        let message = format!("{subject} is progressing.");
        let mut condition = conditions::new(PROGRESSING, "True", SET_UPDATED, message, now);
        // The time of the update moves with each step, which is what the deadline counts from.
        if let Some(present) = present.filter(|present| present.status == "True") {
            condition.last_transition_time = present.last_transition_time;
        }
        conditions::remove(status, PROGRESSING);
        status.conditions.push(condition);
    } else if conditions::timed_out(deployment, status, now) {
        let message = format!("{subject} has timed out progressing.");
        conditions::set(status, conditions::new(PROGRESSING, "False", TIMED_OUT, message, now));
    }
}
