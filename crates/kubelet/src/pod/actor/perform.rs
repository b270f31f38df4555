//! Carrying out what was decided.

use std::sync::Arc;

use gantry_api::core::v1::EphemeralContainer;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::message::{Outcome, TaskKind};
use super::start::{Neighbour, StartJob};
use super::stop::{StopHandle, StopJob};
use super::{Actor, Refresh, prepare, records, teardown};
use crate::cluster::Severity;
use crate::pod::decide::{Action, StopReason, probe, probes};
use crate::pod::resize::{Change, change};
use crate::pod::snapshot::{ProbeKind, Step, TearDown, Work, timestamp};
use crate::probe::{Target, worker};

impl Actor {
    /// Begins an action. `false` when there was nothing to begin.
    pub(super) fn perform(&mut self, action: Action) -> bool {
        match action {
            Action::SetUpSandbox => self.set_up_sandbox(),
            Action::SetUpVolumes => self.set_up_volumes(),
            Action::Start { container, attempt, crashes } => self.start(&container, attempt, crashes),
            Action::Stop { container, deadline, why } => self.stop(&container, deadline, why),
            Action::Resize { containers } => self.resize(&containers),
            Action::CancelStarts => {
                let news = !self.starting.is_cancelled();
                self.starting.cancel();
                return news;
            }
            Action::TearDown { purge } => self.tear_down(purge),
            Action::DeleteObject => return self.delete_object(),
            // Handled by the loop.
            Action::Forget | Action::WakeAt(_) => return false,
        }
        true
    }

    fn set_up_sandbox(&mut self) {
        if self.snapshot.sandbox == Step::Absent {
            self.warn_of_unsupported();
        }
        self.snapshot.sandbox = Step::Busy;
        let job = self.job();
        self.spawn(TaskKind::Sandbox, async move { Outcome::Sandbox(prepare::sandbox(job).await) });
    }

    /// What a pod asks for in vain it is told once.
    fn warn_of_unsupported(&self) {
        let spec = self.snapshot.spec();
        let warn = |reason: &str, message: &str| {
            self.host.cluster.event(&self.snapshot.pod, None, Severity::Warning, reason, message);
        };
        if spec.share_process_namespace == Some(true) {
            let text =
                "shareProcessNamespace has no effect on this node: each container has its own processes";
            warn("SharedProcessNamespaceNotSupported", text);
        }
    }

    fn set_up_volumes(&mut self) {
        self.snapshot.volumes = Step::Busy;
        let job = self.job();
        self.spawn(TaskKind::Volumes, async move { Outcome::Volumes(prepare::volumes(job).await) });
    }

    /// Writes the volumes that show objects anew, once at a time.
    pub(super) fn refresh_volumes(&mut self) {
        if self.snapshot.volumes != Step::Done || self.snapshot.teardown != TearDown::None {
            return;
        }
        if self.refresh != Refresh::Idle {
            self.refresh = Refresh::Again;
            return;
        }
        self.refresh = Refresh::Busy;
        let (job, addresses) = (self.job(), self.snapshot.addresses.clone());
        self.spawn(
            TaskKind::Refresh,
            async move { Outcome::Refreshed(prepare::refresh(job, addresses).await) },
        );
    }

    fn start(&mut self, name: &str, attempt: u32, crashes: u32) {
        let Some(container) = records::container(&self.snapshot, name) else { return };
        let target = self.target(name);
        let record = self.snapshot.containers.entry(name.to_owned()).or_default();
        record.work = Some(Work::Starting);
        let resized = change(&container, record) != Change::None;
        record.applied = Some(container.resources.clone().unwrap_or_default());
        let newer = record.latest.as_ref().is_some_and(|latest| latest.attempt < attempt);
        let obsolete = record.previous.as_ref().filter(|_| newer).map(|old| (old.id.clone(), old.attempt));
        let job = StartJob {
            job: self.job(),
            container: Arc::new(container),
            id: crate::identity::new_container_id(),
            attempt,
            crashes,
            connected: self.connected.clone(),
            target,
            volumes: self.volumes.clone(),
            obsolete,
            resized,
            mailbox: self.mailbox.clone(),
        };
        if resized {
            self.observe_resize();
        }
        let (container, id) = (name.to_owned(), job.id.clone());
        self.ids.insert(id.clone());
        let kind = TaskKind::Start { container: container.clone(), id: id.clone() };
        self.host.metrics.runtime_operations.with_label_values(&["start_container"]).inc();
        self.spawn(kind, async move { Outcome::Started { container, id, result: job.run().await } });
    }

    /// The container whose processes an ephemeral one is to see, if it names one.
    fn target(&self, name: &str) -> Option<Neighbour> {
        let is = |one: &&EphemeralContainer| {
            one.ephemeral_container_common.as_ref().is_some_and(|common| common.name == name)
        };
        let target = &self.snapshot.spec().ephemeral_containers.iter().find(is)?.target_container_name;
        if target.is_empty() {
            return None;
        }
        let latest = self.snapshot.containers.get(target).and_then(|record| record.latest.as_ref());
        Some(Neighbour { name: target.clone(), id: latest.map(|latest| latest.id.clone()) })
    }

