//! A whole cluster on one machine.
//!
//! Each node is a network namespace on a bridge, with a mount namespace of its own whose `/run` is private; the
//! control plane runs beside them. [`Cluster::up`] brings it up and [`Cluster::down`] removes every trace of it.
//! Everything that lasts lies in one directory ([`Paths`]); a small supervisor process ([`supervise`]) keeps the
//! processes of the [`plan`] running. Nothing depends on the supervisor or on whoever called `up` staying alive: what
//! there is can always be found again from the directory, the kernel's tables and marks in the environment.

mod api;
mod binaries;
mod cluster;
mod down;
mod error;
mod files;
mod forward;
mod kubeconfig;
mod leftovers;
mod logs;
mod network;
mod nodes;
mod paths;
mod pki;
pub mod plan;
mod preflight;
mod process;
mod spec;
mod supervisor;
mod up;

pub use api::Api;
pub use binaries::Binaries;
pub use cluster::Cluster;
pub use down::Down;
pub use error::Error;
pub use kubeconfig::{Servers, merge_into as merge_kubeconfig};
pub use paths::Paths;
pub use pki::Identities;
pub use process::Identity;
pub use spec::{Network, Ports, Spec};
pub use supervisor::supervise;
pub use up::{Progress, Up, write_credentials};

/// What most functions here return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
