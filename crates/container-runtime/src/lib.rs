//! Containers, tasks and images on a node.
//!
//! The kubelet sees the [`Runtime`] trait and plain domain types; it never sees containerd, OCI specs or
//! registries. Two implementations share one battery of tests: [`fake::FakeRuntime`], which keeps everything in
//! memory for the kubelet's own tests, and containerd's.
//!
//! There is no sandbox in this interface: a pod's network, IPC and UTS namespaces are made and pinned by the
//! kubelet and handed to each container by path, so that a pod costs no process of its own.

mod bounds;
mod config;
mod containerd;
mod error;
mod exec;
pub mod fake;
mod image;
mod registry;
mod runtime;
mod spec;
mod status;
mod users;

pub use bounds::Bounds;
pub use config::{
    Capabilities, ContainerConfig, Device, LogConfig, Mount, MountSource, Namespace, Namespaces, Propagation,
    Resources, Rlimit, Security, User,
};
pub use containerd::{Containerd, ContainerdOptions};
pub use error::{Error, Result};
pub use exec::{ExecConfig, ExecControl, ExecOutput, ExecSession, Reader, TerminalSize, Writer};
pub use image::{FsUsage, ImageConfig, ImageInfo, ProgressSink, PullProgress, RegistryAuth};
pub use registry::{RegistryEndpoint, RegistryOptions};
pub use runtime::{EventStream, Runtime};
pub use status::{ContainerState, ContainerStats, ContainerStatus, RuntimeEvent, Version};
