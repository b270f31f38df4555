//! Container output: the log driver process, the CRI log format, rotation and reading.
//!
//! Each container has a driver process of its own, started by containerd's shim, which holds nothing but the two
//! pipes and the log file. So output is neither lost nor held up when the kubelet or containerd go away, and the
//! process is small because there are as many of them as containers.

#[cfg(feature = "reader")]
pub mod attach;
pub mod cri;
pub mod driver;
#[cfg(feature = "reader")]
pub mod reader;
mod rotate;
mod tap;

pub use rotate::{LogFile, RotationPolicy, files};
