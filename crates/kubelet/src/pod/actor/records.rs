//! Keeping the snapshot's records in step with what the runtime says.

use gantry_api::core::v1::{Container, ContainerStatus as ApiStatus, Pod, ResourceRequirements};
use gantry_container_runtime::{ContainerState, ContainerStatus};

use crate::identity::{Identity, TERMINATION_LOG};
use crate::pod::snapshot::{ContainerRecord, Health, Instance, PodSnapshot, timestamp};

/// An instance as the runtime describes it, with the identity that its labels give.
pub(super) fn instance(status: &ContainerStatus, identity: &Identity) -> Instance {
    Instance {
        id: status.id.clone(),
        attempt: identity.attempt,
        crashes: identity.crashes,
        image: identity.image.clone(),
        image_id: status.image_id.clone(),
        created_at: timestamp(status.created_at),
        state: status.state.clone(),
        message: None,
        start_error: false,
    }
}

/// Takes one container into its record. A state that has been left already is not gone back to: news can overtake
/// each other.
pub(super) fn merge(record: &mut ContainerRecord, new: Instance) {
    match &mut record.latest {
        Some(latest) if latest.id == new.id => {
            if rank(&new.state) > rank(&latest.state) && !latest.start_error {
                latest.state = new.state;
                latest.image_id = new.image_id;
            }
        }
        Some(latest) if latest.attempt < new.attempt => {
            record.previous = record.latest.replace(new);
        }
        Some(_) => {
            if record.previous.as_ref().is_none_or(|previous| previous.attempt <= new.attempt) {
                record.previous = Some(new);
            }
        }
        None => record.latest = Some(new),
    }
}

fn rank(state: &ContainerState) -> u8 {
    match state {
        ContainerState::Created => 0,
        ContainerState::Running { .. } => 1,
        ContainerState::Lost { .. } => 2,
        ContainerState::Exited { .. } => 3,
    }
}

/// A container that the runtime does not know any more has ended in an unknown way.
pub(super) fn mark_lost(record: &mut ContainerRecord) {
    if let Some(latest) = &mut record.latest
        && let ContainerState::Running { started_at, .. } = latest.state
    {
        latest.state = ContainerState::Lost { started_at };
    }
}

/// What is assumed of an instance before any probe has answered. One that the API shows as ready stays so: that this
/// process started anew says nothing about the container.
pub(super) fn assumed_health(pod: &Pod, container: &Container, instance: &Instance) -> Health {
    let known = pod.status.iter().flat_map(|s| s.container_statuses.iter().chain(&s.init_container_statuses));
    let same =
        |status: &&ApiStatus| status.name == container.name && status.container_id.ends_with(&instance.id);
    let known = known.filter(|_| instance.is_running()).find(same);
    let started = container.startup_probe.is_none() || known.is_some_and(|s| s.started == Some(true));
    let ready = started && (container.readiness_probe.is_none() || known.is_some_and(|status| status.ready));
    Health { started, ready, failed: None }
}

/// The resources that an instance is assumed to run with: what the API shows of it, or else what it was given.
pub(super) fn assumed_resources(
    pod: &Pod,
    container: &Container,
    instance: &Instance,
) -> ResourceRequirements {
    let known = pod.status.iter().flat_map(|s| s.container_statuses.iter().chain(&s.init_container_statuses));
    let mut same =
        known.filter(|status| status.name == container.name && status.container_id.ends_with(&instance.id));
    let shown = same.find_map(|status| status.resources.clone());
    shown.or_else(|| container.resources.clone()).unwrap_or_default()
}

/// Where an instance leaves its last words.
pub(super) fn last_words(status: &ContainerStatus) -> Option<std::path::PathBuf> {
    status.labels.get(TERMINATION_LOG).map(std::path::PathBuf::from)
}

/// A container of the pod by name.
pub(super) fn container(snapshot: &PodSnapshot, name: &str) -> Option<Container> {
    let spec = snapshot.pod.spec.as_ref()?;
    let is = |container: &&Container| container.name == name;
    let found = spec.containers.iter().chain(&spec.init_containers).find(is).cloned();
    found.or_else(|| snapshot.ephemeral().into_iter().find(|container| container.name == name))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn new(attempt: u32, state: ContainerState) -> Instance {
        Instance {
            id: attempt.to_string(),
            attempt,
            crashes: 0,
            image: "i".into(),
            image_id: "sha256:i".into(),
            created_at: jiff::Timestamp::UNIX_EPOCH,
            state,
            message: None,
            start_error: false,
        }
    }

    fn running() -> ContainerState {
        ContainerState::Running { pid: 1, started_at: SystemTime::UNIX_EPOCH }
    }

    fn exited() -> ContainerState {
        let time = SystemTime::UNIX_EPOCH;
        ContainerState::Exited { exit_code: 1, started_at: time, finished_at: time, oom_killed: false }
    }

    #[test]
    fn late_news_do_not_bring_the_dead_back() {
        let mut record = ContainerRecord::default();
        merge(&mut record, new(0, exited()));
        merge(&mut record, new(0, running()));
        assert_eq!(record.latest, Some(new(0, exited())));
    }

    #[test]
    fn the_newest_instance_and_the_one_before_are_kept() {
        for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0], [2, 1, 0]] {
            let mut record = ContainerRecord::default();
            for attempt in order {
                merge(&mut record, new(attempt, exited()));
            }
            assert_eq!(record.latest.map(|i| i.attempt), Some(2), "{order:?}");
            assert_eq!(record.previous.map(|i| i.attempt), Some(1), "{order:?}");
        }
    }

    #[test]
    fn readiness_outlives_the_kubelet() {
        let pod: Pod = serde_json::from_str(
            r#"{"status":{"containerStatuses":[
                {"name":"c","image":"","imageID":"","restartCount":0,"ready":true,"started":true,"containerID":"containerd://0"}]}}"#,
        )
        .unwrap();
        let container: Container =
            serde_json::from_str(r#"{"name":"c","readinessProbe":{},"startupProbe":{}}"#).unwrap();
        let known = assumed_health(&pod, &container, &new(0, running()));
        assert!(known.ready && known.started);
        let other = assumed_health(&pod, &container, &new(1, running()));
        assert!(!other.ready && !other.started);
    }
}
