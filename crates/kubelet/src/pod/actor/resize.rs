//! Pods that are to have other resources: what they are given, and bringing it to their containers.

use std::sync::Arc;

use gantry_api::core::v1::{Pod, PodSpec, ResourceRequirements};
use gantry_container_runtime::Resources;
use jiff::Timestamp;
use serde_json::json;

use super::handle::failure;
use super::message::{Outcome, TaskKind};
use super::{Actor, records};
use crate::allocations::Refusal;
use crate::cluster::Severity;
use crate::container::resources::{container_resources, pod_resources};
use crate::host::Host;
use crate::pod::resize::{self, Allocated};
use crate::pod::snapshot::Work;

/// One container to be given other limits.
struct Update {
    name: String,
    id: String,
    given: ResourceRequirements,
    limits: Resources,
}

/// The change of the limits of some containers of a pod, and of the pod's own.
struct Job {
    host: Arc<Host>,
    uid: String,
    spec: PodSpec,
    /// What all containers may use together: as it was, and as it is to be.
    before: Resources,
    after: Resources,
    updates: Vec<Update>,
}

impl Job {
    async fn run(self) -> Outcome {
        let mut applied = Vec::new();
        let mut result = self.limit_pod(widest(&self.before, &self.after)).await;
        if result.is_ok() {
            for update in &self.updates {
                if let Err(error) = self.host.runtime.update_resources(&update.id, &update.limits).await {
                    result = Err(error.to_string());
                    break;
                }
                applied.push((update.name.clone(), update.given.clone()));
            }
        }
        if result.is_ok() {
            result = self.limit_pod(self.after.clone()).await;
        }
        let containers = self.updates.into_iter().map(|update| update.name).collect();
        Outcome::Resized { containers, applied, result }
    }

    async fn limit_pod(&self, limits: Resources) -> Result<(), String> {
        let (host, spec, uid) = (Arc::clone(&self.host), self.spec.clone(), self.uid.clone());
        let work = tokio::task::spawn_blocking(move || host.cgroups.change(&spec, &uid, &limits));
        let outcome = work.await.map_err(|error| error.to_string())?;
        outcome.map_err(|error| format!("cgroup of the pod: {error}"))
    }
}

/// Limits under which containers fit with what they had and with what they will have; absent where one has none.
fn widest(before: &Resources, after: &Resources) -> Resources {
    let quota = before.cpu_quota_us.zip(after.cpu_quota_us).map(|(before, after)| before.max(after));
    let memory = before.memory_limit_bytes.zip(after.memory_limit_bytes);
    Resources {
        cpu_shares: after.cpu_shares,
        cpu_quota_us: quota,
        cpu_period_us: quota.and(after.cpu_period_us),
        memory_limit_bytes: memory.map(|(before, after)| before.max(after)),
        ..Resources::default()
    }
}

impl Actor {
    pub(super) fn uid(&self) -> String {
        self.desired.metadata.as_ref().map(|meta| meta.uid.clone()).unwrap_or_default()
    }

    /// Whether the pod waits for others to give something back.
    pub(super) fn is_deferred(&self) -> bool {
        matches!(self.snapshot.resize.pending, Some(Refusal::Deferred(_)))
    }

    /// Gives the pod what it asks for, if that can be had, and shows it as it is given.
    pub(super) fn allocate(&mut self) {
        let wanted = resize::wanted(&self.desired);
        if resize::is_same(&wanted, &self.allocated) {
            self.snapshot.resize.pending = None;
        } else {
            let amounts = self.desired.spec.as_ref().map(resize::requests).unwrap_or_default();
            match self.host.allocations.change(&self.uid(), amounts) {
                Ok(()) => {
                    self.allocated = wanted;
                    self.snapshot.resize = resize::Resize::default();
                    self.resize_event(Severity::Normal, "ResizeStarted", "Pod resize started", "");
                }
                Err(refusal) => {
                    if self.snapshot.resize.pending.as_ref() != Some(&refusal) {
                        let reason = refusal.reason();
                        let (name, text) = (format!("Resize{reason}"), format!("Pod resize {reason}"));
                        self.resize_event(Severity::Warning, &name, &text, refusal.message());
                    }
                    self.snapshot.resize.pending = Some(refusal);
                }
            }
        }
        self.snapshot.pod = resize::with_allocated(&self.desired, &self.allocated);
    }

