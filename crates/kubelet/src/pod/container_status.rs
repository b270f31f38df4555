//! The status of one container, as the API shows it.

use gantry_api::core::v1::{
    self as api, Container, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting,
    ContainerStatus, ResourceRequirements,
};
use gantry_api::scalars::Time;
use gantry_container_runtime::ContainerState;

use super::outcome::initialized;
use super::restart::{RestartPolicy, crash_delay, crashes, restart_at};
use super::snapshot::{ContainerRecord, Failure, Instance, PodSnapshot, Work, after, is_sidecar, timestamp};

/// How long a failure to pull is shown as such before the status says that the next attempt is being waited for.
pub(crate) const PULL_ERROR_SHOWN: std::time::Duration = std::time::Duration::from_secs(1);
/// What is shown for a container whose end nobody saw.
const UNKNOWN_EXIT: i32 = 137;

/// The status of `container`. `ending` tells that it will not be started again whatever its policy.
pub(crate) fn container_status(
    snapshot: &PodSnapshot,
    container: &Container,
    init: bool,
    known: Option<&ContainerStatus>,
    ending: bool,
) -> ContainerStatus {
    let empty = ContainerRecord::default();
    let record = snapshot.record(container).unwrap_or(&empty);
    let Some(latest) = &record.latest else {
        if let Some(known) = known.filter(|known| !known.container_id.is_empty()) {
            return gone(known, ending);
        }
        return ContainerStatus {
            name: container.name.clone(),
            image: container.image.clone(),
            state: Some(never_started(snapshot, record, init)),
            started: Some(false),
            ..ContainerStatus::default()
        };
    };
    let policy = if is_sidecar(container) {
        RestartPolicy::Always
    } else {
        RestartPolicy::parse(&snapshot.spec().restart_policy)
    };
    let (state, last) = states(snapshot, container, record, latest, policy, ending);
    let running = latest.is_running();
    let started = running && record.health.started && record.work != Some(Work::Starting);
    let ready = if init && !is_sidecar(container) {
        latest.exit_code() == Some(0)
    } else {
        started && record.health.ready
    };
    ContainerStatus {
        name: container.name.clone(),
        state: Some(state),
        last_state: last,
        ready,
        restart_count: i32::try_from(latest.attempt).unwrap_or(i32::MAX),
        image: container.image.clone(),
        image_id: latest.image_id.clone(),
        container_id: container_id(latest),
        started: Some(started),
        allocated_resources: container.resources.clone().unwrap_or_default().requests,
        resources: Some(resources(container, record, running)),
        ..ContainerStatus::default()
    }
}

/// What a container has, or will have when it runs again.
fn resources(container: &Container, record: &ContainerRecord, running: bool) -> ResourceRequirements {
    let applied = record.applied.as_ref().filter(|_| running);
    let shown = applied.or(container.resources.as_ref()).cloned().unwrap_or_default();
    ResourceRequirements { claims: Vec::new(), ..shown }
}

/// The present and the last state of a container that has been created at least once.
fn states(
    snapshot: &PodSnapshot,
    container: &Container,
    record: &ContainerRecord,
    latest: &Instance,
    policy: RestartPolicy,
    ending: bool,
) -> (api::ContainerState, Option<api::ContainerState>) {
    let before = record.previous.as_ref().and_then(terminated);
    if let ContainerState::Running { started_at, .. } = latest.state {
        let started_at = Some(Time::from(timestamp(started_at)));
        let running = ContainerStateRunning { started_at };
        return (api::ContainerState { running: Some(running), ..Default::default() }, before);
    }
    let ended = terminated(latest);
    if let Some(failure) = record.failure.as_ref().filter(|_| !ending) {
        return (waiting_after(snapshot, failure), ended.or(before));
    }
    let Some(ended) = ended else {
        return (waiting("ContainerCreating", ""), before);
    };
    let restarts = latest.exit_code().is_some_and(|code| policy.restarts(code));
    if restarts && !ending && record.work.is_none() && restart_at(latest).is_some_and(|at| at > snapshot.now)
    {
        let delay = crash_delay(crashes(latest));
        let meta = snapshot.pod.metadata.clone().unwrap_or_default();
        let message = format!(
            "back-off {} restarting failed container={} pod={}_{}({})",
            text(delay),
            container.name,
            meta.name,
            meta.namespace,
            meta.uid
        );
        return (waiting("CrashLoopBackOff", &message), Some(ended));
    }
    (ended, before)
}

