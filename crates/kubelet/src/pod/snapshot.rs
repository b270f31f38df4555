//! All that a decision about a pod depends on.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use gantry_api::core::v1::{Container, Pod, PodSpec, ResourceRequirements};
use gantry_container_runtime::ContainerState;
use jiff::Timestamp;

use super::resize::Resize;

/// A pod as it is wanted and as it is, at one instant.
#[derive(Debug, Clone)]
pub struct PodSnapshot {
    /// The object, as last seen in the API, save that its containers ask for what they have been given.
    pub pod: Arc<Pod>,
    /// The present.
    pub now: Timestamp,
    /// Set when the object is gone from the API: when everything of it must have ended.
    pub removed: Option<Timestamp>,
    /// Namespaces and network.
    pub sandbox: Step,
    /// Volumes and files.
    pub volumes: Step,
    /// The way back from both.
    pub teardown: TearDown,
    /// The pod's addresses.
    pub addresses: Vec<IpAddr>,
    /// The node's addresses.
    pub host_addresses: Vec<IpAddr>,
    /// When this kubelet first saw the pod.
    pub started_at: Timestamp,
    /// What is known of each container that was ever touched, by name.
    pub containers: BTreeMap<String, ContainerRecord>,
    /// What has become of other resources that it asked for.
    pub resize: Resize,
    /// Whether the API server has the pod's last status.
    pub status_sent: bool,
}

/// Something that has to be there before containers can start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Step {
    /// Not begun.
    #[default]
    Absent,
    /// Being done.
    Busy,
    /// It went wrong and is to be tried again.
    Failed(Failure),
    /// It is there.
    Done,
}

/// How far a pod has been taken down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum TearDown {
    /// Not at all.
    #[default]
    None,
    /// Being done.
    Busy,
    /// It went wrong and is to be tried again at this time.
    Failed(Timestamp),
    /// Namespaces, network and volumes are gone; ended containers and their logs are kept.
    Released,
    /// Nothing is left on the node.
    Purged,
}

/// Why something could not be done, and when to try again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// One word, such as `ErrImagePull`.
    pub reason: String,
    /// For people.
    pub message: String,
    /// When it happened.
    pub at: Timestamp,
    /// When to try again.
    pub retry_at: Timestamp,
    /// How often it failed in a row.
    pub count: u32,
}

/// What is known of one container of a pod.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContainerRecord {
    /// The newest instance.
    pub latest: Option<Instance>,
    /// The instance before that.
    pub previous: Option<Instance>,
    /// The resources that the newest instance runs with.
    pub applied: Option<ResourceRequirements>,
    /// What is being done to it.
    pub work: Option<Work>,
    /// Why the last attempt to start it did not lead to an instance.
    pub failure: Option<Failure>,
    /// What probes say about the newest instance.
    pub health: Health,
}

/// What is being done to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Pulled, created and started.
    Starting,
    /// Given other limits.
    Resizing,
    /// Stopped; it will be killed at this time at the latest.
    Stopping(Timestamp),
}

/// What probes say about an instance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Health {
    /// The startup probe has succeeded.
    pub started: bool,
    /// The last verdict of the readiness probe.
    pub ready: bool,
    /// A liveness or startup probe has failed for good.
    pub failed: Option<ProbeKind>,
}

/// The three kinds of probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProbeKind {
    /// Whether the container has come up.
    Startup,
    /// Whether it can serve.
    Readiness,
    /// Whether it has to be restarted.
    Liveness,
}

impl ProbeKind {
    /// As events spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Readiness => "Readiness",
            Self::Liveness => "Liveness",
        }
    }
}

/// One container of the runtime.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// The runtime's id.
    pub id: String,
    /// How often the container had been started before.
    pub attempt: u32,
    /// How many instances before this one crashed in a row.
    pub crashes: u32,
    /// The image as the pod named it when this was created.
    pub image: String,
    /// The image's id.
    pub image_id: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// Where it is in its life.
    pub state: ContainerState,
    /// Its last words.
    pub message: Option<String>,
    /// It could never be started; `state` is made up to say so.
    pub start_error: bool,
}

impl Instance {
    /// Whether its process runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.state.is_running()
    }

    /// Its exit code, once it has ended. One whose end is unknown counts as killed.
    #[must_use]
    pub fn exit_code(&self) -> Option<i32> {
        match self.state {
            ContainerState::Exited { exit_code, .. } => Some(exit_code),
            ContainerState::Lost { .. } => Some(137),
            ContainerState::Created | ContainerState::Running { .. } => None,
        }
    }

    /// When it ended. Of one whose end is unknown that is not known either: it counts as long ago.
    #[must_use]
    pub fn finished_at(&self) -> Option<Timestamp> {
        match self.state {
            ContainerState::Exited { finished_at, .. } => Some(timestamp(finished_at)),
            ContainerState::Lost { started_at } => Some(timestamp(started_at)),
            ContainerState::Created | ContainerState::Running { .. } => None,
        }
    }

    /// How long it ran, once it has ended.
    #[must_use]
    pub fn ran_for(&self) -> Option<Duration> {
        match self.state {
            ContainerState::Exited { started_at, finished_at, .. } => {
                Some(finished_at.duration_since(started_at).unwrap_or_default())
            }
            ContainerState::Lost { .. } => Some(Duration::ZERO),
            ContainerState::Created | ContainerState::Running { .. } => None,
        }
    }
}

/// A point in time of the system's clock; one that no calendar has becomes the epoch.
#[must_use]
pub fn timestamp(time: std::time::SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// `time` later by `delay`; the end of time where there is no such instant.
#[must_use]
pub fn after(time: Timestamp, delay: Duration) -> Timestamp {
    time.checked_add(delay).unwrap_or(Timestamp::MAX)
}

impl PodSnapshot {
    /// The pod's specification. The API has no pod without one.
    #[must_use]
    pub fn spec(&self) -> &PodSpec {
        static EMPTY: std::sync::LazyLock<PodSpec> = std::sync::LazyLock::new(PodSpec::default);
        self.pod.spec.as_ref().unwrap_or(&EMPTY)
    }

    /// The containers for debugging that were added while the pod runs, as ordinary ones.
    #[must_use]
    pub fn ephemeral(&self) -> Vec<Container> {
        gantry_api::ephemeral::containers(self.spec())
    }

    /// The record of a container, if it was ever touched.
    #[must_use]
    pub fn record(&self, container: &Container) -> Option<&ContainerRecord> {
        self.containers.get(&container.name)
    }

    /// The newest instance of a container.
    #[must_use]
    pub fn latest(&self, container: &Container) -> Option<&Instance> {
        self.record(container)?.latest.as_ref()
    }

    /// Whether any process of the pod runs or is about to.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.containers
            .values()
            .any(|record| record.work.is_some() || record.latest.as_ref().is_some_and(Instance::is_running))
    }
}

impl ContainerRecord {
    /// Whether an instance runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.latest.as_ref().is_some_and(Instance::is_running)
    }
}

/// Whether an init container goes on running beside the others.
#[must_use]
pub fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}
