//! What to do about a pod: a function of its snapshot, without clock, network or randomness.

use std::time::Duration;

use gantry_api::core::v1::{Container, Probe};
use gantry_container_runtime::ContainerState;
use jiff::Timestamp;

use super::outcome::{Outcome, deadline, initialized, mains_begun, outcome, passed};
use super::resize::{Change, change, updates};
use super::restart::{RestartPolicy, crashes, restart_at};
use super::snapshot::{PodSnapshot, ProbeKind, Step, TearDown, Work, after, is_sidecar};

/// How long a pod that does not say otherwise may take to end.
const DEFAULT_GRACE: Duration = Duration::from_secs(30);

/// Something to be done about a pod. Doing it again while it is being done is avoided by the snapshot, which says
/// what is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Make the namespaces and connect them.
    SetUpSandbox,
    /// Make the volumes and the files that every pod has.
    SetUpVolumes,
    /// Bring a container to life: pull, create, start, and its post-start hook.
    Start {
        /// Its name.
        container: String,
        /// How often it was started before.
        attempt: u32,
        /// How many instances crashed in a row before this one.
        crashes: u32,
    },
    /// End a container: its pre-stop hook, its stop signal, and at the deadline SIGKILL.
    Stop {
        /// Its name.
        container: String,
        /// When it is killed.
        deadline: Timestamp,
        /// Why it has to go.
        why: StopReason,
    },
    /// Give running containers the limits that they have been given.
    Resize {
        /// Their names.
        containers: Vec<String>,
    },
    /// Give up whatever is being started: the pod is to end.
    CancelStarts,
    /// Take down namespaces, network and volumes; with `purge` also containers, logs and directories.
    TearDown {
        /// Whether nothing is to be left.
        purge: bool,
    },
    /// Remove the object from the API: nothing of it is left here.
    DeleteObject,
    /// Stop looking after the pod.
    Forget,
    /// Decide again at this time.
    WakeAt(Timestamp),
}

/// Why a container is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The pod is being deleted.
    Deleted,
    /// The pod has ended, or has run longer than it may.
    PodEnded,
    /// A probe failed.
    Probe(ProbeKind),
    /// The pod names another image now.
    Changed,
    /// It has been given other resources, and says that it is to be started anew for that.
    Resized,
}

/// What to do now.
#[must_use]
pub fn decide(snapshot: &PodSnapshot) -> Vec<Action> {
    let mut actions = Vec::new();
    match ending(snapshot) {
        Some(end) => finish(snapshot, &end, &mut actions),
        None => advance(snapshot, &mut actions),
    }
    actions
}

/// Why and until when a pod has to end.
struct Ending {
    deadline: Timestamp,
    why: StopReason,
    purge: bool,
}

fn ending(snapshot: &PodSnapshot) -> Option<Ending> {
    let meta = snapshot.pod.metadata.as_ref();
    if let Some(deadline) = snapshot.removed {
        return Some(Ending { deadline, why: StopReason::Deleted, purge: true });
    }
    if let Some(time) = meta.and_then(|meta| meta.deletion_timestamp.as_ref()) {
        let deadline = time.timestamp().unwrap_or(snapshot.now);
        return Some(Ending { deadline, why: StopReason::Deleted, purge: true });
    }
    (outcome(snapshot) != Outcome::Active).then(|| Ending {
        deadline: after(snapshot.now, grace_period(snapshot)),
        why: StopReason::PodEnded,
        purge: false,
    })
}

/// How long the pod's containers get to end by themselves.
#[must_use]
pub fn grace_period(snapshot: &PodSnapshot) -> Duration {
    snapshot.spec().termination_grace_period_seconds.map_or(DEFAULT_GRACE, seconds)
}

fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}

