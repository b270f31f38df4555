//! Taking in what happened.

use std::sync::Arc;
use std::time::Duration;

use gantry_container_runtime::{ContainerState, ContainerStatus};
use jiff::Timestamp;
use tokio::task::{Id, JoinError};

use super::message::{End, Input, Message, Outcome, StartTrouble, TaskKind, Trouble};
use super::{Actor, Refresh, records};
use crate::cluster::Severity;
use crate::container::termination;
use crate::identity::Identity;
use crate::pod::restart::backoff;
use crate::pod::snapshot::{Failure, Instance, Step, TearDown, after};

/// The first retry of what is likely to work soon; each further one doubles it.
const SOON: Duration = Duration::from_secs(1);
const SOON_MAX: Duration = Duration::from_secs(30);

/// What failed, with its count and its next attempt.
pub(super) fn failure(reason: &str, message: String, count: u32) -> Failure {
    let at = Timestamp::now();
    let delay = if matches!(reason, "ErrImagePull" | "InvalidImageName" | "ErrImageNeverPull") {
        backoff(count)
    } else {
        (SOON * (1 << count.saturating_sub(1).min(5))).min(SOON_MAX)
    };
    Failure { reason: reason.to_owned(), message, at, retry_at: after(at, delay), count }
}

impl Actor {
    /// Takes over the containers that were there before. The starts of those that have not come to run were cut off.
    pub(super) fn adopt(&mut self, containers: &[ContainerStatus]) {
        for status in containers {
            if status.state == ContainerState::Created {
                tracing::info!(id = status.id, "a start that was cut off is given up and begun anew");
                self.host.runtime.abandon_container(&status.id);
            } else {
                self.ids.insert(status.id.clone());
                self.on_container(status);
            }
        }
    }

    pub(super) fn on_input(&mut self, input: Input) {
        match input {
            Input::Pod(pod) => {
                self.publisher.observed(&pod);
                let meta = |pod: &gantry_api::core::v1::Pod| {
                    pod.metadata.clone().map(|meta| (meta.labels, meta.annotations))
                };
                let fields_changed = meta(&pod) != meta(&self.snapshot.pod);
                self.desired = pod;
                self.allocate();
                if fields_changed {
                    self.refresh_volumes();
                }
            }
            Input::Removed(at) => {
                let meta = self.snapshot.pod.metadata.as_ref();
                let grace = meta.and_then(|meta| meta.deletion_grace_period_seconds);
                let grace = grace.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
                let grace = grace.unwrap_or_else(|| crate::pod::decide::grace_period(&self.snapshot));
                let deadline = meta.and_then(|meta| meta.deletion_timestamp?.timestamp());
                let deadline = deadline.unwrap_or(Timestamp::MAX).min(after(at, grace));
                self.snapshot.removed.get_or_insert(deadline);
            }
        }
    }

    pub(super) fn on_message(&mut self, message: Message) {
        match message {
            Message::Containers(all) => {
                for record in self.snapshot.containers.values_mut() {
                    let known = record.latest.as_ref().is_some_and(|l| all.iter().any(|c| c.id == l.id));
                    if !known && record.work.is_none() {
                        records::mark_lost(record);
                    }
                }
                for status in &all {
                    self.on_container(status);
                }
            }
            Message::Container(status) => self.on_container(&status),
            Message::ReferencesChanged => {
                let now = Timestamp::now();
                for record in self.snapshot.containers.values_mut() {
                    if let Some(failure) = &mut record.failure
                        && failure.reason == "CreateContainerConfigError"
                    {
                        failure.retry_at = now;
                    }
                }
                if let Step::Failed(failure) = &mut self.snapshot.volumes {
                    failure.retry_at = now;
                }
                self.refresh_volumes();
            }
        }
    }