/// A duration as Go prints it.
pub(crate) fn text(duration: std::time::Duration) -> String {
    let nanos = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    gantry_api::scalars::Duration { duration: nanos }.to_string()
}

fn never_started(snapshot: &PodSnapshot, record: &ContainerRecord, init: bool) -> api::ContainerState {
    if let Some(failure) = &record.failure {
        return waiting_after(snapshot, failure);
    }
    let initializing = !snapshot.spec().init_containers.is_empty()
        && (init || !initialized(snapshot))
        && record.work.is_none();
    waiting(if initializing { "PodInitializing" } else { "ContainerCreating" }, "")
}

fn waiting_after(snapshot: &PodSnapshot, failure: &Failure) -> api::ContainerState {
    if failure.reason == "ErrImagePull" && snapshot.now >= after(failure.at, PULL_ERROR_SHOWN) {
        let message = format!("Back-off pulling image: ErrImagePull: {}", failure.message);
        return waiting("ImagePullBackOff", &message);
    }
    waiting(&failure.reason, &failure.message)
}

fn waiting(reason: &str, message: &str) -> api::ContainerState {
    let waiting = ContainerStateWaiting { reason: reason.into(), message: message.into() };
    api::ContainerState { waiting: Some(waiting), ..Default::default() }
}

/// How an instance ended, if it has.
fn terminated(instance: &Instance) -> Option<api::ContainerState> {
    let (exit_code, reason, started_at, finished_at) = match &instance.state {
        ContainerState::Exited { exit_code, started_at, finished_at, oom_killed } => {
            let reason = match (oom_killed, instance.start_error, *exit_code) {
                (_, true, _) => "StartError",
                (true, ..) => "OOMKilled",
                (_, _, 0) => "Completed",
                _ => "Error",
            };
            (*exit_code, reason, *started_at, Some(*finished_at))
        }
        ContainerState::Lost { started_at } => (UNKNOWN_EXIT, "ContainerStatusUnknown", *started_at, None),
        ContainerState::Created | ContainerState::Running { .. } => return None,
    };
    let terminated = ContainerStateTerminated {
        exit_code,
        signal: 0,
        reason: reason.into(),
        message: instance.message.clone().unwrap_or_default(),
        started_at: Some(Time::from(timestamp(started_at))),
        finished_at: finished_at.map(|time| Time::from(timestamp(time))),
        container_id: container_id(instance),
    };
    Some(api::ContainerState { terminated: Some(terminated), ..Default::default() })
}

fn container_id(instance: &Instance) -> String {
    format!("containerd://{}", instance.id)
}

/// The status of a container that the API knows and the node does not have any more.
fn gone(known: &ContainerStatus, ending: bool) -> ContainerStatus {
    let mut status = known.clone();
    status.ready = status.ready && status.state.as_ref().is_some_and(|state| state.terminated.is_some());
    status.started = Some(false);
    let Some(running) = status.state.as_ref().and_then(|state| state.running.as_ref()) else {
        return status;
    };
    let terminated = ContainerStateTerminated {
        exit_code: UNKNOWN_EXIT,
        reason: "ContainerStatusUnknown".into(),
        message: "The container could not be located when the pod was looked after again".into(),
        started_at: running.started_at,
        container_id: status.container_id.clone(),
        ..Default::default()
    };
    let terminated = api::ContainerState { terminated: Some(terminated), ..Default::default() };
    if ending {
        status.state = Some(terminated);
    } else {
        status.last_state = Some(terminated);
        status.state = Some(waiting("ContainerCreating", ""));
    }
    status
}