/// Takes the pod down: its main containers first, then its sidecars from the last to the first, then all the rest.
fn finish(snapshot: &PodSnapshot, end: &Ending, actions: &mut Vec<Action>) {
    let spec = snapshot.spec();
    let busy = snapshot.sandbox == Step::Busy || snapshot.volumes == Step::Busy;
    let starting = snapshot.containers.values().any(|record| record.work == Some(Work::Starting));
    if busy || starting {
        actions.push(Action::CancelStarts);
    }
    let (sidecars, inits): (Vec<_>, Vec<_>) = spec.init_containers.iter().partition(|c| is_sidecar(c));
    let mut mains_active = false;
    let ephemeral = snapshot.ephemeral();
    for container in spec.containers.iter().chain(inits).chain(&ephemeral) {
        mains_active |= is_active(snapshot, container);
        stop(snapshot, container, end.deadline, end.why, actions);
    }
    if !mains_active && let Some(last) = sidecars.iter().rev().find(|c| is_active(snapshot, c)) {
        stop(snapshot, last, end.deadline, end.why, actions);
    }
    if snapshot.is_active() || busy {
        return;
    }
    match &snapshot.teardown {
        TearDown::Busy => {}
        TearDown::Failed(retry_at) if *retry_at > snapshot.now => actions.push(Action::WakeAt(*retry_at)),
        TearDown::Released if !end.purge => {}
        TearDown::None | TearDown::Failed(_) | TearDown::Released => {
            actions.push(Action::TearDown { purge: end.purge });
        }
        TearDown::Purged if snapshot.removed.is_some() => actions.push(Action::Forget),
        TearDown::Purged if snapshot.status_sent => actions.push(Action::DeleteObject),
        TearDown::Purged => {}
    }
}

fn is_active(snapshot: &PodSnapshot, container: &Container) -> bool {
    snapshot.record(container).is_some_and(|record| record.work.is_some() || record.is_running())
}

fn stop(
    snapshot: &PodSnapshot,
    container: &Container,
    deadline: Timestamp,
    why: StopReason,
    actions: &mut Vec<Action>,
) {
    let Some(record) = snapshot.record(container).filter(|record| record.is_running()) else { return };
    let needed = match record.work {
        None => true,
        Some(Work::Resizing) => true,
        // A second, more urgent request shortens what is left.
        Some(Work::Stopping(current)) => deadline < current,
        // It is cancelled; what has been started by then is stopped next.
        Some(Work::Starting) => false,
    };
    if needed {
        actions.push(Action::Stop { container: container.name.clone(), deadline, why });
    }
}

/// Brings the pod closer to running.
fn advance(snapshot: &PodSnapshot, actions: &mut Vec<Action>) {
    if let Some(deadline) = deadline(snapshot) {
        actions.push(Action::WakeAt(deadline));
    }
    prepare(&snapshot.sandbox, Action::SetUpSandbox, snapshot.now, actions);
    prepare(&snapshot.volumes, Action::SetUpVolumes, snapshot.now, actions);
    if snapshot.sandbox != Step::Done || snapshot.volumes != Step::Done {
        return;
    }
    let spec = snapshot.spec();
    let policy = RestartPolicy::parse(&spec.restart_policy);
    // They are for whoever looks into a pod that does not come up, so they wait for nobody, and run once.
    for container in &snapshot.ephemeral() {
        tend(snapshot, container, RestartPolicy::Never, actions);
    }
    // An init container that failed is tried again in every pod but those that are never restarted.
    let init_policy = if policy == RestartPolicy::Never { policy } else { RestartPolicy::OnFailure };
    let begun = mains_begun(snapshot);
    for container in &spec.init_containers {
        if is_sidecar(container) {
            tend(snapshot, container, RestartPolicy::Always, actions);
        } else if !begun && !passed(snapshot, container) {
            tend(snapshot, container, init_policy, actions);
        }
        if !begun && !passed(snapshot, container) {
            return;
        }
    }
    if initialized(snapshot) {
        for container in &spec.containers {
            tend(snapshot, container, policy, actions);
        }
    }
    let containers = updates(snapshot);
    match &snapshot.resize.failure {
        _ if containers.is_empty() => {}
        Some(failure) if failure.retry_at > snapshot.now => actions.push(Action::WakeAt(failure.retry_at)),
        Some(_) | None => actions.push(Action::Resize { containers }),
    }
}

fn prepare(step: &Step, action: Action, now: Timestamp, actions: &mut Vec<Action>) {
    match step {
        Step::Absent => actions.push(action),
        Step::Failed(failure) if failure.retry_at > now => actions.push(Action::WakeAt(failure.retry_at)),
        Step::Failed(_) => actions.push(action),
        Step::Busy | Step::Done => {}
    }
}

