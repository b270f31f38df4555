//! What an actor is told, and what its tasks answer.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use gantry_api::core::v1::{Pod, PodStatus, ResourceRequirements};
use gantry_container_runtime::ContainerStatus;
use jiff::Timestamp;

use crate::cluster;
use crate::container::config::PodNamespaces;

/// The latest word of the API about a pod. Only the newest counts.
#[derive(Debug, Clone)]
pub enum Input {
    /// The object.
    Pod(Arc<Pod>),
    /// It is gone, since then.
    Removed(Timestamp),
}

/// Something that an actor has to know.
#[derive(Debug)]
pub enum Message {
    /// All containers of the pod.
    Containers(Vec<ContainerStatus>),
    /// One container has changed.
    Container(ContainerStatus),
    /// An object that the pod refers to has changed.
    ReferencesChanged,
}

/// What a task is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TaskKind {
    Sandbox,
    Volumes,
    Refresh,
    Start { container: String, id: String },
    Stop { container: String },
    Resize { containers: Vec<String> },
    TearDown { purge: bool },
    Status,
    Delete,
}

/// What a task came to.
#[derive(Debug)]
pub(super) enum Outcome {
    Sandbox(Result<Connected, Trouble>),
    Volumes(Result<BTreeMap<String, PathBuf>, Trouble>),
    Refreshed(Result<(), Trouble>),
    Started {
        container: String,
        id: String,
        result: Result<ContainerStatus, StartTrouble>,
    },
    Stopped {
        container: String,
        end: End,
    },
    /// The containers that it was about, and what was brought to which.
    Resized {
        containers: Vec<String>,
        applied: Vec<(String, ResourceRequirements)>,
        result: Result<(), String>,
    },
    TornDown {
        purge: bool,
        result: Result<(), String>,
    },
    StatusWritten {
        status: Box<PodStatus>,
        result: Result<Arc<Pod>, cluster::Error>,
    },
    Deleted(Result<(), cluster::Error>),
}

/// What is known of a container at the end of its stop.
#[derive(Debug)]
pub(super) enum End {
    /// The actor has been told by the runtime.
    Told,
    /// What the runtime answers when it is asked.
    Asked(ContainerStatus),
    /// Nothing: there is no such container any more.
    Lost,
}

/// A pod's network, ready.
#[derive(Debug, Clone, Default)]
pub(super) struct Connected {
    pub(super) namespaces: PodNamespaces,
    pub(super) addresses: Vec<IpAddr>,
}

/// Why a step of the preparation failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It was given up because the pod is to end.
    Cancelled,
    /// One word and a sentence.
    Failed { reason: &'static str, message: String },
}

/// Why a container did not start.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum StartTrouble {
    /// It was given up because the pod is to end.
    Cancelled,
    /// There is no container: one word and a sentence.
    Failed { reason: &'static str, message: String },
    /// It was created and could not be started: that counts as an instance that ended.
    NeverRan { id: String, attempt: u32, crashes: u32, image_id: String, message: String },
}
