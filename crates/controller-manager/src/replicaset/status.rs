//! What a ReplicaSet says about its pods.

use gantry_api::Resource;
use gantry_api::apps::v1::{ReplicaSetCondition, ReplicaSetStatus};
use gantry_api::scalars::Time;
use gantry_client::PodExt;

use super::Snapshot;
use super::decide::replicas;
use crate::Error;

const REPLICA_FAILURE: &str = "ReplicaFailure";

/// What went wrong.
#[derive(Debug)]
pub enum Failure {
    /// Pods could not be created.
    Create(Error),
    /// Pods could not be deleted.
    Delete(Error),
}

impl Failure {
    fn reason(&self) -> (&'static str, String) {
        let (reason, error) = match self {
            Self::Create(error) => ("FailedCreate", error),
            Self::Delete(error) => ("FailedDelete", error),
        };
        let cause = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
        (reason, cause)
    }
}

/// The status that follows from a snapshot.
#[must_use]
pub fn status(snapshot: &Snapshot, failure: Option<&Failure>) -> ReplicaSetStatus {
    let mut status = snapshot.set.status.clone().unwrap_or_default();
    let spec = snapshot.set.spec.as_ref();
    let template =
        spec.and_then(|spec| spec.template.as_ref()).and_then(|template| template.metadata.as_ref());
    let minimum = spec.map_or(0, |spec| spec.min_ready_seconds);
    let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    let active: Vec<_> = snapshot.pods.iter().filter(|pod| pod.is_active()).collect();
    status.replicas = count(active.len());
    status.fully_labeled_replicas = count(
        active
            .iter()
            .filter(|pod| {
                let labels = &pod.meta().labels;
                template
                    .is_none_or(|meta| meta.labels.iter().all(|(key, value)| labels.get(key) == Some(value)))
            })
            .count(),
    );
    status.ready_replicas = count(active.iter().filter(|pod| pod.is_ready()).count());
    status.available_replicas =
        count(active.iter().filter(|pod| pod.is_available(minimum, snapshot.now)).count());
    let leaving = snapshot.pods.iter().filter(|pod| pod.is_terminating() && !pod.is_finished()).count();
    status.terminating_replicas = Some(count(leaving));
    status.observed_generation = snapshot.set.meta().generation;

    let present = status.conditions.iter().position(|condition| condition.r#type == REPLICA_FAILURE);
    match (failure, present) {
        // The first failure says most; later ones are often its consequences.
        (Some(_), Some(_)) | (None, None) => {}
        (Some(failure), None) => {
            let (reason, message) = failure.reason();
            status.conditions.push(ReplicaSetCondition {
                r#type: REPLICA_FAILURE.to_owned(),
                status: "True".to_owned(),
                last_transition_time: Some(Time::from(snapshot.now)),
                reason: reason.to_owned(),
                message,
            });
        }
        (None, Some(position)) => {
            // It stays until there are as many pods as asked for.
            if status.replicas == replicas(&snapshot.set) {
                status.conditions.remove(position);
            }
        }
    }
    status
}

#[cfg(test)]
mod tests {
    use super::super::decide::tests::{at, pod, snapshot};
    use super::status;
    use gantry_api::Resource;
    use gantry_api::apps::v1::ReplicaSet;
    use gantry_api::scalars::Time;
    use std::sync::Arc;

    #[test]
    fn pods_are_counted() {
        let mut leaving = pod("leaving", "n1", "Running", Some(1));
        leaving.meta_mut().deletion_timestamp = Some(Time::from(at(5)));
        let pods = vec![
            pod("ready", "n1", "Running", Some(10)),
            pod("fresh", "n1", "Running", Some(995)),
            pod("unready", "n1", "Running", None),
            leaving,
        ];
        let mut snapshot = snapshot(3, pods);
        let mut set = ReplicaSet::default();
        set.spec.get_or_insert_default().min_ready_seconds = 30;
        set.meta_mut().generation = 4;
        snapshot.set = Arc::new(set);
        let status = status(&snapshot, None);
        assert_eq!((status.replicas, status.ready_replicas, status.available_replicas), (3, 2, 1));
        assert_eq!((status.terminating_replicas, status.observed_generation), (Some(1), 4));
    }
}