    /// Takes one container's state in. What becomes of an instance that was given up does not matter, nor do those
    /// matter that have not come to run.
    fn on_container(&mut self, status: &ContainerStatus) {
        let Some(identity) = Identity::of(status) else { return };
        if !self.ids.contains(&status.id) || status.state == ContainerState::Created {
            return;
        }
        let Some(container) = records::container(&self.snapshot, &identity.container) else {
            return;
        };
        let pod = Arc::clone(&self.snapshot.pod);
        let record = self.snapshot.containers.entry(identity.container.clone()).or_default();
        let was_running = record.latest.as_ref().filter(|l| l.is_running()).map(|l| l.id.clone());
        records::merge(record, records::instance(status, &identity));
        let latest = record.latest.as_ref().filter(|latest| latest.id == status.id);
        if let Some(latest) = latest.filter(|l| l.is_running() && was_running.as_ref() != Some(&l.id)) {
            record.health = records::assumed_health(&pod, &container, latest);
            record.failure = None;
            // One that was there before this process was started with what the API shows that it has.
            record
                .applied
                .get_or_insert_with(|| records::assumed_resources(&self.desired, &container, latest));
        }
        let fall_back = container.termination_message_policy == "FallbackToLogsOnError";
        let paths = &self.paths;
        for instance in [&mut record.latest, &mut record.previous].into_iter().flatten() {
            let code =
                instance.exit_code().filter(|_| instance.id == status.id && instance.message.is_none());
            let Some(code) = code else { continue };
            let log = paths.log(&container.name, instance.attempt);
            let file = records::last_words(status);
            // A few kilobytes from files that were just written: not worth a thread.
            match termination::message(file.as_deref(), &log, fall_back && code != 0) {
                Ok(message) => instance.message = Some(message.unwrap_or_default()),
                Err(error) => tracing::warn!(%error, id = instance.id, "last words not readable"),
            }
        }
        let ended = record.latest.as_ref().is_some_and(|l| l.state.is_finished());
        if ended && let Some(stop) = self.stops.get(&identity.container) {
            stop.ended.cancel();
        }
        self.observe_start();
    }

    /// Counts the time from the pod's creation to all its containers running, once.
    fn observe_start(&mut self) {
        let spec = self.snapshot.spec();
        let running =
            spec.containers.iter().all(|c| self.snapshot.latest(c).is_some_and(Instance::is_running));
        if self.start_observed || !running {
            return;
        }
        self.start_observed = true;
        let created = self.snapshot.pod.metadata.as_ref().and_then(|m| m.creation_timestamp?.timestamp());
        let began = created.map(|created| created.max(self.snapshot.started_at));
        if let Some(began) =
            began.filter(|_| self.snapshot.pod.status.as_ref().is_none_or(|s| s.phase != "Running"))
        {
            let took = Timestamp::now().duration_since(began).as_secs_f64();
            self.host.metrics.pod_start.observe(took);
        }
    }

    pub(super) fn on_task(&mut self, done: Result<(Id, Outcome), JoinError>) {
        match done {
            Ok((id, outcome)) => {
                self.kinds.remove(&id);
                self.on_outcome(outcome);
            }
            Err(error) => {
                let Some(kind) = self.kinds.remove(&error.id()) else { return };
                tracing::error!(%error, ?kind, "a task of a pod broke off: this is a bug");
                self.on_broken(kind, format!("internal error: {error}"));
            }
        }
    }

    /// A task that panicked counts as failed.
    fn on_broken(&mut self, kind: TaskKind, message: String) {
        let trouble = |message| Trouble::Failed { reason: "InternalError", message };
        let outcome = match kind {
            TaskKind::Sandbox => Outcome::Sandbox(Err(trouble(message))),
            TaskKind::Volumes => Outcome::Volumes(Err(trouble(message))),
            TaskKind::Refresh => Outcome::Refreshed(Err(trouble(message))),
            TaskKind::Start { container, id } => {
                self.host.runtime.abandon_container(&id);
                let result = Err(StartTrouble::Failed { reason: "InternalError", message });
                Outcome::Started { container, id, result }
            }
            TaskKind::Stop { container } => Outcome::Stopped { container, end: End::Lost },
            TaskKind::Resize { containers } => {
                Outcome::Resized { containers, applied: Vec::new(), result: Err(message) }
            }
            TaskKind::TearDown { purge } => Outcome::TornDown { purge, result: Err(message) },
            TaskKind::Status => return self.on_status_failed(&message),
            TaskKind::Delete => Outcome::Deleted(Err(crate::cluster::Error::Failed {
                what: "delete".into(),
                reason: message,
            })),
        };
        self.on_outcome(outcome);
    }