    fn stop(&mut self, name: &str, deadline: Timestamp, why: StopReason) {
        let Some(record) = self.snapshot.containers.get_mut(name) else { return };
        record.work = Some(Work::Stopping(deadline));
        if let Some(stop) = self.stops.get(name) {
            stop.deadline.send_replace(deadline);
            return;
        }
        let Some(latest) = record.latest.clone() else { return };
        let Some(container) = records::container(&self.snapshot, name) else { return };
        let text = match why {
            StopReason::Deleted | StopReason::PodEnded => format!("Stopping container {name}"),
            StopReason::Probe(kind) => {
                let kind = kind.as_str().to_lowercase();
                format!("Container {name} failed {kind} probe, will be restarted")
            }
            StopReason::Resized => format!("Container {name} resize requires restart"),
            StopReason::Changed => format!("Container {name} definition changed, will be restarted"),
        };
        self.host.cluster.event(&self.snapshot.pod, Some(name), Severity::Normal, "Killing", &text);
        let (sender, receiver) = watch::channel(deadline);
        let ended = CancellationToken::new();
        let job = StopJob {
            job: self.job(),
            container: Arc::new(container),
            id: latest.id,
            image_id: latest.image_id,
            address: self.snapshot.addresses.first().copied(),
            deadline: receiver,
            ended: ended.clone(),
        };
        self.stops.insert(name.to_owned(), StopHandle { deadline: sender, ended });
        let container = name.to_owned();
        self.host.metrics.runtime_operations.with_label_values(&["stop_container"]).inc();
        self.spawn(TaskKind::Stop { container: container.clone() }, async move {
            Outcome::Stopped { container, end: job.run().await }
        });
    }

    fn tear_down(&mut self, purge: bool) {
        self.snapshot.teardown = TearDown::Busy;
        self.stop_probes();
        let (host, paths) = (Arc::clone(&self.host), self.paths.clone());
        let (pod, spec) = (self.job().pod_ref(), self.snapshot.pod.spec.clone());
        let ids = purge.then(|| self.ids.clone());
        self.spawn(TaskKind::TearDown { purge }, async move {
            let result = teardown::tear_down(&host, &pod, spec.as_ref(), &paths, ids.as_ref()).await;
            Outcome::TornDown { purge, result }
        });
    }

    fn delete_object(&mut self) -> bool {
        match &self.deletion {
            Step::Absent => {}
            Step::Failed(failure) if failure.retry_at <= self.snapshot.now => {}
            // Done: the news of its removal are on the way.
            Step::Busy | Step::Done | Step::Failed(_) => return false,
        }
        self.deletion = Step::Busy;
        let (cluster, pod) = (Arc::clone(&self.host.cluster), Arc::clone(&self.snapshot.pod));
        self.spawn(TaskKind::Delete, async move { Outcome::Deleted(cluster.delete_pod(&pod).await) });
        true
    }

    /// Starts the probes that ought to run and stops the others.
    pub(super) fn sync_probes(&mut self) {
        let wanted = probes(&self.snapshot);
        self.probes.retain(|key, task| {
            let keep = wanted.contains(key);
            if !keep {
                task.abort();
            }
            keep
        });
        for key in wanted {
            if self.probes.contains_key(&key) {
                continue;
            }
            let Some(container) = records::container(&self.snapshot, &key.container) else {
                continue;
            };
            let Some(probe) = probe(&container, key.kind).cloned() else { continue };
            let started_at = self.running_since(&key.container).unwrap_or(self.snapshot.now);
            let target = Target {
                runtime: Arc::clone(&self.host.runtime),
                id: key.id.clone(),
                address: self.snapshot.addresses.first().copied(),
                container: Arc::new(container),
            };
            let task = worker::run(target, key.kind, probe, started_at, self.reports.clone());
            self.probes.insert(key, tokio::spawn(task));
        }
    }

    fn running_since(&self, name: &str) -> Option<Timestamp> {
        match self.snapshot.containers.get(name)?.latest.as_ref()?.state {
            gantry_container_runtime::ContainerState::Running { started_at, .. } => {
                Some(timestamp(started_at))
            }
            _ => None,
        }
    }

    pub(super) fn stop_probes(&mut self) {
        for (_, task) in self.probes.drain() {
            task.abort();
        }
    }

    pub(super) fn on_report(&mut self, report: worker::Report) {
        use worker::Verdict;
        if let Some(message) = &report.message {
            let text = format!("{} probe failed: {message}", report.kind.as_str());
            let (pod, container) = (&self.snapshot.pod, Some(report.container.as_str()));
            self.host.cluster.event(pod, container, Severity::Warning, "Unhealthy", &text);
        }
        let Some(container) = records::container(&self.snapshot, &report.container) else { return };
        let no_readiness_probe = container.readiness_probe.is_none();
        let Some(record) = self.snapshot.containers.get_mut(&report.container) else { return };
        if record.latest.as_ref().is_none_or(|latest| latest.id != report.id) {
            return;
        }
        match (report.kind, report.verdict) {
            (ProbeKind::Startup, Verdict::Healthy) => {
                record.health.started = true;
                record.health.ready = no_readiness_probe;
            }
            (ProbeKind::Readiness, Verdict::Healthy) => record.health.ready = true,
            (ProbeKind::Readiness, Verdict::Unhealthy) => record.health.ready = false,
            (kind, Verdict::Unhealthy) => record.health.failed = Some(kind),
            (_, Verdict::Healthy | Verdict::Failing) => {}
        }
    }
}
