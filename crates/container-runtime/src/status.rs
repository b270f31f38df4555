//! What is known of a container.

use std::collections::BTreeMap;
use std::time::SystemTime;

/// The runtime's name and version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Version {
    /// Such as `containerd`.
    pub name: String,
    /// Such as `1.6.20`.
    pub version: String,
}

/// A container as the runtime knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerStatus {
    /// Its id.
    pub id: String,
    /// The image reference that it was created with.
    pub image: String,
    /// Digest of the image's configuration.
    pub image_id: String,
    /// As given when it was created.
    pub labels: BTreeMap<String, String>,
    /// When it was created.
    pub created_at: SystemTime,
    /// Where it is in its life.
    pub state: ContainerState,
}

/// Where a container is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerState {
    /// Created and never started.
    Created,
    /// Its process runs.
    Running {
        /// Process id on the host.
        pid: u32,
        /// When it was started.
        started_at: SystemTime,
    },
    /// Its process ended.
    Exited {
        /// Exit code, or 128 plus the signal that ended it.
        exit_code: i32,
        /// When it was started.
        started_at: SystemTime,
        /// When it ended.
        finished_at: SystemTime,
        /// Whether the kernel killed it for want of memory.
        oom_killed: bool,
    },
    /// It was started, but how it ended is not known: the machine or its supervising process went down.
    Lost {
        /// When it was started.
        started_at: SystemTime,
    },
}

impl ContainerState {
    /// Whether its process runs.
    pub fn is_running(&self) -> bool {
        matches!(self, Self::Running { .. })
    }

    /// Whether it ran and does not any more.
    pub fn is_finished(&self) -> bool {
        matches!(self, Self::Exited { .. } | Self::Lost { .. })
    }

    /// The state's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running { .. } => "running",
            Self::Exited { .. } => "exited",
            Self::Lost { .. } => "lost",
        }
    }
}

/// Something that happened to a container without being asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuntimeEvent {
    /// A container's process ended. Can be told more than once for the same exit.
    Exit {
        /// The container.
        id: String,
        /// Its process id on the host; 0 when it never ran.
        pid: u32,
        /// Exit code, or 128 plus the signal that ended it.
        exit_code: i32,
        /// When it ended.
        time: SystemTime,
        /// Whether the kernel killed it for want of memory.
        oom_killed: bool,
        /// The container as it is now.
        status: Box<ContainerStatus>,
    },
    /// The kernel killed a process in the container for want of memory; the container may go on.
    Oom {
        /// The container.
        id: String,
    },
    /// Events may have been missed: list the containers again. Also the first event of every stream.
    Resync,
}

/// What a container uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContainerStats {
    /// When this was measured.
    pub time: SystemTime,
    /// CPU time used since the start, in nanoseconds.
    pub cpu_usage_ns: u64,
    /// Memory that cannot be reclaimed at once.
    pub memory_working_set_bytes: u64,
    /// Memory with all caches.
    pub memory_usage_bytes: u64,
    /// Processes and threads.
    pub pids: u64,
}
