//! The pod's status, as the API shows it: a function of the snapshot.

use std::net::IpAddr;

use gantry_api::core::v1::{Container, ContainerStatus, HostIp, PodCondition, PodIp, PodSpec, PodStatus};
use gantry_api::scalars::Time;
use jiff::Timestamp;

use super::container_status::{PULL_ERROR_SHOWN, container_status};
use super::outcome::{Outcome, initialized, outcome, start_time};
use super::qos::qos_class;
use super::resize;
use super::snapshot::{PodSnapshot, Step, TearDown, after, is_sidecar};

/// The conditions that the kubelet decides on.
pub const OWN_CONDITIONS: [&str; 4] =
    ["PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready"];

/// Those that a pod has only while it is to have other resources than it has.
pub const RESIZE_CONDITIONS: [&str; 2] = ["PodResizePending", "PodResizeInProgress"];

/// Whether a condition is the kubelet's.
#[must_use]
pub fn is_own(condition: &PodCondition) -> bool {
    let name = condition.r#type.as_str();
    OWN_CONDITIONS.contains(&name) || RESIZE_CONDITIONS.contains(&name)
}

/// The status of the pod. `previous` is the last one that was made; times of transition are carried over from it.
#[must_use]
pub fn status(snapshot: &PodSnapshot, previous: &PodStatus) -> PodStatus {
    let spec = snapshot.spec();
    let outcome = outcome(snapshot);
    let deleted = snapshot.pod.metadata.as_ref().is_some_and(|meta| meta.deletion_timestamp.is_some());
    let ending = deleted || snapshot.removed.is_some() || outcome != Outcome::Active;
    let statuses = |containers: &[Container], known: &[ContainerStatus], init| -> Vec<ContainerStatus> {
        containers
            .iter()
            .map(|container| {
                let known = known.iter().find(|status| status.name == container.name);
                container_status(snapshot, container, init, known, ending)
            })
            .collect()
    };
    let init_container_statuses = statuses(&spec.init_containers, &previous.init_container_statuses, true);
    let container_statuses = statuses(&spec.containers, &previous.container_statuses, false);
    // They run once, whatever the pod's policy, and nobody waits for them.
    let known = |name: &str| previous.ephemeral_container_statuses.iter().find(|status| status.name == name);
    let ephemeral_container_statuses = snapshot
        .ephemeral()
        .iter()
        .map(|container| ContainerStatus {
            ready: false,
            started: None,
            ..container_status(snapshot, container, false, known(&container.name), true)
        })
        .collect();
    let outcome = if deleted && outcome == Outcome::Active { ended(&container_statuses) } else { outcome };
    let (reason, message) = match &outcome {
        Outcome::Failed { reason, message } => (reason.clone(), message.clone()),
        Outcome::Active | Outcome::Succeeded => Default::default(),
    };
    let addresses = addresses(snapshot, previous);
    let host_ips = snapshot.host_addresses.iter().map(|ip| HostIp { ip: ip.to_string() }).collect();
    let mut status = PodStatus {
        phase: phase(&outcome, &container_statuses).to_owned(),
        reason,
        message,
        host_ip: snapshot.host_addresses.first().map(ToString::to_string).unwrap_or_default(),
        host_ips,
        pod_ip: addresses.first().cloned().unwrap_or_default(),
        pod_ips: addresses.into_iter().map(|ip| PodIp { ip }).collect(),
        start_time: Some(Time::from(start_time(snapshot))),
        qos_class: qos_class(spec).as_str().to_owned(),
        observed_generation: snapshot.pod.metadata.as_ref().map(|meta| meta.generation).unwrap_or_default(),
        container_statuses,
        init_container_statuses,
        ephemeral_container_statuses,
        ..PodStatus::default()
    };
    status.conditions = conditions(snapshot, &outcome, &status, previous);
    status
}

/// When the status changes without anything happening: a failure to pull becomes a wait.
#[must_use]
pub fn changes_at(snapshot: &PodSnapshot) -> Option<Timestamp> {
    let failures = snapshot.containers.values().filter_map(|record| record.failure.as_ref());
    failures.map(|failure| after(failure.at, PULL_ERROR_SHOWN)).filter(|at| *at > snapshot.now).min()
}

/// A deleted pod's end: like that of any other once nothing of it runs.
fn ended(statuses: &[ContainerStatus]) -> Outcome {
    let codes: Option<Vec<i32>> =
        statuses.iter().map(|s| Some(s.state.as_ref()?.terminated.as_ref()?.exit_code)).collect();
    match codes {
        Some(codes) if codes.is_empty() => Outcome::Active,
        Some(codes) if codes.iter().all(|code| *code == 0) => Outcome::Succeeded,
        Some(_) => Outcome::Failed { reason: String::new(), message: String::new() },
        None => Outcome::Active,
    }
}

fn phase(outcome: &Outcome, statuses: &[ContainerStatus]) -> &'static str {
    let was_started = |status: &ContainerStatus| {
        let state = status.state.as_ref();
        state.is_some_and(|s| s.running.is_some() || s.terminated.is_some()) || status.last_state.is_some()
    };
    match outcome {
        Outcome::Succeeded => "Succeeded",
        Outcome::Failed { .. } => "Failed",
        // What ran once is Running until it ends, also while it waits to be started again.
        Outcome::Active if statuses.iter().all(was_started) => "Running",
        Outcome::Active => "Pending",
    }
}

