//! Getting the status to the API: at once, one write at a time, nothing when it is there already.

use std::sync::Arc;
use std::time::Duration;

use gantry_api::core::v1::{ContainerStatus, Pod, PodCondition, PodStatus};
use jiff::Timestamp;

use super::Actor;
use super::message::{Outcome, TaskKind};
use crate::cluster;
use crate::pod::snapshot::after;
use crate::pod::status::{RESIZE_CONDITIONS, status};

/// The first retry of a failed write; each further one doubles it.
const RETRY: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(10);

/// How long a status may wait that says no more than that a pod is on its way.
const HOLD: Duration = Duration::from_secs(1);

/// What the API has been told.
#[derive(Debug)]
pub(super) struct Publisher {
    /// The last status that was made: transition times are carried over from it.
    made: PodStatus,
    /// What the API is known to have.
    published: PodStatus,
    busy: bool,
    failures: u32,
    retry_at: Option<Timestamp>,
    /// Since when there is something to write that may wait.
    held_since: Option<Timestamp>,
    /// The revision of the last answer: older news about the pod do not say what the API has now.
    revision: u64,
}

impl Publisher {
    pub(super) fn new(known: PodStatus) -> Self {
        Self {
            made: known.clone(),
            published: known,
            busy: false,
            failures: 0,
            retry_at: None,
            held_since: None,
            revision: 0,
        }
    }

    pub(super) fn retry_at(&self) -> Timestamp {
        let held = self.held_since.map(|since| after(since, HOLD));
        [self.retry_at, held].into_iter().flatten().filter(|_| !self.busy).max().unwrap_or(Timestamp::MAX)
    }

    /// Whether a status that may wait has to wait still.
    fn holds(&mut self, new: &PodStatus, now: Timestamp) -> bool {
        if !may_wait(new, &self.published) {
            self.held_since = None;
            return false;
        }
        let since = *self.held_since.get_or_insert(now);
        now < after(since, HOLD)
    }

    /// The API shows another status than what was written: it was changed by someone else.
    pub(super) fn observed(&mut self, pod: &Pod) {
        let newer = revision(pod) > self.revision;
        if newer && !self.busy {
            self.revision = revision(pod);
            self.published = pod.status.clone().unwrap_or_default();
        }
    }
}

fn revision(pod: &Pod) -> u64 {
    pod.metadata.as_ref().and_then(|meta| meta.resource_version.parse().ok()).unwrap_or_default()
}

impl Actor {
    /// Writes the status if the API has another one and no write is under way.
    pub(super) fn publish(&mut self) {
        let new = status(&self.snapshot, &self.publisher.made);
        self.publisher.made.clone_from(&new);
        let deleted = self.snapshot.pod.metadata.as_ref().is_some_and(|m| m.deletion_timestamp.is_some());
        self.snapshot.status_sent = same(&new, &self.publisher.published, deleted);
        let waiting = self.publisher.retry_at.is_some_and(|at| at > self.snapshot.now);
        if self.snapshot.status_sent {
            self.publisher.held_since = None;
            return;
        }
        if self.publisher.busy || waiting || self.snapshot.removed.is_some() {
            return;
        }
        if !deleted && self.publisher.holds(&new, self.snapshot.now) {
            return;
        }
        self.publisher.held_since = None;
        self.publisher.busy = true;
        self.publisher.retry_at = None;
        let (cluster, pod) = (Arc::clone(&self.host.cluster), Arc::clone(&self.snapshot.pod));
        let previous = self.publisher.published.clone();
        self.spawn(TaskKind::Status, async move {
            let result = cluster.write_status(&pod, &previous, &new).await;
            Outcome::StatusWritten { status: Box::new(new), result }
        });
    }

    pub(super) fn on_status_written(&mut self, written: PodStatus, result: Result<Arc<Pod>, cluster::Error>) {
        self.publisher.busy = false;
        match result {
            Ok(pod) => {
                self.publisher.failures = 0;
                self.publisher.revision = self.publisher.revision.max(revision(&pod));
                self.publisher.published = written;
            }
            // Its removal is on the way; until then there is nothing to write to.
            Err(cluster::Error::Gone { .. }) => self.publisher.published = written,
            Err(error) => self.on_status_failed(&error.to_string()),
        }
    }

