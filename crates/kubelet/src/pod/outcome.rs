//! Where a pod is going: on, or to one of its two ends.

use std::time::Duration;

use gantry_api::core::v1::Container;
use jiff::Timestamp;

use super::restart::RestartPolicy;
use super::snapshot::{Instance, PodSnapshot, after, is_sidecar};

/// Where a pod is going.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is to run.
    Active,
    /// All its containers ended well and stay ended.
    Succeeded,
    /// It has failed and stays failed.
    Failed {
        /// One word; empty where the containers' own states say it.
        reason: String,
        /// For people.
        message: String,
    },
}

/// Where the pod is going, as far as it is not being deleted.
#[must_use]
pub fn outcome(snapshot: &PodSnapshot) -> Outcome {
    let status = snapshot.pod.status.as_ref();
    match status.map(|status| status.phase.as_str()) {
        Some("Succeeded") => return Outcome::Succeeded,
        Some("Failed") => {
            let (reason, message) = status.map(|s| (s.reason.clone(), s.message.clone())).unwrap_or_default();
            return Outcome::Failed { reason, message };
        }
        _ => {}
    }
    if let Some(ended) = by_containers(snapshot) {
        return ended;
    }
    if deadline(snapshot).is_some_and(|deadline| deadline <= snapshot.now) {
        return Outcome::Failed {
            reason: "DeadlineExceeded".into(),
            message: "Pod was active on the node longer than the specified deadline".into(),
        };
    }
    Outcome::Active
}

/// When `activeDeadlineSeconds` is over.
#[must_use]
pub fn deadline(snapshot: &PodSnapshot) -> Option<Timestamp> {
    let seconds = u64::try_from(snapshot.spec().active_deadline_seconds?).ok()?;
    Some(after(start_time(snapshot), Duration::from_secs(seconds)))
}

/// When the node took the pod on: what the API says, as it outlives this process.
#[must_use]
pub fn start_time(snapshot: &PodSnapshot) -> Timestamp {
    let known = snapshot.pod.status.as_ref().and_then(|status| status.start_time?.timestamp());
    known.unwrap_or(snapshot.started_at)
}

fn by_containers(snapshot: &PodSnapshot) -> Option<Outcome> {
    let spec = snapshot.spec();
    let policy = RestartPolicy::parse(&spec.restart_policy);
    let failed = || Outcome::Failed { reason: String::new(), message: String::new() };
    let begun = mains_begun(snapshot);
    let mut inits = spec.init_containers.iter().filter(|container| !is_sidecar(container));
    if !begun && policy == RestartPolicy::Never && inits.any(|c| ended(snapshot, c).is_some_and(|c| c != 0)) {
        return Some(failed());
    }
    let mut codes = Vec::with_capacity(spec.containers.len());
    for container in &spec.containers {
        codes.push(ended(snapshot, container).filter(|code| !policy.restarts(*code))?);
    }
    if codes.is_empty() {
        return None;
    }
    Some(if codes.iter().all(|code| *code == 0) { Outcome::Succeeded } else { failed() })
}

/// The exit code of a container that has ended and is not being worked on.
fn ended(snapshot: &PodSnapshot, container: &Container) -> Option<i32> {
    let record = snapshot.record(container)?;
    if record.work.is_some() { None } else { record.latest.as_ref().and_then(Instance::exit_code) }
}

/// Whether any of the pod's main containers has ever been created: then its init containers are done.
#[must_use]
pub fn mains_begun(snapshot: &PodSnapshot) -> bool {
    snapshot.spec().containers.iter().any(|container| snapshot.latest(container).is_some())
}

/// Whether the init containers let the main ones start.
#[must_use]
pub fn initialized(snapshot: &PodSnapshot) -> bool {
    mains_begun(snapshot) || snapshot.spec().init_containers.iter().all(|c| passed(snapshot, c))
}

/// Whether an init container lets the next one start.
#[must_use]
pub fn passed(snapshot: &PodSnapshot, container: &Container) -> bool {
    let Some(record) = snapshot.record(container) else { return false };
    if is_sidecar(container) {
        record.is_running() && record.health.started
    } else {
        record.work.is_none() && record.latest.as_ref().and_then(Instance::exit_code) == Some(0)
    }
}