fn addresses(snapshot: &PodSnapshot, previous: &PodStatus) -> Vec<String> {
    if !snapshot.addresses.is_empty() {
        return snapshot.addresses.iter().map(IpAddr::to_string).collect();
    }
    // Not asked for yet after a restart of this process, or given back: what the API shows is still right.
    if snapshot.sandbox == Step::Done && snapshot.teardown == TearDown::None {
        return Vec::new();
    }
    previous.pod_ips.iter().map(|ip| ip.ip.clone()).collect()
}

fn conditions(
    snapshot: &PodSnapshot,
    outcome: &Outcome,
    status: &PodStatus,
    previous: &PodStatus,
) -> Vec<PodCondition> {
    let spec = snapshot.spec();
    let set_up = snapshot.sandbox == Step::Done && snapshot.teardown == TearDown::None;
    let containers = containers_ready(spec, outcome, status);
    let current: &[PodCondition] = snapshot.pod.status.as_ref().map_or(&[], |status| &status.conditions);
    let ready = match gates(spec, current) {
        Some(verdict) if containers.is_ok() => verdict,
        _ => containers.clone(),
    };
    let verdicts = [
        if set_up { Ok("") } else { Err(("", String::new())) },
        initialized_verdict(snapshot, outcome),
        containers,
        ready,
    ];
    let mut all: Vec<PodCondition> = OWN_CONDITIONS
        .iter()
        .zip(verdicts)
        .map(|(name, verdict)| condition(name, verdict, snapshot.now, &previous.conditions))
        .collect();
    all.extend(current.iter().filter(|c| !is_own(c)).cloned());
    all.extend(resize_conditions(snapshot, &previous.conditions));
    all
}

/// What has not become yet of the resources that the pod asks for.
fn resize_conditions(snapshot: &PodSnapshot, previous: &[PodCondition]) -> Vec<PodCondition> {
    let [pending, in_progress] = RESIZE_CONDITIONS;
    let refused = snapshot.resize.pending.as_ref();
    let refused = refused.map(|refusal| (pending, refusal.reason(), refusal.message()));
    let failure = snapshot.resize.failure.as_ref();
    let failure = failure.map_or(("", ""), |failure| (failure.reason.as_str(), failure.message.as_str()));
    let working = resize::in_progress(snapshot).then_some((in_progress, failure.0, failure.1));
    let generation = snapshot.pod.metadata.as_ref().map(|meta| meta.generation).unwrap_or_default();
    refused
        .into_iter()
        .chain(working)
        .map(|(name, reason, message)| PodCondition {
            reason: reason.to_owned(),
            message: message.to_owned(),
            observed_generation: generation,
            ..condition(name, Ok(""), snapshot.now, previous)
        })
        .collect()
}

/// True with a reason that may be empty, or false with reason and message.
type Verdict = Result<&'static str, (&'static str, String)>;

fn condition(name: &str, verdict: Verdict, now: Timestamp, previous: &[PodCondition]) -> PodCondition {
    let (status, reason, message) = match verdict {
        Ok(reason) => ("True", reason, String::new()),
        Err((reason, message)) => ("False", reason, message),
    };
    let before = previous.iter().find(|c| c.r#type == name && c.status == status);
    PodCondition {
        r#type: name.to_owned(),
        status: status.to_owned(),
        last_transition_time: before.and_then(|c| c.last_transition_time).or(Some(Time::from(now))),
        reason: reason.to_owned(),
        message,
        ..PodCondition::default()
    }
}

fn initialized_verdict(snapshot: &PodSnapshot, outcome: &Outcome) -> Verdict {
    if *outcome == Outcome::Succeeded {
        return Ok("PodCompleted");
    }
    if initialized(snapshot) {
        return Ok("");
    }
    let missing: Vec<&str> = snapshot
        .spec()
        .init_containers
        .iter()
        .filter(|c| !super::outcome::passed(snapshot, c))
        .map(|c| c.name.as_str())
        .collect();
    Err(("ContainersNotInitialized", format!("containers with incomplete status: [{}]", missing.join(" "))))
}

fn containers_ready(spec: &PodSpec, outcome: &Outcome, status: &PodStatus) -> Verdict {
    match outcome {
        Outcome::Succeeded => return Err(("PodCompleted", String::new())),
        Outcome::Failed { .. } => return Err(("PodFailed", String::new())),
        Outcome::Active => {}
    }
    let sidecar = |name: &str| spec.init_containers.iter().any(|c| c.name == name && is_sidecar(c));
    let sidecars = status.init_container_statuses.iter().filter(|status| sidecar(&status.name));
    let unready: Vec<&str> = sidecars
        .chain(&status.container_statuses)
        .filter(|status| !status.ready)
        .map(|status| status.name.as_str())
        .collect();
    if unready.is_empty() {
        return Ok("");
    }
    Err(("ContainersNotReady", format!("containers with unready status: [{}]", unready.join(" "))))
}

/// What the pod's readiness gates say, if it has any.
fn gates(spec: &PodSpec, conditions: &[PodCondition]) -> Option<Verdict> {
    if spec.readiness_gates.is_empty() {
        return None;
    }
    let open = |gate: &str| conditions.iter().any(|c| c.r#type == gate && c.status == "True");
    let closed: Vec<String> = spec
        .readiness_gates
        .iter()
        .map(|gate| gate.condition_type.as_str())
        .filter(|gate| !open(gate))
        .map(|gate| format!("corresponding condition of pod readiness gate \"{gate}\" is not \"True\"."))
        .collect();
    Some(if closed.is_empty() { Ok("") } else { Err(("ReadinessGatesNotReady", closed.join(" "))) })
}