    pub(super) fn on_status_failed(&mut self, error: &str) {
        self.publisher.busy = false;
        self.publisher.failures = self.publisher.failures.saturating_add(1);
        let delay = (RETRY * (1 << self.publisher.failures.min(7))).min(RETRY_MAX);
        self.publisher.retry_at = Some(after(Timestamp::now(), delay));
        tracing::warn!(error, "pod status not written; trying again");
    }
}

/// Whether a status says no more than that a pod is on its way: what comes next usually comes soon and says more.
fn may_wait(new: &PodStatus, known: &PodStatus) -> bool {
    let on_its_way = |status: &ContainerStatus| {
        let waiting = status.state.as_ref().and_then(|state| state.waiting.as_ref());
        waiting
            .is_some_and(|waiting| matches!(waiting.reason.as_str(), "ContainerCreating" | "PodInitializing"))
            && status.last_state.is_none()
    };
    new.phase == "Pending"
        && matches!(known.phase.as_str(), "" | "Pending")
        && new.init_container_statuses.iter().chain(&new.container_statuses).all(on_its_way)
}

/// Whether two statuses say the same, as far as the kubelet decides on them. That a pod which is being deleted has
/// given back its namespaces is not worth a write: the next is its removal.
fn same(new: &PodStatus, known: &PodStatus, deleted: bool) -> bool {
    let conditions = new.conditions.iter().all(|condition| {
        if deleted && condition.r#type == "PodReadyToStartContainers" {
            return true;
        }
        known.conditions.iter().any(|other| {
            other.r#type == condition.r#type
                && other.status == condition.status
                && other.reason == condition.reason
                && other.message == condition.message
        })
    });
    let lost = |condition: &&PodCondition| {
        RESIZE_CONDITIONS.contains(&condition.r#type.as_str())
            && !new.conditions.iter().any(|other| other.r#type == condition.r#type)
    };
    conditions
        && !known.conditions.iter().any(|condition| lost(&condition))
        && new.phase == known.phase
        && new.reason == known.reason
        && new.message == known.message
        && new.host_ip == known.host_ip
        && new.host_ips == known.host_ips
        && new.pod_ip == known.pod_ip
        && new.pod_ips == known.pod_ips
        && new.start_time == known.start_time
        && new.qos_class == known.qos_class
        && new.observed_generation == known.observed_generation
        && new.container_statuses == known.container_statuses
        && new.init_container_statuses == known.init_container_statuses
        && new.ephemeral_container_statuses == known.ephemeral_container_statuses
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> PodStatus {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn only_a_pod_on_its_way_may_wait() {
        let waiting = |reason: &str| {
            format!(
                r#"{{"phase":"Pending","containerStatuses":[{{"name":"c","image":"","imageID":"","ready":false,
                    "restartCount":0,"state":{{"waiting":{{"reason":"{reason}"}}}}}}]}}"#
            )
        };
        let known = read(r#"{"phase":"Pending"}"#);
        assert!(may_wait(&read(&waiting("ContainerCreating")), &known));
        assert!(!may_wait(&read(&waiting("ErrImagePull")), &known));
        assert!(!may_wait(&read(&waiting("ContainerCreating")), &read(r#"{"phase":"Running"}"#)));
        assert!(!may_wait(&read(r#"{"phase":"Running"}"#), &known));
    }

    #[test]
    fn namespaces_of_a_deleted_pod_go_unmentioned() {
        let ready = |status: &str| {
            read(&format!(r#"{{"conditions":[{{"type":"PodReadyToStartContainers","status":"{status}"}}]}}"#))
        };
        assert!(!same(&ready("False"), &ready("True"), false));
        assert!(same(&ready("False"), &ready("True"), true));
    }
}