    fn on_outcome(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Sandbox(Ok(connected)) => {
                self.snapshot.sandbox = Step::Done;
                self.snapshot.addresses.clone_from(&connected.addresses);
                self.connected = connected;
                self.host.metrics.running_pods.inc();
            }
            Outcome::Sandbox(Err(trouble)) => {
                self.snapshot.sandbox = self.failed_step(trouble);
            }
            Outcome::Volumes(Ok(volumes)) => {
                self.snapshot.volumes = Step::Done;
                self.volumes = volumes;
            }
            Outcome::Volumes(Err(trouble)) => {
                self.snapshot.volumes = self.failed_step(trouble);
            }
            Outcome::Refreshed(result) => {
                let again = std::mem::replace(&mut self.refresh, Refresh::Idle) == Refresh::Again;
                if let Err(Trouble::Failed { reason, message }) = result {
                    self.host.cluster.event(&self.snapshot.pod, None, Severity::Warning, reason, &message);
                }
                if again {
                    self.refresh_volumes();
                }
            }
            Outcome::Started { container, id, result } => self.on_started(&container, &id, result),
            Outcome::Stopped { container, end } => {
                self.stops.remove(&container);
                match end {
                    End::Told => {}
                    End::Asked(status) => self.on_container(&status),
                    End::Lost => {
                        if let Some(record) = self.snapshot.containers.get_mut(&container) {
                            records::mark_lost(record);
                        }
                    }
                }
                if let Some(record) = self.snapshot.containers.get_mut(&container) {
                    record.work = None;
                }
            }
            Outcome::Resized { containers, applied, result } => {
                self.on_resized(&containers, applied, result);
            }
            Outcome::TornDown { purge, result } => self.on_torn_down(purge, result),
            Outcome::StatusWritten { status, result } => self.on_status_written(*status, result),
            Outcome::Deleted(result) => {
                self.deletion = match result {
                    Ok(()) | Err(crate::cluster::Error::Gone { .. }) => Step::Done,
                    Err(error) => {
                        tracing::warn!(%error, "a pod that has ended could not be removed from the API");
                        Step::Failed(failure("DeleteFailed", error.to_string(), 1))
                    }
                };
            }
        }
    }

    fn failed_step(&mut self, trouble: Trouble) -> Step {
        match trouble {
            Trouble::Cancelled => Step::Absent,
            Trouble::Failed { reason, message } => {
                self.step_failures = self.step_failures.saturating_add(1);
                self.host.cluster.event(&self.snapshot.pod, None, Severity::Warning, reason, &message);
                Step::Failed(failure(reason, message, self.step_failures))
            }
        }
    }

    fn on_started(&mut self, name: &str, id: &str, result: Result<ContainerStatus, StartTrouble>) {
        // Before the work counts as done: otherwise the container would look as if it had never been started.
        if let Ok(status) = &result {
            self.on_container(status);
        }
        let Some(record) = self.snapshot.containers.get_mut(name) else { return };
        let ran = record.latest.as_ref().is_some_and(|latest| latest.id == id);
        if matches!(result, Err(StartTrouble::Cancelled | StartTrouble::Failed { .. })) && !ran {
            self.ids.remove(id);
        }
        record.work = None;
        match result {
            Ok(_) => record.failure = None,
            Err(StartTrouble::Cancelled) => {}
            Err(StartTrouble::Failed { reason, message }) => {
                let before = record.failure.as_ref().filter(|failure| failure.reason == reason);
                let count = before.map_or(1, |failure| failure.count.saturating_add(1));
                record.failure = Some(failure(reason, message, count));
            }
            Err(StartTrouble::NeverRan { id, attempt, crashes, image_id, message }) => {
                let now = std::time::SystemTime::now();
                record.failure = None;
                let image = records::container(&self.snapshot, name).map(|c| c.image);
                let Some(record) = self.snapshot.containers.get_mut(name) else { return };
                let state = ContainerState::Exited {
                    exit_code: 128,
                    started_at: now,
                    finished_at: now,
                    oom_killed: false,
                };
                let instance = Instance {
                    id,
                    attempt,
                    crashes,
                    image: image.unwrap_or_default(),
                    image_id,
                    created_at: Timestamp::now(),
                    state,
                    message: Some(message),
                    start_error: true,
                };
                records::merge(record, instance);
            }
        }
    }

    fn on_torn_down(&mut self, purge: bool, result: Result<(), String>) {
        self.snapshot.teardown = match result {
            Ok(()) => {
                if self.snapshot.sandbox == Step::Done {
                    self.host.metrics.running_pods.dec();
                }
                self.snapshot.sandbox = Step::Absent;
                self.snapshot.volumes = Step::Absent;
                self.host.allocations.release(&self.uid());
                if purge { TearDown::Purged } else { TearDown::Released }
            }
            Err(message) => {
                let text = format!("error killing pod: {message}");
                self.host.cluster.event(&self.snapshot.pod, None, Severity::Warning, "FailedKillPod", &text);
                TearDown::Failed(after(Timestamp::now(), SOON))
            }
        };
    }
}