    /// Tells of a resize what it is about.
    fn resize_event(&self, severity: Severity, reason: &str, text: &str, error: &str) {
        let about = about(&self.desired, &resize::wanted(&self.desired), error);
        self.host.cluster.event(&self.desired, None, severity, reason, &format!("{text}: {about}"));
    }

    /// Begins to give running containers what they have been given.
    pub(super) fn resize(&mut self, containers: &[String]) {
        let spec = self.snapshot.spec().clone();
        let mut before = spec.clone();
        let mut updates = Vec::new();
        for name in containers {
            let Some(container) = records::container(&self.snapshot, name) else { continue };
            let Some(record) = self.snapshot.containers.get_mut(name) else { continue };
            let Some(latest) = &record.latest else { continue };
            for old in before.init_containers.iter_mut().chain(&mut before.containers) {
                if old.name == *name && record.applied.is_some() {
                    old.resources.clone_from(&record.applied);
                }
            }
            let limits = container_resources(&spec, &container, self.host.facts.memory_bytes);
            let update = Update {
                name: name.clone(),
                id: latest.id.clone(),
                given: container.resources.clone().unwrap_or_default(),
                // How early it is killed is said once, at its start.
                limits: Resources { oom_score_adj: None, ..limits },
            };
            record.work = Some(Work::Resizing);
            updates.push(update);
        }
        let job = Job {
            host: Arc::clone(&self.host),
            uid: self.uid(),
            before: pod_resources(&before),
            after: pod_resources(&spec),
            spec,
            updates,
        };
        let kind = TaskKind::Resize { containers: containers.to_vec() };
        self.host.metrics.runtime_operations.with_label_values(&["update_container"]).inc();
        self.spawn(kind, job.run());
    }

    pub(super) fn on_resized(
        &mut self,
        containers: &[String],
        applied: Vec<(String, ResourceRequirements)>,
        result: Result<(), String>,
    ) {
        for name in containers {
            // One that is being stopped meanwhile goes on being stopped.
            if let Some(record) = self.snapshot.containers.get_mut(name)
                && record.work == Some(Work::Resizing)
            {
                record.work = None;
            }
        }
        if let Err(message) = result {
            let count = self.snapshot.resize.failure.as_ref().map_or(1, |f| f.count.saturating_add(1));
            tracing::warn!(message, "a pod could not be resized; trying again");
            if count == 1 {
                self.resize_event(Severity::Warning, "ResizeError", "Pod resize error", &message);
            }
            self.snapshot.resize.failure = Some(failure("Error", message, count));
            return;
        }
        for (name, given) in applied {
            if let Some(record) = self.snapshot.containers.get_mut(&name) {
                record.applied = Some(given);
            }
        }
        self.snapshot.resize.failure = None;
        self.observe_resize();
    }

    /// Tells when nothing is left to do.
    pub(super) fn observe_resize(&mut self) {
        self.snapshot.now = Timestamp::now();
        if !resize::in_progress(&self.snapshot) && self.snapshot.resize.pending.is_none() {
            self.resize_event(Severity::Normal, "ResizeCompleted", "Pod resize completed", "");
        }
    }
}

/// What events say of a resize, as JSON.
fn about(pod: &Pod, wanted: &Allocated, error: &str) -> serde_json::Value {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let containers: Vec<_> = containers
        .filter_map(|container| {
            Some(json!({"name": container.name, "resources": wanted.get(&container.name)?}))
        })
        .collect();
    let generation = pod.metadata.as_ref().map(|meta| meta.generation).unwrap_or_default();
    let mut about = json!({ "containers": containers, "generation": generation });
    if !error.is_empty() {
        about["error"] = error.into();
    }
    about
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pods_limit_is_wide_while_its_containers_change() {
        let limits = |quota: Option<i64>, memory: Option<i64>| Resources {
            cpu_quota_us: quota,
            cpu_period_us: quota.map(|_| 100),
            memory_limit_bytes: memory,
            ..Resources::default()
        };
        assert_eq!(widest(&limits(Some(1), Some(9)), &limits(Some(2), Some(8))), limits(Some(2), Some(9)));
        assert_eq!(widest(&limits(None, Some(9)), &limits(Some(2), None)), limits(None, None));
    }
}