/// Looks after one container that ought to run.
fn tend(snapshot: &PodSnapshot, container: &Container, policy: RestartPolicy, actions: &mut Vec<Action>) {
    let name = &container.name;
    let Some(record) = snapshot.record(container) else {
        return actions.push(Action::Start { container: name.clone(), attempt: 0, crashes: 0 });
    };
    if record.work.is_some() {
        return;
    }
    if let Some(failure) = record.failure.as_ref().filter(|failure| failure.retry_at > snapshot.now) {
        return actions.push(Action::WakeAt(failure.retry_at));
    }
    let Some(latest) = &record.latest else {
        return actions.push(Action::Start { container: name.clone(), attempt: 0, crashes: 0 });
    };
    match &latest.state {
        ContainerState::Created => {
            let (attempt, crashes) = (latest.attempt, latest.crashes);
            actions.push(Action::Start { container: name.clone(), attempt, crashes });
        }
        ContainerState::Running { .. } => {
            let why = match record.health.failed {
                Some(kind) => StopReason::Probe(kind),
                None if latest.image != container.image => StopReason::Changed,
                None if change(container, record) == Change::Restart => StopReason::Resized,
                None => return,
            };
            let deadline = after(snapshot.now, probe_grace(snapshot, container, why));
            actions.push(Action::Stop { container: name.clone(), deadline, why });
        }
        ContainerState::Exited { .. } | ContainerState::Lost { .. } => {
            if !latest.exit_code().is_some_and(|code| policy.restarts(code)) {
                return;
            }
            let attempt = latest.attempt.saturating_add(1);
            match restart_at(latest).filter(|at| *at > snapshot.now) {
                Some(at) => actions.push(Action::WakeAt(at)),
                None => {
                    actions.push(Action::Start {
                        container: name.clone(),
                        attempt,
                        crashes: crashes(latest),
                    });
                }
            }
        }
    }
}

/// A probe can give the container it condemns another grace period than the pod's.
fn probe_grace(snapshot: &PodSnapshot, container: &Container, why: StopReason) -> Duration {
    let own = match why {
        StopReason::Probe(kind) => probe(container, kind).and_then(|p| p.termination_grace_period_seconds),
        StopReason::Deleted | StopReason::PodEnded | StopReason::Changed | StopReason::Resized => None,
    };
    own.map_or_else(|| grace_period(snapshot), seconds)
}

/// A container's probe of one kind.
#[must_use]
pub fn probe(container: &Container, kind: ProbeKind) -> Option<&Probe> {
    match kind {
        ProbeKind::Startup => container.startup_probe.as_ref(),
        ProbeKind::Readiness => container.readiness_probe.as_ref(),
        ProbeKind::Liveness => container.liveness_probe.as_ref(),
    }
}

/// A probe that ought to be running.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProbeKey {
    /// The container's name.
    pub container: String,
    /// The instance's id.
    pub id: String,
    /// Which of its probes.
    pub kind: ProbeKind,
}

/// The probes that ought to be running: those of running containers, the startup probe before the others.
#[must_use]
pub fn probes(snapshot: &PodSnapshot) -> Vec<ProbeKey> {
    // Before that the pod's address is not known, after a restart of the kubelet too.
    if !matches!(snapshot.sandbox, Step::Done) {
        return Vec::new();
    }
    let spec = snapshot.spec();
    let ends = ending(snapshot).is_some();
    let mut keys = Vec::new();
    for container in spec.init_containers.iter().filter(|c| is_sidecar(c)).chain(&spec.containers) {
        let Some(record) = snapshot.record(container) else { continue };
        let Some(latest) = record.latest.as_ref().filter(|latest| latest.is_running()) else { continue };
        // A post-start hook comes before all probes.
        if record.work == Some(Work::Starting) {
            continue;
        }
        let kinds: &[ProbeKind] = match (record.health.started, ends) {
            (false, false) => &[ProbeKind::Startup],
            (true, false) => &[ProbeKind::Readiness, ProbeKind::Liveness],
            // A pod that ends still says when it stops serving, but is not killed for it.
            (_, true) => &[ProbeKind::Readiness],
        };
        for kind in kinds.iter().filter(|kind| probe(container, **kind).is_some()) {
            keys.push(ProbeKey { container: container.name.clone(), id: latest.id.clone(), kind: *kind });
        }
    }
    keys
}

#[cfg(test)]
mod tests;
