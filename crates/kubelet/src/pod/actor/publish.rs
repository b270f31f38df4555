//! Getting the status to the API: at once, one write at a time, nothing when it is there already.

use std::sync::Arc;
use std::time::Duration;

use gantry_api::core::v1::{Pod, PodStatus};
use jiff::Timestamp;

use super::Actor;
use super::message::{Outcome, TaskKind};
use crate::cluster;
use crate::pod::snapshot::after;
use crate::pod::status::status;

/// The first retry of a failed write; each further one doubles it.
const RETRY: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(10);

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
    /// The revision of the last answer: older news about the pod do not say what the API has now.
    revision: u64,
}

impl Publisher {
    pub(super) fn new(known: PodStatus) -> Self {
        Self { made: known.clone(), published: known, busy: false, failures: 0, retry_at: None, revision: 0 }
    }

    pub(super) fn retry_at(&self) -> Timestamp {
        self.retry_at.filter(|_| !self.busy).unwrap_or(Timestamp::MAX)
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
        self.snapshot.status_sent = same(&new, &self.publisher.published);
        let waiting = self.publisher.retry_at.is_some_and(|at| at > self.snapshot.now);
        if self.snapshot.status_sent || self.publisher.busy || waiting || self.snapshot.removed.is_some() {
            return;
        }
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

/// Whether two statuses say the same, as far as the kubelet decides on them.
fn same(new: &PodStatus, known: &PodStatus) -> bool {
    let conditions = new.conditions.iter().all(|condition| {
        known.conditions.iter().any(|other| {
            other.r#type == condition.r#type
                && other.status == condition.status
                && other.reason == condition.reason
                && other.message == condition.message
        })
    });
    conditions
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
}
